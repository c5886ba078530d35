import { Access, type FaultReason, Prot } from 'pagewright/core';
import { LeafCursor, type MergedMappings, mergedMappings, type RadixWalker } from 'pagewright/walk';
import type { Draw } from '../walk/agreement/draw.js';
import { expect } from './expect.js';

/** Tables to visit at most, in two ways of enumerating that find the same ones. */
const VISITS = 12;
/** Leaves looked at, and ranges collected. */
const LEAVES = 800;
const RANGES = 1000;
/** One leaf of this many is walked to. */
const WALKED = 12;

/** Why an access to a leaf that is listed may be refused: for what it is, not for where it leads. */
const BY_RIGHTS: ReadonlySet<FaultReason> = new Set<FaultReason>([
  ...(['not-readable', 'not-writable', 'not-executable', 'supervisor-page'] as const),
  ...(['user-page', 'protection-key', 'accessed-clear', 'dirty-clear'] as const),
  ...(['physical-protection', 'walk-disabled'] as const),
]);

/** The leaves under the roots of two walkers that must answer alike: they end, and walks find them where they are listed. */
export function checkEnumeration(walker: RadixWalker, twin: RadixWalker, draw: Draw): void {
  const merged = mergedMappings(walker, { visitLimit: VISITS, rangeLimit: RANGES });
  checkMerged(merged);
  const cursor = new LeafCursor(walker, { visitLimit: VISITS });
  const other = new LeafCursor(twin, { visitLimit: VISITS });
  let end = 0;
  let leaves = 0;
  while (leaves < LEAVES && cursor.advance()) {
    expect(other.advance() && isSame(cursor, other), 'another leaf in other memory');
    expect(cursor.vpn >= end, `leaf 0x${cursor.vpn.toString(16)} is out of order`);
    end = cursor.vpn + cursor.pages;
    if (leaves++ % WALKED !== 0) continue;
    checkLeaf(walker, cursor, draw);
    checkRange(merged, cursor, walker.pageShift);
  }
  expect(cursor.visits <= VISITS, `${cursor.visits} tables visited`);
  if (leaves === LEAVES) return;
  expect(!other.advance(), 'a further leaf in other memory');
  expect(other.stoppedAt === cursor.stoppedAt, `stopped at ${cursor.stoppedAt} and elsewhere`);
}

function isSame(a: LeafCursor, b: LeafCursor): boolean {
  const same = a.vpn === b.vpn && a.pfn === b.pfn && a.pages === b.pages && a.level === b.level;
  return same && a.low === b.low && a.high === b.high && a.prot === b.prot;
}

/** A page of a leaf, reached by a walk with one of the rights that the leaf has. */
function checkLeaf(walker: RadixWalker, cursor: LeafCursor, draw: Draw): void {
  const { level, pages, pfn, prot, vpn } = cursor;
  const mapping = cursor.mapping();
  expect(JSON.stringify(structuredClone(mapping.level)) === `${level}`, 'a leaf that is no data');
  expect(JSON.stringify(mapping).length > 0, 'a leaf that is no JSON');
  const page = draw(pages);
  const kinds = [Access.Read, Access.Write, Access.Fetch].filter((kind) => prot & (1 << kind));
  const kind = kinds[draw(Math.max(kinds.length, 1))] ?? Access.Read;
  const access = kind | (prot & Prot.User ? Access.User : 0);
  const result = walker.probe(vpn + page, access);
  const place = `leaf 0x${vpn.toString(16)}, page ${page}, access ${access}`;
  if (result < 0) {
    const { purpose, reason, stage } = walker.fault;
    // What lies behind a guest's leaf, the second stage alone knows.
    const behind = stage === 2 && purpose !== 'table-read';
    expect(behind || BY_RIGHTS.has(reason), `${place}: listed, but ${reason}`);
  } else if (walker.secondStage === null) {
    expect(result === pfn + page, `${place}: ${result}, but listed as ${pfn + page}`);
  } else {
    const { outcome } = walker.explain(mapping.va + (BigInt(page) << 12n), access);
    const gpa = outcome.kind === 'page' ? outcome.gpa : null;
    expect(gpa === mapping.pa + (BigInt(page) << 12n), `${place}: ${gpa}, but listed otherwise`);
  }
}

/** Ranges are in order, and apart. */
function checkMerged({ ranges, visits }: MergedMappings): void {
  expect(visits <= VISITS && ranges.length <= RANGES, `${visits} visits, ${ranges.length} ranges`);
  let end = 0n;
  for (const range of ranges) {
    expect(range.va >= end && range.end > range.va, `range ${range.va} is out of order`);
    end = range.end;
  }
}

/** A leaf is in a range of its rights and frames, unless a limit cut that off. */
function checkRange(
  { ranges, stoppedAt }: MergedMappings,
  cursor: LeafCursor,
  shift: number,
): void {
  const va = BigInt(cursor.vpn) << BigInt(shift);
  if (stoppedAt !== null && va >= stoppedAt) return;
  const range = ranges.find((one) => one.va <= va && va < one.end);
  expect(range !== undefined, `leaf ${va} is in no range`);
  expect(range.prot === cursor.prot, `leaf ${va} has rights ${cursor.prot}, not ${range.prot}`);
  const pa = BigInt(cursor.pfn) << BigInt(shift);
  const there = range.pa === null || range.pa + va - range.va === pa;
  expect(there, `leaf ${va} is elsewhere in its range`);
}
