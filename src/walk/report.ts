import {
  type AccessDescription,
  type AddressIndex,
  addressFromVpn,
  bigintFromWords,
  describeAccess,
  type FaultReason,
  formatProt,
  type Plain,
  plain,
  splitAddress,
} from '../core/index.js';
import type { EntryKind, PteFormat } from '../pte/index.js';
import { TARGET, UPDATES } from './entry-access.js';
import type { SecondStagePurpose } from './second-stage.js';
import type { RadixWalker } from './walker.js';
import type { X86Exit } from './x86-second-stage.js';

/**
 * What a leaf says beside its frame and rights.
 *
 * @public
 */
export interface LeafAttributes {
  /** The size of the page that the leaf maps, in bytes. */
  readonly pageBytes: number;
  /** Whether the translation is global: valid in every address space. */
  readonly global: boolean;
  /** On x86. */
  readonly x86?: {
    /** PAT, PCD and PWT as a number: the index into IA32_PAT; `x86MemoryType` makes the memory type of it. */
    readonly patIndex: number;
    /** The protection key, while keys are enabled; otherwise 0. */
    readonly protectionKey: number;
  };
  /** On RISC-V. */
  readonly riscv?: {
    /** The Svpbmt memory type: 0 PMA, 1 NC, 2 IO; under a second stage that of both stages together. */
    readonly pbmt: number;
    /** Whether the leaf is one of a NAPOT group. */
    readonly napot: boolean;
  };
  /** In Intel's EPT. */
  readonly ept?: {
    /** The memory type: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB. `eptMemoryType` combines it with the guest's. */
    readonly memoryType: number;
    /** Whether the guest's PAT is ignored. */
    readonly ignorePat: boolean;
    /** Whether all entries allow execution, with mode-based execute control from supervisor-mode addresses. */
    readonly execute: boolean;
    /** The same from user-mode addresses: XU with mode-based execute control, otherwise X again. */
    readonly executeUser: boolean;
  };
  /** On AArch64. */
  readonly aarch64?: {
    /** The memory attributes, eight bits as in MAIR_EL1 and PAR_EL1; `aarch64MemoryType` spells them out. */
    readonly attr: number;
    /** Shareability as PAR_EL1 reports it: 0 none, 2 outer, 3 inner. */
    readonly sh: number;
    /** Whether the leaf is one of a contiguous group. */
    readonly contiguous: boolean;
  };
}

/**
 * The page that an access reaches.
 *
 * @public
 */
export interface PageTranslation extends LeafAttributes {
  /** The tag. */
  readonly kind: 'page';
  /** The virtual address. */
  readonly va: bigint;
  /** The physical address. */
  readonly pa: bigint;
  /** The number of the frame that `pa` lies in, in the walker's pages: of 4 KiB but for formats of your own. */
  readonly pfn: number;
  /** Under a second stage: the guest-physical address, which that stage translated to `pa`. */
  readonly gpa?: bigint;
  /**
   * Under a second stage: what its leaf says. AMD's and Intel's memory types combine by `nptMemoryType` and
   * `eptMemoryType`; RISC-V's and AArch64's are combined already.
   */
  readonly host?: LeafAttributes;
  /** The level of the leaf; -1 when nothing was translated. */
  readonly level: number;
  /** The rights of the mapping, as `Prot` bits; they are not those of the moment (SUM, SMAP, keys ...). */
  readonly prot: number;
}

/**
 * A fault in the architecture's own words: one of these members.
 *
 * @public
 */
export interface FaultEncoding {
  /** x86: how the fault is reported. */
  readonly x86?: {
    /** 14 #PF; 13 for a non-canonical address (#GP, or #SS at the CPU's choice); 0 for a bus error. */
    readonly vector: number;
    /** The error code of #PF; 0 otherwise. */
    readonly errorCode: number;
    /** CR2 of #PF; `null` otherwise. */
    readonly cr2: bigint | null;
    /** The VM exit, when the second stage refused. */
    readonly exit?: X86Exit;
  };
  /** RISC-V: how the fault is reported. */
  readonly riscv?: {
    /** mcause or scause. */
    readonly cause: number;
    /** mtval or stval. */
    readonly tval: bigint;
    /** Under a second stage: htval or mtval2, the guest-physical address shifted right by 2; 0 unless it is at fault. */
    readonly htval?: bigint;
    /** Under a second stage: htinst or mtinst, a pseudoinstruction or 0. */
    readonly tinst?: number;
    /** Under a second stage: hstatus.GVA or mstatus.GVA, whether tval is a guest virtual address. */
    readonly gva?: boolean;
  };
  /** AArch64: how the fault is reported. */
  readonly aarch64?: {
    /** The fault status code, of ESR and PAR. */
    readonly fsc: number;
    /** The architecture's level, -1 to 3. */
    readonly level: number;
    /** The exception level that takes the abort: 2 when stage 2 refused, or HCR_EL2 sends it there. */
    readonly el: 1 | 2;
    /** ESR of that level; bits 24:14 of a data abort of stage 2, which describe the instruction, are 0. */
    readonly esr: bigint;
    /** FAR. */
    readonly far: bigint;
    /** HPFAR_EL2 when stage 2 refused; `null` where the manual leaves it unknown. */
    readonly hpfar: bigint | null;
    /** The stage that refused. */
    readonly stage: 1 | 2;
    /** Whether stage 2 refused the reading or updating of a stage 1 descriptor. */
    readonly s1ptw: boolean;
  };
}

/**
 * The fault that an access raises.
 *
 * @public
 */
export interface FaultTranslation extends FaultEncoding {
  /** The tag. */
  readonly kind: 'fault';
  /** Why, from the list that all architectures share. */
  readonly reason: FaultReason;
  /** The identifier of the rule that refused. */
  readonly rule: string;
  /** The virtual address. */
  readonly va: bigint;
  /** The access. */
  readonly access: AccessDescription;
  /** The level of the entry that decided. */
  readonly level: number;
  /** When the second stage refused: `rule` and `level` are then that stage's. */
  readonly secondStage?: {
    /** The guest-physical address that it was asked for. */
    readonly gpa: bigint;
    /** Why it was asked. */
    readonly purpose: SecondStagePurpose;
  };
}

/**
 * The answer to an access.
 *
 * @public
 */
export type Translation = PageTranslation | FaultTranslation;

/**
 * How to {@link RadixWalker.explain}.
 *
 * @public
 */
export interface ExplainOptions {
  /** Whether accessed and dirty bits are really set, as a walk would. @defaultValue false */
  readonly update?: boolean;
}

/**
 * One entry that a walk read.
 *
 * @public
 */
export interface WalkStep {
  /** The entry's level. */
  readonly level: number;
  /** The entry's number in its table, with the address bits it was taken from. */
  readonly index: AddressIndex;
  /** The entry's physical address, guest-physical under a second stage; `null` for a PAE PDPTE register. */
  readonly address: bigint | null;
  /** The entry as read. */
  readonly raw: bigint;
  /** What it is by its structure. */
  readonly kind: EntryKind;
  /** The frame that it points at or maps first; `null` when not present. */
  readonly pfn: number | null;
  /** The address of that frame, in bytes. */
  readonly target: bigint | null;
  /** Every field by name. */
  readonly fields: Readonly<Record<string, number>>;
  /** The rights that are left after this entry, in four letters, such as `rw-u`. */
  readonly prot: string;
  /** The accessed and dirty bits that the access sets here, by field name. */
  readonly set: readonly string[];
  /** The bits that it clears here (AArch64: AP[2], or S2AP[1] set, when a clean page becomes dirty), by field name. */
  readonly cleared: readonly string[];
  /** Under a second stage: its walk to this entry. */
  readonly secondStage: WalkReport | null;
  /** Under a second stage: its walk for the setting of bits here, which needs the right to write; no further reference. */
  readonly secondStageUpdate: WalkReport | null;
}

/**
 * An entry of a guest's table that could not be read, because the second stage refused.
 *
 * @public
 */
export interface UnreadEntry {
  /** The entry's level. */
  readonly level: number;
  /** The entry's number in its table. */
  readonly index: AddressIndex;
  /** The entry's guest-physical address. */
  readonly address: bigint;
  /** The second stage's walk, which refused. */
  readonly secondStage: WalkReport;
}

/**
 * Everything about one walk, as plain data.
 *
 * @public
 */
export interface WalkReport {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'walk-report';
  /** The format, or `null` when nothing was translated. */
  readonly format: string | null;
  /** The virtual address. */
  readonly va: bigint;
  /** The access. */
  readonly access: AccessDescription;
  /** The physical address of the root table; `null` when nothing was translated or the root is a register. */
  readonly root: bigint | null;
  /** The entries read, from the root down. */
  readonly steps: readonly WalkStep[];
  /** The rule that decided. */
  readonly rule: {
    /** Its stable identifier. */
    readonly id: string;
    /** The manual and section that state it. */
    readonly source: string;
    /** The rule in words. */
    readonly text: string;
  };
  /** Whether accessed and dirty bits were really set. */
  readonly updated: boolean;
  /** Under a second stage: the entry after the last step, when that stage refused to let it be read. */
  readonly unread: UnreadEntry | null;
  /** Under a second stage: its walk to what the access reaches. */
  readonly target: WalkReport | null;
  /** Entries read from memory, in both dimensions of a nested walk: what a TLB miss costs in references. */
  readonly references: number;
  /** The answer. */
  readonly outcome: Translation;
}

/** Makes the report of the walker's last complete walk. @internal */
export function walkReport(
  walker: RadixWalker,
  outcome: Plain<Translation>,
  access: number,
  updated: boolean,
  hostReports: readonly (Plain<WalkReport> | null)[],
): Plain<WalkReport> {
  const { path, rule } = walker;
  const { format } = path;
  const steps = format === null ? [] : walkSteps(walker, format, outcome.va, hostReports);
  const target = hostReports[TARGET] ?? null;
  const read = steps.filter((step) => step.address !== null).length;
  const decisive = outcome.kind === 'fault' ? walker.fault.rule : rule;
  return plain<WalkReport>({
    v: 1,
    type: 'walk-report',
    format: format === null ? null : format.name,
    va: outcome.va,
    access: describeAccess(access),
    root: rootAddress(walker),
    steps,
    // The rules of formats of one's own cannot know where each of these is described.
    rule: {
      id: decisive.id,
      source: format?.roles?.source ?? decisive.source,
      text: decisive.text,
    },
    updated,
    unread: format === null ? null : unreadEntry(walker, format, outcome.va, hostReports),
    target,
    references: hostReports
      .slice(0, UPDATES)
      .reduce((sum, report) => sum + (report?.references ?? 0), read),
    outcome,
  });
}

/** Where the root table begins; `null` when it is PAE's registers, or nothing was translated. */
function rootAddress({ pageShift, path }: RadixWalker): bigint | null {
  if (path.format === null || path.root < 0) return null;
  return addressFromVpn(path.root, 0, pageShift) + BigInt(path.rootByte);
}

/** Below the last entry that was read, the second stage was asked for one that it did not let the walk read. */
function unreadEntry(
  { fault, path }: RadixWalker,
  format: PteFormat,
  va: bigint,
  hostReports: readonly (Plain<WalkReport> | null)[],
): UnreadEntry | null {
  const level = path.last - 1;
  const secondStage = hostReports[level];
  // A second stage may also have led to where there is no memory.
  if (secondStage === undefined || secondStage === null || fault.stage === 1) return null;
  const index = splitAddress(format, va).indexes[format.levels - 1 - level]!;
  return { level, index, address: fault.gpa, secondStage };
}

function walkSteps(
  walker: RadixWalker,
  format: PteFormat,
  va: bigint,
  hostReports: readonly (Plain<WalkReport> | null)[],
): WalkStep[] {
  const { path } = walker;
  const steps: WalkStep[] = [];
  const parts = splitAddress(format, va);
  for (let level = path.first; level >= path.last; level--) {
    const low = path.low[level]!;
    const high = path.high[level]!;
    const table = path.table[level]!;
    const raw = BigInt.asUintN(8 * format.entryBytes, bigintFromWords(low, high));
    // An entry that the walk went through is a pointer, whatever PS says where the mode ignores it.
    const followed = level > path.last;
    const kind = followed ? 'pointer' : format.kindOf(low, high, level);
    const pfn = followed
      ? format.tablePfn(low, high)
      : kind === 'not-present'
        ? null
        : format.pfn(low, high, level);
    steps.push({
      level,
      index: parts.indexes[format.levels - 1 - level]!,
      address:
        table < 0 ? null : addressFromVpn(table, 0, walker.pageShift) + BigInt(path.byte[level]!),
      raw,
      kind,
      pfn,
      target: pfn === null ? null : addressFromVpn(pfn, 0, format.pageShift),
      fields: format.decode(raw, level).fields,
      prot: formatProt(walker.pathRights(level)),
      set: bitNames(format, path.set[level]!),
      cleared: bitNames(format, path.cleared[level]!),
      secondStage: hostReports[level] ?? null,
      secondStageUpdate: hostReports[UPDATES + level] ?? null,
    });
  }
  return steps;
}

/** The one-bit fields of a leaf's low word that a mask has. */
function bitNames(format: PteFormat, mask: number): readonly string[] {
  return format
    .fieldsOf('leaf', 0)
    .filter((field) => field.high === field.low && field.high < 32 && (mask >>> field.low) & 1)
    .map((field) => field.name);
}
