import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import { fixture, fixtureLines, flip, images, inFolder } from './workbench.js';

// Each run bundles the runner first.
vi.setConfig({ testTimeout: 120_000 });

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Runs the command as `npm run -s conformance` does. */
function conformance(...args: string[]): { lines: string[]; status: number | null } {
  const script = ['scripts/run-ts.mjs', 'test/conformance/main.ts', ...args];
  const { status, stderr, stdout } = spawnSync(process.execPath, script, {
    cwd: root,
    encoding: 'utf8',
  });
  return { lines: `${stdout}${stderr}`.trimEnd().split('\n'), status };
}

describe('npm run conformance', () => {
  it('ends with the count and succeeds when all pass', () => {
    const line = fixtureLines('riscv/stage1.ndjson.gz')[0]!;
    const { lines, status } = inFolder({ 'one.ndjson': line }, (folder) => conformance(folder));
    expect(lines[0]).toMatch(/one\.ndjson \(riscv accesses\): 32 cases, 0 failed/);
    expect([lines.at(-1), status]).toEqual(['32 passed, 0 failed', 0]);
  });

  it('shows the first three disagreements and fails', () => {
    const [image] = images('riscv/stage1.ndjson.gz', 1);
    for (const { result } of image!.accesses) {
      for (const key of ['pa', 'tval']) if (result[key]) result[key] = flip(result[key], 4);
    }
    const files = { 'one.ndjson': JSON.stringify(image) };
    const { lines, status } = inFolder(files, (folder) => conformance(join(folder, 'one.ndjson')));
    expect(lines.filter((line) => line.startsWith('  line 1, image 0, access'))).toHaveLength(3);
    expect(lines).toContain('  ... and 29 more');
    expect([lines.at(-1), status]).toEqual(['0 passed, 32 failed', 1]);
  });

  it('names the file and the line of what makes no sense', () => {
    const good = fixtureLines('aarch64/stage1.ndjson.gz')[0]!;
    const packed = gzipSync(good);
    const files = {
      'cut.ndjson.gz': packed.subarray(0, packed.length / 2),
      'empty.ndjson': '',
      'lines.ndjson': `${good}\n{"mode":\n${good.replace('"mair"', '"mare"')}`,
    };
    const { lines, status } = inFolder(files, (folder) => conformance(folder));
    const cases = images('aarch64/stage1.ndjson.gz', 1)[0]!.accesses.length;
    expect(lines.join('\n')).toMatch(/cut\.ndjson\.gz .*1 failed.*\n.*\n.*cannot be unpacked/);
    expect(lines.join('\n')).toMatch(/empty\.ndjson .*1 failed.*\n.*\n.*the file is empty/);
    expect(lines).toContain('  line 2');
    expect(lines).toContain('  line 3');
    expect([lines.at(-1), status]).toEqual([`${cases} passed, ${cases + 3} failed`, 1]);
  });

  it('prints what only informs', () => {
    const { lines, status } = conformance(fixture('aarch64/quirks.ndjson.gz'));
    expect(lines[1]).toMatch(/^ {2}at-sets-dirty 60, /);
    expect([lines.at(-1), status]).toEqual(['0 passed, 0 failed', 0]);
  });

  it('fails when there is no case', () => {
    const { lines, status } = inFolder({}, (folder) => conformance(folder));
    expect([lines.at(-1), status]).toEqual(['0 passed, 0 failed', 1]);
  });

  it('says how it is used', () => {
    const { lines, status } = conformance();
    expect([lines.length, status]).toEqual([1, 2]);
    expect(lines[0]).toContain('FILE_OR_FOLDER');
  });
});
