import type { Command } from 'commander';
import { checkBits, splitAddress } from '../core/index.js';
import type { PteFormat } from '../pte/index.js';
import { parseNumber } from './arguments.js';
import { bitsOption, formatOf, type Mode, modeOption } from './modes.js';
import { columns, hex, json } from './text.js';

interface SplitOptions {
  readonly mode: Mode;
  readonly bits?: number;
  readonly json?: true;
}

/** Adds `pagewright split`. */
export function addSplit(program: Command, print: (text: string) => void): void {
  program
    .command('split')
    .description('cut a virtual address into its table indexes')
    .argument('<va>', 'the virtual address', parseNumber)
    .addOption(modeOption().makeOptionMandatory())
    .addOption(bitsOption())
    .option('--json', 'plain data instead of text')
    .action((va: bigint, options: SplitOptions) => {
      const format = formatOf(options.mode, options.bits, checkBits('va', va));
      print(options.json ? json(splitAddress(format, va)) : splitText(va, format, options.mode));
    });
}

function splitText(va: bigint, format: PteFormat, mode: Mode): string {
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
  const verdict = canonical ? 'canonical' : `not an address of this mode: ${wanted(format)}`;
  return `${mode}: ${hex(va)}, ${verdict}\n${columns(rows)}`;
}

function wanted({ onesExtended, signExtended, virtualBits }: PteFormat): string {
  if (signExtended) return `bits 63:${virtualBits} must repeat bit ${virtualBits - 1}`;
  return `bits 63:${virtualBits} must be ${onesExtended ? 1 : 0}`;
}
