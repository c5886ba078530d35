// A machine: RAM, a device, a hart, and a loader that writes the first tables and the guest's code.
import { bigintFromWords } from 'pagewright/core';
import { BUS_ERROR, PhysicalMemory } from 'pagewright/memory';
import { sv39 } from 'pagewright/pte';
import { RiscvWalker } from 'pagewright/walk';
import { REG } from './assembler.js';
import type { Result } from './expected.js';
import type { GuestPages } from './guest-pages.js';
import { Hart } from './interpreter.js';
import { ENDED, kernel } from './kernel.js';
import * as at from './layout.js';
import { MmuPages } from './mmu-pages.js';
import { program } from './program.js';
import { SlowPages } from './slow-pages.js';

/** Who answers where pages are: the fast path, or a walk each time. */
export type PathKind = 'fast' | 'slow';

/** Why the program ended, and what it found. */
export interface Outcome extends Result {
  /** Page faults that the guest's own handler answered, as it counted them. */
  readonly faults: number;
  readonly instructions: number;
}

/** Everything that a guest needs. */
export interface Machine {
  readonly hart: Hart;
  readonly ram: ArrayBuffer;
  readonly memory: PhysicalMemory;
  /** What was printed. */
  readonly printed: () => string;
}

/** A machine with nothing in its RAM; pc is at its base. */
export function emptyMachine(kind: PathKind): Machine {
  const ram = new ArrayBuffer(at.RAM_BYTES);
  const memory = PhysicalMemory.wrap(ram, { base: at.RAM_BASE });
  let text = '';
  memory.addDevice({
    base: at.UART_BASE,
    bytes: 4096,
    read: () => 0,
    write: (offset, width, low) => {
      if (offset !== 0 || width !== 1) return BUS_ERROR;
      text += String.fromCharCode(low);
      return 0;
    },
  });
  const walker = new RiscvWalker({ memory });
  const pages: GuestPages =
    kind === 'fast'
      ? new MmuPages(walker, memory, at.RAM_BASE / 4096)
      : new SlowPages(walker, at.RAM_BASE / 4096, at.RAM_BYTES / 4096);
  const hart = new Hart({ ram, memory, walker, pages });
  hart.pcLow = at.RAM_BASE | 0;
  return { hart, ram, memory, printed: () => text };
}

/** A machine that is about to look for the primes below a limit. */
export function primesMachine(kind: PathKind, limit: number): Machine {
  const machine = emptyMachine(kind);
  const { ram, memory } = machine;
  const satp = (8n << 60n) | BigInt(frameOf(at.ROOT_TABLE));
  new Uint32Array(ram, at.KERNEL_CODE).set(kernel(satp));
  new Uint32Array(ram, at.USER_CODE).set(program(limit));
  loadTables(memory);
  const data = new BigUint64Array(ram, at.KERNEL_DATA);
  data[at.KERNEL.root / 8] = at.KERNEL_BASE + BigInt(at.ROOT_TABLE);
  data[at.KERNEL.next / 8] = BigInt(at.RAM_BASE + at.FREE_FRAMES);
  data[at.KERNEL.offset / 8] = at.KERNEL_OFFSET;
  return machine;
}

/** Runs it to its end. */
export function runPrimes({ hart, printed }: Machine): Outcome {
  const { low, high } = hart.registers;
  const value = (register: number): bigint => bigintFromWords(low[register]!, high[register]!);
  if (!hart.run(2 ** 30)) throw new Error('the guest does not end');
  if (value(REG.a4) !== BigInt(ENDED)) {
    throw new Error(`the guest was stopped: cause ${value(REG.a4)}, address ${value(REG.a5)}`);
  }
  return {
    checksum: value(REG.a0),
    count: value(REG.a1),
    sum: value(REG.a2),
    printed: printed(),
    faults: Number(value(REG.a3)),
    instructions: hart.retired,
  };
}

/** All of RAM's GiB for S-mode, at its physical address and at the top; the program's code and the device for U-mode. */
function loadTables(memory: PhysicalMemory): void {
  const put = (table: number, index: number, entry: bigint): void => {
    memory.write(at.RAM_BASE + table + 8 * index, 8, entry);
  };
  const pointer = (level: number, table: number): bigint =>
    sv39.build({ kind: 'pointer', level, pfn: frameOf(table) });
  const leaf = (level: number, pfn: number, fields: Readonly<Record<string, number>>): bigint =>
    sv39.build({ kind: 'leaf', level, pfn, fields: { A: 1, ...fields } });

  const ram = leaf(2, frameOf(0), { R: 1, W: 1, X: 1, D: 1, G: 1 });
  put(at.ROOT_TABLE, 2, ram);
  put(at.ROOT_TABLE, 510, ram);
  put(at.ROOT_TABLE, 0, pointer(2, at.USER_TABLE_1));
  put(at.USER_TABLE_1, 0, pointer(1, at.USER_TABLE_0));
  put(at.USER_TABLE_0, at.USER_BASE / 4096, leaf(0, frameOf(at.USER_CODE), { R: 1, X: 1, U: 1 }));
  const uart = leaf(0, at.UART_BASE / 4096, { R: 1, W: 1, U: 1, D: 1 });
  put(at.USER_TABLE_0, at.USER_UART / 4096, uart);
}

function frameOf(offset: number): number {
  return (at.RAM_BASE + offset) / 4096;
}
