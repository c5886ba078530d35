import { describe, expect, it } from 'vitest';
import { data, mistake, output } from './command.js';
import { imageFolder, ram } from './images.js';

const image = imageFolder();

/** `--entry` for each address. */
function entries(all: Readonly<Record<string, string>>): string {
  return Object.entries(all)
    .map(([address, value]) => `--entry ${address}=${value}`)
    .join(' ');
}

/** EPT: 2 MiB at 0, writable. */
const EPT = { '0x1000': '0x2007', '0x2000': '0x3007', '0x3000': '0xb7' };
/** Nested paging: 1 GiB at 0, for users. */
const NPT = { '0x1000': '0x2007', '0x2000': '0xe7' };
/** An x86-64 guest's: 1 GiB at 0. */
const X86 = { '0x4000': '0x5023', '0x5000': '0xe3' };

describe('a guest under a second stage', () => {
  it('of RISC-V: the G stage', () => {
    const tables = { '0x80000000': '0x200000df', '0x80004010': '0x1401', '0x80005000': '0xdf' };
    const line = `--mode sv39 --root 0x4000 --hgatp 0x8000000000080000 ${entries(tables)} 0x80008000`;
    const text = output(`explain --user ${line}`);
    expect(text.match(/second stage: .*sv39x4, root 0x80000000/g)).toHaveLength(3);
    expect(text).toMatch(/ {2}5 references in both stages\n$/);
    expect(data(`explain --json --user ${line}`)).toMatchObject({
      references: 5,
      outcome: { kind: 'page', gpa: '0x8000', pa: '0x80008000' },
    });
    expect(output(`explain --satp 0 --hgatp 0x8000000000080000 ${entries(tables)} 0x7000`)).toMatch(
      /physical address 0x80007000/,
    );
  });

  it('of 32-bit RISC-V', () => {
    const tables = { '0x80000000': '0x200000df', '0x80001000': '0xdf' };
    const line = `--mode sv32 --root 0x1000 --hgatp 0x80080000 ${entries(tables)} 0x1234`;
    expect(output(`explain --user ${line}`)).toContain('physical address 0x80001234');
  });

  it('of RISC-V: what both stages obey', () => {
    const tables = (g: string, vs: string): string =>
      `--mode sv39 --root 0x4000 --hgatp 0x8000000000080000 ${entries({ '0x80000000': g, '0x80004000': vs })} 0`;
    const sound = ['0x200000df', '0xdf'] as const;
    const untouched = ['0x2000001f', '0x1f'] as const;
    expect(output(`explain --user ${tables(sound[0], untouched[1])}`)).toContain('refused');
    expect(output(`explain --user ${tables(untouched[0], sound[1])}`)).toContain('refused');
    expect(output(`explain --user --adue ${tables(...untouched)}`)).toContain('physical address');
    const io = ['0x40000000200000df', '0x40000000000000df'] as const;
    expect(output(`explain --user ${tables(...io)}`)).toContain('refused');
    expect(output(`explain --user --pbmte ${tables(...io)}`)).toContain('physical address');
  });

  it('of x86: EPT', () => {
    const line = `--mode x86-64-4 --cr3 0x4000 --eptp 0x101e ${entries({ ...EPT, ...X86 })}`;
    const text = output(`explain ${line} 0x7000`);
    expect(text.match(/second stage: .*ept4, root 0x1000/g)).toHaveLength(3);
    expect(text).toContain('physical address 0x7000, in a 2 MiB page\n  11 references');
    expect(output(`explain ${line} 0x200000`)).toContain('(VM exit: ept-violation, guest-physical');
    expect(output(`explain ${line} --root 0x4000 0x7000`.replace('--cr3 0x4000 ', ''))).toBe(text);
  });

  it('of x86: nested paging', () => {
    const line = `--mode x86-64-4 --cr3 0x4000 --ncr3 0x1000 ${entries({ ...NPT, ...X86 })}`;
    const text = output(`explain ${line} 0x7000`);
    expect(text.match(/second stage: .*nptLong4, root 0x1000/g)).toHaveLength(3);
    expect(text).toContain('physical address 0x7000, in a 1 GiB page\n  8 references');
    expect(output(`explain ${line} 0x40000000`)).toContain('not present');
  });

  it('of 32-bit x86, whose entries are shorter than those of the stage', () => {
    const wide = { '0x1000': '0x2007', '0x2000': '0x3007', '0x3008': '0x1000000b7' };
    const tables = { ...wide, '0x3000': '0xb7', '0x4000': '0x5007', '0x5804': '0x201007' };
    const line = `--mode x86-32 --cr3 0x4000 --cr4 0x10 --eptp 0x101e ${entries(tables)}`;
    expect(output(`explain ${line} 0x201234`)).toContain('physical address 0x100001234');
    expect(mistake(`explain ${line} --entry 0x3004=0x1000000b7 0`)).toMatch(/a multiple of 8/);
    expect(mistake(`explain ${line} --entry 0x4002=1 0`)).toMatch(/a multiple of 4/);
  });

  it('of PAE x86, whose PDPTEs are then read through it', () => {
    const tables = { '0x4000': '0x5001', '0x5000': '0xe7', ...EPT };
    const line = `--mode pae --cr3 0x4000 --eptp 0x101e ${entries(tables)} 0x1234`;
    expect(output(`explain ${line}`)).toContain('physical address 0x1234, in a 2 MiB page');
  });

  it('of AArch64: stage 2, of the granule of stage 1 and 48 bits unless told', () => {
    const stage2 = { '0x80000000': '0x80001003', '0x80001000': '0x400007fd' };
    const tables = entries({ ...stage2, '0x40001000': '0x40000000200701' });
    const line = `--mode aarch64-4k --bits 39 --root 0x1000 --vttbr 0x80000000 ${tables} 0x2000`;
    const text = output(`explain ${line}`);
    expect(text.match(/second stage: .*aarch64 stage 2 4K 48-bit/g)).toHaveLength(2);
    expect(text).toContain('physical address 0x40002000, in a 1 GiB page\n  5 references');
    const given = `--vtcr 0x80050059 --vttbr 0x80001000 ${tables} 0x2000`;
    expect(output(`explain --mode aarch64-4k --bits 39 --root 0x1000 ${given}`)).toMatch(
      /4K 39-bit, root 0x80001000[\s\S]* 3 references/,
    );
    const off = `--hcr 0x80001001 --tcr 0x800019 --ttbr0 0x1000 --vttbr 0x80000000`; // with HCR.DC
    expect(output(`explain ${off} ${tables} 0x2000`)).toMatch(/no translation[\s\S]*0x40002000/);
  });

  it('lists what it maps in its own physical addresses', () => {
    const guest = ram(0x6000, {
      4096: 0x2007n,
      8192: 0x3007n,
      12288: 0xb7n,
      16384: 0x5023n,
      20480: 0x4000_00e3n,
    });
    const path = image('host.bin', guest);
    const maps = (options: string): string => output(`maps --mode x86-64-4 ${options} ${path}`);
    const text = maps('--cr3 0x4000 --eptp 0x101e');
    expect(text).toMatch(/^x86-64-4: 1 range, 1 GiB mapped\n.*guest-physical/);
    expect(text).toContain('0x40000000');
    expect(mistake(`maps --mode x86-64-4 --cr3 0x4000 --eptp 0x9000001e ${path}`)).toMatch(
      /^--root: expected .* in the image .*\(got 0x90000000n\)$/,
    );
  });
});

describe('a second stage alone', () => {
  it('is a mode like any other', () => {
    const rows = [
      ['sv32x4', '0x4000', '0x800000df', '0x200000123'],
      ['sv39x4', '0x4000', '0x200000df', '0x80000123'],
      ['sv48x4', '0x4000', '0xdf', '0x123'],
      ['sv57x4', '0x4000', '0xdf', '0x123'],
    ] as const;
    for (const [mode, root, entry, pa] of rows) {
      const text = output(`explain --mode ${mode} --root ${root} --entry ${root}=${entry} 0x123`);
      expect(text).toContain(`${mode}, root ${root}`);
      expect(text).toContain(`physical address ${pa},`);
    }
    const ept = entries({ ...EPT, '0x0': '0x1007' });
    expect(output(`explain --mode ept4 --root 0x1000 ${ept} 0x123`)).toContain('0x123, in a 2 MiB');
    expect(output(`explain --mode ept5 --root 0 ${ept} 0x123`)).toContain('0x123, in a 2 MiB');
    expect(output(`explain --mode npt4 --root 0x1000 ${entries(NPT)} 0x123`)).toContain(
      '0x123, in',
    );
    expect(output(`explain --mode npt5 --ncr3 0x1000 0x123`)).toContain('nptLong5, root 0x1000');
    expect(output(`explain --mode ept5 --eptp 0x26 ${ept} 0x123`)).toContain('0x123, in a 2 MiB');
    expect(output(`explain --mode sv39x4 --hgatp 0x8000000000000004 0`)).toContain('root 0x4000');
    expect(output('explain --mode aarch64-s2-4k --vttbr 0x4000 0')).toContain('root 0x4000');
  });

  it('obeys what registers it has', () => {
    const page = (entry: string): string =>
      `--mode sv39x4 --root 0x4000 --entry 0x4000=${entry} 0x123`;
    expect(output(`explain ${page('0x59')}`)).toContain('refused'); // execute-only
    expect(output(`explain --mxr ${page('0x59')}`)).toContain('physical address');
    expect(output(`explain ${page('0x1f')}`)).toContain('refused');
    expect(output(`explain --adue ${page('0x1f')}`)).toContain('physical address');
    expect(output(`explain ${page('0x40000000000000df')}`)).toContain('refused');
    expect(output(`explain --pbmte ${page('0x40000000000000df')}`)).toContain('physical address');
  });

  it('of AArch64 has as few levels as it can, of every granule and width', () => {
    for (const [granule, least] of [
      ['4k', 16],
      ['16k', 16],
      ['64k', 17],
    ] as const) {
      for (let bits = least; bits <= 52; bits++) {
        const mode = `--mode aarch64-s2-${granule} --bits ${bits}`;
        const report = data(`explain --json ${mode} --root 0x10000000 0`);
        expect(report['format']).toMatch(new RegExp(`^aarch64 stage 2 .* ${bits}-bit`));
        expect(report['rule']).toMatchObject({ id: expect.stringMatching(/not-present|invalid/) });
      }
    }
    expect(mistake('explain --mode aarch64-s2-4k --bits 40 --root 0x1000 0')).toBe(
      '--root: expected a multiple of 8192 (got 0x1000n)', // two tables
    );
  });

  it('is listed, with the memory types of its leaves', () => {
    const ept = ram(0x2000, { 0: 0x1007n, 4096: 0xb7n, 4104: 0x4000_00c7n });
    const text = output(`maps --mode ept4 --root 0 ${image('ept.bin', ept)}`);
    expect(text).toMatch(/^ept4: 2 ranges, 2 GiB mapped\n/);
    expect(text).toMatch(/0x40000000 +UC, ignores PAT\n$/);
  });
});

describe('a mistake about second stages', () => {
  it('is told by the name of the option', () => {
    const rows = [
      ['--mode x86-64-4 --root 0 --hgatp 0 0', /^--hgatp: .* with x86 tables$/],
      ['--mode sv39 --root 0 --eptp 0x1e 0', /^--eptp: .* with RISC-V tables$/],
      ['--mode sv39 --root 0 --vttbr 0 0', /^--vttbr: .* with RISC-V tables$/],
      ['--mode aarch64-4k --root 0 --ncr3 0 0', /^--ncr3: .* with AArch64 tables$/],
      ['--mode ept4 --root 0 --cr3 0 0', /^--cr3: .* with EPT tables$/],
      ['--mode ept4 --root 0 --eptp 0x1e 0', /^--root: .* beside --eptp$/],
      ['--mode ept4 --eptp 0x26 0', /^--mode: .* select ept4 \(got "ept5"\)$/],
      ['--mode ept4 --root 0x10 0', /^--root: expected a multiple of 4096/],
      ['--mode ept4 0', /^--root: expected .* \(or --eptp\)$/],
      ['--mode npt4 --root 0 --cr3 0 0', /^--cr3: .* with nested tables$/],
      ['--mode npt4 0', /^--root: expected .* \(or --ncr3\)$/],
      ['--mode sv39x4 --root 0 --sum 0', /^--sum: .* with G-stage tables$/],
      ['--mode sv39x4 --root 0x1000 0', /^--root: expected a multiple of 16384/],
      ['--mode sv39x4 0', /^--root: expected .* \(or --hgatp\)$/],
      ['--mode aarch64-s2-4k --root 0 --tcr 0 0', /^--tcr: .* with AArch64 stage 2 tables$/],
      ['--mode aarch64-s2-4k 0', /^--root: expected .* \(or --vttbr\)$/],
      ['--mode aarch64-s2-4k --bits 39 --vtcr 0 --root 0 0', /^--bits: .* beside --vtcr$/],
      ['--mode x86-64-4 --root 0 --eptp 0x1e --ncr3 0 0', /^--ncr3: .* beside --eptp$/],
      ['--mode x86-64-4 --root 0 --eptp 0 0', /^eptp: expected an EPTP that VM entry accepts/],
      [
        '--mode sv39 --root 0 --hgatp 0x7000000000000000 0',
        /^--hgatp: expected MODE 0, 8, 9 or 10: Bare, Sv39x4, Sv48x4 or Sv57x4/,
      ],
      ['--mode sv32 --root 0 --hgatp 0x8000000000000000 0', /^hgatp: expected an unsigned 32-bit/],
    ] as const;
    for (const [line, message] of rows) expect(mistake(`explain ${line}`)).toMatch(message);
  });
});
