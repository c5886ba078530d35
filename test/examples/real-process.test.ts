import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../support/bundle.js';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const guest = path('../fixtures/x86/linux-x86-64');

let program = '';
beforeAll(async () => {
  program = await bundle(path('../../examples/real-process.js'));
});
afterAll(() => rmSync(program));

function example(folder: string): { readonly code: number | null; readonly text: string } {
  const { status, stderr, stdout } = spawnSync('node', [program, folder], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return { code: status, text: stdout };
}

describe('npm start', () => {
  it('agrees with the guest and with QEMU to the page', () => {
    const { code, text } = example(guest);
    expect(code).toBe(0);
    expect(text).toContain('pagemap: 2,013 of 2,013 frames agree.');
    expect(text).toContain('74,155 of 74,155 leaves agree in address, frame, flags and size.');
    expect(text).not.toContain('DIFFERENT');
  });

  it('shows every part of a range beside the line of maps that it lies in', () => {
    const { text } = example(guest);
    const rows = text.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(rows).toContainEqual([
      '7f0197600000-7f0197a00000',
      '2',
      '2 MiB',
      'r--',
      '0x3400000 +1',
      '7f0197600000-7f0197a00000 r--p /anon_hugepage (deleted)',
    ]);
    expect(rows).toContainEqual([
      '7f0197a00000-7f0197c00000',
      '1',
      '2 MiB',
      'r--',
      '0x3000000',
      '7f0197a00000-7f0197e00000 rw-p /anon_hugepage (deleted)',
    ]);
    expect(text).toContain('No pages lie outside every line of maps.');
  });

  it('explains a page, a huge page and a hole, and counts the references of a miss', () => {
    const { text } = example(guest);
    expect(text).toContain('physical address 0x8fff000, in a 4 KiB page');
    expect(text).toMatch(
      /user write at 0x7f0197600000 .*\n(.*\n){3} {2}write refused: .*CR2 0x7f0197600000/,
    );
    expect(text).toMatch(/user read at 0x0 .*\n(.*\n){4} {2}read refused: /);
    expect(text).toContain('4 memory references for a 4 KiB page (477 pages)');
    expect(text).toContain('3 memory references for a 2 MiB page (3 pages)');
    expect(text).toContain(`${((477 * 4 + 3 * 3) / 480).toFixed(3)} on average`);
  });

  it('says what differs, and fails, when a recording says something else', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pagewright-'));
    cpSync(guest, folder, { recursive: true });
    const edit = (name: string, from: string, to: string): void => {
      const file = join(folder, name);
      const zipped = name.endsWith('.gz');
      const text = (zipped ? gunzipSync(readFileSync(file)) : readFileSync(file)).toString();
      expect(text).toContain(from);
      const edited = text.replace(from, to);
      writeFileSync(file, zipped ? gzipSync(edited) : edited);
    };
    edit('tlb.txt.gz', '401000 990d000 ----A--U- 1000', '401000 990d000 ----A--UW 1000');
    edit('guest-facts.txt', 'PMR 10000 80800000000084a3 1', 'PMR 11000 80800000000084a3 1');
    edit('guest-facts.txt', 'MAP 7ffd98b3a000', 'MAP 7ffd98b59000');
    const { code, text } = example(folder);
    rmSync(folder, { recursive: true });
    expect(code).toBe(1);
    expect(text).toContain('pagemap: 2,012 of 2,013 frames agree.');
    expect(text).toContain('DIFFERENT: 0x10000 is at 0x84a3000; pagemap says not present');
    expect(text).toContain('DIFFERENT: 0x11000 is not mapped; pagemap says at 0x84a3000');
    expect(text).toContain('74,154 of 74,155 leaves agree');
    expect(text).toContain('QEMU says 401000 990d000 ----A--UW 1000');
    expect(text).toContain('IN NO LINE');
    expect(text).toContain('1 pages lie outside every line of maps.');
  });
});
