import type { Command } from 'commander';
import { formatProt, Prot, plain, VmError } from '../core/index.js';
import { RISCV_PBMT } from '../pte/index.js';
import {
  formatBytes,
  type MappedRange,
  type MergedMappings,
  mergedMappings,
  type RadixWalker,
} from '../walk/index.js';
import { parseCount } from './arguments.js';
import { type FoldedRange, foldRanges } from './fold.js';
import { addGuestOptions, type GuestOptions, makeWalker } from './guest.js';
import { modeOf } from './modes.js';
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
    const walker = makeWalker(image, [], options);
    checkRoot(walker);
    const { contiguous = false, visitLimit } = options;
    const limit = visitLimit === undefined ? {} : { visitLimit };
    const all = mergedMappings(walker, { contiguous, ...limit });
    const wanted = options.userOnly ? Prot.User : 0;
    const ranges = all.ranges.filter(({ prot }) => (prot & wanted) === wanted);
    const merged = { ...all, ranges };
    if (options.json) print(json(plain(merged)));
    else print(mapsText(merged, walker.format === null ? 'no translation' : modeOf(walker.format)));
  });
}

/** An empty list would not tell a wrong `--root` or a forgotten `--base` from an empty address space. */
function checkRoot(walker: RadixWalker): void {
  const roots = Array.from({ length: walker.rootCount }, (_, slot) => walker.rootAt(slot));
  const present = roots.filter((pfn) => pfn >= 0);
  if (present.length === 0 || present.some((pfn) => walker.memory.contains(pfn, 0, 8))) return;
  const expected = 'the address of a table in the image (a raw one begins at --base)';
  throw new VmError('bad-argument', {
    argument: '--root',
    value: BigInt(present[0]!) << 12n,
    expected,
  });
}

function mapsText({ ranges, stoppedAt }: MergedMappings, mode: string): string {
  const bytes = ranges.reduce((sum, { pages }) => sum + pages * 4096, 0);
  const count = `${ranges.length.toLocaleString('en')} range${ranges.length === 1 ? '' : 's'}`;
  const lines = [`${mode}: ${count}, ${formatBytes(bytes)} mapped`];
  if (ranges.length > 0) lines.push(columns([HEADINGS, ...foldRanges(ranges).map(row)]));
  if (stoppedAt !== null) {
    lines.push(`Stopped at ${hex(stoppedAt)}: the limit is reached, the rest is left out.`);
  }
  return lines.join('\n');
}

const HEADINGS = ['from', 'to', 'size', 'pages', 'rights', 'physical', ''];

function row({ range, stride, times }: FoldedRange): string[] {
  const { end, pa, pageBytes, pages, prot, va } = range;
  const notes = attributes(range);
  if (times > 1) {
    const last = hex(end + BigInt(times - 1) * stride);
    notes.unshift(`and so on, ${times} times to ${last}, one every ${formatBytes(Number(stride))}`);
  }
  return [
    hex(va),
    hex(end),
    formatBytes(pages * 4096),
    `${(pages * 4096) / pageBytes} x ${formatBytes(pageBytes)}`,
    formatProt(prot),
    pa === null ? 'scattered' : hex(pa),
    notes.join(', '),
  ];
}

function attributes({ global, riscv, x86 }: MappedRange): string[] {
  const notes: string[] = [];
  if (global) notes.push('global');
  if (x86 && x86.patIndex !== 0) notes.push(`PAT ${x86.patIndex}`);
  if (x86 && x86.protectionKey !== 0) notes.push(`key ${x86.protectionKey}`);
  if (riscv && riscv.pbmt !== 0) notes.push(RISCV_PBMT[riscv.pbmt]!);
  if (riscv?.napot) notes.push('NAPOT');
  return notes;
}
