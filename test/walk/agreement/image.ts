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

/** Entries at the given indexes of every page. */
export function drawEntries(
  draw: Draw,
  entryBytes: 4 | 8,
  indexes: readonly number[],
  entry: (draw: Draw) => bigint,
): [number, bigint][] {
  const entries: [number, bigint][] = [];
  for (let page = 0; page < PAGES; page++) {
    for (const index of indexes) entries.push([page * 4096 + index * entryBytes, entry(draw)]);
  }
  return entries;
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
