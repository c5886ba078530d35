import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import {
  countMisses,
  fifo,
  lru,
  missCurve,
  missesAt,
  opt,
  optMissCurve,
  type PolicyKind,
} from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';
import { readLackey } from './lackey.js';

type BySize = Readonly<Record<string, number>>;

/** What was computed of a trace, independently. */
interface Figures {
  readonly lines: number;
  readonly unparsed: number;
  readonly headerLines: number;
  readonly counts: Readonly<Record<'I' | 'L' | 'S' | 'M', number>>;
  readonly pageCrossing: number;
  readonly dataPageRefs: number;
  readonly dataPages: number;
  readonly instrPages: number;
  readonly misses: Readonly<Record<'LRU' | 'FIFO' | 'OPT' | 'setAssocLRU', BySize>>;
}

function fixture(name: string): Buffer {
  const bytes = readFileSync(new URL(`../fixtures/traces/${name}`, import.meta.url));
  return name.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

/** The same figures by size, ours and theirs. */
function bySize(recorded: BySize, ours: (size: string) => number): [BySize, BySize] {
  const sizes = Object.keys(recorded).map((size) => [size, ours(size)] as const);
  return [Object.fromEntries(sizes), recorded];
}

const figures: Readonly<Record<string, Figures>> = JSON.parse(String(fixture('expected.json')));

describe.each(Object.entries(figures))(
  '%s, the memory trace of a real program',
  (name, recorded) => {
    const trace = readLackey(String(fixture(`${name}.gz`)));
    const { dataPages, instructionPages } = trace;
    const { misses } = recorded;

    it('is read as it was', () => {
      const { counts, headerLines, lines, pageCrossing, unparsed } = trace;
      expect({
        ...{ lines, unparsed, headerLines, counts, pageCrossing },
        dataPageRefs: dataPages.length,
        dataPages: new Set(dataPages).size,
        instrPages: instructionPages.size,
      }).toEqual({ ...recorded, misses: undefined });
    });

    const policies: [string, PolicyKind, BySize][] = [
      ['LRU', lru(), misses.LRU],
      ['FIFO', fifo(), misses.FIFO],
      ['OPT', opt(), misses.OPT],
    ];
    it.each(policies)('misses under %s what it should', (_policy, kind, table) => {
      const [ours, theirs] = bySize(table, (size) => countMisses(kind, Number(size), dataPages));
      expect(ours).toEqual(theirs);
    });

    it.each([
      ['LRU', missCurve, misses.LRU],
      ['OPT', optMissCurve, misses.OPT],
    ] as const)('has the curve of %s', (_policy, curveOf, table) => {
      const curve = curveOf(dataPages);
      const [ours, theirs] = bySize(table, (size) => missesAt(curve, Number(size)));
      expect(ours).toEqual(theirs);
      expect(curve.pages).toBe(recorded.dataPages);
    });

    it('misses what it should in sets', () => {
      const [ours, theirs] = bySize(misses.setAssocLRU, (size) => {
        const [sets, ways] = size.split('x').map(Number);
        return countMisses(lru(), ways!, dataPages, { sets: sets! });
      });
      expect(ours).toEqual(theirs);
    });
  },
);

describe('readLackey', () => {
  it('takes apart what touches two pages, twice where it loads and stores', () => {
    const text = '==1== Lackey\nI  0fff,2\n L 1ffc,8\n M 2ffe,4\n S 3000,1\nand so on\n';
    const { counts, dataPages, headerLines, instructionPages, lines, pageCrossing, unparsed } =
      readLackey(text);
    expect(counts).toEqual({ I: 1, L: 1, M: 1, S: 1 });
    expect([lines, headerLines, unparsed, pageCrossing]).toEqual([4, 1, 1, 3]);
    expect(dataPages).toEqual([1, 2, 2, 3, 2, 3, 3]);
    expect([...instructionPages]).toEqual([0, 1]);
  });
});
