// Reads the recording of a Linux guest: its page tables, what it said about itself, and what QEMU's TLB listing said.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { PhysicalMemory } from 'pagewright/memory';
import { X86Walker } from 'pagewright/walk';

/**
 * A line of /proc/PID/maps.
 * @typedef {{ start: bigint, end: bigint, perms: string, name: string }} MapsLine
 */

/**
 * `tables.bin.gz`: a line of JSON with the registers, then each page of the tables as its physical address (u64) and
 * its 4096 bytes.
 *
 * @param {string} folder
 * @returns {{ description: string, walker: X86Walker }}
 */
export function openTables(folder) {
  const file = gunzipSync(readFileSync(join(folder, 'tables.bin.gz')));
  const end = file.indexOf('\n');
  const header = JSON.parse(file.toString('utf8', 0, end));

  const memory = new PhysicalMemory();
  for (let at = end + 1; at < file.length; at += 8 + 4096) {
    memory.addRam({ base: file.readBigUInt64LE(at), source: file.subarray(at + 8, at + 8 + 4096) });
  }
  const { cr0, cr3, cr4, efer, maxphyaddr: maxPhyAddr } = header;
  const registers = { cr0: BigInt(cr0), cr3: BigInt(cr3), cr4: BigInt(cr4), efer: BigInt(efer) };
  return { description: header.desc, walker: new X86Walker({ memory, maxPhyAddr, ...registers }) };
}

/**
 * `guest-facts.txt`: the process's maps (`MAP`), and its pagemap in runs of consecutive frames (`PMR va entry count`).
 *
 * @param {string} folder
 * @returns {{ pid: string, lines: MapsLine[], pagemap: Map<bigint, bigint> }} the pagemap gives each page's frame, both
 * as addresses
 */
export function readFacts(folder) {
  /** @type {MapsLine[]} */
  const lines = [];
  const pagemap = new Map();
  let pid = '';
  for (const text of readFileSync(join(folder, 'guest-facts.txt'), 'utf8').split('\n')) {
    const [keyword, first = '', ...rest] = text.split(/\s+/);
    if (keyword === 'PID') pid = first;
    if (keyword === 'MAP') {
      const [start = '', end = ''] = first.split('-');
      const [perms = '', , , , ...name] = rest;
      lines.push({ start: hex(start), end: hex(end), perms, name: name.join(' ').trim() });
    }
    if (keyword === 'PMR') {
      const frame = hex(rest[0] ?? '') & 0x7f_ffff_ffff_ffffn; // bits 54:0, Linux Documentation/admin-guide/mm/pagemap.rst
      for (let i = 0n; i < Number(rest[1]); i++) {
        pagemap.set(hex(first) + i * 4096n, (frame + i) * 4096n);
      }
    }
  }
  return { pid, lines, pagemap };
}

/**
 * `tlb.txt.gz`: the lines of QEMU's `info tlb`, one a leaf: virtual address, physical address, flags, size.
 *
 * @param {string} folder
 * @returns {string[]}
 */
export function readTlb(folder) {
  return gunzipSync(readFileSync(join(folder, 'tlb.txt.gz')))
    .toString()
    .trim()
    .split('\n');
}

/** @param {string} digits */
function hex(digits) {
  return BigInt(`0x${digits}`);
}
