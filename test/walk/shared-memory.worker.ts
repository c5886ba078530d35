// Runs in a worker: the other agent of shared-memory.test.ts.
import { parentPort, workerData } from 'node:worker_threads';
import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { RiscvWalker, X86Walker } from 'pagewright/walk';

/** What the test asks for. */
export interface Job {
  readonly kind: 'x86' | 'riscv' | 'flip';
  readonly ram: SharedArrayBuffer;
  /** Two int32 words outside the tables: 0 holds everyone at the start, 1 asks to stop. */
  readonly control: SharedArrayBuffer;
  readonly pages: number;
  readonly access: number;
  /** For `flip`: the byte offset of the entry, and its two values. */
  readonly entry?: number;
  readonly values?: readonly [bigint, bigint];
}

const job: Job = workerData;
const control = new Int32Array(job.control);

function walkAll(): number {
  const memory = PhysicalMemory.wrap(job.ram, { base: 0 });
  const walker =
    job.kind === 'x86'
      ? new X86Walker({ memory, cr3: 0x1000 })
      : new RiscvWalker({ memory, satp: (8n << 60n) | 1n, adue: true });
  let faults = 0;
  for (let page = 0; page < job.pages; page++) {
    if (walker.walk(page, job.access | Access.User) < 0) faults++;
  }
  return faults;
}

function flip(): number {
  const entries = new BigUint64Array(job.ram);
  const [a, b] = job.values ?? [0n, 0n];
  const at = (job.entry ?? 0) / 8;
  let flips = 0;
  while (Atomics.load(control, 1) === 0) {
    Atomics.store(entries, at, flips % 2 === 0 ? b : a);
    flips++;
  }
  return flips;
}

parentPort?.postMessage('ready');
Atomics.wait(control, 0, 0);
parentPort?.postMessage(job.kind === 'flip' ? flip() : walkAll());
