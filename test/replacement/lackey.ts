/** What `valgrind --tool=lackey --trace-mem=yes` printed. */
export interface LackeyTrace {
  /** Lines that are references. */
  readonly lines: number;
  /** Lines of Valgrind's own, which begin with `==`. */
  readonly headerLines: number;
  /** Lines that are neither. */
  readonly unparsed: number;
  /** Lines of each kind: instructions, loads, stores, and loads that are followed by a store. */
  readonly counts: Readonly<Record<Kind, number>>;
  /** Lines whose reference touches two pages, instructions among them. */
  readonly pageCrossing: number;
  /** The pages of loads and stores, in order: M twice, and of a reference to two pages both. */
  readonly dataPages: readonly number[];
  /** Pages from which instructions were fetched. */
  readonly instructionPages: ReadonlySet<number>;
}

type Kind = 'I' | 'L' | 'S' | 'M';

const REFERENCE = /^(?:(I) | ([LSM])) ([0-9a-f]{1,13}),(\d{1,4})$/;

/** Reads a trace, with pages of 4 KiB. */
export function readLackey(text: string): LackeyTrace {
  const counts: Record<Kind, number> = { I: 0, L: 0, S: 0, M: 0 };
  const dataPages: number[] = [];
  const instructionPages = new Set<number>();
  let [lines, headerLines, unparsed, pageCrossing] = [0, 0, 0, 0];
  for (const line of text.trimEnd().split('\n')) {
    const [, instruction, data, address = '', bytes = ''] = REFERENCE.exec(line) ?? [];
    const kind = kindOf(instruction ?? data);
    if (kind === null) {
      if (line.startsWith('==')) headerLines++;
      else unparsed++;
      continue;
    }
    lines++;
    counts[kind]++;
    const pages = pagesOf(Number.parseInt(address, 16), Number(bytes));
    if (pages.length > 1) pageCrossing++;
    if (kind === 'I') {
      for (const page of pages) instructionPages.add(page);
      continue;
    }
    dataPages.push(...pages, ...(kind === 'M' ? pages : []));
  }
  return { lines, headerLines, unparsed, counts, pageCrossing, dataPages, instructionPages };
}

function kindOf(letter: string | undefined): Kind | null {
  return letter === 'I' || letter === 'L' || letter === 'S' || letter === 'M' ? letter : null;
}

function pagesOf(address: number, bytes: number): readonly number[] {
  const first = Math.floor(address / 4096);
  const last = Math.floor((address + Math.max(1, bytes) - 1) / 4096);
  return first === last ? [first] : Array.from({ length: last - first + 1 }, (_, n) => first + n);
}
