import { bigintFromHex, checkVersion } from '../core/index.js';
import { X86_PTE } from '../pte/index.js';
import { inPage, isPageNumber } from './walker.js';
import { X86CompleteWalk } from './x86-complete.js';
import type { X86WalkerOptions, X86WalkerSnapshot } from './x86-options.js';
import { RIGHTS_MARK, RIGHTS_XD, rowOf } from './x86-rules.js';
import { FRAME_HIGH } from './x86-state.js';

const { P, D, PS } = X86_PTE;

// The optimiser knows a module's own constants, and reads imported ones from their cells at every use (measured).
const XD_PLACE = RIGHTS_XD;
const MARK = RIGHTS_MARK;
const FRAME_BITS = FRAME_HIGH;

/**
 * The page walk of an x86 CPU: 32-bit paging with PSE and PSE-36, PAE, four and five levels, with NX, SMEP, SMAP,
 * WP and protection keys (Intel SDM Vol. 3A, chapter 4 "Paging").
 *
 * The access says on whose behalf it is made: `Access.User`, or nothing for an explicit supervisor access, or
 * `Access.ImplicitSupervisor`. `ac`, `pkru` and `pkrs` are plain and take effect at once.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { X86Walker } from 'pagewright/walk';
 *
 * const ram = new ArrayBuffer(0x5000);
 * const entries = new BigUint64Array(ram);
 * entries[0x1000 / 8] = 0x2007n; // PML4E: user, writable
 * entries[0x2000 / 8] = 0x3007n; // PDPTE
 * entries[0x3000 / 8] = 0x4007n; // PDE
 * entries[0x4000 / 8 + 5] = 0x1234_5005n; // PTE of page 5: user, read-only
 *
 * const memory = PhysicalMemory.wrap(ram, { base: 0 });
 * const walker = new X86Walker({ memory, cr3: 0x1000 });
 * walker.walk(5, Access.Read | Access.User); // => 0x12345
 * entries[0x4000 / 8 + 5]; // => 0x12345025n
 * walker.walk(5, Access.Write | Access.User) < 0; // => true
 * walker.fault.errorCode; // => 7
 * ```
 * @public
 */
export class X86Walker extends X86CompleteWalk {
  /** Whether the fast path has the last word: no second stage. */
  private readonly direct: boolean;

  /** @param options - Memory, registers and capabilities. */
  constructor(options: X86WalkerOptions) {
    super(options);
    this.direct = this.secondStage === null;
    this.observer = options.observer ?? null;
  }

  /**
   * The walker of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The memory, a second stage if the saved walker had one, and an observer if you want one.
   * @returns A walker that answers as the saved one did.
   * @throws `VmError` `unsupported` for another version; otherwise as the constructor.
   */
  static restore(
    snapshot: X86WalkerSnapshot,
    options: Pick<X86WalkerOptions, 'memory' | 'observer' | 'secondStage'>,
  ): X86Walker {
    checkVersion(snapshot, 1, 'x86-walker');
    const { ac, pkrs, pkru } = snapshot;
    const walker = new X86Walker({ ...X86Walker.optionsOf(snapshot), ...options });
    walker.ac = ac;
    walker.pkru = pkru;
    walker.pkrs = pkrs;
    return walker;
  }

  /** Registers and capabilities of a snapshot, as options. @internal */
  protected static optionsOf(
    snapshot: X86WalkerSnapshot,
  ): Omit<X86WalkerOptions, 'memory' | 'observer' | 'secondStage'> {
    const { accessedOnFault, gigabytePages, maxPhyAddr, pse36 } = snapshot;
    const { cr0, cr3, cr4, efer, pdptes } = snapshot;
    return {
      ...{ accessedOnFault, gigabytePages, maxPhyAddr, pse36 },
      cr0: bigintFromHex('snapshot.cr0', cr0),
      cr3: bigintFromHex('snapshot.cr3', cr3),
      cr4: bigintFromHex('snapshot.cr4', cr4),
      efer: bigintFromHex('snapshot.efer', efer),
      pdptes: pdptes.map((pdpte) => bigintFromHex('snapshot.pdptes', pdpte)),
    };
  }

  protected override twin(): X86Walker {
    const { memory, nested } = this;
    const options = nested === null ? { memory } : { memory, secondStage: nested };
    return X86Walker.restore(this.snapshot(), options);
  }

  override walk(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = isPageNumber(vpn) ? this.fastWalk(vpn | 0, (vpn * 2 ** -26) | 0, access) : -1;
    return pfn >= 0 && this.direct && ((offset === 0 && bytes === 1) || inPage(offset, bytes))
      ? pfn
      : this.otherwise(pfn, vpn, access, offset, bytes, true);
  }

  override probe(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = isPageNumber(vpn) ? this.fastWalk(vpn | 0, (vpn * 2 ** -26) | 0, access) : -1;
    return pfn >= 0 && this.direct && ((offset === 0 && bytes === 1) || inPage(offset, bytes))
      ? pfn
      : this.otherwise(pfn, vpn, access, offset, bytes, false);
  }

  /**
   * The fast path: the frame, when there is a leaf, nothing forbids the access and no bit is to set; -1 sends the caller
   * to the complete form. Pointers are not judged one by one: their bits are gathered and the leaf asks once, for to
   * follow a bad one only reads RAM in vain.
   *
   * `walk` is small, so that V8 inlines it even where several walker classes meet, and hands over int32s, for which no
   * number is boxed: with eight formats 26 ns instead of 36 (measured). This function is too long to be inlined, and
   * must be: were it a little shorter, its size would count as `walk`'s, and neither would be.
   *
   * @param low - Bits 31:0 of the page number.
   * @param high - Bits 51:26.
   */
  protected fastWalk(low: number, high: number, access: number): number {
    const { words, windowLow } = this;
    let shift = this.topShift;
    let entry = 0;
    let upper = 0;
    let and = -1;
    let or = 0;
    if (this.wide === 1) {
      if (((high + this.signHalf) & this.signMask) !== 0) return -1;
      const { pointerWanted, wideFrames } = this;
      let frame = (this.rootMask === 0 ? this.rootRelative : this.paeRoot(low)) | 0;
      for (;;) {
        // Both sides unsigned: a table below the window would otherwise deoptimise the loop.
        if (frame >>> 0 >= wideFrames >>> 0) {
          frame = this.hostRelative(frame);
          if (frame < 0) return -1;
        }
        const index = (shift < 27 ? low >>> shift : high >>> (shift - 26)) & 511;
        const at = (frame << 10) + (index << 1);
        entry = words[at]!;
        upper = words[at + 1]!;
        if (shift === 0 || (entry & PS) !== 0) break;
        and &= entry;
        or |= upper ^ pointerWanted;
        frame = ((entry >>> 12) | ((upper & 0x7ff) << 20)) - windowLow;
        shift -= 9;
      }
    } else {
      // 32-bit paging. Apart, so that the loop above has constants where the formats differ (3 ns, measured).
      if (high !== 0 || low >>> 20 !== 0) return -1;
      const { frames, pointerMask } = this;
      let frame = this.rootRelative;
      for (;;) {
        if (frame >>> 0 >= frames >>> 0) {
          frame = this.hostRelative(frame);
          if (frame < 0) return -1;
        }
        entry = words[(frame << 10) + ((low >>> shift) & 1023)]!;
        if (shift === 0 || (entry & pointerMask) !== P) break;
        and &= entry;
        frame = (entry >>> 12) - windowLow;
        shift -= 10;
      }
    }
    // D counts in the leaf alone, so the AND of the upper entries must not clear it.
    const allowed = entry & (and | D);
    const any = or | upper;
    const rights = this.rights[access]!;
    const have = (allowed & 0x7f) | ((any >>> 24) & XD_PLACE);
    if (((have & (rights >>> 16)) | MARK) !== (rights & 0xffff)) return -1;
    if (((or & this.pointerHigh) | (upper & this.reservedHigh)) !== 0) return -1;
    if (this.keys !== 0 && this.keyRule(rowOf(access, this.row), allowed, upper) !== null)
      return -1;
    // 32-bit paging's pointers that are not present come here too, without PS. The low bits of a large page's frame are
    // reserved, or PSE-36's: the complete form knows.
    if (
      shift !== 0 &&
      ((entry & PS) === 0 ||
        shift > this.largestShift ||
        (entry & ((0x1000 << shift) - 0x2000)) !== 0)
    ) {
      return -1;
    }
    const below = (1 << shift) - 1;
    this.leafShift = shift;
    this.leafLow = entry;
    this.leafHigh = upper;
    this.leafAnd = allowed;
    this.leafOr = any;
    return (upper & FRAME_BITS) * 2 ** 20 + (((entry >>> 12) & ~below) | (low & below));
  }

  /** What is left to do when the fast path did not end the walk, or the second stage has the last word. */
  private otherwise(
    pfn: number,
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    const { nested } = this;
    if (pfn >= 0 && inPage(offset, bytes)) {
      if (nested === null) return pfn;
      const host = nested.fastFrame(pfn | 0, (pfn * 2 ** -26) | 0, this.hostAccess(access));
      if (host >= 0) {
        this.guestPfn = pfn;
        return host;
      }
    }
    return this.checkAndComplete(vpn, access, offset, bytes, update);
  }

  /** The PDPTE's table for an address below 4 GiB, relative to the window. */
  private paeRoot(low: number): number {
    return low >>> 20 === 0 ? this.rootsRelative[low >>> 18]! : -1;
  }
}
