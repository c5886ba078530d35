import { describe, expect, it } from 'vitest';
import { list as listOf } from './fields.js';
import { FAMILIES } from './formats/textbook-families.js';
import { edit, fixtureBytes, put, remove, replayFiles } from './workbench.js';

interface Problem {
  [key: string]: unknown;
  id: string;
  family: string;
  input: Record<string, unknown>;
  expected: unknown;
}

/** The recorded problems; the fixture is known to have this shape. */
const { cases }: { cases: Problem[] } = JSON.parse(
  fixtureBytes('textbook/textbook.json.gz').toString('utf8'),
);

/** Problems of a family whose answers are spoilt leaf by leaf. */
const PROBLEMS = 2;

/** Changes of one answer that are tried: of those with thousands of leaves, some everywhere. */
const CHANGES = 1000;

function some(changes: readonly unknown[]): readonly unknown[] {
  // No multiple of the number of changes that a leaf has.
  const step = 7 * Math.ceil(changes.length / CHANGES / 7) || 1;
  return changes.length <= CHANGES ? changes : changes.filter((_, index) => index % step === 0);
}

function list(value: unknown): readonly unknown[] {
  return listOf(value, 'the list');
}

function replay(problems: readonly unknown[]): ReturnType<typeof replayFiles> {
  const whole = { schema: 'vm-textbook/1', cases: problems };
  return replayFiles({ 'problems.json': JSON.stringify(whole) });
}

/** Everything that can be made of a value by one change of it or in it. */
function spoilt(value: unknown): unknown[] {
  if (Array.isArray(value)) {
    return [
      ...inside(value, (index, other) => value.map((old, at) => (at === index ? other : old))),
      [...value, value.at(-1)],
      {},
    ];
  }
  if (typeof value === 'object' && value !== null) {
    return [
      ...inside(value, (key, other) => ({ ...value, [key]: other })),
      ...Object.keys(value).map((key) =>
        Object.fromEntries(Object.entries(value).filter(([name]) => name !== key)),
      ),
      { ...value, other: 1 },
      [],
    ];
  }
  if (typeof value === 'number') return [value + 1, value - 1, value + 0.5, String(value), null];
  if (typeof value === 'string') return [`${value}0`, value.slice(1), 0, null];
  return value === null ? [0, false, ''] : [!value, Number(value), null];
}

function inside<Key extends string | number>(
  value: object,
  make: (key: Key, other: unknown) => unknown,
): unknown[] {
  return Object.entries(value).flatMap(([key, old]) => {
    const place = (Array.isArray(value) ? Number(key) : key) as Key; // as the value is
    return spoilt(old).map((other) => make(place, other));
  });
}

/** A text of the recorder's, which nothing is decided by. */
function withoutNotes(expected: unknown): unknown {
  return JSON.parse(JSON.stringify(expected, (key, value) => (key === 'note' ? undefined : value)));
}

describe('a corrupted problem of a textbook is noticed', () => {
  it.each([...FAMILIES.keys()])('any leaf of an answer of %s', (family) => {
    const known = cases.filter((problem) => problem.family === family);
    for (const problem of known.slice(0, PROBLEMS)) {
      const sound = { ...problem, expected: withoutNotes(problem.expected) };
      expect(replay([sound])).toMatchObject({ passed: 1, failed: 0 });
      const corrupted = some(spoilt(sound.expected)).map((expected) => ({ ...sound, expected }));
      expect(corrupted.length).toBeGreaterThan(4);
      if (replay(corrupted).failed === corrupted.length) continue;
      for (const one of corrupted) expect([replay([one]).failed, one]).toEqual([1, one]);
    }
  });

  const problem = (family: string): Problem =>
    structuredClone(cases.find((one) => one.family === family)!);

  it.each<[string, string, (input: Record<string, unknown>) => void]>([
    ['base', 'ostep.relocation', edit('base', (base) => Number(base) + 1)],
    ['segment', 'ostep.segmentation', put('seg0', { base: 1, limit: 20, grows: 'down' })],
    ['direction of growth', 'ostep.segmentation', put('seg0', { base: 1, limit: 20 })],
    ['table', 'ostep.paging-linear', put('pageTable', [1, 2, 3])],
    ['entry of a kind that it has not', 'ostep.paging-linear', put('pteFormat', 'bit30=valid')],
    ['shape', 'ostep.paging-multilevel', put('pageSize', 64)],
    ['memory', 'ostep.paging-multilevel', put('memoryHexByPage', ['00'])],
    ['root', 'ostep.paging-multilevel', edit('pdbr', (pdbr) => Number(pdbr) ^ 1)],
    ['page table', 'translation', put('pageTable', {})],
    ['list for a number', 'translation', put('pageSize', [4096])],
    ['segments', 'segmentation', put('segments', [])],
    ['page size', 'page-offset', put('pageSize', 2048)],
    ['mode', 'va-decomposition', put('mode', 'sv57')],
    ['size of entries', 'page-table-size', put('pteBytes', 16)],
    ['directory', 'multilevel', put('pageDirectory', { 15: 100 })],
    ['root', 'sv39', put('root', '87f6b000')],
    ['levels', 'nested', put('guestHostLevels', [[4, 3]])],
    ['TLB', 'translation+tlb+cache', put('tlb', { sets: 4, ways: 4, entries: [] })],
    ['cache', 'translation+tlb+cache', put('cache', {})],
    ['reference string', 'replacement', edit('refs', (refs) => [...list(refs), 0])],
    ['size', 'replacement', put('frames', [1, 2, 3, 4, 5, 6, 8])],
    ['size, once more', 'replacement', edit('frames', (sizes) => [...list(sizes), 7])],
    ['loop', 'replacement-curve', put('refs', 'repeat(0..49, 21 times)')],
    ['text for a loop', 'replacement-curve', put('refs', 'repeat(0..49, twice)')],
    ['loop without end', 'replacement-curve', put('refs', 'repeat(9..1, 20 times)')],
    ['loop as long as that', 'replacement-curve', put('refs', 'repeat(0..9999999, 20 times)')],
    ['policy', 'ostep.paging-policy', put('policy', 'LRU')],
    ['policy of nobody', 'ostep.paging-policy', put('policy', 'ARC')],
    ['number of frames', 'ostep.paging-policy', put('frames', 4)],
    ['seed', 'ostep.paging-policy', put('seed', 0.5)],
    ['bits of a clock that is none', 'ostep.paging-policy', put('clockbits', 2)],
    ['empty list', 'ostep.paging-policy', put('refs', [])],
    ['page', 'lru-stack', put('refs', [7, 0, 1])],
    ['window', 'working-set', put('delta', 9)],
    ['window of nothing', 'working-set', put('delta', 0)],
    ['time', 'working-set', put('times', [10, 27])],
    ['time after the end', 'working-set', put('times', [10, 1000])],
    ['array', 'faults', put('rows', 127)],
    ['number of frames', 'faults', put('frames', 128)],
    ['layout', 'faults', put('pageHoldsRow', false)],
    ['length of counters', 'aging', put('counterBits', 9)],
    ['number of pages', 'aging', put('pages', 5)],
    ['R bit', 'aging', edit('rBitsPerTick', (ticks) => ['101010', ...list(ticks).slice(1)])],
    ['class', 'nru', put('pages', [{ R: 0, M: 0 }])],
    ['bit that is none', 'nru', put('pages', [{ R: 0, M: 2 }])],
    ['number of sets', 'set-associative-lru', put('s', 0)],
    ['number of ways', 'set-associative-lru', put('E', 2)],
    ['size of blocks', 'set-associative-lru', put('b', 3)],
    ['line', 'set-associative-lru', edit('trace', (lines) => [...list(lines), ' X 10,1'])],
    ['key that nobody reads', 'nested', put('levels', 4)],
    ['missing key', 'page-offset', remove('addresses')],
    ['array', 'tlb', put('base', 104)],
    ['array beyond the space', 'tlb', put('vaBits', 6)],
    ['number of entries', 'tlb-reach', put('rows', [[63, 4096]])],
  ])('the question: another %s of %s', (_what, family, change) => {
    const changed = problem(family);
    change(changed.input);
    expect(replay([changed, problem('nested')])).toMatchObject({ passed: 1, failed: 1 });
  });

  it("the order of vmprint's lines, one twice, or none", () => {
    const entries = (change: (lines: unknown[]) => void): Problem => {
      const sv39 = problem('sv39');
      const { entries: lines } = sv39.expected as { entries: unknown[] }; // as this family's are
      change(lines);
      return sv39;
    };
    const corrupted = [
      entries((lines) => lines.reverse()),
      entries((lines) => lines.splice(3, 0, lines[3])),
      entries((lines) => lines.splice(0, 1)),
      entries((lines) => lines.splice(0)),
    ];
    expect(replay(corrupted)).toMatchObject({ passed: 0, failed: 4 });
  });
});

describe('a problem that makes no sense fails, and the others go on', () => {
  const [good] = cases.filter(({ family }) => family === 'nested');

  it.each<[string, unknown]>([
    ['no object', 7],
    ['null', null],
    ['an unknown family', { ...good, family: 'nested2' }],
    ['no family', { ...good, family: undefined }],
    ['no question', { ...good, input: undefined }],
    ['no answer', { ...good, expected: undefined }],
    ['a question that is none', { ...good, input: [] }],
    ['a key that nobody reads', { ...good, answer: 1 }],
  ])('%s', (_what, problem) => {
    const report = replay([good, problem, good]);
    expect(report).toMatchObject({ passed: 2, failed: 1 });
    expect(report.files[0]!.disagreements[0]).toMatch(/^(case 1|nested: )/);
  });

  it('what has no judge yet neither passes nor fails', () => {
    const waiting = cases.filter(({ family }) => !FAMILIES.has(family));
    const report = replay(waiting);
    expect(report).toMatchObject({ passed: 0, failed: 0, ok: false });
    expect(report.files[0]!.notJudged).toBe(waiting.length);
  });

  it.each<[string, string]>([
    ['no cases', '{"schema":"vm-textbook/1","cases":[]}'],
    ['cases that are no list', '{"schema":"vm-textbook/1","cases":{}}'],
    ['another schema', '{"schema":"vm-textbook/2","cases":[{}]}'],
    ['a schema in the wrong place', '{"notes":"vm-textbook/1","cases":[{}]}'],
    ['a key that nobody reads', '{"schema":"vm-textbook/1","cases":[{}],"more":1}'],
    ['no JSON', '{"schema":"vm-textbook/1","cases":[{'],
  ])('a file with %s', (_what, text) => {
    expect(replayFiles({ 'problems.json': text })).toMatchObject({ passed: 0, failed: 1 });
  });
});
