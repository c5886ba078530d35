import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { runConformance } from './runner.js';
import { fixtureBytes, fixtureLines, inFolder, replayFiles } from './workbench.js';

/** A few cases of every format of lines, and how the report names it. */
const LINES: readonly (readonly [name: string, format: string])[] = [
  ['riscv/stage1.ndjson.gz', 'riscv accesses'],
  ['riscv/two-stage.ndjson.gz', 'riscv two-stage accesses'],
  ['x86/x86-64-4.ndjson.gz', 'x86 accesses'],
  ['aarch64/stage1.ndjson.gz', 'aarch64 accesses'],
  ['aarch64/stage2.ndjson.gz', 'aarch64 accesses'],
];

describe.each(LINES)('a file like %s', (name, format) => {
  const [first, second] = fixtureLines(name) as [string, string];
  const count = (line: string): number => JSON.parse(line).accesses.length;
  const both = count(first) + count(second);

  it('may have any name and lie anywhere, packed or not', () => {
    const text = `${first}\n\n${second}\n`;
    const report = replayFiles({
      'one.json': text,
      'deep/er/tables.bin': text,
      'deep/er/2/textbook': gzipSync(text),
    });
    expect(report).toMatchObject({ passed: 3 * both, failed: 0, ok: true });
    expect(report.files.map((file) => file.format)).toEqual([format, format, format]);
  });

  it.each<[string, string | Uint8Array, number]>([
    ['that is cut off', first.slice(0, -10), 0],
    ['whose packed form is cut off', gzipSync(first).subarray(0, 300), 0],
    ['with a second line cut off', `${first}\n${second.slice(0, -2)}`, count(first)],
    ['with a second line of another kind', `${first}\n{"accesses":[{}]}`, count(first)],
    ['with a key of the image missing', first.replace('"mem"', '"memory"'), 0],
    ['with a number for the memory', first.replace(/"mem": ?\{.*?\}/, '"mem":7'), 0],
  ])('%s fails', (_what, contents, passed) => {
    const report = replayFiles({ 'cases.ndjson': contents });
    expect([report.ok, report.passed]).toEqual([false, passed]);
    expect(report.failed).toBeGreaterThan(0);
    expect(report.files[0]!.disagreements[0]).toMatch(/^(line \d|cases\.ndjson)/);
  });
});

describe('the problems of textbooks', () => {
  const bytes = fixtureBytes('textbook/textbook.json.gz');

  it('may have any name and lie anywhere', () => {
    expect(replayFiles({ 'a/b.ndjson': bytes })).toMatchObject({ passed: 329, failed: 0 });
  });

  it.each<[string, Uint8Array]>([
    ['cut off', bytes.subarray(0, -2)],
    ['packed and cut off', gzipSync(bytes).subarray(0, -20)],
  ])('%s fail', (_what, contents) => {
    const report = replayFiles({ 'textbook.json': contents });
    expect(report).toMatchObject({ passed: 0, failed: 1, ok: false });
    expect(report.files[0]!.disagreements[0]).toContain('textbook.json');
  });
});

describe('a file without a meaning fails with its name', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;

  it.each<[string, string | Uint8Array]>([
    ['empty', ''],
    ['packed emptiness', gzipSync('')],
    ['white', ' \n\n'],
    ['no text', new Uint8Array([0, 255, 254, 10, 123, 0])],
    ['a list', '[]'],
    ['null', 'null'],
    ['deeper than a stack', deep],
    ['deeper than a stack, as an image', `{"ttbr1":${deep},"accesses":[{}]}`],
    ['an unknown architecture', '{"format":"ptpages-v1","arch":"mips","nPages":0}\n'],
    ['a header alone', '{"format":"ptpages-v1","arch":"aarch64","nPages":0}\n'],
    ['a header of lists', '{"format":"ptpages-v1","arch":"riscv64","regs":[],"ram":[]}\n'],
  ])('%s', (_what, contents) => {
    const report = replayFiles({ 'odd.file': contents });
    expect(report).toMatchObject({ passed: 0, ok: false });
    expect(report.files[0]!.disagreements[0]).toMatch(/odd\.file|line 1/);
  });

  it('also beside good ones', () => {
    const good = fixtureLines('aarch64/stage1.ndjson.gz')[0]!;
    const report = inFolder({ 'a.ndjson': good, 'b/c.ndjson': '' }, (folder) =>
      runConformance([folder]),
    );
    expect([report.ok, report.failed, report.files.length]).toEqual([false, 1, 2]);
  });
});
