import type { Command } from 'commander';
import { parseCount, parseNumber } from './arguments.js';
import { bitsOption, type Mode, modeOption } from './modes.js';

/** The options that say what is walked; all of {@link addGuestOptions}. */
export interface GuestOptions {
  readonly mode?: Mode;
  readonly bits?: number;
  readonly root?: bigint;
  readonly base?: bigint;
  readonly cpu?: number;
  readonly cr0?: bigint;
  readonly cr3?: bigint;
  readonly cr4?: bigint;
  readonly efer?: bigint;
  readonly eptp?: bigint;
  readonly ncr3?: bigint;
  readonly satp?: bigint;
  readonly sum?: true;
  readonly mxr?: true;
  readonly adue?: true;
  readonly pbmte?: true;
  readonly hgatp?: bigint;
  readonly tcr?: bigint;
  readonly ttbr0?: bigint;
  readonly ttbr1?: bigint;
  readonly sctlr?: bigint;
  readonly mair?: bigint;
  readonly pan?: true;
  readonly vtcr?: bigint;
  readonly vttbr?: bigint;
  readonly hcr?: bigint;
}

/** Adds the options that a raw image or inline entries need and other images may override. */
export function addGuestOptions(command: Command): Command {
  return command
    .optionsGroup('Tables:')
    .addOption(modeOption())
    .option(
      '--root <address>',
      'physical address of the root table; with --eptp, --ncr3, --hgatp or --vttbr guest-physical',
      parseNumber,
    )
    .addOption(bitsOption())
    .option('--base <address>', 'physical address of a raw image (default 0)', parseNumber)
    .option('--cpu <n>', 'which CPU of an ELF core (default 0)', parseCount)
    .optionsGroup('x86:')
    .option('--cr3 <value>', 'the root as the register holds it', parseNumber)
    .option('--cr0 <value>', 'CR0 (default PG WP PE)', parseNumber)
    .option('--cr4 <value>', 'CR4 (default what the mode needs)', parseNumber)
    .option('--efer <value>', 'IA32_EFER (default what the mode needs, with NXE)', parseNumber)
    .option('--eptp <value>', 'EPT pointer: the guest is under Intel EPT', parseNumber)
    .option('--ncr3 <value>', 'nCR3: the guest is under AMD nested paging, 4 levels', parseNumber)
    .optionsGroup('RISC-V:')
    .option('--satp <value>', 'mode and root as the register holds them', parseNumber)
    .option('--sum', 'supervisor loads and stores reach user pages')
    .option('--mxr', 'loads may read executable pages')
    .option('--adue', 'hardware sets A and D instead of faulting, in both stages')
    .option('--pbmte', 'PBMT bits have their meaning, in both stages')
    .option('--hgatp <value>', 'the guest is under a G stage, and satp is vsatp', parseNumber)
    .optionsGroup('AArch64:')
    .option('--ttbr0 <value>', 'TTBR0_EL1, root of the lower half', parseNumber)
    .option('--ttbr1 <value>', 'TTBR1_EL1, root of the upper half', parseNumber)
    .option('--tcr <value>', 'TCR_EL1 (default what mode, width and roots need)', parseNumber)
    .option('--sctlr <value>', 'SCTLR_EL1 (default with M: stage 1 is on)', parseNumber)
    .option('--mair <value>', 'MAIR_EL1 (default all write-back)', parseNumber)
    .option('--pan', 'PSTATE.PAN: EL1 loads and stores reach no user pages')
    .option('--vttbr <value>', 'VTTBR_EL2: the guest is under stage 2', parseNumber)
    .option('--vtcr <value>', 'VTCR_EL2 (default the granule of the mode, 48 bits)', parseNumber)
    .option('--hcr <value>', 'HCR_EL2 (default RW VM)', parseNumber);
}
