import {
  Access,
  type Address,
  bigintFromHex,
  checkBits,
  checkVersion,
  VmError,
} from '../core/index.js';
import { EPT_PTE, eptLong4, eptLong4ModeBased, eptLong5, eptLong5ModeBased } from '../pte/index.js';
import { inPage, isPageNumber } from './walker.js';
import { FRAME_HIGH, MEMORY_TYPES, X86EptCompleteWalk } from './x86-ept-complete.js';
import type { X86EptOptions, X86EptSnapshot } from './x86-ept-options.js';
import type { X86SecondStage } from './x86-second-stage.js';

const { R, W, X, PS, A, D, XU } = EPT_PTE;

// The optimiser knows a module's own constants, and reads imported ones from their cells at every use (measured).
const FRAME_BITS = FRAME_HIGH;
const TYPES = MEMORY_TYPES;

/**
 * Intel's extended page tables: from guest-physical to physical addresses with four or five levels (Intel SDM Vol. 3C,
 * 29.3 The Extended Page Table Mechanism).
 *
 * In an access `User` means a user-mode linear address, which matters to mode-based execute control alone, and
 * `ImplicitSupervisor` an access to the guest's paging structures: a write, while accessed and dirty flags are enabled.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { X86Ept, X86Walker } from 'pagewright/walk';
 *
 * const memory = PhysicalMemory.allocate(0x20_0000, { base: 0 });
 * memory.write(0x1000, 8, 0x2007n); // EPT PML4E
 * memory.write(0x2000, 8, 0x3007n); // EPT PDPTE
 * memory.write(0x3000, 8, 0xb5n); // EPT PDE: 2 MiB at 0, readable and executable, write-back
 * const ept = new X86Ept({ memory, eptp: 0x101en });
 *
 * memory.write(0x4000, 8, 0x5003n); // the guest's PML4E, PDPTE: a 1 GiB page at 0
 * memory.write(0x5000, 8, 0xe3n);
 * const walker = new X86Walker({ memory, cr3: 0x4000, secondStage: ept });
 * walker.walk(0x7, Access.Read) < 0; // => true
 * walker.fault.exit?.kind; // => 'ept-violation'
 * walker.fault.gpa; // => 0x4000n
 * ```
 * @public
 */
export class X86Ept extends X86EptCompleteWalk implements X86SecondStage {
  /** Which second stage it is. */
  readonly stageType = 'x86-ept';
  /** A paging-structure access of the guest. */
  readonly tableAccess: number = Access.Read | Access.ImplicitSupervisor;
  /** Its accessed/dirty update. */
  readonly updateAccess: number = Access.Write | Access.ImplicitSupervisor;
  /** A PAE guest's PDPTEs are registers, loaded through EPT by MOV to CR3. */
  readonly pdptesOnDemand: boolean = false;

  private pointer = 0n;
  private rootRelative = -1;

  /** @param options - Memory, EPTP and capabilities. */
  constructor(options: X86EptOptions) {
    super(options);
    this.setEptp(options.eptp);
    this.observer = options.observer ?? null;
  }

  /**
   * The EPT of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The memory, and an observer if you want one.
   * @returns An EPT that answers as the saved one did.
   * @throws `VmError` `unsupported` for another version, `bad-image` for the snapshot of something else; otherwise as the
   * constructor.
   */
  static restore(
    snapshot: X86EptSnapshot,
    options: Pick<X86EptOptions, 'memory' | 'observer'>,
  ): X86Ept {
    checkVersion(snapshot, 1, 'x86-ept');
    const { eptp, ...capabilities } = snapshot;
    return new X86Ept({ ...capabilities, ...options, eptp: bigintFromHex('snapshot.eptp', eptp) });
  }

  protected override twin(): X86Ept {
    return X86Ept.restore(this.snapshot(), { memory: this.memory });
  }

  /**
   * EPTP and capabilities; `X86Ept.restore` makes the same EPT of them, over a memory that you give.
   *
   * @returns Plain data, versioned.
   */
  snapshot(): X86EptSnapshot {
    const { advancedExitInformation, executeOnly, gigabytePages, maxPhyAddr } = this;
    const eptp = `0x${this.pointer.toString(16)}`;
    const pages = { executeOnly, gigabytePages, modeBasedExecute: this.modeBasedExecute };
    return { v: 1, type: 'x86-ept', eptp, ...pages, advancedExitInformation, maxPhyAddr };
  }

  protected override derived(): Readonly<Record<string, unknown>> {
    const { flags, root, rootRelative } = this;
    return { ...super.derived(), flags, root, rootRelative };
  }

  /** EPTP. */
  get eptp(): bigint {
    return this.pointer;
  }

  /**
   * Takes another EPTP, as VM entry does.
   *
   * @param eptp - The pointer: memory type 0 or 6, 4 or 5 levels, no reserved bit.
   * @throws `VmError` `out-of-range` for a pointer with which VM entry would fail; the old one stays.
   */
  setEptp(eptp: Address): void {
    const pattern = checkBits('eptp', eptp);
    const low = Number(pattern & 0xfffn);
    const levels = ((low >>> 3) & 7) + 1;
    const type = low & 7;
    const sound = (type === 0 || type === 6) && (levels === 4 || levels === 5);
    if (!sound || low >>> 7 !== 0 || pattern >> BigInt(this.maxPhyAddr) !== 0n) {
      const expected = 'an EPTP that VM entry accepts: type 0 or 6, 4 or 5 levels, no reserved bit';
      throw new VmError('out-of-range', { argument: 'eptp', value: eptp, expected });
    }
    this.pointer = pattern;
    this.flags = (low & 0x40) !== 0;
    this.root = Number(pattern >> 12n);
    this.top = levels - 1;
    const long5 = this.modeBasedExecute ? eptLong5ModeBased : eptLong5;
    const long4 = this.modeBasedExecute ? eptLong4ModeBased : eptLong4;
    this.shape = levels === 5 ? long5 : long4;
    // A page number has 52 bits: five levels translate 45 of them.
    this.setVirtualBits(this.shape.virtualBits, false);
    this.bindWindow();
    this.changed('none');
  }

  override get rootCount(): number {
    return 1;
  }

  override rootAt(_slot: number): number {
    return this.root;
  }

  protected override windowChanged(): void {
    const first = this.windowHigh * 2 ** 31 + this.windowLow;
    this.rootRelative = this.inWindow(this.root) ? (this.root - first) | 0 : -1;
  }

  override walk(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = this.frameOf(vpn, access, offset, bytes);
    return pfn >= 0 ? pfn : this.checkAndComplete(vpn, access, offset, bytes, true);
  }

  override probe(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = this.frameOf(vpn, access, offset, bytes);
    return pfn >= 0 ? pfn : this.checkAndComplete(vpn, access, offset, bytes, false);
  }

  /** The answer of the fast path to a walk by itself, or -1. */
  private frameOf(vpn: number, access: number, offset: number, bytes: number): number {
    if (!isPageNumber(vpn) || !inPage(offset, bytes)) return -1;
    return this.fastFrame(vpn | 0, (vpn * 2 ** -26) | 0, access);
  }

  /**
   * The fast path: entries are gathered and judged at the leaf, as in `X86Walker`. @internal
   */
  fastFrame(low: number, high: number, access: number): number {
    const { wideFrames, windowLow, words } = this;
    if ((high & this.signMask) !== 0 || !this.supportsAccess(access)) return -1;
    let shift = this.topShift;
    let frame = this.rootRelative;
    let entry = 0;
    let upper = 0;
    let and = -1;
    let or = 0;
    let odd = 0;
    for (;;) {
      if (frame >>> 0 >= wideFrames >>> 0) return -1;
      const index = (shift < 27 ? low >>> shift : high >>> (shift - 26)) & 511;
      const at = (frame << 10) + (index << 1);
      entry = words[at]!;
      upper = words[at + 1]!;
      and &= entry;
      odd |= upper & this.reservedHigh;
      if (shift === 0 || (entry & PS) !== 0) break;
      // Every pointer is checked: its bits 7:3 are 0. That writable means readable needs no check: see below.
      or |= (entry & 0xf8) | ((upper ^ this.pointerWanted) & 0xff800);
      frame = ((entry >>> 12) | ((upper & 0x7ff) << 20)) - windowLow;
      shift -= 9;
    }
    const needed = this.needed(access);
    const wanted = needed | (this.flags ? A : 0);
    const dirty = this.flags && (needed & W) !== 0 ? D : 0;
    const type = (TYPES >>> ((entry >>> 3) & 7)) & 1;
    if ((or | odd) !== 0 || type === 0 || (and & wanted) !== wanted) return -1;
    // Readable entries alone: whether others exist, or are misconfigured, the complete form knows.
    if ((and & R) === 0 || (entry & dirty) !== dirty) return -1;
    if (shift > 18 || (shift !== 0 && (entry & ((0x1000 << shift) - 0x1000)) !== 0)) return -1;
    if (shift === 18 && !this.gigabytePages) return -1;
    const below = (1 << shift) - 1;
    this.leafShift = shift;
    this.leafLow = entry;
    this.leafHigh = upper;
    this.leafAllowed = and & (R | W | X | XU);
    return (upper & FRAME_BITS) * 2 ** 20 + (((entry >>> 12) & ~below) | (low & below));
  }

  /** Bits 43:31 of a pointer's frame must be the window's. */
  private get pointerWanted(): number {
    return this.windowHigh << 11;
  }
}
