import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { RISCV_PTE, X86_PTE } from 'pagewright/pte';
import { RiscvWalker, X86Walker } from 'pagewright/walk';
import { beforeAll, describe, expect, test } from 'vitest';
import { bundle } from '../support/bundle.js';
import type { Job } from './shared-memory.worker.js';

const PAGES = 2048;
let program: string;

beforeAll(async () => {
  program = await bundle(fileURLToPath(new URL('./shared-memory.worker.ts', import.meta.url)));
});

/** Starts a worker and waits until it stands at the barrier; `done` resolves to what it reports. */
async function start(job: Job): Promise<{ readonly done: Promise<number> }> {
  const worker = new Worker(program, { workerData: job });
  await once(worker, 'message');
  return { done: once(worker, 'message').then(([value]) => value) };
}

function release(control: SharedArrayBuffer): void {
  const words = new Int32Array(control);
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
}

/** Tables at 0x1000 for pages 0 to 2047, user and writable, nothing accessed yet; frames from 0x100000 on. */
function x86Tables(): BigUint64Array {
  const entries = new BigUint64Array(new SharedArrayBuffer(0x8000));
  entries[0x1000 / 8] = 0x2007n;
  entries[0x2000 / 8] = 0x3007n;
  for (let table = 0; table < 4; table++) {
    entries[0x3000 / 8 + table] = BigInt((table + 4) << 12) | 7n;
  }
  for (let page = 0; page < PAGES; page++) {
    entries[0x4000 / 8 + page] = (BigInt(0x100000 + page) << 12n) | 7n;
  }
  return entries;
}

function sv39Tables(): BigUint64Array {
  const entries = new BigUint64Array(new SharedArrayBuffer(0x8000));
  entries[0x1000 / 8] = (3n << 10n) | 1n;
  for (let table = 0; table < 4; table++) {
    entries[0x3000 / 8 + table] = (BigInt(table + 4) << 10n) | 1n;
  }
  for (let page = 0; page < PAGES; page++) {
    entries[0x4000 / 8 + page] = (BigInt(0x100000 + page) << 10n) | 0x17n;
  }
  return entries;
}

const shared = (entries: BigUint64Array): SharedArrayBuffer => {
  if (!(entries.buffer instanceof SharedArrayBuffer)) throw new Error('not shared');
  return entries.buffer;
};

describe('walkers in several workers over one SharedArrayBuffer', () => {
  test.each([
    { kind: 'x86', tables: x86Tables, accessed: X86_PTE.A, dirty: X86_PTE.D },
    { kind: 'riscv', tables: sv39Tables, accessed: RISCV_PTE.A, dirty: RISCV_PTE.D },
  ] as const)(
    'lose no accessed or dirty bit ($kind)',
    async ({ kind, tables, accessed, dirty }) => {
      const entries = tables();
      const ram = shared(entries);
      const control = new SharedArrayBuffer(8);
      const job = { kind, ram, control, pages: PAGES };
      const workers = await Promise.all([
        start({ ...job, access: Access.Read }),
        start({ ...job, access: Access.Write }),
      ]);
      // A third agent: software that sets a bit of its own in every entry, atomically, at the same time.
      const software = kind === 'x86' ? 1n << 9n : 1n << 8n;
      release(control);
      for (let page = 0; page < PAGES; page++) Atomics.or(entries, 0x4000 / 8 + page, software);
      expect(await Promise.all(workers.map((worker) => worker.done))).toEqual([0, 0]);

      const wanted = BigInt(accessed | dirty) | software;
      for (let page = 0; page < PAGES; page++) {
        expect(entries[0x4000 / 8 + page]! & wanted).toBe(wanted);
      }
    },
  );

  test('never act on a mixture of two values of an entry', async () => {
    const entries = x86Tables();
    const ram = shared(entries);
    const control = new SharedArrayBuffer(8);
    const at = 0x4000 + 8 * 5;
    // Two frames that differ in both halves, accessed already so that the walk has nothing to write.
    const values = [0x0000_0123_0000_0027n, 0x0000_0456_7777_7027n] as const;
    entries[at / 8] = values[0];
    const writer = await start({
      kind: 'flip',
      ram,
      control,
      pages: 0,
      access: 0,
      entry: at,
      values,
    });
    const memory = PhysicalMemory.wrap(ram, { base: 0 });
    const walker = new X86Walker({ memory, cr3: 0x1000 });
    release(control);
    const seen = new Set<number>();
    for (let walk = 0; walk < 100_000; walk++) seen.add(walker.walk(5, Access.Read | Access.User));
    Atomics.store(new Int32Array(control), 1, 1);
    expect(await writer.done).toBeGreaterThan(0);
    expect([...seen].filter((pfn) => pfn !== 0x12300000 && pfn !== 0x45677777)).toEqual([]);
  });

  test('set a bit only in the very entry that was checked', async () => {
    const entries = sv39Tables();
    const ram = shared(entries);
    const control = new SharedArrayBuffer(8);
    const at = 0x4000 + 8 * 5;
    // The entry alternates between a leaf that wants A and nothing at all; A must never appear in the empty one.
    const values = [0x0000_0000_4000_0017n, 0x0000_0001_0000_0000n] as const;
    const writer = await start({
      kind: 'flip',
      ram,
      control,
      pages: 0,
      access: 0,
      entry: at,
      values,
    });
    const memory = PhysicalMemory.wrap(ram, { base: 0 });
    const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 1n, adue: true });
    release(control);
    const seen = new Set<bigint>();
    for (let walk = 0; walk < 50_000; walk++) {
      walker.walk(5, Access.Read | Access.User);
      seen.add(Atomics.load(entries, at / 8));
    }
    Atomics.store(new Int32Array(control), 1, 1);
    await writer.done;
    const allowed = [0x17n, values[0], values[0] | 0x40n, values[1]];
    const initial = (BigInt(0x100000 + 5) << 10n) | 0x17n;
    allowed.push(initial, initial | 0x40n);
    expect([...seen].filter((value) => !allowed.includes(value))).toEqual([]);
  });
});
