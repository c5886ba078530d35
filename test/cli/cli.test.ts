import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import packageData from '../../package.json' with { type: 'json' };
import { EXAMPLES, exampleHelp } from '../../src/cli/examples.js';
import { bundle } from '../support/bundle.js';
import { fixture, mistake, output } from './command.js';
import { elfCore, imageFolder, ram, tablesDump } from './images.js';

const linux = fixture('x86/linux-x86-64/tables.bin.gz');
const linuxPae = fixture('x86/linux-pae/tables.bin.gz');
const linuxRiscv = fixture('riscv/linux-riscv64-sv39-tables.bin.gz');
const image = imageFolder();

const SV39 = '--mode sv39 --root 0x80000000 --entry 0x80000000=0x20000401';

describe('help', () => {
  it('is what no arguments print, with examples', () => {
    const help = output('');
    expect(help).toContain('Usage: pagewright [options] [command]');
    expect(help).toContain(exampleHelp());
    expect(output('--help')).toBe(help);
  });

  it('is there for every command', () => {
    for (const command of ['demo', 'explain', 'maps', 'split', 'decode']) {
      expect(output(`${command} --help`)).toContain(`Usage: pagewright ${command}`);
    }
  });

  it('has examples without files that work as typed', () => {
    const typed = [...exampleHelp().matchAll(/\$ pagewright (.*)/g)].map(([, line]) => line!);
    expect(typed.length).toBeGreaterThan(3);
    for (const line of typed.filter((one) => !/guest\.elf|ram\.bin/.test(one))) {
      expect(output(line)).not.toBe('');
    }
  });

  it('names the version of the package', () => {
    expect(output('--version')).toBe(`${packageData.version}\n`);
  });
});

describe('demo', () => {
  it('runs each example and shows how it was typed', () => {
    const story = output('demo');
    for (const { line, title } of EXAMPLES) {
      expect(story).toContain(`${title}\n\n$ pagewright ${line}\n${output(line)}`);
    }
  });
});

describe('explain', () => {
  it('walks entries given inline; other memory reads 0', () => {
    expect(output(`explain ${SV39} --entry 0x8000_1008=0x20080043 0x201abc`)).toMatch(
      /^supervisor read at 0x201abc .*\n.*\n.*leaf at 0x80200000.*\n {2}physical address 0x80201abc, in a 2 MiB page\n$/,
    );
    expect(output(`explain ${SV39} 0`)).toContain('not present');
    expect(output('explain --mode sv57 --root 0xf0000000000000 0')).toContain('not present');
  });

  it('takes the kind of access and the privilege', () => {
    const lines = {
      '': 'supervisor read',
      '--write --user ': 'user write',
      '--fetch ': 'supervisor fetch',
    };
    for (const [options, title] of Object.entries(lines)) {
      expect(output(`explain ${options}${SV39} 0x1000`)).toContain(`${title} at 0x1000`);
    }
    expect(mistake(`explain --write --fetch ${SV39} 0x1000`)).toMatch(
      /'--write' cannot be used with option '--fetch'/,
    );
  });

  it('knows all modes and the size of their entries', () => {
    const rows = [
      ['sv32', '--entry 0x1004=0x00800_0cf', '0x400123', '0x2000123'],
      ['sv48', '--entry 0x1000=0xcf', '0x123', '0x123'],
      ['sv57', '--entry 0x1000=0xcf', '0x123', '0x123'],
      ['x86-32', '--entry 0x1004=0x8000e7', '0x400123', '0x800123'],
      ['pae', '--entry 0x1000=0x2001 --entry 0x2008=0x8000e7', '0x200123', '0x800123'],
      ['x86-64-4', '--entry 0x1000=0x2027 --entry 0x2008=0x800000e7', '0x40000123', '0x80000123'],
      [
        'x86-64-5',
        '--entry 0x1000=0x3027 --entry 0x3000=0x2027 --entry 0x2008=0x800000e7',
        '0x40000123',
        '0x80000123',
      ],
    ] as const;
    for (const [mode, entries, va, pa] of rows) {
      const text = output(`explain --mode ${mode} --root 0x1000 ${entries} ${va}`);
      expect(text).toContain(`physical address ${pa},`);
    }
  });

  it('takes the root as the register holds it', () => {
    const entries = '--entry 0x1000=0x2027 --entry 0x2008=0x800000e7';
    expect(output(`explain --mode x86-64-4 --cr3 0x1018 ${entries} 0x40000000`)).toContain(
      'root 0x1000',
    );
    expect(output(`explain --satp 0x8001400000000001 ${entries} 0`)).toContain('sv39, root 0x1000');
    expect(output('explain --mode sv32 --satp 0x80000001 0')).toContain('sv32, root 0x1000');
    expect(output('explain --satp 0 0x77')).toContain('physical address 0x77, not translated');
  });

  it('gives the whole report as JSON', () => {
    const report = JSON.parse(output(`explain --json ${SV39} 0x201abc`));
    expect(report).toMatchObject({ v: 1, type: 'walk-report', format: 'sv39', va: '0x201abc' });
    expect(report.steps[0].raw).toBe('0x20000401');
  });

  it('obeys the registers of RISC-V', () => {
    const page = (entry: string): string =>
      `--mode sv39 --root 0x1000 --entry 0x1000=${entry} 0x123`;
    const reached = 'physical address 0x123';
    const rows = [
      ['--sum', '0xd7', 'refused'], // a user page, to the supervisor
      ['--mxr', '0x49', 'refused'], // execute-only, to a load
      ['--adue', '0x07', 'refused'], // never accessed
      ['--pbmte', '0x20000000000000c7', 'refused'], // NC
    ] as const;
    for (const [option, entry, without] of rows) {
      expect(output(`explain ${page(entry)}`)).toContain(without);
      expect(output(`explain ${option} ${page(entry)}`)).toContain(reached);
    }
  });

  it('obeys the registers of x86', () => {
    const page = (entry: string): string =>
      `--mode x86-64-4 --root 0x1000 --entry 0x1000=0x2027 --entry 0x2000=${entry} 0x123`;
    expect(output(`explain ${page('0x80000000000000e7')}`)).toContain('physical address');
    expect(output(`explain --efer 0x500 ${page('0x80000000000000e7')}`)).toContain('refused');
    expect(output(`explain --write ${page('0xe5')}`)).toContain('refused');
    expect(output(`explain --write --cr0 0x80000001 ${page('0xe5')}`)).toContain('physical');
    expect(output(`explain ${page('0xe7')}`)).toContain('physical');
    expect(output(`explain --cr4 0x200020 ${page('0xe7')}`)).toContain('refused'); // SMAP
  });
});

describe('images', () => {
  const identity = ram(0x3000, { 4096: 0x2027n, 8192: 0xe7n });

  it('with their registers need nothing else', () => {
    expect(output(`explain --image ${linux} --user 0x7f0197600123`)).toContain(
      'physical address 0x3400123, in a 2 MiB page',
    );
    expect(output(`explain --image ${linuxPae} 0xc0000123`)).toContain('physical address 0x123,');
    expect(output(`explain --image ${linuxRiscv} --user 0x12000`)).toContain('0x102498000, in a');
  });

  it('take a mode that fits', () => {
    const riscv = `--image ${linuxRiscv} --user 0x12000`;
    expect(output(`explain --mode sv39 ${riscv}`)).toBe(output(`explain ${riscv}`));
    expect(mistake(`explain --mode sv48 ${riscv}`)).toBe(
      '--mode: expected registers that select sv48 (got "sv39")',
    );
    expect(output(`explain --satp 0x9000000000081fc6 ${riscv}`)).toContain('sv48, root 0x81fc6000');
  });

  it('take another root, and entries over what they hold', () => {
    const other = `explain --image ${linux} --entry 0x2a28000=0x123 --root 0x28e3000`;
    expect(output(`${other} 0`)).toContain('root 0x28e3000');
    expect(output(`explain --image ${linux} --entry 0x2a28000=0x123 0`)).toContain('= 0x123 ');
    expect(output(`explain --image ${linuxRiscv} --root 0x81fc6000 0`)).toContain(
      'sv39, root 0x81fc6000',
    );
  });

  it('may be raw RAM, anywhere', () => {
    const path = image('ram.bin', identity);
    const walk = 'explain --mode x86-64-4 --root';
    expect(output(`${walk} 0x1000 --image ${path} 0x123`)).toContain('physical address 0x123,');
    const high = image('high.bin', ram(0x2000, { 0: 0x20000401n, 4096: 0xcfn }));
    expect(
      output(`explain --satp 0x8000000000080000 --base 0x80000000 --image ${high} 0x123`),
    ).toContain('physical address 0x123, in a 2 MiB page');
  });

  it('may be cores of QEMU, of which a CPU is chosen', () => {
    const cpus = [
      { cr0: 0x80010001n, cr3: 0n, cr4: 0x20n },
      { cr0: 0x80010001n, cr3: 0x1000n, cr4: 0x20n },
    ];
    const path = image('guest.elf', elfCore(62, identity, cpus));
    expect(output(`explain --image ${path} 0x123`)).toContain('not present');
    expect(output(`explain --cpu 1 --image ${path} 0x123`)).toContain('physical address 0x123,');
    expect(mistake(`explain --cpu 2 --image ${path} 0x123`)).toMatch(/^--cpu: expected below 2/);
    expect(output(`maps --cpu 1 ${path}`)).toContain('x86-64-4: 1 range, 1 GiB mapped');
    const i386 = image('i386.elf', elfCore(3, identity, [{ ...cpus[0]!, cr4: 0n }]));
    expect(output(`explain --image ${i386} 0x123`)).toContain('not present');
    expect(output(`maps ${i386}`)).toContain('x86-32: ');
    const pae = image('pae.elf', elfCore(3, identity, [{ ...cpus[0]!, cr4: 0x20n }]));
    expect(output(`maps ${pae}`)).toContain('pae: '); // not IA-32e mode
    expect(
      output(`maps ${image('real.elf', elfCore(3, identity, [{ ...cpus[0]!, cr0: 0n }]))}`),
    ).toBe('no translation: 0 ranges, 0 B mapped\n');
    const riscv = image('riscv.elf', elfCore(243, identity, []));
    expect(mistake(`maps ${riscv}`)).toMatch(/^--mode: expected/);
    expect(output(`maps --satp 0x8000000000000001 ${riscv}`)).toContain('sv39: ');
  });

  it('bring the RISC-V registers of their header, bit by bit', () => {
    const rows = [
      ['sstatus', 18, 0xd7n], // SUM: a user page, to the supervisor
      ['sstatus', 19, 0x49n], // MXR: execute-only, to a load
      ['menvcfg', 61, 0x07n], // ADUE: never accessed
      ['menvcfg', 62, 0x2000_0000_0000_00c7n], // PBMTE: NC
    ] as const;
    for (const [register, set, entry] of rows) {
      const page = ram(4096, { 0: entry });
      const explained = (bits: bigint): string => {
        const regs = { satp: '8000000000000001', sstatus: '0', menvcfg: '0' };
        const header = { format: 'ptpages-v1', nPages: 1, arch: 'riscv64' };
        const all = { ...header, regs: { ...regs, [register]: bits.toString(16) } };
        return output(
          `explain --image ${image('tables', tablesDump(all, [[0x1000n, page]]))} 0x123`,
        );
      };
      expect(explained(1n << BigInt(set))).toContain('physical address 0x123');
      expect(explained(~(1n << BigInt(set)) & 0xffff_ffff_ffff_ffffn)).toContain('refused');
    }
  });

  it('that are damaged or foreign are refused in a line', () => {
    const header = { format: 'x86-page-tables-v1', pages: 1, cr0: '0x1', cr3: '0x0', cr4: '0x0' };
    const page = [0n, new Uint8Array(4096)] as const;
    const dump = (data: unknown, pages = [page]): string => image('dump', tablesDump(data, pages));
    expect(mistake(`maps ${dump(header)}`)).toMatch(/^efer: expected hexadecimal/);
    expect(output(`maps ${dump({ ...header, efer: 'd00' })}`)).toContain('no translation');
    expect(mistake(`maps ${dump(header, [])}`)).toMatch(/^tables: expected 1 pages of 4104 bytes/);
    expect(mistake(`maps ${dump('{"format": "ptpages-v1"')}`)).toMatch(/^header: expected/);
    const mips = { format: 'ptpages-v1', nPages: 1, arch: 'mips64', regs: {} };
    expect(mistake(`maps ${dump(mips)}`)).toMatch(/^arch: .*\(got "mips64"\)$/);
    for (const [arch, first] of [
      ['riscv64', /^sstatus/],
      ['aarch64', /^TCR_EL1/],
    ] as const) {
      expect(mistake(`maps ${dump({ ...mips, arch })}`)).toMatch(first);
      expect(mistake(`maps ${dump({ ...mips, arch, regs: undefined })}`)).toMatch(first);
    }
    expect(mistake(`maps ${image('cut.gz', gzipSync(identity).subarray(0, 20))}`)).toMatch(/gzip/);
    expect(mistake(`maps ${image('cut.elf', elfCore(62, identity, []).subarray(0, 70))}`)).toMatch(
      /^the program headers: /,
    );
    expect(mistake(`maps ${image('empty', '')} --mode sv39 --root 0`)).toMatch(
      /^image: expected a file/,
    );
    expect(mistake('maps no-such-file')).toMatch(/^image: .*\(got "no-such-file"\)$/);
    expect(mistake(`maps ${fixture('')}`)).toMatch(/^image: expected a file/);
  });
});

describe('maps', () => {
  it('lists merged ranges with size, rights and frames', () => {
    const lines = output(`maps --user-only ${linux}`).split('\n');
    expect(lines[0]).toBe('x86-64-4: 192 ranges, 8052 KiB mapped');
    expect(lines).toContain(
      '  0x401000        0x450000        316 KiB  79 x 4 KiB  r-xu    scattered',
    );
    expect(lines).toContain(
      '  0x7f0196dd0000  0x7f0196dd4000  16 KiB   4 x 4 KiB   r--u    0x84b0000  key 4',
    );
  });

  it('folds what repeats at equal distances', () => {
    expect(output(`maps ${linux}`)).toMatch(
      /0xffffff1500005000 .* 0x1057000 +and so on, 65536 times to 0xffffff15ffff6000, one every 64 KiB, global\n/,
    );
  });

  it('ends ranges where frames stop following one another when asked', () => {
    const ranges = (line: string): { pages: number; pa: string | null }[] =>
      JSON.parse(output(`maps --json --user-only ${line}`)).ranges;
    const merged = ranges(linux);
    const runs = ranges(`--contiguous ${linux}`);
    expect(runs.length).toBeGreaterThan(merged.length);
    expect(runs.every(({ pa }) => pa !== null)).toBe(true);
    const pages = (all: { pages: number }[]): number =>
      all.reduce((sum, one) => sum + one.pages, 0);
    expect(pages(runs)).toBe(pages(merged));
  });

  it('shows memory types and NAPOT', () => {
    const text = output(`maps ${linuxRiscv}`);
    for (const note of ['NAPOT', 'NC', 'IO', 'global']) expect(text).toContain(note);
    expect(output(`maps ${linux}`)).toContain('global, PAT 2');
  });

  it('refuses a root that is not in the image, which a forgotten --base looks like', () => {
    const path = image('high.bin', ram(0x1000, { 0: 0xcfn }));
    const maps = `maps --mode sv39 --root 0x80000000 ${path}`;
    expect(mistake(maps)).toMatch(/^--root: expected .*--base\) \(got 0x80000000n\)$/);
    expect(output(`${maps} --base 0x80000000`)).toContain('1 range, 1 GiB mapped');
  });

  it('says where the visit limit stopped it', () => {
    expect(output(`maps --visit-limit 3 ${linux}`)).toMatch(
      /\nStopped at 0x[0-9a-f]+: the limit is reached, the rest is left out.\n$/,
    );
    expect(JSON.parse(output(`maps --json --visit-limit 0 ${linux}`)).stoppedAt).toBe('0x0');
  });
});

describe('split', () => {
  it('shows the bits of every index', () => {
    expect(
      output('split --mode sv39 0xffff_ffd8_0020_1abc'),
    ).toBe(`sv39: 0xffffffd800201abc, canonical
  level 2  bits 38:30  101100000     352
  level 1  bits 29:21  000000001     1
  level 0  bits 20:12  000000001     1
  offset   bits 11:0   101010111100  0xabc
`);
  });

  it('says what is wrong with an address that the mode has not', () => {
    expect(output('split --mode x86-64-4 0x800000000000')).toContain(
      'not an address of this mode: bits 63:48 must repeat bit 47',
    );
    expect(output('split --mode sv32 4294967296')).toContain('bits 63:32 must be 0');
  });

  it('gives JSON', () => {
    expect(JSON.parse(output('split --json --mode sv32 0x00400fff'))).toMatchObject({
      type: 'address-parts',
      offset: 0xfff,
    });
  });
});

describe('decode', () => {
  it('names every field with its bits, value and meaning', () => {
    const lines = output('decode --mode sv39 --level 1 0x20080043').split('\n');
    expect(lines[0]).toBe('sv39, level 1: 0x20080043 is a leaf: a 2 MiB page at 0x80200000');
    expect(lines.find((line) => line.includes(' PPN '))).toMatch(/^ {2}53:10 +PPN +0x80200 +\w/);
    expect(lines.at(-2)).toMatch(/^ {2}0 +V +1 +Valid/);
  });

  it('tells pointers and empty entries too', () => {
    expect(output('decode --mode x86-64-4 --level 3 0x2067')).toContain(
      'is a pointer to the table at 0x2000\n',
    );
    expect(output('decode --mode x86-64-4 0')).toContain('level 0: 0x0 is not present\n');
  });

  it('gives JSON', () => {
    expect(JSON.parse(output('decode --json --mode pae --level 1 0xe7'))).toMatchObject({
      type: 'entry',
      kind: 'leaf',
      raw: '0xe7',
    });
  });
});

describe('a mistake', () => {
  it('is told in one line that names the argument and what was expected', () => {
    const rows = [
      ['nonsense', /^unknown command 'nonsense' \(see pagewright --help\)$/],
      [
        'maps --jsn x',
        /^unknown option '--jsn' \(Did you mean --json\?\) \(see pagewright maps --help\)$/,
      ],
      ['explain', /^missing required argument 'va' \(see pagewright explain --help\)$/],
      ['explain 0x10', /^--mode: expected a mode such as sv39/],
      [
        'explain --mode sv39 0x10',
        /^--root: expected the address of the root table \(or --satp\)$/,
      ],
      ['explain --mode pae 0x10', /^--root: expected .* \(or --cr3\)$/],
      ['explain --mode arm 0x10', /'arm' is invalid\. Allowed choices are sv32,/],
      ['explain --mode sv39 --root zz 0', /'zz' is invalid\. Expected a number such as/],
      ['explain --mode sv39 --root 0x10 0', /^--root: expected a multiple of 4096/],
      ['explain --mode pae --root 0x10 0', /^--root: expected a multiple of 32 /],
      ['explain --mode sv32 --root 0x400000000 0', /^--root: expected an unsigned 34-bit/],
      [
        'explain --mode sv39 --root 0 --satp 0 0',
        /^--root: expected no such option beside --satp$/,
      ],
      ['explain --mode sv39 --root 0 --cr4 0 0', /^--cr4: expected no such option with RISC-V/],
      ['explain --mode pae --root 0 --sum 0', /^--sum: expected no such option with x86 tables$/],
      [
        'explain --mode pae --root 0 --cr4 0 0',
        /^--mode: expected registers that select pae \(got "x86-32"\)$/,
      ],
      ['explain --mode pae --root 0 --cr0 0 0', /^--mode: .* \(got "no translation"\)$/],
      ['explain --satp 0xf000000000000000 0', /^--satp: expected MODE 0, 8, 9 or 10/],
      [
        'explain --mode pae --root 0 --base 0 0',
        /^--base: expected no such option without an image$/,
      ],
      [
        'explain --mode pae --root 0 --cpu 0 0',
        /^--cpu: expected no such option without an image$/,
      ],
      ['explain --mode sv39 --root 0 --entry 5 0', /Expected ADDRESS=VALUE/],
      [
        'explain --mode sv39 --root 0 --entry 5=5 0',
        /^--entry: expected an address in memory, a multiple of 8/,
      ],
      [
        'explain --mode sv32 --root 0 --entry 0=0x100000000 0',
        /^--entry: expected an unsigned 32-bit/,
      ],
      ['explain --mode sv39 --root 0 -5', /'-5'/],
      [
        'explain --mode sv39 --root 0 0x1_0000_0000_0000_0000',
        /^address: expected an unsigned 64-bit/,
      ],
      ['explain --mode sv39 --root 0 12ab', /'12ab' is invalid for argument 'va'/],
      [`maps --cpu 0 ${linux}`, /^--cpu: expected no such option but for an ELF core/],
      [`maps --base 0 ${linux}`, /^--base: expected no such option but for a raw RAM image/],
      ['split 5', /^required option '--mode <mode>' not specified/],
      ['decode --mode sv39 --level 3 0', /^level: expected an integer from 0 to 2/],
      ['decode --mode sv39 --level 0x20000000000000 0', /Expected a number below 2\^53/],
    ] as const;
    for (const [line, message] of rows) expect(mistake(line)).toMatch(message);
  });
});

describe('as a process', () => {
  let program = '';
  beforeAll(async () => {
    program = await bundle(fileURLToPath(new URL('../../src/cli/pagewright.ts', import.meta.url)));
  });
  afterAll(() => rmSync(program));

  it('answers on the standard output and exits with 0', () => {
    const text = execFileSync('node', [program, 'maps', linux], { encoding: 'utf8' });
    expect(text).toBe(output(`maps ${linux}`));
  });

  it('complains on the standard error and exits with 2', () => {
    const { status, stderr, stdout } = spawnSync('node', [program, 'maps', 'no-such-file']);
    expect({ status, stdout: `${stdout}` }).toEqual({ status: 2, stdout: '' });
    expect(`${stderr}`).toMatch(/^pagewright: image: expected .*\n$/);
  });

  it('does not mind a reader that goes away', () => {
    const command = `'${process.execPath}' '${program}' maps --json '${linux}' | head -1`;
    const { status, stderr, stdout } = spawnSync('sh', ['-c', command]);
    expect({ status, stderr: `${stderr}`, stdout: `${stdout}` }).toEqual({
      status: 0,
      stderr: '',
      stdout: '{\n',
    });
  });
});

describe('the entry point', () => {
  it('passes the arguments on and sets the exit code', async () => {
    const argv = vi.spyOn(process, 'argv', 'get').mockReturnValue(['node', 'pagewright', 'x']);
    const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const before = process.exitCode;
    await import('../../src/cli/pagewright.js');
    expect(process.exitCode).toBe(2);
    expect(err).toHaveBeenCalledWith(expect.stringContaining("unknown command 'x'"));
    process.exitCode = before;
    argv.mockRestore();
    err.mockRestore();
  });
});
