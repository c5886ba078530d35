import { Access, type Address, bigintFromHex, checkVersion, pageAndOffset } from '../core/index.js';
import { encodePar } from '../pte/index.js';
import { unfit } from './aarch64-features.js';
import type { AArch64WalkerOptions, AArch64WalkerSnapshot } from './aarch64-options.js';
import { AArch64Stage1 } from './aarch64-stage1.js';
import { checkRestoredStage } from './second-stage.js';
import { inPage, isPageNumber } from './walker.js';

/**
 * The address translation instructions of the EL1&0 regime: stage 1 (and with S12 stage 2) of a read or write at EL1 or
 * EL0; the P forms honour PSTATE.PAN.
 *
 * @public
 */
export type AArch64AtInstruction =
  | 'S1E1R'
  | 'S1E1W'
  | 'S1E0R'
  | 'S1E0W'
  | 'S1E1RP'
  | 'S1E1WP'
  | 'S12E1R'
  | 'S12E1W'
  | 'S12E0R'
  | 'S12E0W';

const AT_INSTRUCTIONS: readonly string[] = [
  ...['S1E1R', 'S1E1W', 'S1E0R', 'S1E0W', 'S1E1RP', 'S1E1WP'],
  ...['S12E1R', 'S12E1W', 'S12E0R', 'S12E0W'],
];

/**
 * How an AT instruction is executed.
 *
 * @public
 */
export interface AArch64AtOptions {
  /** The exception level that executes it. The S12 forms are undefined at EL1. @defaultValue 2 */
  readonly el?: 1 | 2;
}

/**
 * What an AT instruction did.
 *
 * @public
 */
export type AArch64AtResult =
  | {
      /** The instruction completed: PAR_EL1 holds an address or a fault (`decodePar`). */
      readonly kind: 'par';
      /** PAR_EL1. */
      readonly par: bigint;
    }
  | {
      /**
       * The instruction itself took a data abort, and PAR_EL1 is unknown: for an external abort on a walk, and when EL1
       * executed it, for a refusal of stage 2 to let stage 1 read or update a descriptor.
       */
      readonly kind: 'exception';
      /** The exception level that takes it. */
      readonly el: 1 | 2;
      /** ESR of that level. */
      readonly esr: bigint;
      /** FAR of that level. */
      readonly far: bigint;
      /** HPFAR_EL2; `null` where the manual leaves it unknown, and at EL1. */
      readonly hpfar: bigint | null;
    };

/**
 * The stage 1 page walk of an AArch64 CPU in the EL1&0 regime: granules of 4, 16 and 64 KiB, also mixed, 52-bit addresses,
 * hierarchical permissions, PAN, hardware access flag and dirty state (Arm ARM DDI 0487, D8).
 *
 * Pages are counted in 4 KiB whatever the granule. The access says on whose behalf it is made: `Access.User` at EL0,
 * nothing at EL1, `Access.Unprivileged` by LDTR and STTR at EL1. `pan` is a plain field and takes effect at once.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { AArch64Walker } from 'pagewright/walk';
 *
 * const ram = new ArrayBuffer(0x3000);
 * const entries = new BigUint64Array(ram);
 * entries[0x0000 / 8] = 0x4000_1003n; // level 1, 39-bit addresses: a table
 * entries[0x1000 / 8 + 2] = 0x0040_0000_4820_0f41n; // level 2: a 2 MiB block, EL0 may use it, UXN, AF
 *
 * const memory = PhysicalMemory.wrap(ram, { base: 0x4000_0000 });
 * const walker = new AArch64Walker({ memory, tcr: 25n | (2n << 32n), ttbr0: 0x4000_0000n, mair: 0xffn });
 * walker.walk(0x405, Access.Write | Access.User); // => 0x48205
 * walker.walk(0x405, Access.Fetch | Access.User) < 0; // => true
 * walker.fault.esr; // => 0x8200000en
 * walker.at('S1E1R', 0x40_5000); // => { kind: 'par', par: 0xff000000_48205980n }
 * ```
 * @public
 */
export class AArch64Walker extends AArch64Stage1 {
  /** Whether the fast path has the last word: no second stage. */
  private readonly direct: boolean;

  /** @param options - Memory, registers and features. */
  constructor(options: AArch64WalkerOptions) {
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
   * @throws `VmError` `unsupported` for another version, `bad-argument` for another kind of second stage than the saved
   * walker's; otherwise as the constructor.
   */
  static restore(
    snapshot: AArch64WalkerSnapshot,
    options: Pick<AArch64WalkerOptions, 'memory' | 'observer' | 'secondStage'>,
  ): AArch64Walker {
    checkVersion(snapshot, 1);
    const { features, pan } = snapshot;
    checkRestoredStage(snapshot.secondStage, options.secondStage);
    const register = (name: 'tcr' | 'ttbr0' | 'ttbr1' | 'sctlr' | 'mair' | 'hcr'): bigint =>
      bigintFromHex(`snapshot.${name}`, snapshot[name]);
    return new AArch64Walker({
      ...options,
      features,
      pan,
      tcr: register('tcr'),
      ttbr0: register('ttbr0'),
      ttbr1: register('ttbr1'),
      sctlr: register('sctlr'),
      mair: register('mair'),
      hcr: register('hcr'),
    });
  }

  protected override twin(): AArch64Walker {
    const { memory, stage2 } = this;
    return AArch64Walker.restore(
      this.snapshot(),
      stage2 === null ? { memory } : { memory, secondStage: stage2 },
    );
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
   * Executes an address translation instruction (Arm ARM DDI 0487, D8 Address translation instructions). It may set access
   * flags, but no dirty state; without P it ignores PSTATE.PAN. Where there is a second stage, the S1 forms give the
   * intermediate address: only the tables go through stage 2.
   *
   * @param instruction - Which one.
   * @param va - The virtual address.
   * @param options - Where it is executed.
   * @returns PAR_EL1, or the exception that the instruction took.
   * @throws `VmError` for a bad address, instruction or exception level, or an S12 form at EL1.
   */
  at(
    instruction: AArch64AtInstruction,
    va: Address,
    options: AArch64AtOptions = {},
  ): AArch64AtResult {
    const from = checkAt(instruction, options);
    const { vpn, offset } = pageAndOffset(va);
    const kind = instruction.includes('W') ? Access.Write : Access.Read;
    const access = kind | (instruction.includes('E0') ? Access.User : 0);
    this.translating = true;
    this.ignoresPan = !instruction.endsWith('P');
    this.stage1Only = !instruction.startsWith('S12');
    try {
      const pfn = this.checkAndComplete(vpn, access, offset, 1, true);
      return pfn < 0 ? this.atFault(from) : { kind: 'par', par: this.par(pfn, access) };
    } finally {
      this.translating = false;
      this.ignoresPan = false;
      this.stage1Only = false;
      this.stage2?.finishAt();
    }
  }

  /** An AT instruction sets no dirty state in stage 2 either, but where stage 1 sets an access flag. */
  protected override hostTarget(
    pfn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    const { stage2 } = this;
    if (this.translating) stage2?.beginAt();
    const host = super.hostTarget(pfn, access, offset, bytes, update);
    if (stage2 !== null) this.keepHostLeaf(stage2);
    return host;
  }

  /** PAR_EL1 of a translation that succeeded. */
  private par(pfn: number, access: number): bigint {
    const { leafHigh, leafLevel, leafLow } = this;
    const { aarch64 } = this.leafAttributes(leafLow, leafHigh, leafLevel, 0, access);
    const { attr: ATTR = 0, sh: SH = 0 } = aarch64 ?? {};
    // NSE is RES1 without FEAT_RME; NS is as the Non-secure state reads it, whose value is unknown: 0 here.
    return encodePar({ fields: { ATTR, PA: pfn, NSE: 1, SH, F: 0 } });
  }

  private atFault(from: 1 | 2): AArch64AtResult {
    const { fault } = this;
    const { far, fsc, hpfar, kind, s1ptw, stage } = fault;
    // RVMRFQ: from EL1, what stage 2 refuses to stage 1 is for EL2 to mend.
    if (kind === 'ExternalAbortOnWalk' || (from === 1 && s1ptw)) {
      const el = from === 2 ? 2 : fault.el;
      return { kind: 'exception', el, esr: fault.instructionEsr(from), far, hpfar };
    }
    const fields = { RES1: 1, S: stage - 1, PTW: s1ptw ? 1 : 0, FST: fsc, F: 1 };
    return { kind: 'par', par: encodePar({ fields }) };
  }

  /** What is left to do when the fast path did not end the walk, or stage 2 has the last word. */
  private otherwise(
    pfn: number,
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    const { stage2 } = this;
    if (pfn >= 0 && inPage(offset, bytes)) {
      if (stage2 === null) return pfn;
      const host = stage2.fastFrame(pfn | 0, (pfn * 2 ** -26) | 0, this.hostAccess(access));
      if (host >= 0) {
        this.guestPfn = pfn;
        this.keepHostLeaf(stage2);
        return host;
      }
    }
    return this.checkAndComplete(vpn, access, offset, bytes, update);
  }
}

/** The exception level that executes an instruction. */
function checkAt(instruction: AArch64AtInstruction, { el = 2 }: AArch64AtOptions): 1 | 2 {
  if (!AT_INSTRUCTIONS.includes(instruction)) {
    throw unfit('instruction', instruction, `one of ${AT_INSTRUCTIONS.join(' ')}`);
  }
  if (el !== 1 && el !== 2) throw unfit('el', el, '1 or 2');
  if (el === 1 && instruction.startsWith('S12')) {
    throw unfit('el', el, '2 for an S12 instruction, which is undefined at EL1');
  }
  return el;
}
