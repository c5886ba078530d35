import { Access, addressFromVpn } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { CR4, X86_PTE } from 'pagewright/pte';
import { type LeafCursor, mappings, X86Walker } from 'pagewright/walk';
import type { CaseFormat } from '../case-format.js';
import { Fields, hex, Malformed } from '../fields.js';
import { ProcMaps } from '../proc-maps.js';
import type { RecordedFile } from '../recorded-file.js';
import { replayTranslation, type Spelling } from '../replay-access.js';
import { loadTablePages } from '../table-pages.js';
import type { Tally } from '../tally.js';
import { x86Spelling } from './x86-spelling.js';

const MODES = {
  'x86-32': '32-bit',
  pae: 'pae',
  'x86-64-4': '4-level',
  'x86-64-5': '5-level',
} as const;

/** Pages that one run of the pagemap may have: the whole of a 32-bit space. */
const RUN_LIMIT = 2 ** 20;

/** An x86 Linux guest, recorded on QEMU: a folder with its tables and what QEMU and the guest say of them. */
export const x86Guest: CaseFormat = {
  name: 'x86 guest',
  recognises: isTables,
  companions: () => ['tlb.txt', 'gva2gpa.txt', 'guest-facts.txt'],
  replay: replayGuest,
};

function isTables({ header }: RecordedFile): boolean {
  if (typeof header !== 'object' || header === null) return false;
  const { format } = { format: null, ...header };
  return format === 'x86-page-tables-v1';
}

function replayGuest(file: RecordedFile, tally: Tally): void {
  const header = new Fields(file.header, 'the header');
  // First the leaves, as the guest left them: translations set accessed bits.
  replayLeaves(makeCpu(file, header, {}), file.beside('tlb.txt'), tally);
  // The recorded translations ignore permissions: nothing refuses a supervisor's load then.
  const permissive = makeCpu(file, header, { cr4Without: CR4.SMAP | CR4.PKE | CR4.PKS });
  replayTranslations(permissive, file.beside('gva2gpa.txt'), tally);
  // The guest's own facts are there for some guests only.
  if (file.pathBeside('guest-facts.txt') !== null) {
    replayPagemap(permissive, file.beside('guest-facts.txt'), tally);
  }
}

function makeCpu(
  file: RecordedFile,
  header: Fields,
  { cr4Without = 0 }: { readonly cr4Without?: number },
): X86Walker {
  const register = (name: string): number => Number(header.prefixedHex(name));
  const maxPhyAddr = header.integer('maxphyaddr', 32, 52);
  const mode = header.oneOf('mode', ['x86-32', 'pae', 'x86-64-4', 'x86-64-5']);
  const memory = new PhysicalMemory();
  memory.addSparse({ base: 0, bytes: 2 ** maxPhyAddr });
  loadTablePages(file, header.integer('pages', 1, 2 ** 20), memory);
  const cr3 = header.prefixedHex('cr3');
  const walker = new X86Walker({
    memory,
    maxPhyAddr,
    cr0: register('cr0'),
    cr3,
    cr4: register('cr4') & ~cr4Without,
    efer: register('efer'),
    // The guest runs, so the registers are loaded, whatever an emulator has made of reserved bits in memory since.
    ...(mode === 'pae' ? { pdptes: pdptesAt(memory, cr3) } : {}),
  });
  if (walker.mode !== MODES[mode]) {
    throw new Malformed(`the registers select ${walker.mode}, not ${mode}`);
  }
  return walker;
}

/** CR3[31:5] is where the four PDPTEs are (Intel SDM Vol. 3A, 4.4.1). */
function pdptesAt(memory: PhysicalMemory, cr3: bigint): bigint[] {
  return [0n, 8n, 16n, 24n].map((slot) => {
    const found = memory.read((cr3 & 0xffff_ffe0n) + slot, 8);
    return found.kind === 'value' ? found.value : 0n;
  });
}

/** Every line of QEMU's list is one leaf of ours, and no leaf of ours is missing there. */
function replayLeaves(walker: X86Walker, file: RecordedFile, tally: Tally): void {
  const ours = new Map<string, string>();
  const cursor = mappings(walker);
  while (cursor.advance()) {
    ours.set(addressFromVpn(cursor.vpn).toString(16), leafText(cursor, walker.format?.entryBytes));
  }
  for (const { line, number } of file.lines()) {
    const va = line.split(' ', 1)[0]!;
    const got = ours.get(va);
    ours.delete(va);
    tally.judge(
      () => `${file.name} line ${number}: ${line}`,
      () => (got === line ? null : `  mappings: ${got ?? 'no leaf'}; recorded: ${line}`),
    );
  }
  for (const leaf of ours.values()) {
    tally.judge(file.name, () => `  mappings: ${leaf}; recorded: no leaf`);
  }
  if (cursor.stoppedAt !== null) tally.refuse(file.name, 1, '  too many paths to list all leaves');
}

/** A leaf as QEMU's `info tlb` shows it: address, frame, XGPDACTUW from the entry (X: no-execute), and size. */
function leafText(leaf: LeafCursor, entryBytes: number | undefined): string {
  const { high, level, low } = leaf;
  // At level 0 bit 7 is PAT, not PS; the list does not show PAT.
  const bits: readonly (readonly [string, boolean])[] = [
    ['X', entryBytes === 8 && high < 0],
    ['G', (low & X86_PTE.G) !== 0],
    ['P', level > 0],
    ['D', (low & X86_PTE.D) !== 0],
    ['A', (low & X86_PTE.A) !== 0],
    ['C', (low & X86_PTE.PCD) !== 0],
    ['T', (low & X86_PTE.PWT) !== 0],
    ['U', (low & X86_PTE.US) !== 0],
    ['W', (low & X86_PTE.RW) !== 0],
  ];
  const flags = bits.map(([letter, set]) => (set ? letter : '-')).join('');
  const va = addressFromVpn(leaf.vpn).toString(16);
  const pa = addressFromVpn(leaf.pfn).toString(16);
  return `${va} ${pa} ${flags} ${(leaf.pages * 4096).toString(16)}`;
}

function replayTranslations(walker: X86Walker, file: RecordedFile, tally: Tally): void {
  const spelling = mappedOrNot(walker);
  const before = tally.cases;
  for (const { line, number } of file.lines()) {
    const label = `${file.name} line ${number}: ${line}`;
    tally.judge(label, () => {
      const [va, pa, ...rest] = line.split(' ');
      if (rest.length > 0) throw new Malformed('a line should be a virtual and a physical address');
      const expected = pa === '-' ? 'not mapped' : `pa ${hex(pa, 'pa').toString(16)}`;
      return replayTranslation(walker, spelling, hex(va, 'va'), Access.Read, expected);
    });
  }
  if (tally.cases === before) tally.refuse(file.name, 1, '  there are no translations');
}

/** The recordings say only whether an address is mapped, not why it is not. */
function mappedOrNot(walker: X86Walker): Spelling {
  return { ...x86Spelling(walker), fault: () => 'not mapped', reported: () => 'not mapped' };
}

/** `PMR va entry count`: consecutive pages, and the first one's entry of /proc/PID/pagemap. */
function replayPagemap(walker: X86Walker, file: RecordedFile, tally: Tally): void {
  const lines = [...file.lines()];
  const mapLines = lines.filter(({ line }) => line.startsWith('MAP '));
  const maps = new ProcMaps(mapLines.map(({ line }) => line.slice(4)));
  const spelling = mappedOrNot(walker);
  for (const { line, number } of lines) {
    if (!line.startsWith('PMR')) continue;
    const label = `${file.name} line ${number}: ${line}`;
    const match = /^PMR ([0-9a-f]{1,16}) ([0-9a-f]{1,16}) (\d{1,7})$/.exec(line);
    const [start, first, pages] = [match?.[1], match?.[2], Number(match?.[3])];
    if (start === undefined || !(pages >= 1 && pages <= RUN_LIMIT)) {
      tally.refuse(label, 1, '  a run should be PMR, an address, an entry and a count of pages');
      continue;
    }
    for (let page = 0n; page < pages; page++) {
      tally.judge(
        () => `${label}, page ${page}`,
        () => {
          const va = hex(start, 'va') + page * 4096n;
          const expected = frameText(hex(first, 'the entry') + page, maps.isProtNone(va));
          return replayTranslation(walker, spelling, va, Access.Read, expected);
        },
      );
    }
  }
}

/** An entry of /proc/PID/pagemap (Linux, Documentation/admin-guide/mm/pagemap.rst): bit 63 present, bits 54:0 PFN. */
function frameText(entry: bigint, protNone: boolean): string {
  if (entry >> 63n === 0n || protNone) return 'not mapped';
  return `pa ${((entry & 0x7f_ffff_ffff_ffffn) * 4096n).toString(16)}`;
}
