import {
  type Address,
  addressFromVpn,
  checkBits,
  checkInteger,
  describeAccess,
  isAccess,
  type Plain,
  Prot,
  pageAndOffset,
  plain,
  VmError,
  type VmObserver,
} from '../core/index.js';
import { CachedRules } from './cached-rules.js';
import { ALL_PROT } from './entry-rules.js';
import type { WalkPath } from './path.js';
import {
  type ExplainOptions,
  type FaultTranslation,
  type LeafAttributes,
  type Translation,
  type WalkReport,
  walkReport,
} from './report.js';
import { Watch } from './watch.js';

export { LEAF, LOCAL, NO_LEAF, POINTER, ROOT_RIGHTS, SKIP } from './entry-rules.js';

/** What {@link RadixWalker.lastPage} tells. */
interface LastPage {
  readonly prot: number;
  readonly attributes: LeafAttributes;
}

/** The refusal of an access that is none, or none of this architecture. */
function noAccess(access: number): VmError {
  const expected = 'Access bits that this architecture has, with one kind';
  return new VmError('bad-argument', { argument: 'access', value: access, expected });
}

/** Whether a number is an integer from 0 to 2^52 - 1. */
export function isPageNumber(vpn: number): boolean {
  return Math.floor(vpn) === vpn && vpn >= 0 && vpn < 2 ** 52;
}

/** Whether an access lies in one page; `false` also for what is no integer. */
export function inPage(offset: number, bytes: number): boolean {
  const last = bytes - 1;
  return (offset & 4095) === offset && (last & 4095) === last && offset + last < 4096;
}

/**
 * What every radix walker shares: the doors that answer in numbers and in objects.
 *
 * A walk comes in two forms that obey one set of rules. The fast path reads flat RAM and answers only when nothing
 * forbids the access and no bit has to be set, at about twice the time of C. In every other case it starts over in the complete form,
 * which reads memory of any kind, finds the rule that decides, updates accessed and dirty bits, and records its path.
 * Reading twice is harmless, since RAM has no side effects; devices and shared memory never see the fast path.
 *
 * @public
 */
export abstract class RadixWalker extends CachedRules {
  private watch: Watch | null = null;
  /** A complete walk is at work, or its observer is being told: the path must stay as it is. */
  private busy = false;
  /** The observer is not told: somebody else's report is being made, and the walk itself follows. */
  private silent = false;
  /** Of the second stage, before an observer was told who may have asked it for more. */
  private lastHost: LastPage | null = null;

  /**
   * Translates for an access, exactly as the hardware: sets accessed and dirty bits, raises faults. Hot: numbers in,
   * number out, no allocation.
   *
   * @param vpn - The page number: the 64-bit virtual address shifted right by `pageShift`, 12 but for formats of your own.
   * @param access - `Access` bits.
   * @param offset - The byte in the page; it matters to fault addresses and to physical memory protection.
   * @param bytes - The size of the access, which must end in the page; it matters to physical memory protection.
   * @returns The number of the frame, in the same pages, or `-(1 + code)` for a fault that then waits in `fault`. O(levels).
   * @throws `VmError` when an argument is out of range: a caller's mistake, never a guest's.
   */
  walk(vpn: number, access: number, offset = 0, bytes = 1): number {
    return this.checkAndComplete(vpn, access, offset, bytes, true);
  }

  /**
   * Answers as {@link RadixWalker.walk} does, and changes nothing in memory.
   *
   * @param vpn - As for `walk`.
   * @param access - As for `walk`.
   * @param offset - As for `walk`.
   * @param bytes - As for `walk`.
   * @returns As `walk`.
   * @throws As `walk`.
   */
  probe(vpn: number, access: number, offset = 0, bytes = 1): number {
    return this.checkAndComplete(vpn, access, offset, bytes, false);
  }

  /**
   * Walks, and answers in an object.
   *
   * @param va - The virtual address.
   * @param access - `Access` bits.
   * @returns The page with its attributes, or the fault in the architecture's own encoding.
   * @throws `VmError` for a bad address or access.
   */
  translate(va: Address, access: number): Plain<Translation> {
    const { vpn, offset } = this.split(va);
    // The fast path takes what is no number for a caller's business; not so here.
    if (!isAccess(access)) throw noAccess(access);
    const pfn = this.walk(vpn, access, offset);
    return this.answer(pfn, vpn, offset, access);
  }

  /**
   * Walks without side effects and tells everything: which entries were read and what their bits mean, the rule that
   * decided, the rights so far, and the accessed/dirty bits that the access sets.
   *
   * @param va - The virtual address.
   * @param access - `Access` bits.
   * @param options - With `update`, the bits are really set.
   * @returns A versioned report, plain data; `formatWalk` makes text of it.
   * @throws `VmError` for a bad address or access.
   */
  explain(va: Address, access: number, options: ExplainOptions = {}): Plain<WalkReport> {
    const { vpn, offset } = this.split(va);
    const update = options.update ?? false;
    this.hostReports = this.secondStage === null ? null : [];
    try {
      const pfn = this.checkAndComplete(vpn, access, offset, 1, update);
      const outcome = this.answer(pfn, vpn, offset, access);
      return walkReport(this, outcome, access, update, this.hostReports ?? []);
    } finally {
      this.hostReports = null;
    }
  }

  /** What `explain` answers, for the explanation of a guest's walk, which then makes this walk itself. @internal */
  report(va: Address, access: number): Plain<WalkReport> {
    this.silent = true;
    try {
      return this.explain(va, access);
    } finally {
      this.silent = false;
    }
  }

  /**
   * The entries from the root to the leaf of a page, for caches of upper entries. It walks in full and sets nothing.
   *
   * @param vpn - The page number.
   * @param access - An access that was just let through.
   * @returns The path, until the next walk; `null` when the tables have changed and it is not let through any more.
   */
  pathTo(vpn: number, access: number): WalkPath | null {
    this.silent = true;
    try {
      return this.checkAndComplete(vpn, access, 0, 1, false) < 0 ? null : this.path;
    } finally {
      this.silent = false;
    }
  }

  /** An address in the walker's pages. */
  private split(va: Address): { readonly vpn: number; readonly offset: number } {
    if (this.pageShift === 12) return pageAndOffset(va);
    // Page numbers are exact numbers: with pages of less than 2^11 bytes they do not reach all of 2^64.
    const pattern = checkBits('va', va, Math.min(64, 53 + this.pageShift));
    const offset = Number(BigInt.asUintN(this.pageShift, pattern));
    return { vpn: Number(pattern >> BigInt(this.pageShift)), offset };
  }

  /**
   * Receives the events of every walk, probe and explanation once it is decided, or `null`. A probe writes no entry and
   * tells of none. While an observer is set, the fast path rests. An error that it throws leaves `walk` after the
   * accessed and dirty bits were set; a walk that it asks of the same walker is a `VmError`.
   */
  override get observer(): VmObserver | null {
    return this.watch === null ? null : this.watch.observer;
  }

  override set observer(observer: VmObserver | null) {
    if (observer !== null && typeof observer !== 'function') {
      throw new VmError('bad-argument', {
        argument: 'observer',
        value: observer,
        expected: 'a function or null',
      });
    }
    this.watch = observer === null ? null : new Watch(observer);
    this.lastHost = null;
    this.bindWindow();
  }

  /** What an access goes by, when a leaf of this stage and one of the second stage have a say. */
  protected effective(own: LeafAttributes, _host: LeafAttributes): LeafAttributes {
    return own;
  }

  /** Another walker in the same state over the same memory, for `checkInvariants`; `null` where nothing is derived. */
  protected twin(): RadixWalker | null {
    return null;
  }

  /** Everything that follows from the registers and the window, by name. */
  protected derived(): Readonly<Record<string, unknown>> {
    const { top, bits, wide, wideMask, lowEnd, highStart, signHalf, signMask, topShift } = this;
    const { frames, wideFrames, windowLow, windowHigh } = this;
    const shape = { top, bits, wide, wideMask, lowEnd, highStart, signHalf, signMask, topShift };
    return { ...shape, frames, wideFrames, windowLow, windowHigh };
  }

  /**
   * Verifies that everything derived from the registers is as the registers say.
   *
   * @throws An `Error` that names what is not.
   */
  checkInvariants(): void {
    this.bindAgainIfStale();
    const twin = this.twin();
    if (twin === null) return;
    twin.observer = this.observer; // it keeps the window closed
    const wanted = twin.derived();
    for (const [name, value] of Object.entries(this.derived())) {
      if (String(value) !== String(wanted[name])) {
        throw new Error(`${name} is ${String(value)}, not ${String(wanted[name])}`);
      }
    }
  }

  /**
   * The walk in its complete form. Arguments are in range. It begins with `path.begin`, and ends with `arrive` or
   * `refuse`; the guide "Adding an architecture" shows one.
   *
   * @param vpn - The page number.
   * @param access - `Access` bits.
   * @param offset - The byte in the page.
   * @param bytes - How many.
   * @param update - Whether accessed and dirty bits are set.
   * @returns As `walk`.
   */
  protected abstract complete(
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number;

  /**
   * The object for the fault that the last walk ended in.
   *
   * @param vpn - The page that was walked for.
   * @param offset - The byte in it.
   * @param access - The access.
   */
  lastRefusal(vpn: number, offset: number, access: number): Plain<FaultTranslation> {
    return this.refusal(addressFromVpn(vpn, offset, this.pageShift), access);
  }

  /** Entries of the first stage that a walk read which has just ended in a fault. */
  refusedReferences(): number {
    const { path } = this;
    return path.format === null ? 0 : path.first - path.last + 1;
  }

  /**
   * The page number of an address, in the walker's pages.
   *
   * @param va - The address.
   * @throws `VmError` for what is no address.
   */
  pageOf(va: Address): number {
    return this.split(va).vpn;
  }

  /**
   * The page after another: after the last of the address space comes its first.
   *
   * @param vpn - The page.
   */
  pageAfter(vpn: number): number {
    const { format, lastVpn, pageShift } = this;
    const narrow = format !== null && format.virtualBits <= 32 && !format.signExtended;
    const end = narrow ? 2 ** (format.virtualBits - pageShift) : lastVpn + 1;
    return vpn + 1 === end ? 0 : vpn + 1;
  }

  /** The object for a result. */
  private answer(result: number, vpn: number, offset: number, access: number): Plain<Translation> {
    const va = addressFromVpn(vpn, offset, this.pageShift);
    if (result < 0) return this.refusal(va, access);
    const { leafHigh, leafLevel: level, leafLow, secondStage } = this;
    const rights = this.leafRights();
    const pa = addressFromVpn(result, offset, this.pageShift);
    const attributes = this.leafAttributes(leafLow, leafHigh, level, rights, access);
    let prot = rights & ALL_PROT;
    // Spreads come last: one that other properties follow makes V8 build the object in the runtime, 10 us (measured).
    if (secondStage === null) {
      return plain({ kind: 'page', va, pa, pfn: result, level, prot, ...attributes });
    }
    const host = this.lastHost ?? secondStage.lastPage((prot & Prot.User) !== 0, access);
    prot &= host.prot | Prot.User;
    const gpa = addressFromVpn(this.guestPfn, offset, this.pageShift);
    const [own, hosts] = [attributes.pageBytes, host.attributes.pageBytes];
    // A stage that is off has no page size of its own.
    const pageBytes = level < 0 ? hosts : secondStage.leafLevel < 0 ? own : Math.min(own, hosts);
    const all = this.effective(attributes, host.attributes);
    const both = Object.assign({}, all, { pageBytes, gpa, host: host.attributes });
    return plain({ kind: 'page', va, pa, pfn: result, level, prot, ...both });
  }

  /** The object for the last fault. */
  private refusal(va: bigint, access: number): Plain<FaultTranslation> {
    const { fault } = this;
    const { gpa, level, purpose, reason, rule } = fault;
    const encoding = this.faultEncoding(va);
    const second = fault.stage === 1 ? encoding : { secondStage: { gpa, purpose }, ...encoding };
    const by = describeAccess(access);
    return plain({ kind: 'fault', reason, rule: rule.id, va, level, access: by, ...second });
  }

  /**
   * Rights and attributes of the last successful walk, of a second stage for its guest.
   *
   * @param _userPage - Whether the guest's page is a user-mode one.
   * @param access - The guest's access.
   * @internal
   */
  lastPage(_userPage: boolean, access?: number): LastPage {
    const rights = this.leafRights();
    const { leafHigh, leafLevel, leafLow } = this;
    const attributes = this.leafAttributes(leafLow, leafHigh, leafLevel, rights, access);
    return { prot: rights & ALL_PROT, attributes };
  }

  /** Checks what the fast path leaves unchecked, walks in full, and tells the observer. */
  protected checkAndComplete(
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    const { lastVpn, pageBytes } = this;
    checkInteger('vpn', vpn, 0, lastVpn);
    checkInteger('offset', offset, 0, pageBytes - 1);
    checkInteger('bytes', bytes, 1, pageBytes - offset);
    if (!isAccess(access) || !this.supportsAccess(access)) {
      throw noAccess(access);
    }
    if (this.busy) {
      const expected = 'no walk by the walker that is at work, from its observer or a device';
      throw new VmError('bad-argument', { argument: 'observer', expected });
    }
    this.busy = true;
    this.lastHost = null;
    try {
      this.bindAgainIfStale();
      const result = this.complete(vpn, access, offset, bytes, update);
      if (this.watch !== null && !this.silent) this.tell(vpn, access, update, result);
      return result;
    } finally {
      this.busy = false;
    }
  }

  private tell(vpn: number, access: number, update: boolean, result: number): void {
    const { path, rule, secondStage, watch } = this;
    const userPage = result >= 0 && (this.leafRights() & Prot.User) !== 0;
    const asked = secondStage !== null && result >= 0;
    this.lastHost = asked ? secondStage.lastPage(userPage, access) : null;
    watch!.tell(path, vpn, access, update, result, rule.id);
  }
}
