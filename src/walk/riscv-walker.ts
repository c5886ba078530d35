import { bigintFromHex, checkVersion } from '../core/index.js';
import { RISCV_PTE, RISCV_PTE_HIGH } from '../pte/index.js';
import { Pmp } from './pmp.js';
import { protFor, RiscvCompleteWalk } from './riscv-complete.js';
import { rowOf } from './riscv-rules.js';
import type { RiscvWalkerOptions, RiscvWalkerSnapshot } from './riscv-state.js';
import { inPage, isPageNumber } from './walker.js';

const { V, R, W, X, U, A, D } = RISCV_PTE;
const { PBMT } = RISCV_PTE_HIGH;

/** The fast path follows an entry with V alone of these bits. */
const POINTER_MASK = V | R | W | X | U | A | D;

/** Bits 53:32 of an entry: the upper half of the 44-bit PPN. */
const PPN_HIGH = 0x003fffff;

/**
 * The page walk of a RISC-V hart: Sv32, Sv39, Sv48, Sv57 with Svnapot, Svpbmt, Svade/Svadu, Svrsw60t59b and PMP
 * (RISC-V Privileged, 12.3.2).
 *
 * The access says on whose behalf it is made: `Access.User`, nothing for S-mode, or `Access.Machine`. SUM, MXR, MPRV
 * and MPP are plain fields of the walker and take effect at once.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { RiscvWalker } from 'pagewright/walk';
 *
 * const ram = new ArrayBuffer(0x4000);
 * const entries = new BigUint64Array(ram);
 * entries[0x0000 / 8 + 352] = 0x20000401n; // root: pointer to 0x80001000
 * entries[0x1000 / 8 + 1] = 0x200000cfn; // 2 MiB leaf at 0x80000000, R W X, A and D set
 *
 * const memory = PhysicalMemory.wrap(ram, { base: 0x8000_0000 });
 * const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 0x80000n });
 * walker.walk(0xf_ffff_fd80_0201, Access.Read); // => 0x80001
 * walker.walk(0xf_ffff_fd80_0201, Access.Read | Access.User) < 0; // => true
 * walker.fault.cause; // => 13
 * walker.fault.reason; // => 'supervisor-page'
 * ```
 * @public
 */
export class RiscvWalker extends RiscvCompleteWalk {
  /** @param options - Memory, registers and extensions. */
  constructor(options: RiscvWalkerOptions) {
    super(options);
    this.observer = options.observer ?? null;
  }

  /**
   * The walker of a snapshot, with a {@link Pmp} of its own.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The memory, and an observer if you want one.
   * @returns A walker that answers as the saved one did.
   * @throws `VmError` `unsupported` for another version; otherwise as the constructor.
   */
  static restore(
    snapshot: RiscvWalkerSnapshot,
    options: Pick<RiscvWalkerOptions, 'memory' | 'observer'>,
  ): RiscvWalker {
    checkVersion(snapshot, 1);
    const { satp, sum, mxr, mprv, mpp, pmp, ...rest } = snapshot;
    const walker = new RiscvWalker({
      ...rest,
      ...options,
      satp: bigintFromHex('snapshot.satp', satp),
      ...(pmp === null ? {} : { pmp: Pmp.restore(pmp) }),
    });
    return Object.assign(walker, { sum, mxr, mprv, mpp });
  }

  protected override twin(): RiscvWalker {
    return RiscvWalker.restore(this.snapshot(), { memory: this.memory });
  }

  override walk(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = isPageNumber(vpn) ? this.fastWalk(vpn | 0, (vpn * 2 ** -26) | 0, access) : -1;
    return pfn >= 0 && this.pmp === null && ((offset === 0 && bytes === 1) || inPage(offset, bytes))
      ? pfn
      : this.otherwise(pfn, vpn, access, offset, bytes, true);
  }

  override probe(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = isPageNumber(vpn) ? this.fastWalk(vpn | 0, (vpn * 2 ** -26) | 0, access) : -1;
    return pfn >= 0 && this.pmp === null && ((offset === 0 && bytes === 1) || inPage(offset, bytes))
      ? pfn
      : this.otherwise(pfn, vpn, access, offset, bytes, false);
  }

  /**
   * The fast path but for the PMP: the frame, when there is a leaf, nothing forbids the access and no bit is to set; -1
   * sends the caller to the complete form. It has the form of `X86Walker`'s, for the same reasons.
   *
   * @param low - Bits 31:0 of the page number.
   * @param high - Bits 51:26.
   */
  private fastWalk(low: number, high: number, access: number): number {
    const { words, windowLow } = this;
    let shift = this.topShift;
    let entry = 0;
    let upper = 0;
    let any = 0;
    let frame = this.rootRelative;
    if (this.wide === 1) {
      if (((high + this.signHalf) & this.signMask) !== 0) return -1;
      const { pointerHigh, pointerWanted, wideFrames } = this;
      for (;;) {
        if (frame >>> 0 >= wideFrames >>> 0) return -1;
        const index = (shift < 27 ? low >>> shift : high >>> (shift - 26)) & 511;
        const at = (frame << 10) + (index << 1);
        entry = words[at]!;
        upper = words[at + 1]!;
        any |= entry;
        if (
          shift === 0 ||
          (entry & POINTER_MASK) !== V ||
          (upper & pointerHigh) !== pointerWanted
        ) {
          break;
        }
        frame = ((entry >>> 10) | ((upper & 0x1ff) << 22)) - windowLow;
        shift -= 9;
      }
    } else {
      if (high !== 0 || low >>> 20 !== 0) return -1;
      const { frames } = this;
      for (;;) {
        if (frame >>> 0 >= frames >>> 0) return -1;
        entry = words[(frame << 10) + ((low >>> shift) & 1023)]!;
        any |= entry;
        if (shift === 0 || (entry & POINTER_MASK) !== V) break;
        frame = (entry >>> 10) - windowLow;
        shift -= 10;
      }
    }
    // A pointer has no rights, so every access but M-mode's, which is longer than the table, refuses it.
    if ((access & 0x7f) !== access || this.leafRule[access * 256 + (entry & 0xff)] !== 0) return -1;
    if ((upper & this.leafReserved) !== 0 || (upper & PBMT) === PBMT) return -1;
    let first = entry >>> 10;
    let below = (1 << shift) - 1;
    if (upper < 0) {
      // Svnapot: a group of 16 pages has 8 in the low bits of its frame number.
      if (shift !== 0 || (first & 15) !== 8) return -1;
      first -= 8;
      below = 15;
    }
    // Levels 3 and 4 map 512 GiB and more; their alignment spans both words, so the complete form checks it.
    if (shift > 20 || (first & below) !== 0) return -1;
    this.leafShift = shift;
    this.leafLow = entry;
    this.leafHigh = upper;
    this.leafAny = any;
    return (upper & PPN_HIGH) * 2 ** 22 + (first | (low & below));
  }

  /** What is left to do when the fast path did not end the walk, or a PMP has the last word. */
  private otherwise(
    pfn: number,
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    return pfn >= 0 &&
      inPage(offset, bytes) &&
      (this.pmp === null || this.permits(this.pmp, pfn, access, offset, bytes))
      ? pfn
      : this.checkAndComplete(vpn, access, offset, bytes, update);
  }

  /** The final check of the fast path: `false` also when the PMP changed since the window was found open to S-mode. */
  private permits(pmp: Pmp, pfn: number, access: number, offset: number, bytes: number): boolean {
    const kind = rowOf(access, 0);
    return pmp.version === this.pmpVersion && pmp.allows(pfn, offset, bytes, protFor(kind), false);
  }
}
