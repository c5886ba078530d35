import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { decodeMenvcfg, decodeMstatus } from 'pagewright/pte';
import { RiscvWalker } from 'pagewright/walk';
import type { CaseFormat } from '../case-format.js';
import { Fields, hex, list, Malformed, parseJson, text } from '../fields.js';
import { LeafIndex } from '../leaf-index.js';
import { ProcMaps } from '../proc-maps.js';
import type { RecordedFile } from '../recorded-file.js';
import { replayTranslation, type Spelling } from '../replay-access.js';
import { loadTablePages } from '../table-pages.js';
import type { Tally } from '../tally.js';
import { riscvSpelling } from './riscv-spelling.js';

/** A RISC-V Linux guest, recorded on QEMU: its tables, and beside them what it should answer. */
export const riscvGuest: CaseFormat = {
  name: 'riscv guest',
  recognises: (file) => isTables(file, 'riscv64') || isTables(file, 'riscv32'),
  companions: (file) => [companionName(file)],
  replay: replayGuest,
};

/** Whether a file holds the table pages of a guest of an architecture. */
export function isTables(file: RecordedFile, arch: string): boolean {
  const { header } = file;
  if (typeof header !== 'object' || header === null) return false;
  const { format, arch: found } = { format: null, arch: null, ...header };
  return format === 'ptpages-v1' && found === arch;
}

/** The file that goes with a table file. */
export function companionName(file: RecordedFile): string {
  const { name } = file;
  const cut = name.lastIndexOf('tables.bin');
  return cut < 0 ? `${name}-translations.json` : `${name.slice(0, cut)}translations.json`;
}

function replayGuest(file: RecordedFile, tally: Tally): void {
  const header = new Fields(file.header, 'the header');
  const walker = makeHart(file, header);
  const companion = file.beside(companionName(file));
  const recorded = new Fields(parseJson(companion.text, companion.name), companion.name).only([
    ...['arch', 'mode', 'regs', 'translations', 'maps', 'pagemap'],
  ]);
  checkSameGuest(header, recorded);
  const maps = new ProcMaps(recorded.list('maps').map((line) => text(line, 'maps')));
  const translations = recorded.list('translations');
  if (translations.length === 0) throw new Malformed('there are no translations');
  const leaves = new LeafIndex(walker);
  recorded.list('pagemap').forEach((page, index) => {
    const label = `pagemap ${index}: ${JSON.stringify(page)}`;
    tally.judge(label, () => replayPage(leaves, maps, page));
  });
  translations.forEach((translation, index) => {
    const label = `translation ${index}: ${JSON.stringify(translation)}`;
    tally.judge(label, () => replayOne(walker, translation));
  });
}

function checkSameGuest(header: Fields, recorded: Fields): void {
  for (const key of ['arch', 'mode', 'regs']) {
    if (JSON.stringify(header.value(key)) !== JSON.stringify(recorded.value(key))) {
      throw new Malformed(`${key} differs between the tables and the translations`);
    }
  }
}

function makeHart(file: RecordedFile, header: Fields): RiscvWalker {
  header.integer('pageBytes', 4096, 4096);
  const [base, end] = header.list('ram').map((bound) => hex(bound, 'ram'));
  if (base === undefined || end === undefined || end <= base) {
    throw new Malformed('ram should be a base and an end');
  }
  const memory = new PhysicalMemory();
  memory.addSparse({ base, bytes: Number(end - base) });
  loadTablePages(file, header.integer('nPages', 1, 2 ** 20), memory);
  const registers = header.object('regs');
  const { PBMTE } = decodeMenvcfg(registers.hex('menvcfg')).fields;
  const { MXR } = decodeMstatus(registers.hex('sstatus')).fields;
  const walker = new RiscvWalker({
    memory,
    xlen: header.value('arch') === 'riscv32' ? 32 : 64,
    satp: registers.hex('satp'),
    pbmte: PBMTE === 1,
    // The recorded translations neither check A nor set it: with updates on, no walk fails for it.
    adue: true,
    svnapot: true,
  });
  walker.mxr = MXR === 1;
  const mode = header.text('mode');
  if (walker.format?.name !== mode) throw new Malformed(`satp does not select ${mode}`);
  return walker;
}

/** A page that the guest itself calls present must lie in the frame that it names. */
function replayPage(leaves: LeafIndex, maps: ProcMaps, value: unknown): string | null {
  const [page, frame, ...rest] = list(value, 'the page');
  if (rest.length > 0) throw new Malformed('the page should be an address and a frame');
  const va = hex(page, 'the address');
  if (va % 4096n !== 0n) throw new Malformed('the address should be that of a page');
  const recorded = frame === null ? null : hex(frame, 'the frame');
  const absent = recorded === null || maps.isProtNone(va);
  const expected = absent ? 'not mapped' : `frame ${recorded.toString(16)}`;
  const got = leaves.pageText(va);
  return got === expected ? null : `  mappings: ${got}; recorded: ${expected}`;
}

function replayOne(walker: RiscvWalker, value: unknown): string | null {
  const recorded = new Fields(value, 'the translation').only(['va', 'priv', 'pa']);
  const user = recorded.oneOf('priv', ['U', 'S']) === 'U';
  const access = Access.Read | (user ? Access.User : 0);
  const fault = recorded.value('pa') === null;
  const expected = fault ? 'a fault' : `pa ${recorded.hex('pa').toString(16)}`;
  // The recording does not say which fault.
  const anyFault: Spelling = {
    ...riscvSpelling(walker),
    fault: () => 'a fault',
    reported: () => 'a fault',
  };
  return replayTranslation(walker, anyFault, recorded.hex('va'), access, expected);
}
