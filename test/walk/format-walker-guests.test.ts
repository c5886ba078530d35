import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { definePteFormat } from 'pagewright/pte';
import { FormatWalker, type Mapping, mappings, RiscvWalker, X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { Fields, parseJson } from '../conformance/fields.js';
import { guestMemory } from '../conformance/formats/linux-guest.js';
import { RecordedFile } from '../conformance/recorded-file.js';
import { loadTablePages } from '../conformance/table-pages.js';
import { sv39AsData, x86Long4AsData } from './redefined-formats.js';

// The tables of real Linux guests, walked by formats that are data. The architectures' own walkers, which enumerate the
// same leaves, are judged by what QEMU and the guests' kernels said of them.

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));

/** What both walkers say of a leaf. */
const common = (leaf: Mapping): unknown => {
  const { entry, global, level, pa, pageBytes, pages, prot, raw, va } = leaf;
  return [va, pa, pages, level, prot, entry, raw, pageBytes, global].join();
};

describe('a format defined as data walks the tables of a real guest', () => {
  it('x86-64: every leaf', () => {
    const file = new RecordedFile(fixture('x86/linux-x86-64/tables.bin.gz'));
    const header = new Fields(file.header, 'the header');
    const width = header.integer('maxphyaddr', 32, 52);
    const memory = new PhysicalMemory();
    memory.addSparse({ base: 0, bytes: 2 ** width });
    loadTablePages(file, header.integer('pages', 1, 2 ** 20), memory);
    const [cr0, cr4, efer] = ['cr0', 'cr4', 'efer'].map((key) => Number(header.prefixedHex(key)));
    const cr3 = header.prefixedHex('cr3');
    const x86 = new X86Walker({
      memory,
      maxPhyAddr: width,
      cr0: cr0!,
      cr3,
      cr4: cr4!,
      efer: efer!,
    });
    const format = definePteFormat(x86Long4AsData({ width, nxe: true }));
    const root = Number((cr3 >> 12n) & 0xffffffffffn);
    const walker = new FormatWalker({ memory, format, root });
    const theirs = [...mappings(x86)].map(common);
    const own = [...mappings(walker)].map(common);
    expect(own.length).toBe(74155);
    expect(own.filter((leaf, at) => leaf !== theirs[at])).toEqual([]);
    expect(own.length).toBe(theirs.length);
  });

  it('riscv64: every leaf and translation, but for Svnapot groups', () => {
    const file = new RecordedFile(fixture('riscv/linux-riscv64-sv39-tables.bin.gz'));
    const header = new Fields(file.header, 'the header');
    const memory = guestMemory(file, header);
    const satp = header.object('regs').hex('satp');
    const hart = new RiscvWalker({ memory, satp, pbmte: true, adue: true, svnapot: true });
    const extensions = { svrsw60t59b: false, pbmte: true, svnapot: true };
    const format = definePteFormat(sv39AsData(extensions));
    const root = Number(satp & ((1n << 44n) - 1n));
    // SUM = 0.
    const walker = new FormatWalker({ memory, format, root, supervisorOnUserPages: 0 });
    const own = [...mappings(walker)];
    const theirs = [...mappings(hart)];
    expect([own.length, theirs.length]).toEqual([4103, 4103]);
    const groups = theirs.filter(({ riscv }) => riscv?.napot === true);
    expect(groups.length).toBe(128);
    const different = own.filter((leaf, at) => common(leaf) !== common(theirs[at]!));
    expect(different.map(({ va }) => va)).toEqual(groups.map(({ va }) => va));

    const grouped = new Set(groups.map(({ va }) => va));
    const name = fixture('riscv/linux-riscv64-sv39-translations.json.gz');
    const answers = new Fields(parseJson(gunzipSync(readFileSync(name)).toString(), name), name);
    const left = { judged: 0, grouped: 0 };
    for (const value of answers.list('translations')) {
      const asked = new Fields(value, 'a translation');
      const va = asked.hex('va');
      if (grouped.has(va - (va % 4096n))) {
        left.grouped++;
        continue;
      }
      left.judged++;
      const user = asked.oneOf('priv', ['U', 'S']) === 'U' ? Access.User : 0;
      const found = walker.translate(va, Access.Read | user);
      const expected = asked.value('pa') === null ? 'fault' : asked.hex('pa');
      expect(found.kind === 'page' ? found.pa : found.kind).toBe(expected);
    }
    expect(left.judged).toBeGreaterThan(1000);
  });
});
