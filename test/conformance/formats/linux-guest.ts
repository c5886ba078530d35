import { PhysicalMemory } from 'pagewright/memory';
import type { RadixWalker } from 'pagewright/walk';
import { Fields, hex, list, Malformed, parseJson, text } from '../fields.js';
import { LeafIndex } from '../leaf-index.js';
import { ProcMaps } from '../proc-maps.js';
import type { RecordedFile } from '../recorded-file.js';
import { checkTableCounts } from '../table-counts.js';
import { loadTablePages } from '../table-pages.js';
import type { Tally } from '../tally.js';

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

/**
 * Replays a guest: its own pagemap against the leaves, and every recorded translation.
 *
 * @param makeWalker - The walker of the header's registers, over the file's tables.
 * @param replayOne - Judges one recorded translation.
 */
export function replayGuest<Walker extends RadixWalker>(
  file: RecordedFile,
  tally: Tally,
  makeWalker: (file: RecordedFile, header: Fields) => Walker,
  replayOne: (walker: Walker, translation: unknown) => string | null,
): void {
  const header = new Fields(file.header, 'the header');
  const walker = makeWalker(file, header);
  const companion = file.beside(companionName(file));
  const recorded = new Fields(parseJson(companion.text, companion.name), companion.name).only(
    ['arch', 'regs', 'translations', 'maps', 'pagemap'],
    ['mode'],
  );
  checkSameGuest(header, recorded);
  const maps = new ProcMaps(recorded.list('maps').map((line) => text(line, 'maps')));
  const translations = recorded.list('translations');
  if (translations.length === 0) throw new Malformed('there are no translations');
  const leaves = new LeafIndex(walker); // which refuses tables with too many paths to count
  if (header.has('counts')) checkTableCounts(walker, header.object('counts'));
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

/** The RAM of a guest with its table pages. */
export function guestMemory(file: RecordedFile, header: Fields): PhysicalMemory {
  header.integer('pageBytes', 4096, 4096);
  const [base, end] = header.list('ram').map((bound) => hex(bound, 'ram'));
  if (base === undefined || end === undefined || end <= base) {
    throw new Malformed('ram should be a base and an end');
  }
  const memory = new PhysicalMemory();
  memory.addSparse({ base, bytes: Number(end - base) });
  loadTablePages(file, header.integer('nPages', 1, 2 ** 20), memory);
  return memory;
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
