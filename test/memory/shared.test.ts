import { Worker } from 'node:worker_threads';
import { PhysicalMemory } from 'pagewright/memory';
import { afterEach, describe, expect, it } from 'vitest';

/** Two values that differ in both halves. */
const ONE = 0x1111_1111_1111_1111n;
const TWO = 0x2222_2222_2222_2222n;

const workers: Worker[] = [];

/** Starts plain JavaScript on `words` (BigInt64Array) and `control` (Int32Array) of one shared buffer. */
function start(code: string, buffer: SharedArrayBuffer): Worker {
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads');
     const words = new BigInt64Array(workerData);
     const control = new Int32Array(workerData, 4096);
     ${code}`,
    { eval: true, workerData: buffer },
  );
  workers.push(worker);
  return worker;
}

/** Waits without blocking the event loop. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.terminate();
});

describe('memory that a worker writes at the same time', () => {
  it('is never read as a mixture of two values', async () => {
    const buffer = new SharedArrayBuffer(8192);
    const control = new Int32Array(buffer, 4096);
    const memory = PhysicalMemory.wrap(buffer, { base: 0x8000_0000 });
    memory.write(0x8000_0018, 8, ONE);
    start(
      `for (let i = 0; Atomics.load(control, 1) === 0; i = (i + 1) | 0) {
         Atomics.store(words, 3, i & 1 ? ${ONE}n : ${TWO}n);
         Atomics.store(control, 0, i);
       }`,
      buffer,
    );
    await until(() => Atomics.load(control, 0) > 0);
    const seen = { one: 0, two: 0, mixed: 0 };
    const flips = () => Atomics.load(control, 0);
    for (let i = 0; i < 1_000_000 || seen.one === 0 || seen.two === 0 || flips() < 100_000; i++) {
      memory.readWords(0x80000, 24);
      if (memory.low === 0x11111111 && memory.high === 0x11111111) seen.one++;
      else if (memory.low === 0x22222222 && memory.high === 0x22222222) seen.two++;
      else seen.mixed++;
    }
    Atomics.store(control, 1, 1);
    expect(seen.mixed).toBe(0);
  });

  // The worker adds 1 until it is told to stop. This thread compare-exchanges until they have met often enough: each
  // refusal is a change by the worker between the read and the exchange.
  const MEETINGS = 20_000;
  const adder = (array: string, one: string) =>
    `const counter = new ${array}(workerData);
     let count = 0;
     Atomics.store(control, 0, 1);
     for (; Atomics.load(control, 1) === 0; count = (count + 1) | 0) Atomics.add(counter, 0, ${one});
     Atomics.store(control, 2, count);
     Atomics.store(control, 0, 2);`;

  async function race(
    worker: string,
    first: bigint,
    increment: (m: PhysicalMemory) => number,
    bytes: 1 | 2 | 8 = 8,
  ) {
    const buffer = new SharedArrayBuffer(8192);
    const control = new Int32Array(buffer, 4096);
    const memory = PhysicalMemory.wrap(buffer, { base: 0x8000_0000 });
    memory.write(0x8000_0000, 8, first);
    start(worker, buffer);
    await until(() => Atomics.load(control, 0) === 1);
    let [done, refused] = [0, 0];
    // On a single core they hardly ever meet: then many exchanges must do.
    while (done < MEETINGS || (refused < MEETINGS && done < 100 * MEETINGS)) {
      if (increment(memory) === 1) done++;
      else refused++;
    }
    Atomics.store(control, 1, 1);
    await until(() => Atomics.load(control, 0) === 2);
    const sum = first + BigInt(Atomics.load(control, 2) + done);
    expect(memory.read(0x8000_0000, bytes)).toEqual({
      kind: 'value',
      value: BigInt.asUintN(8 * bytes, sum),
    });
    if (bytes < 8) expect(memory.read32(0x80000, bytes)).toBe(0); // and nothing beside it
  }

  it('loses no 64-bit update, and carries from one half to the other', async () => {
    await race(adder('BigInt64Array', '1n'), 0x7_ffff_f000n, (memory) => {
      memory.readWords(0x80000, 0);
      const { low, high } = memory;
      const next = (low + 1) | 0;
      const carried = next === 0 ? high + 1 : high;
      return memory.compareExchangeWords(0x80000, 0, low, high, next, carried);
    });
  });

  it('loses no 32-bit update', async () => {
    await race(adder('Int32Array', '1'), 5n, (memory) => {
      const value = memory.read32(0x80000, 0);
      return memory.compareExchange32(0x80000, 0, value, value + 1);
    });
  });

  it.each([
    ['Uint8Array', 1],
    ['Uint16Array', 2],
  ] as const)('loses no narrow update: %s', async (array, width) => {
    const increment = (memory: PhysicalMemory): number => {
      const value = width === 1 ? memory.read8(0x80000, 0) : memory.read16(0x80000, 0);
      return memory.compareExchangeNarrow(0x80000, 0, width, value, value + 1);
    };
    await race(adder(array, '1'), 5n, increment, width);
  });
});

describe('shared RAM seen by one worker alone', () => {
  const memory = PhysicalMemory.wrap(new SharedArrayBuffer(0x1000), { base: 0x1000 });

  it('reads and writes at every alignment', () => {
    for (let offset = 0; offset < 16; offset++) {
      memory.fillPage(1, 0xee);
      memory.writeWords(1, offset, 0x84838281 | 0, 0x88878685 | 0);
      expect(memory.readWords(1, offset)).toBe(0);
      expect([memory.low, memory.high]).toEqual([0x84838281 | 0, 0x88878685 | 0]);
      expect(memory.read32(1, offset + 2)).toBe(0x86858483);
      expect(memory.read16(1, offset + 3)).toBe(0x8584);
      expect(memory.read8(1, offset + 8)).toBe(0xee);
      memory.write32(1, offset, 0x01020304);
      memory.write16(1, offset + 1, 0xaabb);
      expect(memory.read32(1, offset)).toBe(0x01aabb04);
    }
  });

  it('compares and exchanges at every alignment', () => {
    for (let offset = 0; offset < 16; offset++) {
      memory.fillPage(1, 0);
      expect(memory.compareExchangeWords(1, offset, 0, 1, 7, 8)).toBe(0);
      expect([memory.low, memory.high]).toEqual([0, 0]);
      expect(memory.compareExchangeWords(1, offset, 0, 0, -1, 0xfffffffe)).toBe(1);
      expect(memory.compareExchangeWords(1, offset, -1, -1, 0, 0)).toBe(0);
      expect(memory.compareExchangeWords(1, offset, 0, -2, 0, 0)).toBe(0);
      expect([memory.low, memory.high]).toEqual([-1, -2]);
      expect(memory.compareExchangeWords(1, offset, 0xffffffff, -2, 5, 6)).toBe(1);
      expect(memory.compareExchangeNarrow(1, offset, 1, 6, 9)).toBe(0);
      expect([memory.low, memory.high]).toEqual([5, 0]);
      expect(memory.compareExchangeNarrow(1, offset, 2, 0x10005, 0x11234)).toBe(1);
      expect(memory.compareExchangeNarrow(1, offset, 1, 0x34, 0x105)).toBe(1);
      expect(memory.compareExchangeNarrow(1, offset, 2, 0x1205, 5)).toBe(1);
      expect(memory.compareExchange32(1, offset, 6, 9)).toBe(0);
      expect([memory.low, memory.high]).toEqual([5, 0]);
      expect(memory.compareExchange32(1, offset, 5, 0xffffffff)).toBe(1);
      expect(memory.compareExchange32(1, offset, 0xffffffff, 1)).toBe(1);
      expect(memory.read32(1, offset)).toBe(1);
    }
  });

  it('ends where it ends', () => {
    expect(memory.compareExchange32(1, 0xffe, 0, 0)).toBe(-1);
    expect(memory.compareExchangeWords(1, 0xffc, 0, 0, 0, 0)).toBe(-1);
    expect(memory.readWords(1, 0xff9)).toBe(-1);
    expect(memory.writeWords(1, 0xff9, 0, 0)).toBe(-1);
  });
});
