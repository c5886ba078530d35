import { basename, join, relative } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { runConformance } from './runner.js';
import { fixture, fixtureBytes, inFolder } from './workbench.js';

// Whole files: seconds on a slow machine, more with coverage.
vi.setConfig({ testTimeout: 120_000 });

/** Cases of every fixture. A number that changes means that cases were lost or invented. */
const CASES: Readonly<Record<string, number>> = {
  'aarch64/linux-arm64-tables.bin.gz': 2_559,
  'aarch64/stage1.ndjson.gz': 35_629,
  'aarch64/stage2.ndjson.gz': 16_965,
  'riscv/linux-riscv64-sv39-tables.bin.gz': 2_331,
  'riscv/stage1.ndjson.gz': 32_000,
  'riscv/two-stage.ndjson.gz': 11_200,
  'textbook/textbook.json.gz': 329,
  'traces/expected.json': 75,
  'x86/linux-pae/tables.bin.gz': 7_659,
  'x86/linux-x86-64/tables.bin.gz': 78_327,
  'x86/pae.bochs.ndjson.gz': 6_281,
  'x86/pae.ndjson.gz': 18_944,
  'x86/x86-32.bochs.ndjson.gz': 6_210,
  'x86/x86-32.ndjson.gz': 18_790,
  'x86/x86-64-4.bochs.ndjson.gz': 6_370,
  'x86/x86-64-4.ndjson.gz': 19_121,
  'x86/x86-64-5.ndjson.gz': 19_145,
};

describe('every recorded case', () => {
  it.each(Object.entries(CASES))('of %s is answered as recorded', (name, cases) => {
    const { files } = runConformance([fixture(name)]);
    expect(files.map((file) => file.disagreements)).toEqual([[]]);
    expect(files.map((file) => [file.cases, file.failed])).toEqual([[cases, 0]]);
  });
});

describe('a folder', () => {
  it('is searched with its subfolders, and every file in it is replayed, a companion, or a text', () => {
    const root = fixture('x86/linux-pae');
    const { files, ok, skipped } = runConformance([root]);
    expect(files.map(({ path }) => relative(root, path))).toEqual(['tables.bin.gz']);
    expect(skipped.map((path) => basename(path)).sort()).toEqual([
      'guest-facts.txt',
      'gva2gpa.txt.gz',
      'registers.txt',
      'tlb.txt.gz',
    ]);
    expect(ok).toBe(true);
  });

  it('without cases is no success', () => {
    const { failed, ok, passed } = inFolder({ 'README.md': '# Nothing' }, (folder) =>
      runConformance([folder]),
    );
    expect([passed, failed, ok]).toEqual([0, 0, false]);
  });

  it('with a file that no format claims fails', () => {
    const report = inFolder({ 'odd.bin': 'what is this?' }, (folder) => runConformance([folder]));
    expect(report).toMatchObject({ passed: 0, failed: 1, ok: false });
    expect(report.files[0]!.disagreements[0]).toContain('no judge yet');
  });
});

describe('a file', () => {
  it('that is missing fails', () => {
    expect(runConformance([fixture('no-such-file')])).toMatchObject({ failed: 1, ok: false });
  });

  it('that no format claims fails when it is given, even if a folder would pass over it', () => {
    const path = fixture('x86/linux-pae/registers.txt');
    expect(runConformance([path])).toMatchObject({ passed: 0, failed: 1, ok: false });
  });

  it('that belongs to a recording stands for it, and is not counted beside it', () => {
    const folder = fixture('riscv');
    const tables = join(folder, 'linux-riscv64-sv39-tables.bin.gz');
    const companion = join(folder, 'linux-riscv64-sv39-translations.json.gz');
    for (const paths of [[companion], [tables, companion], [companion, tables]]) {
      const { failed, files, passed } = runConformance(paths);
      expect([files.length, passed, failed]).toEqual([1, 2_331, 0]);
    }
  });

  it('may be plain and have any name: its contents tell what it is', () => {
    const line = fixtureBytes('riscv/stage1.ndjson.gz').toString('utf8').split('\n', 1)[0]!;
    const report = inFolder({ 'anything.dat': line }, (folder) => runConformance([folder]));
    expect(report.files.map((file) => file.format)).toEqual(['riscv accesses']);
    expect(report).toMatchObject({ passed: 32, failed: 0 });
  });

  it('that is damaged gzip fails', () => {
    const cut = Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(20)]);
    const report = inFolder({ 'tables.bin.gz': cut }, (folder) => runConformance([folder]));
    expect(report).toMatchObject({ passed: 0, failed: 1, ok: false });
  });
});

describe('cases that nothing can judge yet', () => {
  it('all fail, and the report says why', () => {
    const image = { id: 1, mode: 'mips', entryhi: '0', accesses: [{}, {}, {}] };
    const report = inFolder({ 'mips.ndjson': JSON.stringify(image) }, (folder) =>
      runConformance([folder]),
    );
    expect(report).toMatchObject({ passed: 0, failed: 3 });
    expect(report.files[0]!.disagreements[0]).toContain('no judge yet');
  });

  it('all fail: other architectures, one access, step or problem each', () => {
    const lines = [{ pgdl: '0', accesses: [{}, {}] }, { steps: [{}, {}, {}] }, { seed: 1 }];
    const report = inFolder(
      { 'a.ndjson': lines.map((line) => JSON.stringify(line)).join('\n') },
      (folder) => runConformance([folder]),
    );
    expect(report).toMatchObject({ passed: 0, failed: 6 });
  });

  it('all fail: the guest of another architecture', () => {
    const header = '{"format":"ptpages-v1","arch":"loongarch64","nPages":0}\n';
    const report = inFolder(
      {
        'g-tables.bin': header,
        'g-translations.json': '{"translations":[{"va":"0"},{"va":"1"}]}',
      },
      (folder) => runConformance([folder]),
    );
    expect(report).toMatchObject({ passed: 0, failed: 3 });
  });
});
