import fc from 'fast-check';
import { VmError } from 'pagewright/core';
import {
  clock,
  fifo,
  lfu,
  lru,
  nru,
  type PolicyKind,
  random,
  secondChance,
  treePlru,
} from 'pagewright/replacement';
import {
  CoalescingTlb,
  type FlushScope,
  Tlb,
  TlbAnswer,
  TlbContexts,
  type TlbEntry,
  type TlbOptions,
  tlbPolicy,
} from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';
import type { ReferencePolicy } from '../../src/reference/replacement.js';
import {
  ReferenceBitNru,
  ReferenceClock,
  ReferenceSecondChance,
  ReferenceTreePlru,
} from '../../src/reference/replacement-bits.js';
import {
  ReferenceFifo,
  ReferenceLfu,
  ReferenceLru,
  ReferenceRandom,
} from '../../src/reference/replacement-order.js';
import {
  type ReferenceAnswer,
  type ReferenceEntry,
  ReferenceTlb,
} from '../../src/reference/tlb.js';

// The fast TLBs against a plain list of entries with explicit recency: every answer, every count, and after each step
// everything that is in them.

interface Shape {
  readonly name: string;
  readonly entries: number;
  readonly ways: number;
  /** 0: a plain Tlb. */
  readonly coalesce?: number;
  /** Left out: the LRU that is built in. */
  readonly kind?: PolicyKind;
  readonly reference?: (ways: number) => ReferencePolicy;
}

const bitNru = nru({ reset: 'when-all-referenced' });

const SHAPES: readonly Shape[] = [
  { name: 'one entry', entries: 1, ways: 1 },
  { name: 'direct-mapped', entries: 4, ways: 1 },
  { name: '2 sets of 2', entries: 4, ways: 2 },
  { name: '3 sets of 5', entries: 15, ways: 5 },
  { name: '6 sets of 2', entries: 12, ways: 2 },
  { name: 'fully associative, 4', entries: 4, ways: 4 },
  { name: 'fully associative, 17: found through chains', entries: 17, ways: 17 },
  { name: '1,536 entries in 12 ways', entries: 1536, ways: 12 },
  { name: 'LRU told', entries: 6, ways: 3, kind: lru() },
  { name: 'FIFO', entries: 6, ways: 3, kind: fifo(), reference: (ways) => new ReferenceFifo(ways) },
  {
    name: 'FIFO of 18',
    entries: 18,
    ways: 18,
    kind: fifo(),
    reference: (ways) => new ReferenceFifo(ways),
  },
  {
    name: 'tree-PLRU',
    entries: 8,
    ways: 4,
    kind: treePlru(),
    reference: (ways) => new ReferenceTreePlru(ways),
  },
  {
    name: 'NRU',
    entries: 6,
    ways: 3,
    kind: bitNru,
    reference: (ways) => new ReferenceBitNru(ways),
  },
  {
    name: 'random',
    entries: 3,
    ways: 3,
    kind: random({ seed: 9 }),
    reference: (ways) => new ReferenceRandom(ways, 9),
  },
  {
    name: 'CLOCK',
    entries: 6,
    ways: 3,
    kind: clock(),
    reference: (ways) => new ReferenceClock(ways),
  },
  {
    name: 'second chance',
    entries: 6,
    ways: 3,
    kind: secondChance(),
    reference: (ways) => new ReferenceSecondChance(ways),
  },
  { name: 'LFU', entries: 6, ways: 3, kind: lfu(), reference: (ways) => new ReferenceLfu(ways) },
  { name: 'pairs coalesced', entries: 4, ways: 2, coalesce: 2 },
  { name: 'groups of 8', entries: 6, ways: 3, coalesce: 8 },
  { name: 'groups of 32, through chains', entries: 20, ways: 20, coalesce: 32 },
];

const ORDERS = [0, 0, 0, 0, 1, 2, 3, 5, 9];
/** Where pages are: at 0, around 2^31 and 2^32, and at the very top. */
const PLACES = [0, 0, 0, 2 ** 31 - 4, 2 ** 32 - 4, 2 ** 52 - 512];
const ASIDS = [0, 1, 65535];

interface Step {
  readonly kind: 'context' | 'fill' | 'flush' | 'lookup' | 'save';
  readonly place: number;
  readonly near: number;
  readonly order: number;
  readonly smaller: number;
  readonly frame: number;
  readonly rights: number;
  readonly global: boolean;
  readonly asid: number;
  readonly vmid: number;
  readonly range: 'all' | 'page' | 'pages';
  readonly which: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    'lookup',
    'lookup',
    'lookup',
    'fill',
    'fill',
    'fill',
    'context',
    'flush',
    'save',
  ),
  place: fc.constantFrom(...PLACES),
  near: fc.nat(40),
  order: fc.constantFrom(...ORDERS),
  smaller: fc.nat(3),
  frame: fc.integer({ min: -1, max: 3 }),
  rights: fc.integer({ min: 0, max: 3 }),
  global: fc.constantFrom(false, false, true),
  asid: fc.constantFrom(...ASIDS),
  vmid: fc.constantFrom(0, 0, 0, 65535),
  range: fc.constantFrom('page', 'page', 'pages', 'all'),
  which: fc.nat(31),
});

/** What both have in common, as text. */
function shown(list: readonly string[]): readonly string[] {
  return [...list].sort();
}

function showOurs(entry: TlbEntry & { readonly members?: number }): string {
  const { context, global, memoryType, pages, pfn, rights, vpn } = entry;
  const space = `${global ? 'every' : context.asid}/${context.vmid}/${context.root}`;
  const group = (entry.members ?? 0) !== 0;
  const members = group
    ? Array.from({ length: pages }, (_, page) => vpn + page).filter((page) => {
        return ((entry.members ?? 0) >>> (page - vpn)) & 1;
      })
    : [];
  const distance = pfn === null ? 'none' : pfn - vpn;
  return [vpn, pages, space, distance, rights, memoryType, entry.pageOfPages, ...members].join(' ');
}

function showModel(entry: ReferenceEntry): string {
  const { context, distance, first, global, memoryType, order, pageOrder, rights } = entry;
  const space = `${global ? 'every' : context.asid}/${context.vmid}/${context.root}`;
  const members = [...entry.pages].sort((a, b) => a - b);
  const facts = [first, 2 ** order, space, distance ?? 'none', rights, memoryType, 2 ** pageOrder];
  return [...facts, ...members].join(' ');
}

/** Both of them, and what is done to both. */
class Pair {
  tlb: CoalescingTlb | Tlb;
  private readonly model: ReferenceTlb;
  private readonly shape: Shape;
  private readonly overlaps: 'allow' | 'refuse';
  private readonly options: TlbOptions;

  constructor(shape: Shape, overlaps: 'allow' | 'refuse', countSets: boolean) {
    const { coalesce = 0, entries, kind, ways } = shape;
    this.shape = shape;
    this.overlaps = overlaps;
    const policy = kind === undefined ? {} : { policy: tlbPolicy(kind) };
    this.options = { entries, ways, overlaps, countSets, ...policy };
    const contexts = new TlbContexts();
    const options = { ...this.options, contexts };
    this.tlb = coalesce > 0 ? new CoalescingTlb({ ...options, coalesce }) : new Tlb(options);
    const reference = shape.reference ?? ((slots: number) => new ReferenceLru(slots));
    const order = coalesce > 0 ? Math.log2(coalesce) : 0;
    this.model = new ReferenceTlb(entries / ways, order, () => reference(ways));
  }

  run(one: Step): void {
    const vpn = one.place + one.near;
    if (one.kind === 'lookup') this.lookup(vpn, one.rights);
    else if (one.kind === 'fill') this.fill(one, vpn);
    else if (one.kind === 'context') this.switchTo(one);
    else if (one.kind === 'flush') this.flush(one, vpn);
    else this.save();
    this.compare();
  }

  private lookup(vpn: number, need: number): void {
    const expected = this.model.entryFor(vpn);
    expect(this.tlb.peek(vpn) >= 0).toBe(expected !== null);
    const answer = this.model.lookup(vpn, need);
    expect(this.tlb.lookup(vpn, need)).toBe(numberOf(answer));
    // `find` is a lookup that needs nothing.
    const found = this.model.lookup(vpn, 0);
    const slot = this.tlb.find(vpn);
    expect(slot < 0 ? TlbAnswer.Miss : this.tlb.pfnAt(slot, vpn)).toBe(numberOf(found));
  }

  private fill(one: Step, page: number): void {
    const vpn = one.order === 9 ? page - (page % 512) + (page % 40) : page;
    const order = one.order;
    // Frames of neighbours follow each other as often as not.
    const pfn = one.frame < 0 ? null : 4096 * one.frame + (vpn % 1024);
    const pageOrder = Math.min(order + (one.smaller === 3 ? 9 : 0), 30);
    const { global, rights } = one;
    const fill = { vpn, pfn, order, rights, global, memoryType: one.smaller % 2, pageOrder };
    const asWell = pfn === null ? { ...fill, rights: -1 } : fill;
    const put = (): number =>
      this.tlb.insert({ ...asWell, ...(pfn === null ? { pfn: undefined } : { pfn }) } as never);
    if (this.overlaps === 'refuse' && this.model.overlaps(fill)) {
      expect(put).toThrow(VmError);
      return;
    }
    put();
    this.model.fill(asWell);
  }

  private switchTo({ asid, vmid }: Step): void {
    this.tlb.context = this.tlb.contexts.intern({ asid, vmid });
    this.model.context = { asid, vmid, root: 0 };
  }

  private flush({ asid, global, near, range, vmid, which }: Step, vpn: number): void {
    const scope: FlushScope = {
      globals: global,
      ...(which & 1 ? { asid } : {}),
      ...(which & 2 ? { vmid } : {}),
      ...(which & 4 ? { root: 0 } : {}),
      ...(which & 8 && which & 16 ? { exceptVmid: 65535 } : {}),
      ...(range === 'all' ? {} : { vpn }),
      ...(range === 'pages' ? { pages: 1 + near } : {}),
    };
    expect(this.tlb.flush(scope)).toBe(this.model.flush(scope));
  }

  private save(): void {
    const { coalesce = 0 } = this.shape;
    const saved: ReturnType<Tlb['snapshot']> = JSON.parse(JSON.stringify(this.tlb.snapshot()));
    this.tlb =
      coalesce > 0
        ? CoalescingTlb.restore(saved, { ...this.options, coalesce })
        : Tlb.restore(saved, this.options);
    expect(this.tlb.snapshot()).toEqual(saved);
  }

  private compare(): void {
    const { model, tlb } = this;
    tlb.checkInvariants();
    expect(shown(tlb.content().map(showOurs))).toEqual(shown(model.entries.map(showModel)));
    const { hits, misses, fills, evictions } = model;
    const { sets, ...counts } = tlb.statistics();
    expect(counts).toEqual({ hits, misses, fills, evictions });
    if (sets === undefined) return;
    const sum = (name: 'evictions' | 'hits' | 'misses'): number =>
      sets.reduce((total, set) => total + set[name], 0);
    expect([sum('hits'), sum('misses'), sum('evictions')]).toEqual([hits, misses, evictions]);
  }
}

function numberOf(answer: ReferenceAnswer): number {
  if (answer === 'miss') return TlbAnswer.Miss;
  if (answer === 'denied') return TlbAnswer.Denied;
  return answer === 'not-present' ? TlbAnswer.NotPresent : answer;
}

describe('a TLB answers as a plain list of entries does', () => {
  it.each(SHAPES.map((shape) => [shape.name, shape] as const))('%s', (_name, shape) => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 60 }),
        fc.constantFrom('allow', 'refuse'),
        fc.boolean(),
        (steps, overlaps, countSets) => {
          const pair = new Pair(shape, overlaps, countSets);
          for (const one of steps) pair.run(one);
        },
      ),
    );
  });
});
