import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type Edit, edit, fixtureBytes, flip, put, remove, replayFiles } from './workbench.js';

/** The recorded translations of a guest, to be changed by a test. */
interface Translations {
  [key: string]: unknown;
  regs: Record<string, string>;
  maps: string[];
  translations: Record<string, unknown>[];
  pagemap: (string | null)[][];
}

/** A guest whose tables are "ptpages-v1". */
interface Guest {
  readonly title: string;
  readonly name: string;
  readonly cases: number;
  /** The key that says who loads, another of its values that changes the first answer, and one that it has not. */
  readonly privilege: readonly [key: string, other: unknown, unknown: unknown];
  readonly root: string;
  /** A mapped address that `pagemap` has not. */
  readonly elsewhere: string;
  /** The number of a count of the header. */
  readonly count: RegExp;
}

const GUESTS: readonly Guest[] = [
  {
    title: 'RISC-V',
    name: 'riscv/linux-riscv64-sv39',
    cases: 2_331,
    privilege: ['priv', 'S', 'M'],
    root: 'satp',
    elsewhere: '10001',
    count: /(?<="half1 L0 leaf pbmt1": )\d+/,
  },
  {
    title: 'AArch64',
    name: 'aarch64/linux-arm64',
    cases: 2_559,
    privilege: ['el', '0', 2],
    root: 'TTBR0_EL1',
    elsewhere: '400001',
    count: /(?<="half1 L3 page contig": )\d+/,
  },
];

const first =
  (change: Edit) =>
  ({ translations }: Translations): void =>
    change(translations[0]!);
const fault =
  (change: Edit) =>
  ({ translations }: Translations): void =>
    change(translations.find(({ pa }) => pa === null)!);
const firstPage =
  (change: (page: (string | null)[]) => void) =>
  ({ pagemap }: Translations): void =>
    change(pagemap[0]!);

describe.each(GUESTS.map((guest) => [guest.title, guest] as const))(
  'a corrupted %s guest is noticed',
  (_title, guest) => {
    const { cases, name, privilege, root } = guest;
    const [key, other, unknown] = privilege;
    const tables = fixtureBytes(`${name}-tables.bin.gz`);
    const json = fixtureBytes(`${name}-translations.json.gz`).toString('utf8');
    const start = tables.indexOf(10) + 1;
    const header = tables.subarray(0, start).toString('utf8');

    function replayChanged(
      change: (recorded: Translations) => void,
    ): ReturnType<typeof replayFiles> {
      const recorded: Translations = JSON.parse(json); // the fixture is known to have this shape
      change(recorded);
      return replayFiles({
        'guest-tables.bin': tables,
        'guest-translations.json': JSON.stringify(recorded),
      });
    }

    function replayTables(changed: Uint8Array): ReturnType<typeof replayFiles> {
      return replayFiles({ 'guest-tables.bin': changed, 'guest-translations.json': json });
    }

    it('not when nothing is corrupted, and it may be packed and have any name', () => {
      const passed = { passed: cases, failed: 0, ok: true };
      expect(replayChanged(() => {})).toMatchObject(passed);
      const report = replayFiles({
        'debian.dat.gz': gzipSync(tables),
        'debian.dat-translations.json': json,
      });
      expect(report).toMatchObject(passed);
    });

    it.each<[string, (recorded: Translations) => void]>([
      ['physical address', first(edit('pa', (pa) => flip(pa, 16)))],
      ['physical offset', first(edit('pa', (pa) => flip(pa)))],
      ['virtual address', first(edit('va', (va) => flip(va)))],
      ['a fault', first(put('pa', null))],
      ['a page instead of a fault', fault(put('pa', '80000000'))],
      ['privilege', first(put(key, other))],
      ['unknown privilege', first(put(key, unknown))],
      ['missing privilege', first(remove(key))],
      ['unknown key', first(put('sum', 1))],
      ['no key', first(remove('pa'))],
      ['number for an address', first(put('pa', 4096))],
      [
        'a translation that is no object',
        ({ translations }) => translations.fill([] as never, 0, 1),
      ],
      ['pagemap frame', firstPage((page) => page.splice(1, 1, flip(page[1])))],
      ['pagemap hole', firstPage((page) => page.splice(1, 1, null))],
      ['pagemap address', firstPage((page) => page.splice(0, 1, guest.elsewhere))],
      ['pagemap page elsewhere', firstPage((page) => page.splice(0, 1, '0'))],
      ['pagemap page of three', firstPage((page) => page.push('0'))],
      ['pagemap page of one', firstPage((page) => page.pop())],
      ['registers', ({ regs }) => edit(root, (value) => flip(value))(regs)],
      ['architecture', put('arch', 'x86')],
      ['maps', ({ maps }) => maps.splice(0, 1, 'nonsense')],
      ['no maps', remove('maps')],
      ['unknown part', put('tlb', [])],
      ['no translations', put('translations', [])],
      ['translations that are no list', put('translations', {})],
    ])('%s', (_what, change) => {
      expect(replayChanged(change)).toMatchObject({ failed: 1, ok: false });
    });

    it('PROT_NONE areas, whose pages look present in the pagemap', () => {
      const perms = (from: RegExp, to: string) => (recorded: Translations) => {
        const at = recorded.maps.findIndex((line) => from.test(line));
        recorded.maps[at] = recorded.maps[at]!.replace(from, to);
      };
      expect(replayChanged(perms(/ ---p /, ' r--p ')).failed).toBeGreaterThan(0);
      expect(replayChanged(perms(/ rw-p /, ' ---p ')).failed).toBeGreaterThan(0);
    });

    it('its translations missing', () => {
      const report = replayFiles({ 'guest-tables.bin': tables });
      expect(report).toMatchObject({ passed: 0, failed: 1 });
      expect(report.files[0]!.disagreements[0]).toContain('guest-translations.json is missing');
    });

    it.each<[string, string | Uint8Array]>([
      ['no JSON', '{'],
      ['empty', ''],
      ['cut off', gzipSync(json).subarray(0, 1000)],
    ])('its translations being %s', (_what, contents) => {
      const report = replayFiles({
        'guest-tables.bin': tables,
        'guest-translations.json': contents,
      });
      expect(report).toMatchObject({ passed: 0, failed: 1 });
      expect(report.files[0]!.disagreements[0]).toContain('guest-translations.json');
    });

    it('a bit of a table: any that makes another kind of entry, wherever nothing else is recorded', () => {
      const step = 8 * Math.floor(tables.length / 8 / 8) + 8;
      for (let at = start + 8; at < tables.length; at += step) {
        if ((at - start) % 4104 === 0) continue; // the address of a page
        const changed = Buffer.from(tables);
        changed[at]! ^= 1;
        const report = replayTables(changed);
        expect([at, report.ok]).toEqual([at, false]);
        expect(report.files[0]!.disagreements[0]).toMatch(/half[01] L\d .*: the header counts/);
      }
    });

    it('the frame and the rights of an entry whose translation is recorded', () => {
      const { translations }: Translations = JSON.parse(json); // as above
      const frames = translations.map(({ pa }) => BigInt(`0x${String(pa ?? 0)}`) >> 12n);
      // The first entry of a last-level table that maps the first translation's frame.
      const shift = name.startsWith('riscv') ? 10n : 12n;
      const at = entryOf(tables, start, frames[0]!, shift);
      for (const bit of [Number(shift), Number(shift) + 3, name.startsWith('riscv') ? 1 : 6]) {
        const changed = Buffer.from(tables);
        changed[at + (bit >> 3)]! ^= 1 << (bit & 7);
        expect([bit, replayTables(changed).ok]).toEqual([bit, false]);
      }
    });

    it('tables that are cut off, moved, in another order, or counted otherwise', () => {
      const moved = Buffer.from(tables);
      moved[start + 1]! ^= 0x10;
      const swapped = Buffer.concat([
        tables.subarray(0, start),
        tables.subarray(start + 4104, start + 2 * 4104),
        tables.subarray(start, start + 4104),
        tables.subarray(start + 2 * 4104),
      ]);
      const withHeader = (text: string): Buffer =>
        Buffer.concat([Buffer.from(text), tables.subarray(start)]);
      const corrupted = {
        'cut off': tables.subarray(0, -1),
        'a page less': tables.subarray(0, -4104),
        moved,
        swapped,
        'another number of pages': withHeader(header.replace(/(?<="nPages": )\d+/, '7')),
        'another count': withHeader(header.replace(guest.count, '7')),
        'another register': withHeader(header.replace(`"${root}": "`, `"${root}": "1`)),
        'no registers': withHeader(header.replace('"regs"', '"registers"')),
        'pages of another size': withHeader(
          header.replace('"pageBytes": 4096', '"pageBytes": 8192'),
        ),
        'no RAM': withHeader(header.replace('"ram"', '"rom"')),
        'no JSON': withHeader(header.replace('{', '')),
        'no format': withHeader(header.replace('ptpages-v1', 'ptpages-v9')),
      };
      for (const [what, bytes] of Object.entries(corrupted)) {
        const report = replayTables(bytes);
        expect([what, report.ok, report.passed]).toEqual([what, false, 0]);
      }
    });
  },
);

/** Where an entry stands in a file of tables that maps a frame. */
function entryOf(tables: Buffer, start: number, frame: bigint, shift: bigint): number {
  for (let at = start; at < tables.length; at += 8) {
    if ((at - start) % 4104 === 0) continue;
    const entry = tables.readBigUInt64LE(at);
    if ((entry & 1n) === 1n && (entry & 0xffff_ffff_ffffn) >> shift === frame) return at;
  }
  throw new Error(`no entry maps frame ${frame.toString(16)}`);
}
