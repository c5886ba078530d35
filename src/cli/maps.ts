import type { Command } from 'commander';
import { addressFromVpn, formatProt, Prot, pageAndOffset, plain, VmError } from '../core/index.js';
import {
  formatBytes,
  type MergedMappings,
  mergedMappings,
  type RadixWalker,
} from '../walk/index.js';
import { parseCount } from './arguments.js';
import { type FoldedRange, foldRanges } from './fold.js';
import { openGuest } from './guest.js';
import { addGuestOptions, type GuestOptions } from './guest-options.js';
import { attributeNotes } from './notes.js';
import { columns, hex, json } from './text.js';

interface MapsOptions extends GuestOptions {
  readonly contiguous?: true;
  readonly userOnly?: true;
  readonly visitLimit?: number;
  readonly json?: true;
}

/** Adds `pagewright maps`. */
export function addMaps(program: Command, print: (text: string) => void): void {
  const command = program
    .command('maps')
    .description('list everything that is mapped, merged into ranges')
    .argument('<image>', "a guest's memory: QEMU ELF core, raw RAM or page tables, also .gz")
    .option('--contiguous', 'also end a range where the frames stop following one another')
    .option('--user-only', 'only what user mode may use')
    .option('--visit-limit <n>', 'tables to read at most', parseCount)
    .option('--json', 'plain data instead of text');
  addGuestOptions(command).action((image: string, options: MapsOptions) => {
    const { mode, walker } = openGuest(image, [], options);
    checkRoot(walker);
    const { contiguous = false, visitLimit } = options;
    const limit = visitLimit === undefined ? {} : { visitLimit };
    const all = mergedMappings(walker, { contiguous, ...limit });
    const wanted = options.userOnly ? Prot.User : 0;
    const ranges = all.ranges.filter(({ prot }) => (prot & wanted) === wanted);
    const merged = { ...all, ranges };
    if (options.json) print(json(plain(merged)));
    else print(mapsText(merged, walker, mode ?? 'no translation'));
  });
}

/** An empty list would not tell a wrong `--root` or a forgotten `--base` from an empty address space. */
function checkRoot(walker: RadixWalker): void {
  // What a guest calls physical need not be in the image: its second stage's root is.
  const stage = walker.secondStage ?? walker;
  const roots = Array.from({ length: stage.rootCount }, (_, slot) => slot);
  const present = roots.filter((slot) => stage.rootAt(slot) >= 0);
  const addresses = present.map(
    (slot) => addressFromVpn(stage.rootAt(slot), 0, stage.pageShift) + BigInt(stage.rootByte(slot)),
  );
  const inImage = (address: bigint): boolean => {
    const { offset, vpn } = pageAndOffset(address);
    return stage.memory.contains(vpn, offset, 1);
  };
  if (addresses.length === 0 || addresses.some(inImage)) return;
  const expected = 'the address of a table in the image (a raw one begins at --base)';
  throw new VmError('bad-argument', { argument: '--root', value: addresses[0]!, expected });
}

function mapsText(
  { ranges, stoppedAt }: MergedMappings,
  { pageShift, secondStage }: RadixWalker,
  mode: string,
): string {
  const base = 2 ** pageShift;
  const bytes = ranges.reduce((sum, { pages }) => sum + pages * base, 0);
  const count = `${ranges.length.toLocaleString('en')} range${ranges.length === 1 ? '' : 's'}`;
  const lines = [`${mode}: ${count}, ${formatBytes(bytes)} mapped`];
  const frames = secondStage === null ? 'physical' : 'guest-physical';
  const headings = ['from', 'to', 'size', 'pages', 'rights', frames, ''];
  const rows = foldRanges(ranges).map((range) => row(range, base));
  if (ranges.length > 0) lines.push(columns([headings, ...rows]));
  if (stoppedAt !== null) {
    lines.push(`Stopped at ${hex(stoppedAt)}: the limit is reached, the rest is left out.`);
  }
  return lines.join('\n');
}

function row({ range, stride, times }: FoldedRange, base: number): string[] {
  const { end, pa, pageBytes, pages, prot, va } = range;
  const notes = attributeNotes(range);
  if (times > 1) {
    const last = hex(end + BigInt(times - 1) * stride);
    notes.unshift(`and so on, ${times} times to ${last}, one every ${formatBytes(Number(stride))}`);
  }
  return [
    hex(va),
    hex(end),
    formatBytes(pages * base),
    `${(pages * base) / pageBytes} x ${formatBytes(pageBytes)}`,
    formatProt(prot),
    pa === null ? 'scattered' : hex(pa),
    notes.join(', '),
  ];
}
