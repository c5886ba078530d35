import { type Command, Option } from 'commander';
import { Access } from '../core/index.js';
import { formatWalk } from '../walk/index.js';
import { type InlineEntry, parseEntry, parseNumber } from './arguments.js';
import { openGuest } from './guest.js';
import { addGuestOptions, type GuestOptions } from './guest-options.js';
import { json } from './text.js';

interface ExplainOptions extends GuestOptions {
  readonly image?: string;
  readonly entry?: readonly InlineEntry[];
  readonly write?: true;
  readonly fetch?: true;
  readonly user?: true;
  readonly json?: true;
}

/** Adds `pagewright explain`. */
export function addExplain(program: Command, print: (text: string) => void): void {
  const command = program
    .command('explain')
    .description('walk the tables for one address and tell every step')
    .argument('<va>', 'the virtual address', parseNumber)
    .option('--entry <address=value>', 'an entry in memory; repeat for more', parseEntry)
    .option('--image <file>', "a guest's memory: QEMU ELF core, raw RAM or page tables, also .gz")
    .addOption(new Option('--write', 'a store instead of a load').conflicts('fetch'))
    .option('--fetch', 'an instruction fetch instead of a load')
    .option('--user', 'made in user mode (EL0) instead of supervisor mode (EL1)')
    .option('--json', 'the report as plain data instead of text');
  addGuestOptions(command).action((va: bigint, options: ExplainOptions) => {
    const { walker } = openGuest(options.image, options.entry ?? [], options);
    const kind = options.write ? Access.Write : options.fetch ? Access.Fetch : Access.Read;
    const report = walker.explain(va, options.user ? kind | Access.User : kind);
    print(options.json ? json(report) : formatWalk(report));
  });
}
