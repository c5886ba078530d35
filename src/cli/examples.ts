/** Command lines that work as typed, with what they show. The help prints them and `pagewright demo` runs them. */
export interface Example {
  /** What it shows. */
  readonly title: string;
  /** The arguments after `pagewright`. */
  readonly line: string;
  /** Whether the help shows it, too. */
  readonly inHelp?: true;
}

/** Two entries of Sv39: the root at 0x80000000 points at a table, whose slot 1 is a read-only 2 MiB page. */
const SV39 =
  '--mode sv39 --root 0x80000000 --entry 0x80000000=0x20000401 --entry 0x80001008=0x20080043';

/** Four levels of x86-64 down to a user's read-only page. */
const X86 =
  '--mode x86-64-4 --root 0x1000 --entry 0x1000=0x2007 --entry 0x2000=0x3007 --entry 0x3000=0x4007 --entry 0x4028=0x12345005';

/** Three levels of AArch64 with a granule of 4 KiB: a table, and a 2 MiB block for EL1. */
const AARCH64 =
  '--mode aarch64-4k --bits 39 --root 0x1000 --entry 0x1000=0x2003 --entry 0x2008=0x40200701';

/** A G stage with one 1 GiB page, and above it a guest's tables: a pointer at its 0x4010, and a 2 MiB page. */
const NESTED =
  '--mode sv39 --root 0x4000 --hgatp 0x8000000000080000 --entry 0x80000000=0x200000df --entry 0x80004010=0x1401 --entry 0x80005000=0xdf';

export const EXAMPLES: readonly Example[] = [
  {
    title: 'An address is one index for each level, and an offset',
    line: 'split --mode sv39 0x201abc',
    inHelp: true,
  },
  {
    title: 'RISC-V: two entries translate it, into a 2 MiB page',
    line: `explain ${SV39} 0x201abc`,
    inHelp: true,
  },
  {
    title: 'The page is not writable, so a store faults',
    line: `explain --write ${SV39} 0x201abc`,
  },
  {
    title: 'x86-64 needs four; the error code of a write by a user',
    line: `explain --write --user ${X86} 0x5678`,
  },
  {
    title: 'AArch64 with 39-bit addresses, at EL0, whose page it is not',
    line: `explain --user ${AARCH64} 0x201abc`,
  },
  {
    title: 'A guest under a hypervisor: each of its entries costs a walk of the second stage',
    line: `explain --user ${NESTED} 0x80008000`,
    inHelp: true,
  },
  {
    title: "A course's machine: two levels of one-byte entries, pages of 32 bytes",
    line: 'explain --mode ostep15 --root 0xd80 --entry 0xd98=0xa1 --entry 0x42b=0xb5 0x616c',
  },
  {
    title: 'Every bit of an entry',
    line: 'decode --mode x86-64-4 --level 1 0x80000000402000e7',
  },
];

/** The examples as the end of the help. */
export function exampleHelp(): string {
  const some = EXAMPLES.filter(({ inHelp }) => inHelp).map(({ line }) => `  $ pagewright ${line}`);
  return `
Examples, as typed:
  $ pagewright demo
${some.join('\n')}

With the tables of a guest: a QEMU dump (dump-guest-memory), a raw RAM image, or a tables file:
  $ pagewright maps guest.elf --user-only
  $ pagewright explain --image ram.bin --base 0x80000000 --satp 0x8000000000080200 0x201abc`;
}
