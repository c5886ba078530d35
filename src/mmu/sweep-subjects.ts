import { checkInteger, checkOptions, type OptionNames, VmError } from '../core/index.js';
import { Tlb, TlbAnswer, TlbHierarchy } from '../tlb/index.js';
import type { SweepSubject } from './sweep.js';

/**
 * What a TLB is filled with when it misses.
 *
 * @public
 */
export interface SweepFillOptions {
  /** The size of every page: 2^order base pages, 0 to 30. @defaultValue 0 */
  readonly order?: number;
  /** The frame of a page, in base pages, as `Tlb.fill` takes it. @defaultValue the page's own number */
  readonly frameOf?: (vpn: number) => number;
}

const OPTIONS: OptionNames<SweepFillOptions> = { order: true, frameOf: true };

/**
 * A TLB as the subject of a {@link sweep}: each reference is looked up, and what misses is put in, in the context of the TLB.
 * Rights play no part. It counts `hits`, `misses`, `fills` and `evictions`, as `Tlb.statistics` does.
 *
 * @param tlb - The TLB.
 * @param options - What it is filled with.
 * @returns The subject.
 * @throws `VmError` for what is no TLB or option.
 *
 * @example
 * ```ts
 * import { tlbSubject } from 'pagewright/mmu';
 * import { Tlb } from 'pagewright/tlb';
 *
 * const subject = tlbSubject(new Tlb({ entries: 2 }));
 * for (const vpn of [1, 2, 1, 3]) subject.reference(vpn, 0);
 * subject.counts(); // => { hits: 1, misses: 3, fills: 3, evictions: 1 }
 * ```
 * @public
 */
export function tlbSubject(tlb: Tlb, options: SweepFillOptions = {}): SweepSubject {
  if (!(tlb instanceof Tlb)) throw noSubject('tlb', tlb, 'a Tlb');
  const { frameOf, order } = fillOptions(options);
  return {
    reference(vpn) {
      if (tlb.lookup(vpn, 0) === TlbAnswer.Miss) tlb.fill(vpn, frameOf(vpn), 0, order);
    },
    counts() {
      const { evictions, fills, hits, misses } = tlb.statistics();
      return { hits, misses, fills, evictions };
    },
  };
}

/**
 * The TLBs of a CPU as the subject of a {@link sweep}: each reference is looked up where its access is, and what misses in
 * both levels is put in. Rights play no part. It counts `firstHits`, `secondHits` and `misses`, as
 * `TlbHierarchy.statistics` does.
 *
 * @param tlbs - The hierarchy.
 * @param options - What it is filled with.
 * @returns The subject.
 * @throws `VmError` for what is no hierarchy or option.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { hierarchySubject } from 'pagewright/mmu';
 * import { TlbHierarchy } from 'pagewright/tlb';
 *
 * const arrays = { fetch: [{ entries: 1 }], load: [{ entries: 1 }], second: [{ entries: 4 }] };
 * const subject = hierarchySubject(new TlbHierarchy(arrays));
 * subject.reference(1, Access.Read);
 * subject.reference(1, Access.Write);
 * subject.reference(1, Access.Fetch);
 * subject.counts(); // => { firstHits: 1, secondHits: 1, misses: 1 }
 * ```
 * @public
 */
export function hierarchySubject(tlbs: TlbHierarchy, options: SweepFillOptions = {}): SweepSubject {
  if (!(tlbs instanceof TlbHierarchy)) throw noSubject('tlbs', tlbs, 'a TlbHierarchy');
  const { frameOf, order } = fillOptions(options);
  return {
    reference(vpn, access) {
      if (tlbs.lookup(vpn, 0, access) !== TlbAnswer.Miss) return;
      tlbs.fill({ vpn, pfn: frameOf(vpn), order }, access);
    },
    counts() {
      const { firstHits, misses, secondHits } = tlbs.statistics();
      return { firstHits, secondHits, misses };
    },
  };
}

/** What a caller gave, with the defaults. */
function fillOptions(options: SweepFillOptions): Required<SweepFillOptions> {
  checkOptions('options', options, OPTIONS);
  const { frameOf = (vpn) => vpn, order = 0 } = options;
  if (typeof frameOf !== 'function') throw noSubject('options.frameOf', frameOf, 'a function');
  return { frameOf, order: checkInteger('options.order', order, 0, 30) };
}

function noSubject(argument: string, value: unknown, expected: string): VmError {
  return new VmError('bad-argument', { argument, value, expected });
}
