import { describe, expect, it } from 'vitest';
import { fixtureBytes, put, remove, replayFiles } from './workbench.js';

const trace = fixtureBytes('traces/loop.lackey.gz');

interface Loose {
  [key: string]: unknown;
  counts: Record<string, unknown>;
  misses: Record<string, Record<string, unknown>>;
}

/** The figures of one trace, to be changed; the fixture is known to have this shape. */
function figures(): Loose {
  const all: Record<string, Loose> = JSON.parse(String(fixtureBytes('traces/expected.json')));
  return all['loop.lackey']!;
}

function replay(
  changed: unknown,
  lines: string | Uint8Array = trace,
): ReturnType<typeof replayFiles> {
  return replayFiles({
    'expected.json': JSON.stringify({ 'loop.lackey': changed }),
    'loop.lackey': lines,
  });
}

describe('figures of a trace', () => {
  it('are right, and the trace is replayed with them', () => {
    const report = replay(figures());
    expect(report).toMatchObject({ passed: 25, failed: 0, ok: true });
    expect(report.skipped).toHaveLength(1);
  });

  const counts = ['lines', 'unparsed', 'headerLines', 'pageCrossing', 'dataPageRefs'];
  it.each([...counts, 'dataPages', 'instrPages'])('another %s is noticed', (key) => {
    for (const other of [Number(figures()[key]) + 1, String(figures()[key]), null]) {
      const changed = figures();
      changed[key] = other;
      expect(replay(changed)).toMatchObject({ passed: 24, failed: 1 });
    }
  });

  it.each(['I', 'L', 'S', 'M'])('another number of %s is noticed', (key) => {
    const changed = figures();
    changed.counts[key] = Number(changed.counts[key]) + 1;
    expect(replay(changed)).toMatchObject({ passed: 24, failed: 1 });
  });

  it('every other number of misses is noticed', () => {
    const changed = figures();
    for (const table of Object.values(changed.misses)) {
      for (const size of Object.keys(table)) table[size] = Number(table[size]) - 1;
    }
    expect(replay(changed)).toMatchObject({ passed: 8, failed: 17 });
  });

  it('of other sizes and policies are judged', () => {
    const changed = figures();
    changed.misses = {
      LRU: { 20: 20 },
      OPT: { 1000: 20 },
      MRU: { 20: 20 },
      setAssocLRU: { '1x8': 48 },
    };
    expect(replay(changed)).toMatchObject({ passed: 12, failed: 0 });
  });

  it.each([
    ['a policy that there is not', { BEST: { 4: 1 } }],
    ['sets without ways', { setAssocLRU: { 16: 1 } }],
    ['ways of a policy that has no sets', { LRU: { '4x4': 30 } }],
    ['no frames', { LRU: { 0: 8049 } }],
    ['a size that is none', { LRU: { four: 198 } }],
  ])('%s fails', (_what, misses) => {
    const changed = figures();
    changed.misses = misses;
    expect(replay(changed)).toMatchObject({ passed: 8, failed: 1 });
  });

  it.each([
    ['without counts', remove('counts')],
    ['without misses', remove('misses')],
    ['with a key that nobody reads', put('pages', 20)],
    ['with a list for misses', put('misses', [])],
    ['with misses of nobody', put('misses', {})],
    ['with misses of a policy in no size', put('misses', { LRU: {} })],
    ['with a number for a policy', put('misses', { LRU: 4 })],
  ])('%s fail', (_what, change) => {
    const changed = figures();
    change(changed);
    expect(replay(changed)).toMatchObject({ passed: 0, failed: 1 });
  });
});

describe('figures of two traces', () => {
  it.each<[string, (misses: Loose['misses']) => unknown]>([
    ['a size', (misses) => delete misses['LRU']!['4']],
    ['a policy', (misses) => delete misses['OPT']],
  ])('are refused where one has not %s that the other has', (_what, drop) => {
    const changed = figures();
    drop(changed.misses);
    const both = JSON.stringify({ 'a.lackey': figures(), 'b.lackey': changed });
    const report = replayFiles({ 'expected.json': both, 'a.lackey': trace, 'b.lackey': trace });
    expect(report).toMatchObject({ passed: 25, failed: 1 });
  });
});

describe('a trace', () => {
  it('that is missing fails', () => {
    const alone = { 'expected.json': JSON.stringify({ 'loop.lackey': figures() }) };
    const report = replayFiles(alone);
    expect(report).toMatchObject({ passed: 0, failed: 1, ok: false });
    expect(report.files[0]!.disagreements[0]).toContain('loop.lackey is missing');
  });

  it('that nobody has figures of fails', () => {
    expect(replayFiles({ 'loop.lackey': trace })).toMatchObject({ passed: 0, failed: 1 });
  });

  it('that is cut off, or has another line, fails', () => {
    expect(replay(figures(), trace.subarray(0, trace.length / 2)).failed).toBeGreaterThan(10);
    expect(replay(figures(), `${trace} L 1,1\n`).failed).toBeGreaterThan(3);
    expect(replay(figures(), `${trace}odd\n`)).toMatchObject({ passed: 24, failed: 1 });
  });
});
