import {
  checkBoolean,
  checkInteger,
  checkOptions,
  highWord,
  lowWord,
  type OptionNames,
  Prot,
  VmError,
} from '../core/index.js';
import { type BitField, checkProt, mappingOf, type PteFormat } from '../pte/index.js';

/**
 * What a leaf is to say beside its frame.
 *
 * @public
 */
export interface LeafOptions {
  /** The rights, as `Prot` bits. A format that can't withhold one grants it (`MappingBits.granted`). */
  readonly prot: number;
  /** Whether it counts as used. Hardware that does not set the bit faults without it. @defaultValue true */
  readonly accessed?: boolean;
  /** Whether it counts as written; the same holds. @defaultValue whether it may be written */
  readonly dirty?: boolean;
  /** Whether it is in every address space. @defaultValue false */
  readonly global?: boolean;
  /**
   * Other fields of a base page's leaf by the format's names: `PWT`, `PCD` and `PAT`, `PK`, `PBMT`, `ATTRINDX`, bits
   * for software ... In larger pages they go where those have them. @defaultValue AArch64: inner shareable, index 0; EPT: write-back; stage 2: write-back
   */
  readonly fields?: Readonly<Record<string, number>>;
}

const OPTIONS: OptionNames<LeafOptions> = {
  prot: true,
  accessed: true,
  dirty: true,
  global: true,
  fields: true,
};

/**
 * The bits of a leaf beside its frame, worked out once for many pages, by `leafFlags` or `PageTable.flags`.
 *
 * @public
 */
export class LeafFlags {
  /** Whose leaves. */
  readonly format: PteFormat;
  /** The rights that are really granted. */
  readonly prot: number;
  /** Bits 31:0, as in a base page's entry. */
  readonly low: number = 0;
  /** Bits 63:32. */
  readonly high: number = 0;

  /** @internal */
  constructor(format: PteFormat, prot: number, low: number, high: number) {
    this.format = format;
    this.prot = prot;
    this.low = low | 0;
    this.high = high | 0;
  }
}

/**
 * Works out the bits of a leaf.
 *
 * @param format - Whose leaves.
 * @param options - What they are to say.
 * @returns Flags for `PageTable.map` and its like.
 * @throws `VmError` `bad-argument` or `out-of-range` for options and fields that are none, and fields that the other
 * options decide; `unsupported` for rights with which the format's entries are no leaves.
 *
 * @example
 * ```ts
 * import { Prot } from 'pagewright/core';
 * import { leafFlags } from 'pagewright/page-table';
 * import { x86Long4 } from 'pagewright/pte';
 *
 * const flags = leafFlags(x86Long4, { prot: Prot.Read | Prot.Write | Prot.User, fields: { PCD: 1 } });
 * flags.low; // => 0x77
 * flags.high === -0x80000000; // => true
 * ```
 * @public
 */
export function leafFlags(format: PteFormat, options: LeafOptions): LeafFlags {
  checkOptions('', options, OPTIONS);
  const bits = mappingOf(format);
  const prot = bits.granted(checkProt(options.prot));
  const accessed = checkBoolean('accessed', options.accessed ?? true);
  const dirty = checkBoolean('dirty', options.dirty ?? (options.prot & Prot.Write) !== 0);
  const global = checkBoolean('global', options.global ?? false);
  const { fields = {} } = options;
  if (typeof fields !== 'object' || fields === null) {
    const expected = 'an object';
    throw new VmError('bad-argument', { argument: 'fields', value: fields, expected });
  }
  let low = bits.leafLow(prot, accessed, dirty, global);
  let high = bits.leafHigh(prot, dirty, global);
  for (const [name, value] of Object.entries(fields)) {
    const { mask, placed } = placeField(format, name, value);
    low = (low & ~lowWord(mask)) | lowWord(placed);
    high = (high & ~highWord(mask)) | highWord(placed);
  }
  if (format.kindOf(low | format.leafBits[0]!, high | format.leafBitsHigh[0]!, 0) !== 'leaf') {
    const expected = `rights that make an entry of ${format.name} a leaf`;
    throw new VmError('unsupported', { argument: 'prot', value: options.prot, expected });
  }
  return new LeafFlags(format, prot, low, high);
}

/** The bits of a field, and a value at its place. */
function placeField(
  format: PteFormat,
  name: string,
  value: number,
): { readonly mask: bigint; readonly placed: bigint } {
  const field = format.fieldsOf('leaf', 0).find((other) => other.name === name);
  const width = field === undefined ? 0 : field.high - field.low + 1;
  const low = BigInt(field?.low ?? 0);
  const mask = ((1n << BigInt(width)) - 1n) << low;
  if (field === undefined || !isFree(format, field, mask)) {
    const expected = `a field of ${format.name} that the other options leave free`;
    throw new VmError('bad-argument', { argument: `fields.${name}`, value, expected });
  }
  // Of RISC-V's memory types the last is reserved: a leaf that has it faults (Privileged, Svpbmt extension).
  const reserved = format.architecture === 'riscv' && name === 'PBMT' ? 1 : 0;
  checkInteger(`fields.${name}`, value, 0, 2 ** width - 1 - reserved);
  return { mask, placed: BigInt(value) << low };
}

/** Whether a field may be what a caller says: it is neither the frame's nor reserved, and follows from nothing else. */
function isFree(format: PteFormat, field: BitField, mask: bigint): boolean {
  const { managed } = mappingOf(format);
  const low = managed.low | format.presentLow | format.leafBits[0]!;
  const high = managed.high | format.presentHigh | format.leafBitsHigh[0]!;
  const taken = ((lowWord(mask) & low) | (highWord(mask) & high)) !== 0;
  return !taken && field.role !== 'frame' && field.role !== 'reserved';
}
