// Draws the ranges of an address space beside the lines of /proc/PID/maps.
import { formatProt, Prot } from 'pagewright/core';
import { formatBytes } from 'pagewright/walk';

/** @import { MappedRange, Mapping } from 'pagewright/walk' */
/** @import { MapsLine } from './linux-guest.js' */

/**
 * A part of a range that lies in one line of maps, or in none.
 * @typedef {{ va: bigint, end: bigint, range: MappedRange, line: MapsLine | undefined }} Piece
 */

/**
 * Pieces that are alike, at equal distances, in one line.
 * @typedef {{ first: Piece, last: Piece, times: number, stride: bigint }} Group
 */

/**
 * @param {readonly MappedRange[]} ranges - In the order of their addresses.
 * @param {readonly Mapping[]} leaves - The leaves in them, in the same order.
 * @param {readonly MapsLine[]} lines
 * @param {string} source - What the lines are.
 */
export function listing(ranges, leaves, lines, source) {
  const pieces = ranges.flatMap((range) => cut(range, lines));
  const rows = [['virtual addresses', 'pages', '', 'may', 'frames from', source]];
  /** @type {Group | undefined} */
  let above;
  for (const group of fold(pieces)) {
    const { line } = group.first;
    const same = above !== undefined && above.first.line === line;
    rows.push([...describe(group, leaves), same ? '"' : annotation(line)]);
    above = group;
  }
  const waiting = pieces.filter(({ line, range }) => line?.perms[1] === 'w' && !mayWrite(range));
  const outside = pieces.filter(({ line }) => line === undefined);
  return `${columns(rows)}

  (1 in 7): every seventh page is present.  +12: and twelve more runs of frames.  ": the line above.
  ${pagesIn(waiting)} pages that Linux calls w are not writable yet: the first store faults, and Linux copies or unlocks.
  ${pagesIn(outside) || 'No'} pages lie outside every line of maps.`;
}

/**
 * @param {MappedRange} range
 * @param {readonly MapsLine[]} lines
 */
function cut(range, lines) {
  /** @type {Piece[]} */
  const pieces = [];
  let { va } = range;
  while (va < range.end) {
    const next = lines.find((line) => line.end > va);
    const line = next !== undefined && next.start <= va ? next : undefined;
    const border = line?.end ?? next?.start ?? range.end;
    const end = border < range.end ? border : range.end;
    pieces.push({ va, end, range, line });
    va = end;
  }
  return pieces;
}

/** @param {readonly Piece[]} pieces */
function fold(pieces) {
  /** @type {Group[]} */
  const groups = [];
  for (const piece of pieces) {
    const group = groups.at(-1);
    if (group === undefined || !continues(group, piece)) {
      groups.push({ first: piece, last: piece, times: 1, stride: 0n });
    } else {
      group.stride = piece.va - group.last.va;
      group.last = piece;
      group.times++;
    }
  }
  return groups;
}

/**
 * @param {Group} group
 * @param {Piece} piece
 */
function continues({ first, last, times, stride }, piece) {
  return (
    (times === 1 || piece.va - last.va === stride) &&
    piece.line === first.line &&
    piece.end - piece.va === first.end - first.va &&
    piece.range.pageBytes === first.range.pageBytes &&
    piece.range.prot === first.range.prot &&
    piece.range.x86?.protectionKey === first.range.x86?.protectionKey
  );
}

/**
 * @param {Group} group
 * @param {readonly Mapping[]} leaves
 */
function describe({ first, last, times, stride }, leaves) {
  const { pageBytes, prot, x86 } = first.range;
  const size = BigInt(pageBytes);
  const each = (first.end - first.va) / size;
  const pattern = times > 1 ? ` (${each} in ${stride / size})` : '';
  const key = x86?.protectionKey ? ` key ${x86.protectionKey}` : '';

  const inside = leaves.filter((leaf) => leaf.va >= first.va && leaf.va < last.end);
  const runs = inside.filter((leaf, i) => {
    const before = inside[i - 1];
    return before === undefined || leaf.pa !== before.pa + size;
  });
  return [
    `${first.va.toString(16)}-${last.end.toString(16)}`,
    `${BigInt(times) * each}${pattern}`,
    formatBytes(pageBytes),
    `${formatProt(prot).slice(0, 3)}${key}`,
    `0x${runs[0]?.pa.toString(16)}${runs.length > 1 ? ` +${runs.length - 1}` : ''}`,
  ];
}

/** @param {MapsLine | undefined} line */
function annotation(line) {
  if (line === undefined) return 'IN NO LINE';
  const { start, end, perms, name } = line;
  return `${start.toString(16)}-${end.toString(16)} ${perms} ${name}`;
}

/** @param {MappedRange} range */
function mayWrite(range) {
  return (range.prot & Prot.Write) !== 0;
}

/** @param {readonly Piece[]} pieces */
function pagesIn(pieces) {
  return pieces.reduce((sum, { va, end }) => sum + Number(end - va) / 4096, 0);
}

/** @param {readonly string[][]} rows */
function columns(rows) {
  const widths = rows[0]?.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths?.[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
