import { countMisses, lru, missCurve, missesAt } from 'pagewright/replacement';
import { type LackeyTrace, readLackey } from '../../replacement/lackey.js';
import type { CaseFormat } from '../case-format.js';
import { Fields, Malformed, parseJson } from '../fields.js';
import { policyNamed } from '../policy-names.js';
import type { RecordedFile } from '../recorded-file.js';
import { reasonOf, type Tally } from '../tally.js';

/** Figures of real memory traces, which lie beside them: by trace, counts and the misses of policies. Each is a case. */
export const recordedTraces: CaseFormat = {
  name: 'figures of traces',
  recognises: (file) => file.text.startsWith('{') && file.text.includes('"dataPageRefs"'),
  companions: (file) => [...figuresOf(file).entries].map(([name]) => name),
  replay: replayFile,
};

/** Figures of a trace beside `misses`. */
const COUNTS: Readonly<Record<string, (trace: LackeyTrace) => number>> = {
  lines: ({ lines }) => lines,
  unparsed: ({ unparsed }) => unparsed,
  headerLines: ({ headerLines }) => headerLines,
  pageCrossing: ({ pageCrossing }) => pageCrossing,
  dataPageRefs: ({ dataPages }) => dataPages.length,
  dataPages: ({ dataPages }) => new Set(dataPages).size,
  instrPages: ({ instructionPages }) => instructionPages.size,
};

function figuresOf(file: RecordedFile): Fields {
  return new Fields(parseJson(file.text, file.name), file.name);
}

function replayFile(file: RecordedFile, tally: Tally): void {
  // What is said of one trace is said of all: what is missing from one would be missed by nobody.
  let askedFirst: string | null = null;
  for (const [name, figures] of figuresOf(file).entries) {
    try {
      const asked = askedOf(new Fields(figures, name));
      askedFirst ??= asked;
      if (asked !== askedFirst) throw new Malformed(`misses of ${asked}, not of ${askedFirst}`);
      replayTrace(name, new Fields(figures, name), file, tally);
    } catch (error) {
      tally.refuse(name, 1, `  ${reasonOf(error)}`);
    }
  }
}

/** The policies and sizes for which misses are given. */
function askedOf(figures: Fields): string {
  const tables = [...figures.object('misses').entries].map(([policy, table]) => {
    const sizes = [...new Fields(table, policy).entries].map(([size]) => size);
    if (sizes.length === 0) throw new Malformed(`no misses of ${policy}`);
    return `${policy} ${sizes.sort().join()}`;
  });
  if (tables.length === 0) throw new Malformed('no misses');
  return tables.sort().join('; ');
}

function replayTrace(name: string, figures: Fields, file: RecordedFile, tally: Tally): void {
  figures.only([...Object.keys(COUNTS), 'counts', 'misses']);
  const tables = [...figures.object('misses').entries].map(
    ([policy, table]) => [policy, new Fields(table, policy)] as const,
  );
  const trace = readLackey(file.beside(name).text);
  const judge = (what: string, theirs: unknown, ours: () => unknown): void => {
    tally.judge(`${name}: ${what}`, () => {
      const got = ours();
      if (JSON.stringify(got) === JSON.stringify(theirs)) return null;
      return `  ours: ${JSON.stringify(got)}, theirs: ${JSON.stringify(theirs)}`;
    });
  };
  for (const [what, count] of Object.entries(COUNTS)) {
    judge(what, figures.value(what), () => count(trace));
  }
  const { I, L, M, S } = trace.counts;
  judge('counts', ordered(figures.object('counts')), () => ({ I, L, M, S }));
  const missesOf = missesIn(trace.dataPages);
  for (const [policy, table] of tables) {
    for (const [size, theirs] of table.entries) {
      judge(`misses of ${policy} with ${size}`, theirs, () => missesOf(policy, size));
    }
  }
}

/** With the keys in order, for what is compared as text. */
function ordered(fields: Fields): unknown {
  return Object.fromEntries([...fields.entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The misses of a policy with so many frames, or in sets, `16x4` say. LRU's are those of the curve, too. */
function missesIn(pages: readonly number[]): (policy: string, size: string) => number {
  const curve = missCurve(pages);
  return (policy, size) => {
    const [, first, ways] = /^([1-9]\d{0,6})(?:x([1-9]\d{0,6}))?$/.exec(size) ?? [];
    const inSets = policy === 'setAssocLRU';
    if (first === undefined || inSets !== (ways !== undefined)) {
      throw new Malformed(`${size} is no size for ${policy}`);
    }
    if (inSets) return countMisses(lru(), Number(ways), pages, { sets: Number(first) });
    const misses = countMisses(policyNamed(policy), Number(first), pages);
    if (policy === 'LRU' && missesAt(curve, Number(first)) !== misses) {
      throw new Error(`the curve has ${missesAt(curve, Number(first))}, a simulation ${misses}`);
    }
    return misses;
  };
}
