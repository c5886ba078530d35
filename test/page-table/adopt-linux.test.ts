import { fileURLToPath } from 'node:url';
import { Access, addressFromVpn, bigintFromWords, Prot, vpnFromAddress } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { type EntryCursor, Invalidations, PageTable } from 'pagewright/page-table';
import { aarch64, type PteFormat, sv39, x86Long4, x86Pae } from 'pagewright/pte';
import { AArch64Walker, mappings, type RadixWalker, RiscvWalker, X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { Fields, hex } from '../conformance/fields.js';
import { guestMemory } from '../conformance/formats/linux-guest.js';
import { RecordedFile } from '../conformance/recorded-file.js';
import { loadTablePages } from '../conformance/table-pages.js';
import { contentsOf } from './system.js';

// The page tables of real Linux guests, out of the recordings of test/fixtures, taken over as an operating system or a
// hypervisor would.

const recorded = (name: string): RecordedFile =>
  new RecordedFile(fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url)));

/** Frames for tables of ours: outside all that the guests have, but below 4 GiB, where PAE's roots are. */
const X86_SPARE = { first: 0x8_0000, frames: 4096 };
const VIRT_SPARE = { first: 0x20_0000, frames: 4096 };

interface Guest {
  readonly memory: PhysicalMemory;
  readonly frames: FramePool;
  readonly table: PageTable;
  readonly owed: Invalidations;
  readonly walker: RadixWalker;
  readonly file: RecordedFile;
}

function adopt(
  file: RecordedFile,
  memory: PhysicalMemory,
  walker: RadixWalker,
  format: PteFormat,
  place: { readonly root: number; readonly rootOffset?: number },
): Guest {
  const frames = new FramePool(format.architecture === 'x86' ? X86_SPARE : VIRT_SPARE);
  const table = new PageTable({ format, memory, frames, ...place });
  return { memory, frames, table, owed: new Invalidations({ frames }), walker, file };
}

function x86Guest(name: string, format: PteFormat): Guest {
  const file = recorded(`${name}/tables.bin.gz`);
  const header = new Fields(file.header, 'the header');
  const register = (register: string): number => Number(header.prefixedHex(register));
  const memory = new PhysicalMemory();
  memory.addSparse({ base: 0, bytes: 2 ** header.integer('maxphyaddr', 32, 52) });
  loadTablePages(file, header.integer('pages', 1, 2 ** 20), memory);
  const cr3 = register('cr3');
  const [cr0, cr4, efer] = [register('cr0'), register('cr4'), register('efer')];
  const pdptes = [0, 8, 16, 24].map((slot) => {
    const found = memory.read(BigInt((cr3 & ~31) + slot), 8);
    return found.kind === 'value' ? found.value & ~0x20n : 0n;
  });
  const pae = format === x86Pae ? { pdptes } : {};
  const walker = new X86Walker({ memory, cr0, cr3, cr4, efer, ...pae });
  const rootOffset = format === x86Pae ? cr3 & 0xfe0 : 0;
  return adopt(file, memory, walker, format, { root: Math.floor(cr3 / 4096), rootOffset });
}

function riscvGuest(): Guest {
  const file = recorded('riscv/linux-riscv64-sv39-tables.bin.gz');
  const header = new Fields(file.header, 'the header');
  const memory = guestMemory(file, header);
  memory.addSparse({ base: VIRT_SPARE.first * 4096, bytes: VIRT_SPARE.frames * 4096 });
  const satp = header.object('regs').hex('satp');
  const walker = new RiscvWalker({ memory, satp, pbmte: true, adue: true });
  const root = Number(satp & 0xfff_ffff_ffffn);
  return adopt(file, memory, walker, sv39, { root });
}

function armGuest(half: 'low' | 'high'): Guest {
  const file = recorded('aarch64/linux-arm64-tables.bin.gz');
  const header = new Fields(file.header, 'the header');
  const memory = guestMemory(file, header);
  memory.addSparse({ base: VIRT_SPARE.first * 4096, bytes: VIRT_SPARE.frames * 4096 });
  const registers = header.object('regs');
  const [ttbr0, ttbr1] = [registers.hex('TTBR0_EL1'), registers.hex('TTBR1_EL1')];
  const tcr = registers.hex('TCR_EL1');
  const mair = registers.hex('MAIR_EL1');
  const walker = new AArch64Walker({ memory, tcr, ttbr0, ttbr1, mair });
  // T0SZ and T1SZ are 16, the granule is 4 KiB; bit 0 is CnP, bits 63:48 are the ASID.
  const ttbr = half === 'low' ? ttbr0 : ttbr1;
  const root = Number((ttbr & 0xffff_ffff_fffen) >> 12n);
  return adopt(file, memory, walker, aarch64({ half }), { root });
}

const GUESTS: readonly (readonly [string, () => Guest])[] = [
  ['x86-64', () => x86Guest('x86/linux-x86-64', x86Long4)],
  ['PAE', () => x86Guest('x86/linux-pae', x86Pae)],
  ['riscv64', riscvGuest],
  ['arm64, user half', () => armGuest('low')],
  ['arm64, kernel half', () => armGuest('high')],
];

/** Whether a page lies where the page table does not go: tables that are reached twice, for instance. */
const isForeign = ({ table }: Guest, vpn: number): boolean =>
  table.foreignRanges.some((range) => vpn >= range.vpn && vpn < range.vpn + range.pages);

/** The leaves that the hardware's walker lists, entry by entry, in the adopted half. */
function walkedLeaves(guest: Guest): Map<number, bigint> {
  const { format } = guest.table;
  const leaves = new Map<number, bigint>();
  for (const cursor = mappings(guest.walker); cursor.advance(); ) {
    const upper = cursor.vpn >= 2 ** 51;
    if (format.architecture === 'aarch64' && upper !== format.onesExtended) continue;
    if (isForeign(guest, cursor.vpn)) continue;
    leaves.set(cursor.vpn, BigInt.asUintN(64, bigintFromWords(cursor.low, cursor.high)));
  }
  return leaves;
}

describe.each(GUESTS)('the tables of a Linux guest (%s)', (_, make) => {
  const guest = make();
  const { memory, owed, table, walker } = guest;

  it('have the leaves that the CPU’s walker finds', () => {
    const leaves = walkedLeaves(guest);
    expect(leaves.size).toBeGreaterThan(300);
    const wrong: number[] = [];
    for (const cursor = table.entries(); cursor.advance(); ) {
      const { high, low, pages, pfn, vpn } = cursor;
      if (pfn < 0) continue;
      const raw = BigInt.asUintN(64, bigintFromWords(low, high));
      if (leaves.get(vpn) !== raw) wrong.push(vpn);
      // A group is one leaf here, and an entry each there.
      for (let page = vpn; page < vpn + Math.min(pages, 2 ** 14); page++) leaves.delete(page);
    }
    expect([wrong, [...leaves.keys()]]).toEqual([[], []]);
    table.checkInvariants();
  });

  it('translate as the CPU does', () => {
    let checked = 0;
    const wrong: number[] = [];
    for (const cursor = table.entries(); cursor.advance(); ) {
      if (cursor.pfn < 0) continue;
      const page = cursor.vpn + (checked++ % cursor.pages);
      const reached = Math.max(
        walker.probe(page, Access.Read),
        walker.probe(page, Access.Read | Access.User),
      );
      if (reached >= 0 && table.lookup(page) !== reached) wrong.push(page);
    }
    expect(wrong).toEqual([]);
    expect(checked).toBeGreaterThan(300);
  });

  it('can be edited beside what the guest mapped', () => {
    const copy = make();
    const { pages, vpn } = [...copy.table.entries()].find(
      ({ kind, pages: count }) => kind === 'leaf' && count > 16,
    ) ?? { vpn: 0, pages: 0 };
    const free = freePage(copy);
    const flags = copy.table.flags({ prot: Prot.Read | Prot.Write });
    expect(copy.table.map(free, 0x1234, flags, copy.owed)).toBe(0);
    copy.owed.complete();
    expect(copy.walker.probe(free, Access.Write)).toBe(0x1234);
    if (pages > 0) {
      const before = copy.table.lookup(vpn + 3);
      expect(copy.table.split(vpn, copy.owed)).toBe(0);
      copy.owed.complete();
      expect(copy.table.lookup(vpn + 3)).toBe(before);
      expect(copy.table.found.pages).toBeLessThan(pages);
    }
    copy.table.unmap(free, copy.owed);
    copy.owed.complete();
    copy.table.checkInvariants();
  });

  it('are copied with everything in them', () => {
    const list = (cursor: EntryCursor): string => {
      const leaves: string[] = [];
      while (cursor.advance()) {
        const { high, low, pages, pfn, vpn } = cursor;
        leaves.push(`${vpn} ${pfn} ${pages} ${low} ${high}`);
      }
      return leaves.join();
    };
    const copy = table.clone({ copyOnWrite: false }, owed)!;
    expect(list(copy.entries()) === list(table.entries())).toBe(true);
    copy.checkInvariants();
    copy.destroy(owed);
    owed.complete();
    expect(guest.frames.free).toBe(guest.frames.frames);
  });

  it('are given up without a trace: no frame of the guest goes to our source', () => {
    const before = contentsOf(
      memory,
      [...table.tablePages()].map(({ pfn }) => pfn),
    );
    const tables = [...table.tablePages()].map(({ pfn }) => pfn);
    table.destroy(owed);
    expect(owed.released()).toEqual([]);
    owed.complete();
    expect(guest.frames.free).toBe(guest.frames.frames);
    expect(contentsOf(memory, tables)).toBe(before);
  });
});

/** A page that nobody maps, next to one that somebody does. */
function freePage({ table }: Guest): number {
  for (const { kind, pages, vpn } of [...table.entries()].reverse()) {
    const next = vpn + pages;
    if (kind === 'leaf' && next % 512 !== 0 && table.lookup(next) === -2) return next;
  }
  throw new Error('the guest has no gap');
}

describe('what QEMU recorded', () => {
  it.each([
    ['x86/linux-x86-64', x86Long4],
    ['x86/linux-pae', x86Pae],
  ] as const)('of %s is what the adopted tables say', (name, format) => {
    const guest = x86Guest(name, format);
    const lines = new Map<string, string>();
    for (const { line } of guest.file.beside('tlb.txt').lines()) {
      const va = line.split(' ', 1)[0]!;
      if (!isForeign(guest, vpnFromAddress(hex(va, 'va')))) lines.set(va, line);
    }
    const total = lines.size;
    const wrong: string[] = [];
    for (const { kind, pages, pfn, raw, vpn } of guest.table.entries()) {
      if (kind !== 'leaf') continue;
      const va = addressFromVpn(vpn).toString(16);
      const [, pa, flags = '', size] = lines.get(va)?.split(' ') ?? [];
      const same =
        pa === addressFromVpn(pfn).toString(16) &&
        size === (pages * 4096).toString(16) &&
        flags.includes('W') === ((raw & 2n) !== 0n) &&
        flags.includes('U') === ((raw & 4n) !== 0n) &&
        flags.startsWith('X') === raw >> 63n > 0n;
      if (!same) wrong.push(va);
      lines.delete(va);
    }
    expect(wrong).toEqual([]);
    expect([...lines.keys()]).toEqual([]);
    expect(total).toBeGreaterThan(3000);
  });

  it.each([
    ['riscv64', riscvGuest, 'linux-riscv64-sv39-translations.json'],
    ['arm64, user half', () => armGuest('low'), 'linux-arm64-translations.json'],
    ['arm64, kernel half', () => armGuest('high'), 'linux-arm64-translations.json'],
  ] as const)('of %s is what the adopted tables say', (_, make, name) => {
    const { file, table } = make();
    const recording = new Fields(JSON.parse(file.beside(name).text), name);
    const { onesExtended } = table.format;
    let translated = 0;
    for (const one of recording.list('translations')) {
      const fields = new Fields(one, 'the translation');
      const va = fields.hex('va');
      // The walker ignores tags in the upper bits; a page number has none.
      const upper = va >> 48n;
      if (table.format.architecture === 'aarch64' && upper !== (onesExtended ? 0xffffn : 0n))
        continue;
      // What no privilege may read is no translation, but may well be mapped.
      if (fields.value('pa') === null) continue;
      const { pa } = table.describe(va);
      expect([va, pa]).toEqual([va, fields.hex('pa')]);
      translated++;
    }
    expect(translated).toBeGreaterThan(50);
  });
});
