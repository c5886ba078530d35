import {
  Access,
  type Address,
  checkInteger,
  checkList,
  checkOptions,
  isAccess,
  type OptionNames,
  Prot,
  VmError,
} from '../core/index.js';
import { type AddressLookup, type Lookup, LookupTrace } from './lookup.js';
import { cutAddress } from './paging-arithmetic.js';

/**
 * One segment.
 *
 * @public
 */
export interface Segment {
  /**
   * The physical address of its first byte; of a segment that grows down, of the byte behind its last one. 0 to
   * 2^52 - 1.
   */
  readonly base: number;
  /** How many bytes it has: 0 to 2^52 - 1, and where it grows down no more than `base`. */
  readonly limit: number;
  /** Whether it grows towards lower addresses, as stacks do. @defaultValue 'up' */
  readonly grows?: 'up' | 'down';
  /** What it allows, as `Prot` bits; `User` is not asked. @defaultValue everything */
  readonly prot?: number;
}

/**
 * What a {@link SegmentTable} is made from.
 *
 * @public
 */
export interface SegmentTableOptions {
  /** The segments, by number. */
  readonly segments: readonly Segment[];
  /**
   * Bits of an offset, 1 to 52: the bits above are the segment's number, which a linear address then carries. Without it
   * only `lookupIn` can be used, which is told the segment.
   */
  readonly offsetBits?: number;
}

const OPTIONS: OptionNames<SegmentTableOptions> = { segments: true, offsetBits: true };
const SEGMENT: OptionNames<Segment> = { base: true, limit: true, grows: true, prot: true };

/** The greatest base and limit: their sum is an exact number. */
const GREATEST = 2 ** 52 - 1;

/**
 * Segmentation: a base and a limit for each segment, chosen by the top bits of the address or told with it (OSTEP,
 * chapter "Segmentation"; Silberschatz et al., Operating System Concepts, "Segmentation"). The table is taken to be in
 * registers: no memory reference.
 *
 * @example
 * ```ts
 * import { SegmentTable } from 'pagewright/textbook';
 *
 * const table = new SegmentTable({
 *   offsetBits: 9,
 *   segments: [{ base: 6890, limit: 472 }, { base: 4692, limit: 450, grows: 'down' }],
 * });
 * const code = table.lookup(414);
 * code.kind === 'found' && code.pa; // => 7304n
 * const stack = table.lookup(802); // 222 bytes below the top of segment 1
 * stack.kind === 'found' && stack.pa; // => 4470n
 * table.lookupIn(0, 500).kind; // => 'fault'
 * ```
 * @public
 */
export class SegmentTable implements AddressLookup {
  /** The segments, by number. */
  readonly segments: readonly Segment[];
  private readonly offsetBits: number | null;

  /**
   * @param options - The segments, and how an address is cut.
   * @throws `VmError` for bases, limits and rights out of range, a segment that grows below address 0, or no options.
   */
  constructor(options: SegmentTableOptions) {
    checkOptions('', options, OPTIONS);
    const { offsetBits, segments } = options;
    checkList('segments', segments);
    this.segments = segments.map(checkSegment);
    this.offsetBits =
      offsetBits === undefined ? null : checkInteger('offsetBits', offsetBits, 1, 52);
  }

  /**
   * The segment that an address names.
   *
   * @param va - The address.
   * @returns Its number and the offset in it.
   * @throws `VmError` for a bad address, a segment number above 2^53, or when the table was made without `offsetBits`.
   */
  split(va: Address): {
    /** The segment's number. */
    readonly segment: number;
    /** The byte in its share of the address space. */
    readonly offset: number;
  } {
    const { offset, page } = cutAddress('va', va, this.shareBytes());
    return { segment: checkInteger('segment', page, 0, Number.MAX_SAFE_INTEGER), offset };
  }

  lookup(va: Address, access: number = Access.Read): Lookup {
    const share = this.shareBytes();
    const { offset, page: segment } = cutAddress('va', va, share);
    const down = this.segments[segment]?.grows === 'down';
    // An offset in a segment that grows down counts from the end of the segment's share of the address space.
    return this.find(segment, down ? share - offset : offset, access);
  }

  /**
   * Looks up an offset in a segment that is told.
   *
   * @param segment - The segment's number.
   * @param offset - The byte in it; in a segment that grows down, how far below its base, from 1.
   * @param access - `Access` bits.
   * @returns The physical address or a fault, with the steps.
   * @throws `VmError` for numbers that are no non-negative integers, or no access.
   */
  lookupIn(segment: number, offset: number, access: number = Access.Read): Lookup {
    checkInteger('segment', segment, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER);
    return this.find(segment, offset, access);
  }

  /** Bytes of the address space that each segment has. */
  private shareBytes(): number {
    if (this.offsetBits !== null) return 2 ** this.offsetBits;
    const expected = 'offsetBits, so that addresses carry a segment number';
    throw new VmError('bad-argument', { argument: 'offsetBits', expected });
  }

  private find(segment: number, offset: number, access: number): Lookup {
    if (!isAccess(access)) {
      const expected = 'Access bits with one kind';
      throw new VmError('bad-argument', { argument: 'access', value: access, expected });
    }
    const trace = new LookupTrace();
    const found = this.segments[segment];
    if (!trace.check('choose segment', segment, found !== undefined) || found === undefined) {
      return trace.fault('not-present');
    }
    const { base, grows = 'up', limit, prot = 15 } = found;
    const inside = grows === 'up' ? offset < limit : offset >= 1 && offset <= limit;
    if (!trace.check('compare with limit', limit, inside)) return trace.fault('limit');
    if (!trace.check('check rights', prot, (prot & rightFor(access)) !== 0)) {
      return trace.fault('protection');
    }
    trace.check(grows === 'up' ? 'add base' : 'subtract from base', base, true);
    return trace.found(BigInt(grows === 'up' ? base + offset : base - offset));
  }
}

function rightFor(access: number): number {
  if ((access & 3) === Access.Fetch) return Prot.Execute;
  // The load of a read-modify-write counts as its store, as for walkers.
  return (access & (Access.Write | Access.ReadModifyWrite)) !== 0 ? Prot.Write : Prot.Read;
}

function checkSegment(segment: Segment, index: number): Segment {
  const path = `segments[${index}]`;
  checkOptions(path, segment, SEGMENT);
  const { base, grows = 'up', limit, prot = 15 } = segment;
  if (grows !== 'up' && grows !== 'down') {
    const expected = 'up or down';
    throw new VmError('bad-argument', { argument: `${path}.grows`, value: grows, expected });
  }
  checkInteger(`${path}.base`, base, 0, GREATEST);
  // What grows down may not reach below physical address 0.
  checkInteger(`${path}.limit`, limit, 0, grows === 'down' ? base : GREATEST);
  checkInteger(`${path}.prot`, prot, 0, 15);
  return { base, limit, grows, prot };
}
