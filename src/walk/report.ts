import {
  type AccessDescription,
  type AddressIndex,
  addressOf,
  bigintFromWords,
  describeAccess,
  type FaultReason,
  formatProt,
  type Plain,
  plain,
  splitAddress,
} from '../core/index.js';
import type { EntryKind, PteFormat } from '../pte/index.js';
import type { RadixWalker } from './walker.js';

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
    /** The Svpbmt memory type: 0 PMA, 1 NC, 2 IO. */
    readonly pbmt: number;
    /** Whether the leaf is one of a NAPOT group. */
    readonly napot: boolean;
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
  /** The number of the 4 KiB frame that `pa` lies in. */
  readonly pfn: number;
  /** The level of the leaf; -1 when nothing was translated. */
  readonly level: number;
  /** The rights of the mapping, as `Prot` bits; they are not those of the moment (SUM, SMAP, keys ...). */
  readonly prot: number;
}

/**
 * The fault that an access raises.
 *
 * @public
 */
export interface FaultTranslation {
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
  /** x86: how the fault is reported. */
  readonly x86?: {
    /** 14 #PF; 13 for a non-canonical address (#GP, or #SS at the CPU's choice); 0 for a bus error. */
    readonly vector: number;
    /** The error code of #PF; 0 otherwise. */
    readonly errorCode: number;
    /** CR2 of #PF; `null` otherwise. */
    readonly cr2: bigint | null;
  };
  /** RISC-V: how the fault is reported. */
  readonly riscv?: {
    /** mcause or scause. */
    readonly cause: number;
    /** mtval or stval. */
    readonly tval: bigint;
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
  /** The entry's physical address; `null` for a PAE PDPTE register. */
  readonly address: bigint | null;
  /** The entry as read. */
  readonly raw: bigint;
  /** What it is by its structure. */
  readonly kind: EntryKind;
  /** The frame that it points at or maps first; `null` when not present. */
  readonly pfn: number | null;
  /** Every field by name. */
  readonly fields: Readonly<Record<string, number>>;
  /** The rights that are left after this entry, in four letters, such as `rw-u`. */
  readonly prot: string;
  /** The accessed and dirty bits that the access sets here, by field name. */
  readonly set: readonly string[];
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
  /** Entries read from memory: what a TLB miss costs in references. */
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
): Plain<WalkReport> {
  const { path, rule } = walker;
  const format = path.first < 0 ? null : walker.format;
  const steps = format === null ? [] : walkSteps(walker, format, outcome);
  return plain<WalkReport>({
    v: 1,
    type: 'walk-report',
    format: format === null ? null : format.name,
    va: outcome.va,
    access: describeAccess(access),
    // More than one root: they are in PAE's registers.
    root: format === null || walker.rootCount > 1 ? null : addressOf(walker.rootAt(0), 0),
    steps,
    rule: { id: rule.id, source: rule.source, text: rule.text },
    updated,
    references: steps.filter((step) => step.address !== null).length,
    outcome,
  });
}

function walkSteps(walker: RadixWalker, format: PteFormat, outcome: Translation): WalkStep[] {
  const { path } = walker;
  const steps: WalkStep[] = [];
  const parts = splitAddress(format, outcome.va);
  for (let level = path.first; level >= path.last; level--) {
    const low = path.low[level]!;
    const high = path.high[level]!;
    const table = path.table[level]!;
    const raw = bigintFromWords(low, format.entryBytes === 8 ? high : 0);
    // An entry that the walk went through is a pointer, whatever PS says where the mode ignores it.
    const followed = level > path.last;
    const kind = followed ? 'pointer' : format.kindOf(low, high, level);
    const set = path.set[level]!;
    steps.push({
      level,
      index: parts.indexes[format.levels - 1 - level]!,
      address: table < 0 ? null : addressOf(table, path.index[level]! * format.entryBytes),
      raw,
      kind,
      pfn: followed
        ? format.tablePfn(low, high)
        : kind === 'not-present'
          ? null
          : format.pfn(low, high, level),
      fields: format.decode(raw, level).fields,
      prot: formatProt(walker.pathRights(level)),
      set: format
        .fieldsOf('leaf', 0)
        .filter((field) => field.high === field.low && field.high < 32 && (set >>> field.low) & 1)
        .map((field) => field.name),
    });
  }
  return steps;
}
