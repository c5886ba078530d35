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
import {
  type ExplainOptions,
  type FaultEncoding,
  type LeafAttributes,
  type Translation,
  type WalkReport,
  walkReport,
} from './report.js';
import { TableWindow } from './table-window.js';
import { Watch } from './watch.js';

/** {@link RadixWalker.classify}: nothing that any access could use. */
export const SKIP = 0;
/** {@link RadixWalker.classify}: a pointer to the next table. */
export const POINTER = 1;
/** {@link RadixWalker.classify}: a leaf. */
export const LEAF = 2;

/** In inherited rights, beside the `Prot` bits: no entry so far makes all below it global. */
export const LOCAL = 16;
/** The inherited rights of a root: everything, and nothing global. */
export const ROOT_RIGHTS = 127;

/** The `Prot` bits of rights. */
const ALL_PROT = 15;

/** {@link RadixWalker.leafShift} when nothing was translated: a negative number above minus one level. */
export const NO_LEAF = -1;

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
export abstract class RadixWalker extends TableWindow {
  /** log2 of the base pages of the last leaf's level, or {@link NO_LEAF}. @internal */
  leafShift = 0;
  /** Bits 31:0 of the last leaf, before any accessed/dirty update. */
  leafLow = 0;
  /** Bits 63:32 of the last leaf. */
  leafHigh = 0;

  /** Level of the last successful walk's leaf: 0 is a base page. -1 when nothing was translated. */
  get leafLevel(): number {
    return Math.floor(this.leafShift / this.bits);
  }

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
  abstract walk(vpn: number, access: number, offset?: number, bytes?: number): number;

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
  abstract probe(vpn: number, access: number, offset?: number, bytes?: number): number;

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

  /** What an entry with a present bit is to a walk: {@link SKIP}, {@link POINTER} or {@link LEAF}. @internal */
  abstract classify(low: number, high: number, level: number): number;

  /** What an entry by itself leaves of the rights above it: `Prot` bits, {@link LOCAL}, and what `protOf` reads. @internal */
  abstract entryProt(low: number, high: number, leaf: boolean): number;

  /** The `Prot` bits of what all entries leave. @internal */
  protOf(rights: number): number {
    return rights & ALL_PROT;
  }

  /** Makes `classify`, `entryProt` and their like speak of what is below a root. @internal */
  useRoot(_slot: number): void {}

  /** The frame that a pointer names. @internal */
  abstract tableFrame(low: number, high: number): number;

  /** The frame that a leaf gives to a page. @internal */
  abstract frameFor(low: number, high: number, level: number, vpn: number): number;

  /**
   * What a leaf says beside frame and rights; `inherited` is what all entries leave. An `access` is the one that it
   * answers (AArch64's fetches see other memory than its data); without one it is asked for the leaf's own sake.
   *
   * @internal
   */
  abstract leafAttributes(
    low: number,
    high: number,
    level: number,
    inherited: number,
    access?: number,
  ): LeafAttributes;

  /** The same as one number, equal for equal attributes. @internal */
  abstract attributeKey(low: number, high: number, level: number): number;

  /** The `Prot` bits that the entries of the path down to `level` leave. @internal */
  pathRights(level: number): number {
    const { path } = this;
    let rights = ROOT_RIGHTS;
    for (let above = path.first; above >= level; above--) {
      if (!this.hasRights(above)) continue;
      const low = path.low[above]!;
      const high = path.high[above]!;
      const leaf = above === path.last && path.format?.kindOf(low, high, above) === 'leaf';
      rights &= this.entryProt(low, high, leaf);
    }
    return this.protOf(rights);
  }

  /** Whether the entry of a level limits rights at all. */
  protected hasRights(_level: number): boolean {
    return true;
  }

  /** What an access goes by, when a leaf of this stage and one of the second stage have a say. */
  protected effective(own: LeafAttributes, _host: LeafAttributes): LeafAttributes {
    return own;
  }

  /** Another walker in the same state over the same memory. */
  protected abstract twin(): RadixWalker;

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
    twin.observer = this.observer; // it keeps the window closed
    const wanted = twin.derived();
    for (const [name, value] of Object.entries(this.derived())) {
      if (String(value) !== String(wanted[name])) {
        throw new Error(`${name} is ${String(value)}, not ${String(wanted[name])}`);
      }
    }
  }

  /** Whether the walker supports this access; the complete form refuses the others. */
  protected abstract supportsAccess(access: number): boolean;

  /** The walk in its complete form. Arguments are in range. */
  protected abstract complete(
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number;

  /** What all entries of the last successful walk leave: `Prot` bits and {@link LOCAL}. */
  protected abstract leafRights(): number;

  /** The architecture's own words for the last fault. */
  protected abstract faultEncoding(va: bigint): FaultEncoding;

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
    const host = this.lastHost ?? secondStage.lastPage((prot & Prot.User) !== 0);
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
  private refusal(va: bigint, access: number): Plain<Translation> {
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
   * @internal
   */
  lastPage(_userPage: boolean): LastPage {
    const rights = this.leafRights();
    const { leafHigh, leafLevel, leafLow } = this;
    const attributes = this.leafAttributes(leafLow, leafHigh, leafLevel, rights);
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
    this.lastHost = secondStage === null || result < 0 ? null : secondStage.lastPage(userPage);
    watch!.tell(path, vpn, access, update, result, rule.id);
  }
}
