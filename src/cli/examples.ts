/** Command lines that work as typed, with what they show. The help prints them and `pagewright demo` runs them. */
export interface Example {
  /** What it shows. */
  readonly title: string;
  /** The arguments after `pagewright`. */
  readonly line: string;
}

/** Two entries of Sv39: the root at 0x80000000 points at a table, whose slot 1 is a read-only 2 MiB page. */
const SV39 =
  '--mode sv39 --root 0x80000000 --entry 0x80000000=0x20000401 --entry 0x80001008=0x20080043';

/** Four levels of x86-64 down to a user's read-only page. */
const X86 =
  '--mode x86-64-4 --root 0x1000 --entry 0x1000=0x2007 --entry 0x2000=0x3007 --entry 0x3000=0x4007 --entry 0x4028=0x12345005';

export const EXAMPLES: readonly Example[] = [
  {
    title: 'An address is one index for each level, and an offset',
    line: 'split --mode sv39 0x201abc',
  },
  {
    title: 'RISC-V: two entries translate it, into a 2 MiB page',
    line: `explain ${SV39} 0x201abc`,
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
    title: 'Every bit of an entry',
    line: 'decode --mode x86-64-4 --level 1 0x80000000402000e7',
  },
];

/** The examples as the end of the help. */
export function exampleHelp(): string {
  const some = EXAMPLES.slice(0, 2).map(({ line }) => `  $ pagewright ${line}`);
  return `
Examples, as typed:
  $ pagewright demo
${some.join('\n')}

With the tables of a guest: a QEMU dump (dump-guest-memory), a raw RAM image, or a tables file:
  $ pagewright maps guest.elf --user-only
  $ pagewright explain --image ram.bin --base 0x80000000 --satp 0x8000000000080200 0x201abc`;
}
