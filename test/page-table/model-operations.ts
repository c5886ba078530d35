import fc from 'fast-check';
import { Prot } from 'pagewright/core';
import { type Invalidations, OUT_OF_FRAMES, type PageTable } from 'pagewright/page-table';
import { expect } from 'vitest';
import { type ReferenceOutcome, ReferencePageTable } from '../../src/reference/page-table.js';
import { flagsOf, type ModelMachine, outcomeOf } from './model-machine.js';
import type { Places } from './model-places.js';

/** The models of a machine's page tables, in the same order. */
export type Models = ReferencePageTable[];

export type ModelCommand = fc.Command<Models, ModelMachine>;

type Commands = readonly fc.Arbitrary<ModelCommand>[];

/** One operation, for both: arguments are known. */
interface Act {
  readonly args: readonly unknown[];
  readonly real: (table: PageTable, machine: ModelMachine) => number;
  readonly model: (model: ReferencePageTable) => ReferenceOutcome;
}

/** An operation whose arguments depend on what is mapped when its turn comes. */
class Operation implements ModelCommand {
  private readonly name: string;
  private readonly which: number;
  private readonly plan: (model: ReferencePageTable) => Act;
  private text = '';

  constructor(name: string, which: number, plan: (model: ReferencePageTable) => Act) {
    this.name = name;
    this.which = which;
    this.plan = plan;
  }

  check(): boolean {
    return true;
  }

  run(models: Models, machine: ModelMachine): void {
    const at = this.which % models.length;
    const model = models[at]!;
    const { args, model: expected, real } = this.plan(model);
    this.text = `${this.name}(${args.map((arg) => JSON.stringify(arg)).join(', ')}) of table ${at}`;
    const outcome = outcomeOf(() => real(machine.tables[at]!, machine));
    if (outcome !== 'out-of-frames') expect(outcome).toBe(expected(model));
    machine.check(models);
  }

  toString(): string {
    return this.text === '' ? this.name : this.text;
  }
}

/** The invalidations are done: frames go back, broken entries are made. */
class Complete implements ModelCommand {
  check(): boolean {
    return true;
  }

  run(models: Models, machine: ModelMachine): void {
    machine.complete();
    machine.check(models);
  }

  toString(): string {
    return 'complete()';
  }
}

const SHARING = [undefined, (vpn: number, pages: number) => Math.floor(vpn / pages) % 3 !== 0];

/** Copies the first page table; or takes the copy down when there is one. */
class CloneOrDestroy implements ModelCommand {
  private readonly copyOnWrite: boolean;
  private readonly isShared: ((vpn: number, pages: number) => boolean) | undefined;

  constructor(copyOnWrite: boolean, sharing: number) {
    this.copyOnWrite = copyOnWrite;
    this.isShared = SHARING[sharing];
  }

  check(): boolean {
    return true;
  }

  run(models: Models, machine: ModelMachine): void {
    const { observed: observer, owed, tables } = machine;
    const { copyOnWrite, isShared } = this;
    if (models.length > 1) {
      models.pop();
      tables.pop()!.destroy(owed);
    } else {
      const predicate = isShared === undefined ? {} : { isShared };
      const copy = tables[0]!.clone({ copyOnWrite, observer, context: 2, ...predicate }, owed);
      if (copy !== null) {
        tables.push(copy);
        models.push(models[0]!.clone(copyOnWrite, isShared));
      }
    }
    machine.check(models);
  }

  toString(): string {
    return `clone or destroy (${this.copyOnWrite}, ${this.isShared ?? 'none'})`;
  }
}

/** A number from which frames are chosen. */
const choice = fc.nat(255);

function operation<Args>(
  name: string,
  args: fc.Arbitrary<Args>,
  plan: (args: Args, model: ReferencePageTable) => Act,
): fc.Arbitrary<ModelCommand> {
  return fc
    .tuple(fc.nat(1), args)
    .map(([which, values]) => new Operation(name, which, (model) => plan(values, model)));
}

/** Every operation of a page table, with arguments from `places`. */
export function modelCommands(places: Places): fc.Arbitrary<ModelCommand>[] {
  const canProtect = (places.kind.granted(0) & Prot.Write) === 0;
  const map = mapCommand(places);
  return [
    ...[map, map, map],
    ...leafCommands(places),
    ...changeCommands(places),
    ...structureCommands(places),
    ...rangeCommands(places),
    ...swapCommands(places),
    fc.constant(new Complete()),
    fc
      .tuple(fc.boolean(), fc.nat(1))
      .map(([wanted, sharing]) => new CloneOrDestroy(wanted && canProtect, sharing)),
  ];
}

function mapCommand(places: Places): fc.Arbitrary<ModelCommand> {
  const { flags, kind, page } = places;
  const args = fc.record({ page, size: fc.nat(7), skew: fc.nat(9), frame: choice, flags });
  return operation('map', args, (chosen, model) => {
    const pages = places.sizeAt(chosen.size);
    const vpn = places.alignedPage(chosen.page, model, pages, chosen.skew);
    const pfn = places.frameAt(vpn, pages, chosen.frame);
    return {
      args: [vpn, pages, pfn, chosen.flags],
      real: (table, { owed }) =>
        table.map(vpn, pfn, flagsOf(kind, table, chosen.flags), owed, pages),
      model: (m) => m.map(vpn, pages, pfn, chosen.flags),
    };
  });
}

/** What takes a page and nothing else. */
function leafCommands(places: Places): Commands {
  const onPage = (
    name: string,
    real: (table: PageTable, vpn: number, machine: ModelMachine) => number,
    expected: (model: ReferencePageTable, vpn: number) => ReferenceOutcome,
  ): fc.Arbitrary<ModelCommand> =>
    operation(name, places.usedPage, (at, model) => {
      const vpn = places.pageAt(at, model);
      return {
        args: [vpn],
        real: (table, machine) => real(table, vpn, machine),
        model: (m) => expected(m, vpn),
      };
    });
  return [
    onPage(
      'unmap',
      (table, vpn, { owed }) => table.unmap(vpn, owed),
      (model, vpn) => model.unmap(vpn),
    ),
    onPage(
      'lookup',
      (table, vpn) => table.lookup(vpn),
      (model, vpn) => model.lookup(vpn),
    ),
  ];
}

/** Changes of what a leaf says. */
function changeCommands(places: Places): Commands {
  const { flags, kind, prot, usedPage: page } = places;
  const newFlags = fc.option(flags, { nil: undefined });
  const remap = operation(
    'remap',
    fc.record({ page, frame: choice, flags: newFlags }),
    (args, model) => {
      const vpn = places.pageAt(args.page, model);
      const leaf = model.leafAt(vpn);
      const pfn = places.frameAt(leaf?.vpn ?? vpn, leaf?.pages ?? 1, args.frame);
      return {
        args: [vpn, pfn, args.flags],
        real: (table, { owed }) => {
          const own = args.flags === undefined ? undefined : flagsOf(kind, table, args.flags);
          return table.remap(vpn, pfn, owed, own);
        },
        model: (m) => m.remap(vpn, pfn, args.flags),
      };
    },
  );
  const protect = operation('protect', fc.record({ page, prot }), (args, model) => {
    const vpn = places.pageAt(args.page, model);
    return {
      args: [vpn, args.prot],
      real: (table, { owed }) => table.protect(vpn, args.prot, owed),
      model: (m) => m.protect(vpn, args.prot),
    };
  });
  const marks = fc.record({ page, dirty: fc.boolean(), value: fc.boolean() });
  const mark = operation('mark', marks, ({ dirty, page: at, value }, model) => {
    const vpn = places.pageAt(at, model);
    return {
      args: [vpn, dirty ? 'dirty' : 'accessed', value],
      real: (table, { owed }) => markPage(table, vpn, dirty, value, owed),
      model: (m) => (dirty ? m.setDirty(vpn, value) : m.setAccessed(vpn, value)),
    };
  });
  return [remap, protect, mark];
}

function markPage(
  table: PageTable,
  vpn: number,
  dirty: boolean,
  value: boolean,
  owed: Invalidations,
): number {
  if (dirty) return value ? table.setDirty(vpn, true, owed) : table.testAndClearDirty(vpn, owed);
  return value ? table.setAccessed(vpn, true, owed) : table.testAndClearAccessed(vpn, owed);
}

/** The same pages in other leaves. */
function structureCommands(places: Places): Commands {
  const { usedPage: page } = places;
  const split = operation('split', fc.record({ page, any: fc.nat(3) }), (args, model) => {
    const large = places.largePage(args.page, model) + Math.max(0, args.page.offset);
    const vpn = args.any === 0 ? places.pageAt(args.page, model) : large;
    return {
      args: [vpn],
      real: (table, { owed }) => table.split(vpn, owed),
      model: (m) => m.split(vpn),
    };
  });
  const shape = fc.record({ page, size: fc.nat(7), skew: fc.nat(9) });
  const collapse = operation('collapse', shape, (args, model) => {
    const pages = places.largerSize(places.pageAt(args.page, model), model, args.size);
    const vpn = places.alignedPage(args.page, model, pages, args.skew);
    return {
      args: [vpn, pages],
      real: (table, { owed }) => table.collapse(vpn, pages, owed),
      model: (m) => m.collapse(vpn, pages),
    };
  });
  return [split, collapse, splitAndCollapse(places)];
}

/** By chance alone, all pieces would seldom be there. */
function splitAndCollapse(places: Places): fc.Arbitrary<ModelCommand> {
  return operation('split, mark and collapse', places.usedPage, (at, model) => {
    const vpn = places.largePage(at, model);
    const pages = model.leafAt(vpn)?.pages ?? 1;
    const dirty = at.offset > 0;
    return {
      args: [vpn, pages, dirty ? 'dirty' : 'accessed'],
      real: (table, { owed }) => {
        if (table.split(vpn, owed) === OUT_OF_FRAMES) return OUT_OF_FRAMES;
        markPage(table, vpn, dirty, true, owed);
        return table.collapse(vpn, pages, owed);
      },
      model: (m) => {
        m.split(vpn);
        if (dirty) m.setDirty(vpn, true);
        else m.setAccessed(vpn, true);
        return m.collapse(vpn, pages);
      },
    };
  });
}

/** In the largest pages that fit, or in pages of one size. */
function mapRangeCommand(places: Places): fc.Arbitrary<ModelCommand> {
  const { flags, kind, page, stretch } = places;
  const chosen = fc.record({ page, stretch, frame: choice, flags, fixed: fc.nat(15) });
  return operation('mapRange', chosen, (args, model) => {
    const fixed = args.fixed < 4 ? places.sizeAt(args.fixed) : undefined;
    const vpn =
      fixed === undefined
        ? places.pageAt(args.page, model)
        : places.alignedPage(args.page, model, fixed, args.frame & 15);
    const frame = places.frameAt(vpn, fixed ?? 1, args.frame);
    const pages = places.lengthToMap(vpn, frame, args.stretch, fixed);
    // The last frames: as many as are needed.
    const last = Math.max(0, frame + (fixed ?? 1) - pages);
    const pfn = (args.frame & 7) === 5 ? last : frame;
    const range = { vpn, pfn, pages, ...(fixed === undefined ? {} : { pageSize: fixed }) };
    return {
      args: [range, args.flags],
      real: (table, { owed }) =>
        table.mapRange({ ...range, flags: flagsOf(kind, table, args.flags) }, owed),
      model: (m) => m.mapRange({ ...range, flags: args.flags }),
    };
  });
}

function rangeCommands(places: Places): Commands {
  const { page, prot, stretch } = places;
  const mapRange = mapRangeCommand(places);
  const unmapRange = operation('unmapRange', fc.record({ page, stretch }), (args, model) => {
    const { end, first } = places.options.spans[args.stretch.size % places.options.spans.length]!;
    const whole = args.stretch.more === 20;
    const vpn = whole ? first : places.pageAt(args.page, model);
    const pages = whole ? end - first : places.lengthFrom(vpn, args.stretch);
    return {
      args: [vpn, pages],
      real: (table, { owed }) => table.unmapRange({ vpn, pages }, owed),
      model: (m) => m.unmapRange(vpn, pages),
    };
  });
  const protectRange = operation(
    'protectRange',
    fc.record({ page, stretch, prot }),
    (args, model) => {
      const vpn = places.pageAt(args.page, model);
      const pages = places.lengthFrom(vpn, args.stretch);
      return {
        args: [vpn, pages, args.prot],
        real: (table, { owed }) => table.protectRange({ vpn, pages, prot: args.prot }, owed),
        model: (m) => m.protectRange(vpn, pages, args.prot),
      };
    },
  );
  return [mapRange, mapRange, unmapRange, protectRange];
}

function swapCommands(places: Places): Commands {
  const { flags, kind, page, usedPage } = places;
  if (kind.format.swap === null) return [];
  const entry = fc.record({ type: fc.nat(31), offset: fc.integer({ min: 1, max: 0xffff }) });
  const setSwap = operation('setSwap', fc.record({ page: usedPage, entry }), (args, model) => {
    const vpn = places.pageAt(args.page, model);
    return {
      args: [vpn, args.entry],
      real: (table, { owed }) => table.setSwap(vpn, args.entry, owed),
      model: (m) => m.setSwap(vpn, args.entry),
    };
  });
  const swapIn = operation(
    'swapIn',
    fc.record({ page, swapped: fc.nat(31), frame: choice, flags }),
    (args, model) => {
      const all = model.swappedInOrder;
      const [swapped] = all[args.swapped % Math.max(1, all.length)] ?? [];
      const vpn = args.page.offset > 2 ? undefined : swapped;
      const at = vpn ?? places.pageAt(args.page, model);
      const pfn = places.frameAt(at, 1, args.frame);
      return {
        args: [at, pfn, args.flags],
        real: (table, { owed }) => table.swapIn(at, pfn, flagsOf(kind, table, args.flags), owed),
        model: (m) => m.swapIn(at, pfn, args.flags),
      };
    },
  );
  return [setSwap, swapIn];
}

/** A model and a machine that have one empty page table each. */
export function emptyModel(places: Places): Models {
  return [new ReferencePageTable(places.options)];
}
