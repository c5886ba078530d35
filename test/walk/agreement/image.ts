import { Access } from 'pagewright/core';
import { type Draw, once, pattern, pick } from './draw.js';

/** A stretch of RAM that holds page tables, the root first. */
export interface Image {
  /** Its physical address. */
  readonly base: bigint;
  readonly entryBytes: 4 | 8;
  /** Byte offset and value of every entry that is not 0. */
  readonly entries: readonly (readonly [number, bigint])[];
}

/** What is asked of a walker. */
export interface Question {
  readonly va: bigint;
  readonly access: number;
  /** Size of the access, which does not leave its page. */
  readonly bytes: number;
}

/** Pages of RAM in an image: all are tables. */
export const PAGES = 5;
export const IMAGE_BYTES: number = PAGES * 4096;

/** The radix tree of a mode. */
export interface Shape {
  readonly levels: number;
  readonly indexBits: number;
  /** Width of an address that is walked for; wider ones repeat the top bit. */
  readonly signExtended: boolean;
}

/** The few indexes that are used at every level, so that addresses and entries meet. */
export function drawIndexes(draw: Draw, shape: Shape): readonly number[] {
  const end = 2 ** shape.indexBits;
  return [pick(draw, [0, end - 1, draw(end)]), pick(draw, [1, end / 2, draw(end)]), draw(end)];
}

/**
 * Entries at the given indexes of every page. Page n is most often a table n levels below the root, so that walks get
 * to the bottom; `drawn` is told how many levels are below a page's entries.
 */
export function drawEntries(
  shape: Shape,
  entryBytes: 4 | 8,
  indexes: readonly number[],
  drawn: (page: number, below: number) => bigint,
): [number, bigint][] {
  const entries: [number, bigint][] = [];
  for (let page = 0; page < PAGES; page++) {
    const below = Math.max(shape.levels - 1 - page, 0);
    for (const index of indexes) {
      entries.push([page * 4096 + index * entryBytes, drawn(page, below)]);
    }
  }
  return entries;
}

/** The frame of one of the image's pages, most often the one that is asked for; seldom of no memory. */
export function drawTable(draw: Draw, base: bigint, frameBits: number, page: number): bigint {
  if (once(draw, 60)) return pattern(draw, frameBits);
  const chosen = once(draw, 4) ? draw(PAGES) : Math.min(page, PAGES - 1);
  const frame = (base >> 12n) + BigInt(chosen);
  // Far away, but the same in all bits but one.
  return once(draw, 60) ? frame ^ (1n << BigInt(draw(frameBits))) : frame;
}

/** A frame that a leaf maps, most often aligned to the page size of its level. */
export function drawFrame(draw: Draw, frameBits: number, alignment: number): bigint {
  const zeros = once(draw, 4) ? pick(draw, [0, 9, 10, 18]) : alignment;
  return BigInt.asUintN(frameBits, pattern(draw, 44) << BigInt(zeros));
}

/** An address made of the given indexes, now and then one that is not canonical. */
export function drawAddress(draw: Draw, shape: Shape, indexes: readonly number[]): bigint {
  let va = BigInt(draw(512) * 8);
  for (let level = 0; level < shape.levels; level++) {
    va += BigInt(pick(draw, indexes)) << BigInt(12 + level * shape.indexBits);
  }
  if (!shape.signExtended) return va;
  const width = 12 + shape.levels * shape.indexBits;
  return once(draw, 24) ? pattern(draw, 64) & ~7n : BigInt.asUintN(64, BigInt.asIntN(width, va));
}

/** A kind, sometimes a read-modify-write; never one of a fetch. */
export function drawKind(draw: Draw): number {
  const kind = draw(3);
  return kind !== Access.Fetch && once(draw, 6) ? kind | Access.ReadModifyWrite : kind;
}
