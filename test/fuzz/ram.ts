import { type Draw, once, pattern, pick } from '../walk/agreement/draw.js';
import { fillWithGarbage, type Style } from './garbage.js';

/** Pages of each stage's tables. */
export const STAGE_PAGES = 8;
/** Frames in 1 GiB, to which RAM is mostly aligned, so that large leaves of a second stage reach it. */
const GIGABYTE = 2 ** 18;

/** The tables of a stage. */
export interface Tree {
  readonly style: Style;
  readonly levels: number;
  /** Pages of the root. */
  readonly rootPages?: 1 | 4;
  /** Width of a frame number. */
  readonly frameBits: number;
}

/**
 * RAM that holds a second stage's tables, and after them those of a guest. Most entries lead level by level to leaves,
 * the others anywhere: to a table of any level and of either stage, or outside RAM.
 */
export function drawRam(
  draw: Draw,
  base: bigint,
  host: Tree,
  guest: Tree | null,
): Uint8Array<ArrayBuffer> {
  const first = Number(base >> 12n);
  const frames = guest === null ? STAGE_PAGES : 2 * STAGE_PAGES;
  const words = new Int32Array(frames * 1024);
  fillTree(draw, words, 0, host, (page) => first + page);
  if (guest !== null) {
    // The guest's number of a frame: the host maps many to one.
    const high = 2 ** Math.max(Math.min(guest.frameBits, reachOf(host)) - 18, 0);
    fillTree(draw, words, STAGE_PAGES, guest, (page) => {
      return page + (once(draw, 2) ? first : draw(high) * GIGABYTE);
    });
  }
  return new Uint8Array(words.buffer);
}

/** Width of the page numbers that a tree translates. */
function reachOf({ levels, rootPages, style }: Tree): number {
  return levels * (style.entryBytes === 8 ? 9 : 10) + (rootPages === 4 ? 2 : 0);
}

function fillTree(
  draw: Draw,
  words: Int32Array,
  from: number,
  { frameBits, levels, rootPages = 1, style }: Tree,
  place: (page: number) => number,
): void {
  const frames = words.length / 1024;
  const level = (page: number): number =>
    page < rootPages ? levels - 1 : Math.max(levels - 2 - (page - rootPages), 0);
  const below = (page: number): number => Math.min(Math.max(page + 1, rootPages), STAGE_PAGES - 1);
  // A large leaf must be aligned, and then leads to all of RAM.
  const target = (page: number): number => (level(page) === 0 ? frames - 1 - draw(STAGE_PAGES) : 0);
  const frame = (proper: number, astray: boolean): number => {
    if (astray && once(draw, 4)) return Number(pattern(draw, frameBits));
    return place(astray ? draw(frames) : proper) % 2 ** frameBits;
  };
  fillWithGarbage(
    words,
    from,
    STAGE_PAGES,
    {
      style,
      chaos: pick(draw, [0, 0, 1, 1, 4, 16]),
      level,
      table: (page, astray) => frame(from + below(page), astray),
      frame: (page, astray) => frame(target(page), astray),
    },
    draw,
  );
}
