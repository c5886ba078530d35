import type { Command } from 'commander';
import { addressFromVpn } from '../core/index.js';
import type { DecodedEntry, PteFormat } from '../pte/index.js';
import { formatBytes } from '../walk/index.js';
import { parseCount, parseNumber } from './arguments.js';
import { bitsOption, formatOf, type Mode, modeOption } from './modes.js';
import { columns, hex, json } from './text.js';

interface DecodeOptions {
  readonly mode: Mode;
  readonly bits?: number;
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
    .addOption(bitsOption())
    .option(
      '--level <n>',
      'the level that the entry stands at, counted from 0 for base pages',
      parseCount,
      0,
    )
    .option('--json', 'plain data instead of text')
    .action((word: bigint, options: DecodeOptions) => {
      const format = formatOf(options.mode, options.bits);
      const entry = format.decode(word, options.level);
      print(options.json ? json(entry) : decodeText(entry, format, options.mode));
    });
}

function decodeText(entry: DecodedEntry, format: PteFormat, mode: Mode): string {
  const { fields, kind, level, raw } = entry;
  const rows = format.fieldsOf(kind, level).map(({ high, low, meaning, name, role }) => {
    const value = fields[name]!;
    const bits = high === low ? `${high}` : `${high}:${low}`;
    return [bits, name, role === 'frame' ? hex(value) : `${value}`, meaning];
  });
  return `${mode}, level ${level}: ${hex(raw)} is ${summary(entry, format)}\n${columns(rows)}`;
}

function summary({ kind, pageShift, pfn }: DecodedEntry, format: PteFormat): string {
  if (pfn === null) return 'not present';
  const address = hex(addressFromVpn(pfn, 0, format.pageShift));
  if (kind === 'pointer') return `a pointer to the table at ${address}`;
  return `a leaf: a ${formatBytes(2 ** pageShift)} page at ${address}`;
}
