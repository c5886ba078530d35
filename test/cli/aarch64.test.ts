import { describe, expect, it } from 'vitest';
import { data, fixture, mistake, output } from './command.js';
import { elfCore, imageFolder, ram, tablesDump } from './images.js';

const linux = fixture('aarch64/linux-arm64-tables.bin.gz');
const image = imageFolder();

describe('an arm64 guest', () => {
  const explain = `explain --image ${linux}`;

  it('needs nothing but its tables', () => {
    const text = output(`${explain} --user 0xffff9537d4f3`);
    expect(text).toContain('(aarch64 4K 48-bit, root 0x4432c000)');
    expect(text).toContain('physical address 0x41e904f3, in a 4 KiB page\n');
    expect(output(`${explain} 0xffff000040000123`)).toContain('0x80000123, in a 1 GiB page');
    expect(output(`${explain} --user 0xffff000040000123`)).toContain('E0PDn=1');
  });

  it('lists both halves, with memory types and contiguous groups', () => {
    const lines = output(`maps ${linux}`).split('\n');
    expect(lines[0]).toBe('aarch64-4k: 318 ranges, 4637700 KiB mapped');
    const find = (start: string): string => lines.find((line) => line.includes(start))!;
    expect(find('0xffff90000000 ')).toMatch(/32 MiB +16 x 2 MiB +rw-u +0xf6000000 +contiguous$/);
    expect(find('0xffff80000a020000')).toMatch(/rw-- +0x8000000 +global, Device-nGnRE$/);
    expect(find('0xffff80000a0ed000')).toMatch(/every 260 KiB, global, non-cacheable$/);
    expect(output(`maps --user-only ${linux}`)).toMatch(/^aarch64-4k: 227 ranges, 1134228 KiB/);
  });

  it('takes other registers, each in the place of its own', () => {
    expect(output(`${explain} --mode aarch64-4k --user 0xffff9537d4f3`)).toBe(
      output(`${explain} --user 0xffff9537d4f3`),
    );
    expect(output(`${explain} --root 0x4433d000 0xff80000000`)).toContain('root 0x4433d000');
    expect(output(`${explain} --ttbr0 0x4433d000 0xff80000000`)).toContain('root 0x4433d000');
    expect(output(`${explain} --ttbr1 0x4432c000 0xffffffff9537d4f3`)).toContain('0x4432c000');
    expect(output(`${explain} --sctlr 0 0x1234`)).toContain('0x1234, not translated');
    expect(output(`${explain} --tcr 0x15001f5b5503590 0x10000`)).toContain('EPDn=1');
    expect(output(`${explain} 0x10000`)).toContain('physical address');
    expect(output(`${explain} --pan 0x10000`)).toContain('permission fault');
    const types = [
      ['0', 'Device-nGnRnE'],
      ['0x4f', 'inner write-back, outer non-cacheable'],
      ['0xf0', 'tagged'],
    ] as const;
    for (const [mair, type] of types) {
      expect(output(`maps --user-only --mair ${mair} ${linux}`)).toMatch(
        new RegExp(`0x430000 .*scattered +${type}\n`),
      );
    }
  });

  it('is not of another mode', () => {
    expect(mistake(`${explain} --mode aarch64-16k 0`)).toBe(
      '--mode: expected registers that select aarch64-16k (got "aarch64-4k")',
    );
    expect(mistake(`${explain} --mode aarch64-s2-4k 0`)).toBe(
      '--mode: expected registers that select aarch64-s2-4k (got "aarch64-4k")',
    );
    expect(mistake(`${explain} --bits 39 0`)).toMatch(/^--bits: .* an image that has TCR_EL1$/);
    expect(mistake(`${explain} --satp 0 0`)).toBe(
      '--satp: expected no such option with AArch64 tables',
    );
  });
});

describe('AArch64 entries given inline', () => {
  const page = (entry: string): string =>
    `--mode aarch64-4k --bits 39 --root 0x1000 --entry 0x1000=${entry} 0x1234`;

  it('are of every granule, of 48 bits unless told', () => {
    const rows = [
      ['4k', '', 4, 12],
      ['16k', '', 4, 14],
      ['64k', '', 3, 16],
      ['4k', '--bits 39 ', 3, 12],
      ['16k', '--bits 47 ', 3, 14],
      ['64k', '--bits 42 ', 2, 16],
      ['4k', '--bits 52 ', 5, 12],
      ['16k', '--bits 52 ', 4, 14],
      ['64k', '--bits 52 ', 3, 16],
    ] as const;
    for (const [granule, bits, levels, shift] of rows) {
      const tables = Array.from({ length: levels }, (_, at) => {
        const [from, to] = [0x100000 * (at + 1), 0x100000 * (at + 2)];
        return `--entry ${from}=${at === levels - 1 ? 0x80000403 : to + 3}`;
      });
      const line = `--mode aarch64-${granule} ${bits}--root 0x100000 ${tables.join(' ')} 0x123`;
      const report = data(`explain --json ${line}`);
      expect(report['steps']).toHaveLength(levels);
      expect(report['outcome']).toMatchObject({ pa: '0x80000123', pageBytes: 2 ** shift });
    }
  });

  it('obey rights, the access flag and TCR_EL1', () => {
    expect(output(`explain ${page('0x701')}`)).toContain('physical address 0x1234, in a 1 GiB');
    expect(output(`explain --user ${page('0x701')}`)).toContain('permission fault');
    expect(output(`explain --user ${page('0x741')}`)).toContain('physical address');
    expect(output(`explain --pan ${page('0x741')}`)).toContain('permission fault');
    expect(output(`explain --write ${page('0x781')}`)).toContain('permission fault');
    expect(output(`explain --fetch ${page('0x741')}`)).toContain('what EL0 may write');
    expect(output(`explain ${page('0x301')}`)).toContain('access flag fault');
    const tcr = (value: string): string =>
      output(`explain --tcr ${value} --ttbr0 0x1000 --entry 0x1000=0x301 0x1234`);
    expect(tcr('0x800019')).toContain('access flag fault');
    expect(tcr('0x8000800019')).toContain('sets AF');
  });

  it('have two halves, and one that has no root is off', () => {
    const both = '--mode aarch64-4k --bits 30 --entry 0x1000=0x701 --entry 0x2000=0x80000701';
    const [low, high] = ['0x1234', '0xffffffffc0001234'];
    const upper = `--ttbr1 0x2000 ${both}`;
    expect(output(`explain --root 0x1000 ${both} ${high}`)).toContain('EPDn=1');
    expect(output(`explain ${upper} ${low}`)).toContain('EPDn=1');
    expect(output(`explain ${upper} ${high}`)).toContain('physical address 0x80001234');
    expect(output(`explain --ttbr0 0x1000 ${upper} ${low}`)).toContain('physical address 0x1234');
  });

  it('are all write-back unless MAIR_EL1 says otherwise', () => {
    const outcome = (options: string): unknown =>
      data(`explain --json ${options}${page('0x701')}`)['outcome'];
    expect(outcome('')).toMatchObject({ aarch64: { attr: 0xff } });
    expect(outcome('--mair 4 ')).toMatchObject({ aarch64: { attr: 4 } });
  });
});

describe('AArch64 images without registers', () => {
  const tables = ram(0x3000, { 4096: 0x2003n, 8192: 0x40000f01n, 8200: 0x40200f05n });

  it('may be raw RAM or a core of QEMU', () => {
    for (const path of [image('ram.bin', tables), image('arm.elf', elfCore(183, tables, []))]) {
      const lines = output(`maps --mode aarch64-4k --bits 39 --root 0x1000 ${path}`).split('\n');
      expect(lines[0]).toBe('aarch64-4k: 2 ranges, 4 MiB mapped');
      expect(output(`maps --mode aarch64-4k --bits 39 --ttbr1 0x1000 ${path}`)).toContain(
        '0xffffff8000000000',
      );
      expect(mistake(`maps ${path}`)).toMatch(/^--mode: expected a mode such as sv39/);
    }
  });

  it('bring the registers of their header', () => {
    const regs = { TCR_EL1: '800019', TTBR0_EL1: '1000', TTBR1_EL1: '0', SCTLR_EL1: '5' };
    const header = { format: 'ptpages-v1', nPages: 2, arch: 'aarch64' };
    const pages = [
      [0x1000n, tables.subarray(0x1000, 0x2000)],
      [0x2000n, tables.subarray(0x2000)],
    ] as const;
    const dump = (change: object): string =>
      image('tables', tablesDump({ ...header, regs: { ...regs, ...change } }, pages));
    expect(output(`maps ${dump({ MAIR_EL1: '44ff' })}`)).toMatch(
      /0x0 .*0x40000000 *\n.*0x200000 .*non-cacheable\n/,
    );
    expect(output(`maps ${dump({ MAIR_EL1: '44ff', TCR_EL1: '800099' })}`)).toBe(
      'aarch64-4k: 0 ranges, 0 B mapped\n',
    );
    expect(mistake(`maps ${dump({})}`)).toMatch(/^MAIR_EL1: expected hexadecimal/);
  });
});

describe('a mistake about AArch64', () => {
  it('is told by the name of the option', () => {
    const rows = [
      ['--mode aarch64-4k 0', /^--root: expected .* \(or --ttbr0, --ttbr1\)$/],
      ['--mode aarch64-4k --root 0x10 0', /^--root: expected a multiple of 4096 \(got 0x10n\)$/],
      ['--mode aarch64-16k --bits 47 --root 0x1000 0', /^--root: expected a multiple of 16384 /],
      ['--mode aarch64-4k --root 0 --ttbr0 0 0', /^--root: expected no such .* beside --ttbr0$/],
      ['--mode aarch64-4k --bits 53 --root 0 0', /^--bits: expected an integer from 16 to 52/],
      ['--mode aarch64-64k --bits 16 --root 0 0', /^--bits: expected an integer from 17 to 52/],
      ['--mode sv39 --bits 39 --root 0 0', /^--bits: expected no such option with RISC-V tables$/],
      ['--tcr 0x19 --bits 39 --ttbr0 0 0', /^--bits: expected no such option beside --tcr$/],
      ['--tcr 0x19 0', /^--root: expected the address of the root table/],
      ['--mode aarch64-4k --root 0 --cr3 0 0', /^--cr3: .* with AArch64 tables$/],
      ['--mode x86-64-4 --root 0 --ttbr1 0 0', /^--ttbr1: .* with x86 tables$/],
      ['--mode aarch64-4k --root 0 --vtcr 0 0', /^--vttbr: expected the root of stage 2 beside/],
      ['--mode aarch64-4k --root 0 --hcr 0 0', /^--vttbr: expected the root of stage 2 beside/],
      [
        '--mode aarch64-64k --tcr 0x19 --root 0 0',
        /^--mode: expected registers that select aarch64-64k \(got "aarch64-4k"\)$/,
      ],
      ['--mode aarch64-4k --sctlr 0x2000001 --root 0 0', /^sctlr: expected EE clear/],
    ] as const;
    for (const [line, message] of rows) expect(mistake(`explain ${line}`)).toMatch(message);
  });
});
