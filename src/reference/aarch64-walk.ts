import { Access } from '../core/index.js';
import {
  combineStages,
  effectiveStage1,
  isStage2Device,
  type ReferenceAArch64Attributes,
  reportedShareability,
  stage1OffAttributes,
} from './aarch64-attributes.js';
import {
  bit,
  field,
  type ReferenceAArch64Features,
  type ReferenceAArch64Registers,
  type ReferenceAArch64Stage,
  type ReferenceAArch64Status,
  referenceStage1,
  referenceStage2,
  small,
} from './aarch64-stage.js';
import {
  type Leaf,
  Memory,
  type ReferenceAArch64Write,
  type Refusal,
  refusal,
  walkTables,
} from './aarch64-tables.js';

export type { ReferenceAArch64Write } from './aarch64-tables.js';

/** One access or address translation instruction, and everything that its answer depends on. */
export interface ReferenceAArch64Input {
  /** A descriptor, or `null` where there is no memory. */
  readonly read: (pa: bigint) => bigint | null;
  /** Whether a descriptor can be written where it can be read. By default it can. */
  readonly takesWrites?: (pa: bigint) => boolean;
  readonly registers: ReferenceAArch64Registers;
  readonly features: ReferenceAArch64Features;
  readonly va: bigint;
  /** `Access` bits. */
  readonly access: number;
  /** Whether there is a stage 2: without one, HCR, VTCR and VTTBR (but for HCR.DC, TGE and TEA) mean nothing. */
  readonly nested: boolean;
  /** AT: what is translated, and whether PAN counts (S1E1RP, S1E1WP). */
  readonly at?: { readonly stages: 1 | 2; readonly pan: boolean };
}

/** The answer. */
export type ReferenceAArch64Outcome =
  | ({
      readonly kind: 'page';
      readonly pa: bigint;
      /** The size of stage 1's page or block; 4096 when stage 1 is off. */
      readonly pageBytes: bigint;
      /** The PC of a fetch. */
      readonly pc: bigint;
      readonly writes: readonly ReferenceAArch64Write[];
    } & ReferenceAArch64Attributes)
  | {
      readonly kind: 'fault';
      readonly fsc: number;
      /** -1 to 3. */
      readonly level: number;
      readonly stage: 1 | 2;
      /** Stage 2 refused a stage 1 descriptor. */
      readonly ptw: boolean;
      readonly esr: bigint;
      readonly far: bigint;
      /** The intermediate address that stage 2 refused. */
      readonly ipa: bigint | null;
      /** The exception level that takes the abort. */
      readonly el: 1 | 2;
      /** HPFAR_EL2, where it is written. */
      readonly hpfar: bigint | null;
      readonly writes: readonly ReferenceAArch64Write[];
    };

/** What an access does. */
interface Act {
  readonly reads: boolean;
  readonly writes: boolean;
  readonly fetches: boolean;
  readonly el0: boolean;
  /** It may set dirty state: no AT instruction. */
  readonly dirties: boolean;
}

/** DFSC (ESR_ELx): the code of level 0, and that of level -1. */
const CODES: Readonly<Record<ReferenceAArch64Status, readonly [number, number]>> = {
  AddressSize: [0b000000, 0b101001],
  Translation: [0b000100, 0b101011],
  AccessFlag: [0b001000, 0b001000],
  Permission: [0b001100, 0b001100],
  ExternalAbort: [0b010100, 0b010011],
};

/** Whether stage 1 allows an access, and a load by the same (AArch64.S1DirectBasePermissions). */
function stage1Permissions(
  leaf: Leaf,
  stage: ReferenceAArch64Stage,
  act: Act,
  pan: boolean,
  input: ReferenceAArch64Input,
  flat: boolean,
): { readonly read: boolean; readonly write: boolean; readonly execute: boolean } {
  const { descriptor } = leaf;
  const { features, registers } = input;
  const tables = flat ? 0n : leaf.tables;
  const clean = stage.hd && bit(descriptor, 51);
  const readOnly = (bit(descriptor, 7) && !clean) || bit(tables, 62);
  const user = bit(descriptor, 6) && !bit(tables, 61);
  const uxn = bit(descriptor, 54) || bit(tables, 60);
  const pxn = bit(descriptor, 53) || bit(tables, 59);
  const wxn = bit(registers.sctlr, 19);
  const write0 = user && !readOnly;
  const execute0 = !uxn && !(write0 && wxn);
  if (act.el0) return { read: user, write: write0, execute: execute0 };
  const epan = features.pan3 && bit(registers.sctlr, 57);
  const guarded = pan && (user || (epan && execute0));
  return {
    read: !guarded,
    write: !readOnly && !guarded,
    execute: !pxn && !(!readOnly && wxn) && !write0,
  };
}

/** Whether stage 2 does (AArch64.S2DirectBasePermissions). */
function stage2Permissions(
  descriptor: bigint,
  stage: ReferenceAArch64Stage,
  act: Act,
): { readonly read: boolean; readonly write: boolean; readonly execute: boolean } {
  const xn = small(descriptor, 54, 53);
  return {
    read: bit(descriptor, 6),
    write: bit(descriptor, 7) || (stage.hd && bit(descriptor, 51)),
    // 0 executable, 1 at EL0 only, 2 nowhere, 3 at EL1 only
    execute: xn === 0 || xn === (act.el0 ? 1 : 3),
  };
}

const allows = (
  may: { readonly read: boolean; readonly write: boolean; readonly execute: boolean },
  act: Act,
): boolean =>
  (!act.reads || may.read) && (!act.writes || may.write) && (!act.fetches || may.execute);

interface Host {
  readonly pa: bigint;
  /** `null` when stage 2 is off. */
  readonly leaf: Leaf | null;
}

/** Stage 2 (AArch64.S2Translate). */
function translateStage2(
  ipa: bigint,
  act: Act,
  ptw: boolean,
  input: ReferenceAArch64Input,
  memory: Memory,
): Host | Refusal {
  const { features, registers } = input;
  // DC makes VM behave as 1.
  if (!input.nested || !(bit(registers.hcr, 0) || bit(registers.hcr, 12))) {
    return { pa: ipa, leaf: null };
  }
  const refuse = (why: Refusal): Refusal => ({ ...why, ptw, ipa });
  const stage = referenceStage2(registers, features);
  if (stage.fault === 'Translation') return refuse(refusal(stage.fault, 0, 2));
  if (ipa >> BigInt(stage.inputBits) !== 0n) return refuse(refusal('Translation', 0, 2));
  const leaf = walkTables(stage, 2, ipa, memory, (place) => place);
  if (leaf.kind === 'refusal') return refuse(leaf);
  const { descriptor, level } = leaf;
  if (!bit(descriptor, 10) && !stage.ha) return refuse(refusal('AccessFlag', level, 2));
  const may = stage2Permissions(descriptor, stage, act);
  const device = ptw && bit(registers.hcr, 2) && isStage2Device(descriptor, registers.hcr);
  if (!allows(may, act) || device) {
    return refuse(refusal('Permission', level, 2, !may.read || device));
  }
  // S2AP[1] set stands for dirty.
  const dirtied = act.writes && act.dirties && stage.hd && bit(descriptor, 51);
  const updated = descriptor | 0x400n | (dirtied ? 0x80n : 0n);
  if (updated !== descriptor && !memory.write(leaf.where, updated)) {
    return refuse(refusal('ExternalAbort', level, 2));
  }
  return { pa: leaf.output, leaf };
}

/** A stage 1 walk's own accesses. */
const TABLE_READ: Act = { reads: true, writes: false, fetches: false, el0: false, dirties: true };
const TABLE_UPDATE: Act = { ...TABLE_READ, reads: false, writes: true };

interface Stage1Output extends ReferenceAArch64Attributes {
  readonly kind: 'output';
  readonly address: bigint;
  readonly bytes: bigint;
}

/** Whether the top byte of an address is ignored (EffectiveTBI). */
function ignoresTop(va: bigint, fetches: boolean, { tcr }: ReferenceAArch64Registers): boolean {
  const half = bit(va, 55) ? 1 : 0;
  return bit(tcr, 37 + half) && !(fetches && bit(tcr, 51 + half));
}

/** Stage 1 is off (AArch64.S1DisabledOutput). */
function stage1Off(input: ReferenceAArch64Input, act: Act): Stage1Output | Refusal {
  const { features, registers, va } = input;
  const address = ignoresTop(va, act.fetches, registers) ? field(va, 55, 0) : va;
  if (address >> BigInt(features.physicalBits) !== 0n) return refusal('AddressSize', 0, 1);
  const { hcr, sctlr } = registers;
  return {
    kind: 'output',
    address,
    bytes: 4096n,
    ...stage1OffAttributes(act.fetches, sctlr, hcr),
  };
}

/** Stage 1 (AArch64.S1Translate). */
function translateStage1(
  input: ReferenceAArch64Input,
  act: Act,
  memory: Memory,
): Stage1Output | Refusal {
  const { features, registers, va } = input;
  const { hcr, mair, sctlr, tcr } = registers;
  // AArch64.S1Enabled: HCR_EL2.DC and TGE switch it off as well.
  if (!bit(sctlr, 0) || bit(hcr, 12) || bit(hcr, 27)) return stage1Off(input, act);
  const upper = bit(va, 55);
  const half = upper ? 1 : 0;
  const stage = referenceStage1(registers, features, upper);
  if (stage.fault === 'Translation') return refusal(stage.fault, 0, 1);
  // 1. The bits above the input size are all alike, those of a tag apart (AArch64.VAIsOutOfRange).
  const top = ignoresTop(va, act.fetches, registers) ? 55 : 63;
  const above = field(va, top, stage.inputBits);
  const wanted = upper ? 2n ** BigInt(top - stage.inputBits + 1) - 1n : 0n;
  if (above !== wanted) return refusal('Translation', 0, 1);
  // 2. E0PD.
  if (act.el0 && features.e0pd && bit(tcr, 55 + half)) return refusal('Translation', 0, 1);
  // 3. The tables, each through stage 2.
  const leaf = walkTables(stage, 1, va, memory, (place) => {
    const host = translateStage2(place, TABLE_READ, true, input, memory);
    return 'pa' in host ? host.pa : host;
  });
  if (leaf.kind === 'refusal') return leaf;
  const { descriptor, level } = leaf;
  // 4. The access flag, then permission.
  if (!bit(descriptor, 10) && !stage.ha) return refusal('AccessFlag', level, 1);
  const pan = registers.pan && (input.at?.pan ?? true);
  const flat = features.hpds && bit(tcr, 41 + half);
  const may = stage1Permissions(leaf, stage, act, pan, input, flat);
  if (!allows(may, act)) return refusal('Permission', level, 1, !may.read);
  // 5. Hardware sets AF, and clears AP[2] of a clean page that is written.
  const dirtied = act.writes && act.dirties && stage.hd && bit(descriptor, 51);
  const updated = (descriptor | 0x400n) & (dirtied ? ~0x80n : ~0n);
  if (updated !== descriptor) {
    const host = translateStage2(leaf.place, TABLE_UPDATE, true, input, memory);
    if (!('pa' in host)) return host;
    // AArch64.MemSwapTableDesc: as an external abort on the walk.
    if (!memory.write(host.pa, updated)) return refusal('ExternalAbort', level, 1);
  }
  const attr = small(mair, 8 * small(descriptor, 4, 2) + 7, 8 * small(descriptor, 4, 2));
  const sh = stage.sh ?? small(descriptor, 9, 8);
  return {
    kind: 'output',
    address: leaf.output,
    bytes: leaf.bytes,
    attr: effectiveStage1(attr, act.fetches, sctlr),
    sh,
  };
}

/** An AArch64 translation of the EL1&0 regime, as the pseudocode of Arm ARM DDI 0487 (AArch64.FullTranslate) does it. */
export function referenceAArch64Walk(input: ReferenceAArch64Input): ReferenceAArch64Outcome {
  const { access, at, registers, va } = input;
  const memory = new Memory(input.read, input.takesWrites ?? (() => true));
  const kind = access & 3;
  const both = (access & Access.ReadModifyWrite) !== 0;
  const act: Act = {
    reads: kind === Access.Read || both,
    writes: kind === Access.Write || both,
    fetches: kind === Access.Fetch,
    el0: (access & (Access.User | Access.Unprivileged)) !== 0,
    dirties: at === undefined,
  };
  // A branch to a tagged address has dropped the tag before anything is fetched (AArch64.BranchAddr).
  const tagged = act.fetches && ignoresTop(va, true, registers);
  const pc = tagged ? BigInt.asUintN(64, BigInt.asIntN(56, va)) : va;
  const first = translateStage1(input, act, memory);
  const { writes } = memory;
  if (first.kind === 'refusal') return fault(first, act, input, pc, writes);
  const { address, attr, bytes, sh } = first;
  const stage1 = { attr, sh: reportedShareability(attr, sh) };
  const answer = { kind: 'page', pageBytes: bytes, pc, writes } as const;
  if (at?.stages === 1) return { ...answer, pa: address, ...stage1 };
  const host = translateStage2(address, act, false, input, memory);
  if (!('pa' in host)) return fault(host, act, input, pc, writes);
  if (host.leaf === null) return { ...answer, pa: host.pa, ...stage1 };
  const sh2 = referenceStage2(registers, input.features).sh;
  const { descriptor } = host.leaf;
  const combined = combineStages(
    { attr, sh },
    descriptor,
    sh2 ?? small(descriptor, 9, 8),
    registers.hcr,
    act.fetches,
  );
  return { ...answer, pa: host.pa, ...combined };
}

/** AArch64.Abort: who takes it. HCR_EL2.TGE sends everything to EL2, TEA external aborts. */
function takenAt({ stage, status }: Refusal, { hcr }: ReferenceAArch64Registers): 1 | 2 {
  return stage === 2 || bit(hcr, 27) || (status === 'ExternalAbort' && bit(hcr, 37)) ? 2 : 1;
}

/** IPAValid: whether HPFAR_EL2 is written. */
function hpfarOf({ ipa, ptw, stage, status }: Refusal): bigint | null {
  if (stage === 1 || status === 'ExternalAbort' || (status === 'Permission' && !ptw)) return null;
  return field(ipa!, 55, 12) << 4n;
}

/** ESR_EL1 or ESR_EL2, FAR and HPFAR. */
function fault(
  why: Refusal,
  act: Act,
  { access, registers }: ReferenceAArch64Input,
  far: bigint,
  writes: readonly ReferenceAArch64Write[],
): ReferenceAArch64Outcome {
  const { ipa, level, ptw, stage, status } = why;
  const codes = CODES[status];
  const fsc = level < 0 ? codes[1] : codes[0] + level;
  const el = takenAt(why, registers);
  const lower = el === 2 || (access & Access.User) !== 0;
  const exception = (act.fetches ? 0x20 : 0x24) + (lower ? 0 : 1);
  // WnR: of an atomic access only when a load would have passed.
  const wnr = act.writes && !(act.reads && (why.readToo || ptw));
  const iss = fsc + (wnr ? 0x40 : 0) + (ptw ? 0x80 : 0);
  const esr = BigInt(exception) * 2n ** 26n + 2n ** 25n + BigInt(iss);
  const hpfar = hpfarOf(why);
  return { kind: 'fault', fsc, level, stage, ptw, esr, far, ipa, el, hpfar, writes };
}
