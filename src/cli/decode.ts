import type { Command } from 'commander';
import type { DecodedEntry } from '../pte/index.js';
import { formatBytes } from '../walk/index.js';
import { parseCount, parseNumber } from './arguments.js';
import { formatOf, type Mode, modeOption } from './modes.js';
import { columns, hex, json } from './text.js';

interface DecodeOptions {
  readonly mode: Mode;
  readonly level: number;
  readonly json?: true;
}

/** Adds `pagewright decode`. */
export function addDecode(program: Command, print: (text: string) => void): void {
  program
    .command('decode')
    .description('say what every bit of an entry means')
    .argument('<entry>', 'the entry', parseNumber)
    .addOption(modeOption().makeOptionMandatory())
    .option('--level <n>', 'the level that the entry stands at; 0 maps base pages', parseCount, 0)
    .option('--json', 'plain data instead of text')
    .action((word: bigint, options: DecodeOptions) => {
      const entry = formatOf(options.mode).decode(word, options.level);
      print(options.json ? json(entry) : decodeText(entry, options.mode));
    });
}

function decodeText(entry: DecodedEntry, mode: Mode): string {
  const { fields, kind, level, raw } = entry;
  const rows = formatOf(mode)
    .fieldsOf(kind, level)
    .map(({ high, low, meaning, name, role }) => {
      const value = fields[name]!;
      const bits = high === low ? `${high}` : `${high}:${low}`;
      return [bits, name, role === 'frame' ? hex(value) : `${value}`, meaning];
    });
  return `${mode}, level ${level}: ${hex(raw)} is ${summary(entry)}\n${columns(rows)}`;
}

function summary({ kind, pageShift, pfn }: DecodedEntry): string {
  if (pfn === null) return 'not present';
  const address = hex(BigInt(pfn) << 12n);
  if (kind === 'pointer') return `a pointer to the table at ${address}`;
  return `a leaf: a ${formatBytes(2 ** pageShift)} page at ${address}`;
}
