import type { Command } from 'commander';
import { splitAddress } from '../core/index.js';
import { parseNumber } from './arguments.js';
import { formatOf, type Mode, modeOption } from './modes.js';
import { columns, hex, json } from './text.js';

interface SplitOptions {
  readonly mode: Mode;
  readonly json?: true;
}

/** Adds `pagewright split`. */
export function addSplit(program: Command, print: (text: string) => void): void {
  program
    .command('split')
    .description('cut a virtual address into its table indexes')
    .argument('<va>', 'the virtual address', parseNumber)
    .addOption(modeOption().makeOptionMandatory())
    .option('--json', 'plain data instead of text')
    .action((va: bigint, options: SplitOptions) => {
      const parts = splitAddress(formatOf(options.mode), va);
      print(options.json ? json(parts) : splitText(va, options.mode));
    });
}

function splitText(va: bigint, mode: Mode): string {
  const format = formatOf(mode);
  const { canonical, indexes, offset } = splitAddress(format, va);
  const rows = indexes.map(({ highBit, index, level, lowBit }) => [
    `level ${level}`,
    `bits ${highBit}:${lowBit}`,
    index.toString(2).padStart(highBit - lowBit + 1, '0'),
    `${index}`,
  ]);
  const { pageShift } = format;
  const low = offset.toString(2).padStart(pageShift, '0');
  rows.push(['offset', `bits ${pageShift - 1}:0`, low, hex(offset)]);
  const verdict = canonical ? 'canonical' : `not an address of this mode: ${wanted(mode)}`;
  return `${mode}: ${hex(va)}, ${verdict}\n${columns(rows)}`;
}

function wanted(mode: Mode): string {
  const { signExtended, virtualBits } = formatOf(mode);
  if (!signExtended) return `bits 63:${virtualBits} must be 0`;
  return `bits 63:${virtualBits} must repeat bit ${virtualBits - 1}`;
}
