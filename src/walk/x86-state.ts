import {
  Access,
  type Address,
  bigintFromWords,
  checkBits,
  checkInteger,
  highWord,
  lowWord,
  VmError,
} from '../core/index.js';
import { BUS_ERROR } from '../memory/index.js';
import {
  CR0,
  CR4,
  EFER,
  type PteFormat,
  X86_PTE,
  X86_PTE_HIGH,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from '../pte/index.js';
import { SPARE_LEVEL } from './entry-access.js';
import type { WalkRule } from './rule.js';
import { checkSecondStage } from './second-stage.js';
import { RadixWalker } from './walker.js';
import { type ControlRegisters, pagingMode, refuseCr3, type X86PagingMode } from './x86-control.js';
import type { X86StageSnapshot, X86WalkerOptions } from './x86-options.js';
import { RIGHTS, ROW_AC, ROW_SMAP, ROW_SMEP, ROW_WP } from './x86-rules.js';
import type { X86SecondStage, X86VmExit } from './x86-second-stage.js';

const { P, PS } = X86_PTE;
const { XD } = X86_PTE_HIGH;

/** Bits 51:32 of an entry: the upper half of the frame number. */
export const FRAME_HIGH = 0x000fffff;

/** Which of the two protection-key registers are in force, as bits of `keys`. */
export const KEYS_USER = 1;
export const KEYS_SUPERVISOR = 2;

/** The fields that one paging mode's walk needs, made by one function so that all have one shape. */
interface ModeShape {
  readonly format: PteFormat | null;
  readonly top: number;
  readonly bits: number;
  readonly wide: number;
}

const SHAPES: Record<X86PagingMode, ModeShape> = {
  none: { format: null, top: 0, bits: 9, wide: 1 },
  '32-bit': { format: x86Legacy, top: 1, bits: 10, wide: 0 },
  pae: { format: x86Pae, top: 1, bits: 9, wide: 1 },
  '4-level': { format: x86Long4, top: 3, bits: 9, wide: 1 },
  '5-level': { format: x86Long5, top: 4, bits: 9, wide: 1 },
};

/**
 * The registers that rule an x86 page walk, and what writing them does: the part of an {@link X86Walker} that changes
 * seldom. Everything the walk needs of them is derived here once, into flat fields.
 *
 * @public
 */
export abstract class X86State extends RadixWalker {
  /** MAXPHYADDR. */
  readonly maxPhyAddr: number;

  /** EPT or nested paging. */
  protected readonly nested: X86SecondStage | null;
  protected registers: ControlRegisters;
  protected paging: X86PagingMode = 'none';
  protected current: PteFormat | null = null;
  protected readonly gigabytePages: boolean;
  protected readonly pse36: boolean;
  protected readonly accessedOnFault: boolean;

  /** CR0.WP, CR4.SMEP, CR4.SMAP and EFLAGS.AC as row bits of the rule tables. */
  protected row = 0;
  protected keys = 0;
  protected userKeys = 0;
  protected supervisorKeys = 0;

  /** Bit n: PS makes a leaf at level n. */
  protected leafLevels = 0;
  /** log2 of the base pages of the largest leaf. */
  protected largestShift = 0;
  /** {@link RIGHTS} of the present state. */
  protected rights: Int32Array = RIGHTS[0]!;
  /** The fast path of 32-bit paging follows an entry with P alone of these bits. */
  protected pointerMask = 0;
  /** The others follow entries whose upper word has just the wanted of these bits. */
  protected pointerHigh = 0;
  protected pointerWanted = 0;
  /** PS where it makes no leaf and is therefore reserved; 0 where it is ignored. */
  protected reservedPs = 0;
  /** Bits 63:32 that are reserved in every present entry. */
  protected reservedHigh = 0;

  /** The PDPTE registers, as pairs of words. */
  protected readonly pdptes: Int32Array = new Int32Array(8);
  /** Root tables: one, or with PAE one for each PDPTE (-1 when not present), chosen by address bits 31:30. */
  protected readonly roots: Float64Array = new Float64Array(4);
  /** The only root's frame relative to the window, or -1; all four of PAE. */
  protected rootRelative = -1;
  protected readonly rootsRelative: Int32Array = new Int32Array(4);
  protected rootMask = 0;
  /** Where the PDPTEs of a PAE guest are that are read on every walk, or -1. */
  protected pdptFrame = -1;
  protected pdptByte = 0;

  /** @internal */
  protected constructor(options: X86WalkerOptions, initial: WalkRule) {
    super(options.memory, initial, options.secondStage ?? null);
    this.nested = options.secondStage ?? null;
    checkSecondStage(this.nested, ['x86-ept', 'x86-npt']);
    this.maxPhyAddr = checkInteger('maxPhyAddr', options.maxPhyAddr ?? 52, 32, 52);
    this.gigabytePages = options.gigabytePages ?? true;
    this.pse36 = options.pse36 ?? true;
    this.accessedOnFault = options.accessedOnFault ?? false;
    this.registers = {
      cr0: Number(checkBits('cr0', options.cr0 ?? 0x80010001, 32)),
      cr3: checkBits('cr3', options.cr3 ?? 0n),
      cr4: Number(checkBits('cr4', options.cr4 ?? CR4.PAE, 32)),
      efer: Number(checkBits('efer', options.efer ?? EFER.LMA | EFER.LME | EFER.NXE, 32)),
    };
    if (options.pdptes !== undefined) this.setPdptes(options.pdptes);
    this.takeCr3(this.registers.cr3, options.pdptes === undefined);
    this.applyRegisters();
  }

  /** The registers and capabilities. */
  protected stageSnapshot(): X86StageSnapshot {
    const hex = (value: bigint): string => `0x${value.toString(16)}`;
    const { cr0, cr3, cr4, efer, maxPhyAddr, gigabytePages, pse36, accessedOnFault } = this;
    const registers = { cr0: hex(cr0), cr3: hex(cr3), cr4: hex(cr4), efer: hex(efer) };
    const capabilities = { maxPhyAddr, gigabytePages, pse36, accessedOnFault };
    return { v: 1, ...registers, pdptes: this.loadedPdptes.map(hex), ...capabilities };
  }

  /** Takes a CR3 that the caller gives as it is, with PAE the PDPTEs too: one that cannot be is his mistake. */
  protected takeCr3(cr3: bigint, loads = true): void {
    const refusal = refuseCr3(this.registers, cr3, this.maxPhyAddr);
    if (refusal !== null) {
      const expected = `not: ${refusal}`;
      throw new VmError('out-of-range', { argument: 'cr3', value: cr3, expected });
    }
    if (loads && pagingMode(this.registers) === 'pae' && !this.readsPdptes) {
      this.loadPdptesOrThrow(cr3);
    }
    this.registers = { ...this.registers, cr3 };
  }

  protected override derived(): Readonly<Record<string, unknown>> {
    const { paging, row, rights, keys, leafLevels, largestShift, pointerMask, pointerHigh } = this;
    const {
      pointerWanted,
      reservedPs,
      reservedHigh,
      roots,
      rootRelative,
      rootsRelative,
      rootMask,
      pdptFrame,
      pdptByte,
    } = this;
    return {
      ...super.derived(),
      paging,
      row,
      rights,
      keys,
      leafLevels,
      largestShift,
      pointerMask,
      pointerHigh,
      pointerWanted,
      reservedPs,
      reservedHigh,
      roots,
      rootRelative,
      rootsRelative,
      rootMask,
      pdptFrame,
      pdptByte,
    };
  }

  /** The current paging mode. */
  get mode(): X86PagingMode {
    return this.paging;
  }

  /** The format of the current mode's entries, or `null` without paging. */
  override get format(): PteFormat | null {
    return this.current;
  }

  /** CR0. */
  get cr0(): bigint {
    return BigInt(this.registers.cr0);
  }

  /** CR3, without the no-flush bit. */
  get cr3(): bigint {
    return this.registers.cr3;
  }

  /** CR4. */
  get cr4(): bigint {
    return BigInt(this.registers.cr4);
  }

  /** IA32_EFER; LMA follows LME and CR0.PG. */
  get efer(): bigint {
    return BigInt(this.registers.efer);
  }

  /** The four PAE PDPTE registers as they were loaded last: what the `pdptes` option takes. */
  get loadedPdptes(): bigint[] {
    return [0, 2, 4, 6].map((at) => bigintFromWords(this.pdptes[at]!, this.pdptes[at + 1]!));
  }

  /** The PCID that walks are made for: CR3[11:0] while CR4.PCIDE=1, otherwise 0. */
  get pcid(): number {
    return this.registers.cr4 & CR4.PCIDE ? Number(this.registers.cr3 & 0xfffn) : 0;
  }

  override get rootCount(): number {
    return this.paging === 'none' ? 0 : this.rootMask + 1;
  }

  override rootAt(slot: number): number {
    return this.pdptFrame < 0 ? this.roots[slot]! : this.rootInMemory(slot);
  }

  protected override windowChanged(): void {
    // Frame bits 39:31 of an upper word must be the window's, and reserved bits clear.
    this.pointerHigh = this.wide === 1 ? this.reservedHigh | 0xff800 : 0;
    this.pointerWanted = this.wide === 1 ? this.windowHigh << 11 : 0;
    // PDPTEs that were handed over may lie above MAXPHYADDR, but entries that point there must fault.
    if ((this.pointerWanted & this.reservedHigh) !== 0) this.closeWindow();
    const first = this.windowHigh * 2 ** 31 + this.windowLow;
    for (let slot = 0; slot < 4; slot++) {
      const root = this.roots[slot]!;
      const known = this.nested === null ? this.inWindow(root) : root < 2 ** 31;
      this.rootsRelative[slot] = root >= 0 && known ? (root - first) | 0 : -1;
    }
    this.rootRelative = this.rootsRelative[0]!;
  }

  /** Whether a PAE walk begins with a PDPTE in memory: under AMD's nested paging. */
  protected get readsPdptes(): boolean {
    return this.nested?.pdptesOnDemand === true;
  }

  /** The root of a PAE slot whose PDPTE is read on every walk, or -1. */
  private rootInMemory(slot: number): number {
    const { memory, path } = this;
    if (this.locate(SPARE_LEVEL, this.pdptFrame, this.pdptByte + 8 * slot, false) < 0) return -1;
    if (memory.readWords(path.frame[SPARE_LEVEL]!, path.offset[SPARE_LEVEL]!) === BUS_ERROR) {
      return -1;
    }
    const { high, low } = memory;
    if ((low & P) === 0 || this.pdpteReserved(low, high)) return -1;
    return (high & FRAME_HIGH) * 2 ** 20 + (low >>> 12);
  }

  /**
   * Reads the four PDPTEs (SDM 4.4.1); returns why that raises #GP or a VM exit, and then leaves the old ones. For EPT
   * they are plain reads, and set no dirty flag (SDM Vol. 3C, 29.3.5).
   */
  protected loadPdptes(cr3: bigint): string | X86VmExit | null {
    const { memory, nested } = this;
    const base = pdptBase(cr3);
    const words = new Int32Array(8);
    for (let slot = 0; slot < 4; slot++) {
      const byte = (base % 4096) + 8 * slot;
      const frame = this.hostTarget(Math.floor(base / 4096), Access.Read, byte, 8, true);
      if (frame < 0) {
        const exit = nested!.exit('pdpte-load', null);
        return exit.kind === 'bus-error' ? 'there is no memory on the way to the PDPTEs' : exit;
      }
      if (memory.readWords(frame, byte) === BUS_ERROR) return 'there is no memory at the PDPTEs';
      words[2 * slot] = memory.low;
      words[2 * slot + 1] = memory.high;
      if (this.pdpteReserved(memory.low, memory.high)) {
        return `a reserved bit is set in PDPTE ${slot}`;
      }
    }
    this.pdptes.set(words);
    return null;
  }

  /** Bits 2:1, 8:5 and those from MAXPHYADDR up are reserved in a present PDPTE (SDM table 4-8). */
  protected pdpteReserved(low: number, high: number): boolean {
    return (
      (low & P) !== 0 && ((low & 0x1e6) !== 0 || (high & -(2 ** (this.maxPhyAddr - 32))) !== 0)
    );
  }

  private loadPdptesOrThrow(cr3: bigint): void {
    const refusal = this.loadPdptes(cr3);
    if (refusal !== null) {
      const why = typeof refusal === 'string' ? refusal : 'the second stage refuses';
      const expected = `loadable PDPTEs (${why}); give pdptes if they are loaded already`;
      throw new VmError('bad-argument', { argument: 'cr3', value: cr3, expected });
    }
  }

  private setPdptes(pdptes: readonly Address[]): void {
    if (!Array.isArray(pdptes) || pdptes.length !== 4) {
      const expected = 'an array of four entries';
      throw new VmError('bad-argument', { argument: 'pdptes', value: pdptes, expected });
    }
    pdptes.forEach((value, slot) => {
      const entry = checkBits('pdptes', value);
      this.pdptes[2 * slot] = lowWord(entry);
      this.pdptes[2 * slot + 1] = highWord(entry);
    });
  }

  /** Whether the addresses to translate are a guest's physical ones: not sign-extended, and never a caller's mistake. */
  protected get guestPhysical(): boolean {
    return false;
  }

  /** The format of a mode's entries. */
  protected formatOf(mode: X86PagingMode): PteFormat | null {
    return SHAPES[mode].format;
  }

  /** Derives from the registers what decides about rights. */
  protected applyRights(): void {
    const { cr0, cr4 } = this.registers;
    this.row =
      (this.row & ROW_AC) |
      (cr0 & CR0.WP ? ROW_WP : 0) |
      (cr4 & CR4.SMEP ? ROW_SMEP : 0) |
      (cr4 & CR4.SMAP ? ROW_SMAP : 0);
    this.rights = RIGHTS[this.row >>> 4]!;
    const long = this.paging === '4-level' || this.paging === '5-level';
    this.keys = long ? (cr4 & CR4.PKE ? KEYS_USER : 0) | (cr4 & CR4.PKS ? KEYS_SUPERVISOR : 0) : 0;
  }

  /** Derives the flat fields of the fast path from the registers. */
  protected applyRegisters(): void {
    const { cr4, efer } = this.registers;
    const mode = pagingMode(this.registers);
    const shape = SHAPES[mode];
    this.paging = mode;
    this.current = this.formatOf(mode);
    this.top = shape.top;
    this.bits = shape.bits;
    this.wide = shape.wide;
    this.wideMask = shape.wide === 1 ? -1 : 0;
    this.entryShift = 2 + shape.wide;
    const long = mode === '4-level' || mode === '5-level';
    this.setVirtualBits(mode === '5-level' ? 57 : long ? 48 : 32, long && !this.guestPhysical);
    const gigabyte = long && this.gigabytePages ? 4 : 0;
    this.leafLevels = mode === '32-bit' ? (cr4 & CR4.PSE ? 2 : 0) : 2 | gigabyte;
    this.reservedPs = long ? PS : 0;
    this.largestShift = this.bits * (31 - Math.clz32(this.leafLevels | 1));
    this.pointerMask = mode === '32-bit' && this.leafLevels === 0 ? P : P | PS;
    // Bits from MAXPHYADDR up are reserved: to 51 in IA-32e mode, to 62 with PAE; bit 63 unless NXE gives it to XD.
    const above = -(2 ** (this.maxPhyAddr - 32)) & (long ? FRAME_HIGH : 0x7fffffff);
    this.reservedHigh = mode === '32-bit' ? 0 : above | (efer & EFER.NXE ? 0 : XD);
    this.applyRights();
    this.setRoots(mode);
    this.bindWindow();
  }

  private setRoots(mode: X86PagingMode): void {
    const { cr3 } = this.registers;
    this.roots.fill(-1);
    this.rootMask = mode === 'pae' ? 3 : 0;
    const onDemand = mode === 'pae' && this.readsPdptes;
    this.pdptFrame = onDemand ? Math.floor(pdptBase(cr3) / 4096) : -1;
    this.pdptByte = onDemand ? pdptBase(cr3) % 4096 : 0;
    if (mode === 'pae' && !this.readsPdptes) {
      for (let slot = 0; slot < 4; slot++) {
        const low = this.pdptes[2 * slot]!;
        const high = this.pdptes[2 * slot + 1]!;
        if (low & P) this.roots[slot] = (high & FRAME_HIGH) * 2 ** 20 + (low >>> 12);
      }
    } else if (mode !== 'none' && mode !== 'pae') {
      const width = mode === '32-bit' ? 32 : 52;
      this.roots[0] = Number(BigInt.asUintN(width, cr3) >> 12n);
    }
  }
}

/** CR3[31:5]: where the PDPTEs are (SDM 4.4.1). */
export function pdptBase(cr3: bigint): number {
  return Number(BigInt.asUintN(32, cr3) & ~31n);
}
