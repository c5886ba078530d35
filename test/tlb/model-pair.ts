import type { VmEvent } from 'pagewright/core';
import {
  CoalescingTlb,
  type FlushScope,
  Tlb,
  TlbAnswer,
  TlbContexts,
  type TlbEntry,
  type TlbFill,
  type TlbOptions,
  tlbPolicy,
} from 'pagewright/tlb';
import { expect } from 'vitest';
import {
  type ReferenceAnswer,
  type ReferenceContext,
  type ReferenceEntry,
  type ReferenceFill,
  ReferenceTlb,
} from '../../src/reference/tlb.js';
import { ReferenceContexts } from '../../src/reference/tlb-contexts.js';
import type { Shape } from './model-shapes.js';

/** Something that happens to a TLB. */
export interface Step {
  readonly kind: 'context' | 'fill' | 'flush' | 'lookup' | 'restart' | 'save' | 'watch';
  readonly vpn: number;
  readonly order: number;
  /** Neighbours that are filled with it, as by a walker that sees a line of entries. */
  readonly run: number;
  /** -1: the page is not mapped. */
  readonly frame: number;
  readonly fragment: boolean;
  readonly rights: number;
  readonly memoryType: number;
  readonly global: boolean;
  readonly asid: number;
  readonly vmid: number;
  readonly root: number;
  readonly pages: number | null;
  /** A bit for each restriction of a flush. */
  readonly which: number;
}

/** What must be tried: a comparison of what never happens would prove nothing. */
export const SITUATIONS = [
  'clock at its end',
  'denied',
  'eviction',
  'flushed',
  'fragment flushed',
  'gigantic page hit',
  'global hit',
  'group hit',
  'kept id',
  'miss',
  'not-present',
  'observed',
  'overlap allowed',
  'overlap refused',
  'own before global',
  'page leaves its group',
  'recycled id',
  'split group',
  'stale id refused',
  'superpage hit',
] as const;
type Situation = (typeof SITUATIONS)[number];

/** How often each has happened, in all runs together. */
export const happened: Map<Situation, number> = new Map();

function note(what: Situation, is = true): void {
  if (is) happened.set(what, (happened.get(what) ?? 0) + 1);
}

/** A TLB and its obvious version, and what is done to both. */
export class Pair {
  private tlb: CoalescingTlb | Tlb;
  private readonly model: ReferenceTlb;
  private readonly contexts: ReferenceContexts;
  private readonly shape: Shape;
  private readonly options: TlbOptions;
  /** The last id of each context. */
  private readonly ids: Map<string, number> = new Map();
  private events: VmEvent[] | null = null;
  /** Hits that the clock was put forward by. */
  private skipped = 0;

  constructor(shape: Shape, overlaps: 'allow' | 'refuse', countSets: boolean) {
    const { coalesce, entries, kind, limit = 4096, ways } = shape;
    this.shape = shape;
    const policy = kind === undefined ? {} : { policy: tlbPolicy(kind) };
    this.options = { entries, ways, overlaps, countSets, ...policy };
    const options = { ...this.options, contexts: new TlbContexts({ limit }) };
    this.tlb = coalesce ? new CoalescingTlb({ ...options, coalesce }) : new Tlb(options);
    const reference = shape.reference();
    const order = Math.log2(coalesce ?? 1);
    this.model = new ReferenceTlb(entries / ways, order, () => reference(ways));
    this.contexts = new ReferenceContexts(limit);
  }

  run(one: Step): void {
    const { evictions, fills, hits, misses } = this.model;
    this.happen(one);
    this.compare();
    const { events, model } = this;
    if (events === null) return;
    note('observed', events.length > 0);
    const types = ['tlb-hit', 'tlb-miss', 'tlb-fill', 'tlb-evict'];
    expect(types.map((type) => events.filter((event) => event.type === type).length)).toEqual([
      ...[model.hits - hits, model.misses - misses, model.fills - fills],
      model.evictions - evictions,
    ]);
    events.length = 0;
  }

  private happen(one: Step): void {
    if (one.kind === 'lookup') this.lookup(one.vpn, one.rights);
    else if (one.kind === 'fill') this.fillRun(one);
    else if (one.kind === 'context') this.switchTo(one);
    else if (one.kind === 'flush') this.flush(one);
    else if (one.kind === 'watch') this.watch();
    else this.save(one.kind === 'restart');
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
    if (typeof answer === 'string') note(answer);
    if (expected === null) return;
    note('global hit', expected.global);
    note('superpage hit', !expected.group && expected.order > 0);
    note('gigantic page hit', expected.order >= 18);
    note('group hit', expected.group && expected.pages.size > 1);
    note(
      'own before global',
      this.model.entries.some(
        (other) => other.global && other.first === expected.first && !expected.global,
      ),
    );
  }

  private fillRun(one: Step): void {
    const run = one.order === 0 ? one.run : 1;
    for (let page = 0; page < run; page++) this.fill({ ...one, vpn: one.vpn + page });
  }

  private fill(one: Step): void {
    const { fragment, global, memoryType, order, vpn } = one;
    // Frames of neighbours follow each other as often as not.
    const pfn =
      one.frame < 0
        ? null
        : (order > 9 ? 2 ** 31 : 4096) * one.frame + (vpn % 2 ** Math.max(order, 10));
    const pageOrder = fragment ? Math.min(order + 9, 30) : order;
    const rights = pfn === null ? -1 : one.rights;
    const fill: ReferenceFill = { vpn, pfn, order, rights, global, memoryType, pageOrder };
    const entry: TlbFill = {
      ...{ vpn, order, rights: one.rights, global, memoryType, pageOrder },
      ...(pfn === null ? {} : { pfn }),
    };
    if (this.model.overlaps(fill)) {
      note(this.options.overlaps === 'refuse' ? 'overlap refused' : 'overlap allowed');
      if (this.options.overlaps === 'refuse') {
        expect(() => this.tlb.insert(entry)).toThrow(expect.objectContaining({ code: 'overlap' }));
        return;
      }
    }
    const { evictions } = this.model;
    this.tlb.insert(entry);
    this.model.fill(fill);
    note('eviction', this.model.evictions > evictions);
    note(
      'split group',
      this.model.entries.some(
        (other) =>
          other.group &&
          this.model.entries.some(
            (twin) => twin !== other && twin.group && twin.first === other.first,
          ),
      ),
    );
  }

  private switchTo({ asid, root, vmid, which }: Step): void {
    const context = { asid, vmid, root };
    this.tlb.context = this.idOf(context, (which & 1) !== 0);
    const before = this.model.entries.length;
    for (const space of this.contexts.switchTo(context)) this.model.forget(space);
    this.model.context = context;
    note('recycled id', this.model.entries.length < before);
  }

  /** The id of a context: the one that it was given before, if that is still its own, or a new one. */
  private idOf(context: ReferenceContext, mayKeep: boolean): number {
    const { contexts } = this.tlb;
    const name = Object.values(context).join();
    const kept = this.ids.get(name);
    const known = this.contexts.knows(context);
    if (kept !== undefined && !known) {
      note('stale id refused');
      const refused = expect.objectContaining({ code: 'bad-argument' });
      expect(() => contexts.describe(kept)).toThrow(refused);
      expect(() => Reflect.set(this.tlb, 'context', kept)).toThrow(refused);
    }
    if (kept !== undefined && known) {
      expect(contexts.describe(kept)).toEqual(context);
      // To be current already is no use.
      if (mayKeep && kept !== this.tlb.context) {
        note('kept id');
        return kept;
      }
    }
    const id = contexts.intern(context);
    if (kept !== undefined) expect(id === kept).toBe(known);
    this.ids.set(name, id);
    return id;
  }

  private flush({ asid, global, pages, root, vmid, vpn, which }: Step): void {
    const scope: FlushScope = {
      globals: global,
      ...(which & 1 ? { asid } : {}),
      ...(which & 2 ? { vmid } : {}),
      ...(which & 4 ? { root } : {}),
      ...(which & 24 ? {} : { exceptVmid: vmid }),
      ...((which & 24) === 24 ? { exceptRoot: root } : {}),
      ...(pages === null ? {} : { vpn, ...(pages > 1 ? { pages } : {}) }),
    };
    const others = { translations: false, structures: 'all', secondStage: true } as const;
    expect(this.tlb.flush({ ...scope, caches: others })).toBe(0);
    const fragments = this.model.entries.filter(({ order, pageOrder }) => pageOrder > order).length;
    const groups = this.model.entries.filter(({ group }) => group);
    const pagesOf = groups.map(({ pages }) => pages.size);
    const dropped = this.model.flush(scope);
    expect(this.tlb.flush(scope)).toBe(dropped);
    const left = this.model.entries;
    note('flushed', dropped > 0);
    note(
      'fragment flushed',
      left.filter(({ order, pageOrder }) => pageOrder > order).length < fragments,
    );
    const smaller = groups.some(({ pages }, at) => pages.size > 0 && pages.size < pagesOf[at]!);
    note('page leaves its group', smaller);
  }

  /** Somebody watches from now on, or nobody does. */
  private watch(): void {
    this.events = this.events === null ? [] : null;
    this.observe();
  }

  private observe(): void {
    const { events } = this;
    this.tlb.observer = events === null ? null : (event) => events.push(event);
  }

  /** Goes on with what a snapshot gives back; of one kind, the clock comes to its end within a few hits. */
  private save(late: boolean): void {
    const { coalesce } = this.shape;
    const plain: ReturnType<Tlb['snapshot']> = JSON.parse(JSON.stringify(this.tlb.snapshot()));
    const [clock = 0, ...others] = plain.counts;
    const put = late && clock < 2 ** 30 ? 2 ** 31 - 4 : clock;
    this.skipped += put - clock;
    note('clock at its end', put > clock);
    const saved = { ...plain, counts: [put, ...others] };
    this.tlb = coalesce
      ? CoalescingTlb.restore(saved, { ...this.options, coalesce })
      : Tlb.restore(saved, this.options);
    expect(this.tlb.snapshot()).toEqual(saved);
    this.observe();
    if (this.events !== null) this.events.length = 0;
  }

  private compare(): void {
    const { model, tlb } = this;
    tlb.checkInvariants();
    tlb.contexts.checkInvariants();
    expect(tlb.content().map(showOurs).sort()).toEqual(model.entries.map(showModel).sort());
    const { hits, misses, fills, evictions } = model;
    const { sets, ...counts } = tlb.statistics();
    expect(counts).toEqual({ hits: hits + this.skipped, misses, fills, evictions });
    if (this.options.countSets) expect(sets).toEqual(model.perSet);
  }
}

function showOurs(entry: TlbEntry & { readonly members?: number }): string {
  const { context, global, memoryType, members = 0, pages, pfn, rights, set, vpn, way } = entry;
  const space = `${global ? 'every' : context.asid}/${context.vmid}/${context.root}`;
  const held = [...Array(32).keys()].filter((at) => (members >>> at) & 1).map((at) => vpn + at);
  const distance = pfn === null ? 'none' : pfn - vpn;
  const place = `${set}/${way}:`;
  return [place, vpn, pages, space, distance, rights, memoryType, entry.pageOfPages, held].join(
    ' ',
  );
}

function showModel(entry: ReferenceEntry): string {
  const { context, distance, first, global, memoryType, order, pageOrder, rights, set, way } =
    entry;
  const space = `${global ? 'every' : context.asid}/${context.vmid}/${context.root}`;
  const held = [...entry.pages].sort((a, b) => a - b);
  const facts = [first, 2 ** order, space, distance ?? 'none', rights, memoryType, 2 ** pageOrder];
  return [`${set}/${way}:`, ...facts, held].join(' ');
}

function numberOf(answer: ReferenceAnswer): number {
  if (answer === 'miss') return TlbAnswer.Miss;
  if (answer === 'denied') return TlbAnswer.Denied;
  return answer === 'not-present' ? TlbAnswer.NotPresent : answer;
}
