import { describe, expect, it } from 'vitest';
import { data, mistake, output } from './command.js';
import { imageFolder } from './images.js';

const image = imageFolder();

/** Every mode, its levels, the bits of an address, and a leaf of level 0 with frame 1. */
const MODES = [
  ['sv32', 2, 32, '0x40f'],
  ['sv39', 3, 39, '0x40f'],
  ['sv48', 4, 48, '0x40f'],
  ['sv57', 5, 57, '0x40f'],
  ['x86-32', 2, 32, '0x1003'],
  ['pae', 3, 32, '0x1003'],
  ['x86-64-4', 4, 48, '0x1003'],
  ['x86-64-5', 5, 57, '0x1003'],
  ['aarch64-4k', 4, 48, '0x1403'],
  ['aarch64-16k', 4, 48, '0x4403'],
  ['aarch64-64k', 3, 48, '0x10403'],
  ['sv32x4', 2, 34, '0x40f'],
  ['sv39x4', 3, 41, '0x40f'],
  ['sv48x4', 4, 50, '0x40f'],
  ['sv57x4', 5, 59, '0x40f'],
  ['ept4', 4, 48, '0x1037'],
  ['ept5', 5, 57, '0x1037'],
  ['npt4', 4, 48, '0x1007'],
  ['npt5', 5, 57, '0x1007'],
  ['aarch64-s2-4k', 4, 48, '0x1403'],
  ['aarch64-s2-16k', 3, 48, '0x4403'],
  ['aarch64-s2-64k', 3, 48, '0x10403'],
  ['csapp14', 1, 14, '0x81'],
  ['ostep6', 1, 6, '0x81'],
  ['ostep15', 2, 15, '0x81'],
  ['textbook32', 2, 32, '0x1001'],
  ['linear', 1, 32, '0x80000001'],
] as const;

describe('every mode', () => {
  it('is one that --help lists, and no other is', () => {
    const help = output('split --help').replaceAll(/\s+/g, ' ');
    const listed = /translation mode \(choices: (.*?)\)/.exec(help)![1]!;
    expect(listed.split(', ')).toEqual(MODES.map(([mode]) => `"${mode}"`));
  });

  it.each(MODES)('%s splits addresses and decodes entries', (mode, levels, bits, leaf) => {
    const { indexes } = data(`split --json --mode ${mode} 0`);
    expect(indexes).toHaveLength(levels);
    expect(indexes).toMatchObject([
      { level: levels - 1, highBit: bits - 1 },
      ...Array(levels - 1).fill({}),
    ]);
    expect(data(`decode --json --mode ${mode} ${leaf}`)).toMatchObject({ kind: 'leaf', pfn: 1 });
    const { offset } = data(`split --json --mode ${mode} 0xffffffffffffffff`);
    const page = `0x${(Number(offset) + 1).toString(16)}`;
    expect(output(`decode --mode ${mode} ${leaf}`)).toContain(`page at ${page}\n`);
    expect(output(`decode --mode ${mode} 0`)).toContain('0x0 is not present\n');
  });

  it.each(MODES)('%s explains a walk of tables that are empty', (mode, levels) => {
    const report = data(`explain --json --mode ${mode} --root 0 0`);
    // PAE's first entries are registers, and a walk ends at the first entry that is not present.
    expect(report['steps']).toHaveLength(1);
    expect(report['steps']).toMatchObject([{ level: levels - 1, kind: 'not-present' }]);
    expect(report['outcome']).toMatchObject({ kind: 'fault' });
  });
});

describe('the width of addresses', () => {
  it('is open in AArch64 and in linear tables', () => {
    const levels = (mode: string): number =>
      (data(`split --json --mode ${mode} 0`)['indexes'] as unknown[]).length; // as split prints
    expect(levels('aarch64-4k --bits 39')).toBe(3);
    expect(levels('aarch64-s2-4k --bits 40')).toBe(3);
    expect(levels('aarch64-16k --bits 36')).toBe(2);
    expect(output('split --mode linear --bits 14 0x3fff')).toContain('level 0  bits 13:12  11');
    const wide = output('decode --mode aarch64-4k --bits 52 0x80000000000603');
    expect(wide).toMatch(/^aarch64-4k, level 0: .* page at 0x8000000000000\n[\s\S]*OA51_50 +0x2/);
  });

  it('is fixed elsewhere', () => {
    for (const mode of ['sv39', 'x86-64-4', 'ept4', 'csapp14', 'textbook32']) {
      for (const command of ['split', 'decode']) {
        expect(mistake(`${command} --mode ${mode} --bits 32 0`)).toBe(
          `--bits: expected no such option with ${mode}`,
        );
      }
    }
    expect(mistake('split --mode linear --bits 39 0')).toMatch(/^--bits: .* from 13 to 38/);
    expect(mistake('explain --mode csapp14 --bits 9 --root 0 0')).toMatch(/^--bits: .* csapp14$/);
    expect(mistake('explain --mode ept4 --bits 9 --root 0 0')).toMatch(/^--bits: .* EPT tables$/);
  });
});

describe("AArch64's halves", () => {
  it('are told apart by bit 55 of the address', () => {
    expect(output('split --mode aarch64-4k 0xffff800000201abc')).toContain(', canonical\n');
    expect(output('split --mode aarch64-4k 0x800000201abc')).toContain(', canonical\n');
    expect(output('split --mode aarch64-4k 0xfff0800000201abc')).toContain('63:48 must be 1');
    expect(output('split --mode aarch64-4k 0x0010800000201abc')).toContain('63:48 must be 0');
    expect(output('split --mode aarch64-s2-4k 0xffff800000201abc')).toContain('63:48 must be 0');
  });
});

describe("courses' machines", () => {
  it('are walked and listed in pages of their own', () => {
    const line = '--mode ostep15 --root 0xd80';
    const tables = '--entry 0xd98=0xa1 --entry 0x42b=0xb5';
    expect(output(`explain ${line} ${tables} 0x616c`)).toContain('0x6ac, in a 32 B page');
    const memory = new Uint8Array(4096).fill(0x7f);
    memory[0xd98] = 0xa1;
    memory[0x42b] = 0xb5;
    memory[0x42c] = 0xb6;
    const path = image('memory', memory);
    expect(output(`maps ${line} ${path}`).replaceAll(/ +/g, ' ')).toBe(
      'ostep15: 1 range, 64 B mapped\n from to size pages rights physical\n 0x6160 0x61a0 64 B 2 x 32 B rwxu 0x6a0\n',
    );
    expect(mistake(`maps --mode ostep15 --root 0x1000 ${path}`)).toMatch(/^--root: .* image/);
  });

  it('have no registers, and a root at a page', () => {
    const rows = [
      ['--mode csapp14 0', /^--root: expected the address of the root table$/],
      ['--mode csapp14 --root 32 0', /^--root: expected a multiple of 64/],
      ['--mode ostep6 --root 0 --cr3 0 0', /^--cr3: expected no such option with textbook tables$/],
      ['--mode ostep6 --root 0 --entry 0=256 0', /^--entry: expected an unsigned 8-bit/],
      ['--mode linear --root 0 --entry 2=1 0', /^--entry: .* a multiple of 4/],
    ] as const;
    for (const [line, message] of rows) expect(mistake(`explain ${line}`)).toMatch(message);
  });
});
