// Compares what the walker found with what the guest's kernel and QEMU said.
/** @import { Mapping } from 'pagewright/walk' */
/** @import { MapsLine } from './linux-guest.js' */

/**
 * Compares every page's frame with the guest's pagemap, in both directions.
 *
 * @param {readonly Mapping[]} leaves
 * @param {ReadonlyMap<bigint, bigint>} pagemap
 * @param {readonly MapsLine[]} lines
 */
export function checkFrames(leaves, pagemap, lines) {
  /** @type {string[]} */
  const differences = [];
  const seen = new Set();
  for (const { va, pa, pages } of leaves) {
    for (let at = 0n; at < BigInt(pages) * 4096n; at += 4096n) {
      seen.add(va + at);
      const frame = pagemap.get(va + at);
      if (frame === pa + at) continue;
      const says = frame === undefined ? 'not present' : `at ${hex(frame)}`;
      differences.push(`${hex(va + at)} is at ${hex(pa + at)}; pagemap says ${says}`);
    }
  }
  const agree = seen.size - differences.length;

  let protNone = 0;
  for (const [va, frame] of pagemap) {
    if (seen.has(va)) continue;
    // The kernel keeps the frame of a PROT_NONE page, with the entry's P bit clear, and still calls it present.
    const line = lines.find(({ start, end }) => start <= va && va < end);
    if (line?.perms.startsWith('---')) protNone++;
    else differences.push(`${hex(va)} is not mapped; pagemap says at ${hex(frame)}`);
  }
  return { agree, pages: seen.size, protNone, differences };
}

/**
 * Compares every leaf with the lines of QEMU's `info tlb`.
 *
 * @param {readonly Mapping[]} leaves
 * @param {readonly string[]} tlb
 */
export function checkLeaves(leaves, tlb) {
  /** @type {string[]} */
  const differences = [];
  for (let i = 0; i < Math.max(leaves.length, tlb.length); i++) {
    const leaf = leaves[i];
    const ours = leaf === undefined ? 'no leaf' : tlbLine(leaf);
    const theirs = tlb[i] ?? 'no leaf';
    if (ours !== theirs) differences.push(`leaf ${i} is ${ours}; QEMU says ${theirs}`);
  }
  const total = Math.max(leaves.length, tlb.length);
  return { agree: total - differences.length, leaves: total, differences };
}

/** QEMU's letters, for bits 63, 8, 7, 6, 5, 4, 3, 2 and 1 of the entry: no-execute, global, page size, dirty ... */
const FLAGS = Object.entries({ X: 63n, G: 8n, P: 7n, D: 6n, A: 5n, C: 4n, T: 3n, U: 2n, W: 1n });

/** @param {Mapping} leaf */
function tlbLine({ va, pa, raw, pageBytes }) {
  const flags = FLAGS.map(([letter, bit]) => ((raw >> bit) & 1n ? letter : '-')).join('');
  return `${va.toString(16)} ${pa.toString(16)} ${flags} ${pageBytes.toString(16)}`;
}

/** @param {bigint} value */
function hex(value) {
  return `0x${value.toString(16)}`;
}
