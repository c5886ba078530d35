import fc from 'fast-check';
import {
  HashedTable,
  type HashedTableSnapshot,
  InvertedTable,
  type InvertedTableSnapshot,
  LinearTable,
  type LinearTableSnapshot,
} from 'pagewright/textbook';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';

/** As one that was written to a file and read again. */
function reread<T>(snapshot: T): T {
  return JSON.parse(JSON.stringify(snapshot));
}

const hash = (page: number): number => page >> 1;

function tables(): { linear: LinearTable; hashed: HashedTable; inverted: InvertedTable } {
  return {
    linear: new LinearTable({ pageBytes: 10, pages: 16 }),
    hashed: new HashedTable({ pageBytes: 10, buckets: 4, hash }),
    inverted: new InvertedTable({ pageBytes: 10, frames: 16 }),
  };
}

describe('tables that are saved', () => {
  it('answer as before when they are restored, and count the same references', () => {
    const pairs = fc.uniqueArray(fc.tuple(fc.nat(15), fc.nat(15), fc.nat(2)), {
      selector: ([page, frame]) => page * 16 + frame,
    });
    fc.assert(
      fc.property(pairs, (commands) => {
        const { linear, hashed, inverted } = tables();
        for (const [page, frame, process] of commands) {
          linear.map(page, frame);
          hashed.insert(page, frame);
          if (inverted.snapshot().entries.every(([p, at]) => p !== process || at !== page)) {
            inverted.insert(process, page, frame);
          }
        }
        inverted.process = 1;
        const again = [
          [linear, LinearTable.restore(reread(linear.snapshot()))],
          [hashed, HashedTable.restore(reread(hashed.snapshot()), { hash })],
          [inverted, InvertedTable.restore(reread(inverted.snapshot()))],
        ] as const;
        for (const [table, restored] of again) {
          expect(restored.snapshot()).toEqual(table.snapshot());
          restored.checkInvariants();
          for (let page = 0; page < 17; page++) {
            expect(restored.lookup(page * 10 + 3)).toEqual(table.lookup(page * 10 + 3));
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  const linear: LinearTableSnapshot = {
    ...{ v: 1, type: 'linear-table', pageBytes: 10, pages: 16 },
    entries: [[3, 4]],
  };
  it.each<[string, object, string]>([
    ['another version', { v: 2 }, 'snapshot.v'],
    ['another table', { type: 'hashed-table' }, 'snapshot.type'],
    ['no entries', { entries: 7 }, 'snapshot.entries'],
    ['half an entry', { entries: [[3]] }, 'snapshot.entries[0]'],
    ['text for a page', { entries: [['3', 4]] }, 'snapshot.entries[0]'],
    ['a page beyond the table', { entries: [[16, 4]] }, 'page'],
    ['a page twice', { entries: [...linear.entries, [3, 5]] }, 'snapshot.entries'],
    ['no size', { pages: Number.NaN }, 'pages'],
  ])('are refused as linear tables with %s', (_, change, argument) => {
    const restore = (): unknown => LinearTable.restore({ ...linear, ...change });
    expect(errorOf(restore).details.argument).toBe(argument);
    expectError(() => LinearTable.restore(undefined as never), 'unsupported', 'snapshot.v');
  });

  const hashed: HashedTableSnapshot = {
    ...{ v: 1, type: 'hashed-table', pageBytes: 10, buckets: 4 },
    chains: [{ bucket: 3, links: [[7, 4]] }],
  };
  it.each<[string, object, string]>([
    ['another version', { v: 0 }, 'snapshot.v'],
    ['another table', { type: 'linear-table' }, 'snapshot.type'],
    ['no chains', { chains: {} }, 'snapshot.chains'],
    ['a chain that is none', { chains: [null] }, 'snapshot.chains'],
    ['links that are none', { chains: [{ bucket: 3, links: 7 }] }, 'snapshot.chains.links'],
    ['a page in a wrong chain', { chains: [{ bucket: 2, links: [[7, 4]] }] }, 'snapshot.chains'],
    ['a page twice', { chains: [...hashed.chains, ...hashed.chains] }, 'snapshot.chains'],
    ['a frame that is none', { chains: [{ bucket: 3, links: [[7, -1]] }] }, 'frame'],
  ])('are refused as hashed tables with %s', (_, change, argument) => {
    const restore = (): unknown => HashedTable.restore({ ...hashed, ...change });
    expect(errorOf(restore).details.argument).toBe(argument);
    // With another hash the page belongs elsewhere.
    const other = { hash: () => 0 };
    expectError(() => HashedTable.restore(hashed, other), 'bad-image', 'snapshot.chains');
  });

  const inverted: InvertedTableSnapshot = {
    ...{ v: 1, type: 'inverted-table', pageBytes: 10, frames: 16, process: 1 },
    entries: [[1, 2, 3]],
  };
  it.each<[string, object, string]>([
    ['another version', { v: '1' }, 'snapshot.v'],
    ['another table', { type: undefined }, 'snapshot.type'],
    ['a frame twice', { entries: [...inverted.entries, [1, 4, 3]] }, 'snapshot.entries'],
    ['a page twice', { entries: [...inverted.entries, [1, 2, 4]] }, 'page'],
    ['a frame beyond the table', { entries: [[1, 2, 16]] }, 'frame'],
    ['a process that is none', { process: '7' }, 'process'],
    ['a process that is none in an entry', { entries: [[-1, 2, 3]] }, 'process'],
  ])('are refused as inverted tables with %s', (_, change, argument) => {
    const restore = (): unknown => InvertedTable.restore({ ...inverted, ...change });
    expect(errorOf(restore).details.argument).toBe(argument);
  });
});

describe('tables that somebody broke', () => {
  /** Puts something into a private field. */
  function broken<T extends object>(table: T, field: string, value: unknown): T {
    return Object.assign(table, { [field]: value });
  }

  it('say what is wrong', () => {
    const { linear, hashed, inverted } = tables();
    for (const table of [linear, hashed, inverted]) table.checkInvariants();
    const beyond = broken(linear, 'frames', new Map([[16, 1]]));
    expect(() => beyond.checkInvariants()).toThrow('page 16 is mapped to 1');
    const nowhere = broken(tables().linear, 'frames', new Map([[1, -1]]));
    expect(() => nowhere.checkInvariants()).toThrow('page 1 is mapped to -1');
    const link = { page: 2, frame: 1 };
    const astray = broken(hashed, 'chains', [[link], [], [], []]);
    expect(() => astray.checkInvariants()).toThrow('page 2 is in chain 0');
    const twice = broken(tables().hashed, 'chains', [[], [link, link], [], []]);
    expect(() => twice.checkInvariants()).toThrow('chain 1 has a page twice');
    const entry = { process: 1, page: 2 };
    const double = broken(inverted, 'entries', [entry, null, entry]);
    expect(() => double.checkInvariants()).toThrow('page 2 of process 1 is in two frames');
  });
});
