import { BUS_ERROR, PhysicalMemory } from 'pagewright/memory';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';

const used = (memory: PhysicalMemory): number | undefined => memory.regions()[0]?.usedBytes;

describe('sparse RAM', () => {
  it('takes host memory only for pages that were written', () => {
    const memory = new PhysicalMemory();
    memory.addSparse({ base: 2n ** 55n, bytes: 2 ** 52 });
    const pfn = 2 ** 43;
    expect(memory.read32(pfn + 2 ** 39, 8)).toBe(0);
    expect(memory.readWords(pfn, 0)).toBe(0);
    expect(used(memory)).toBe(0);
    memory.write8(pfn + 2 ** 39, 8, 1);
    memory.writeWords(pfn + 2 ** 40 - 1, 4088, 2, 3);
    expect(used(memory)).toBe(2 * 4096);
    expect(memory.read32(pfn + 2 ** 39, 8)).toBe(1);
    expect(memory.readWords(pfn + 2 ** 40 - 1, 4088)).toBe(0);
    expect([memory.low, memory.high]).toEqual([2, 3]);
    expect(memory.readWords(pfn + 2 ** 40 - 1, 4089)).toBe(BUS_ERROR);
    expect(memory.read8(pfn + 2 ** 40, 0)).toBe(BUS_ERROR);
  });

  it('sees a page that comes into being after it was read as absent', () => {
    const memory = new PhysicalMemory();
    memory.addSparse({ base: 0, bytes: 0x2000 });
    expect(memory.read8(0, 0)).toBe(0);
    memory.writeBytes(0, 0, Uint8Array.of(7));
    expect(memory.read8(0, 0)).toBe(7);
  });

  it('crosses its own pages, wherever its base is', () => {
    const memory = new PhysicalMemory();
    memory.addSparse({ base: 0x1003, bytes: 0x3000 });
    expect(memory.writeWords(2, 0xffe, 0x04030201, 0x08070605)).toBe(0);
    expect(memory.write32(2, 1, 0xaabbccdd)).toBe(0); // pages of the region meet at 0x2003
    expect(memory.write16(2, 2, 0xeeff)).toBe(0);
    expect(memory.read16(2, 2)).toBe(0xeeff);
    expect(memory.read32(2, 1)).toBe(0xaaeeffdd);
    expect(memory.readWords(2, 0xffe)).toBe(0);
    expect([memory.low, memory.high]).toEqual([0x04030201, 0x08070605]);
  });

  it('keeps its pages whole when an offset is no integer', () => {
    const memory = new PhysicalMemory();
    memory.addSparse({ base: 0, bytes: 0x2000 });
    memory.write32(0, 8, 0x12345678);
    memory.write8(0, 0.5, 1);
    expect(memory.read32(0, 8)).toBe(0x12345678);
    expect(used(memory)).toBe(4096);
    expect(PhysicalMemory.restore(memory.snapshot()).read32(0, 8)).toBe(0x12345678);
  });

  it('refuses sizes that are none', () => {
    const add = (base: bigint, bytes: number) => () =>
      new PhysicalMemory().addSparse({ base, bytes });
    expectError(add(0n, 0), 'out-of-range', 'bytes');
    expectError(add(0n, 2 ** 52 + 1), 'out-of-range', 'bytes');
    expectError(add(0n, Number.NaN), 'bad-argument', 'bytes');
    expectError(add(2n ** 64n - 1n, 2), 'out-of-range', 'bytes');
  });

  it('knows which frames hold nothing, besides those where there is no memory', () => {
    const memory = new PhysicalMemory();
    memory.addSparse({ base: 0x2000, bytes: 0x2000 });
    memory.addRam({ base: 0x6000, bytes: 0x1000 });
    memory.addSparse({ base: 0x9800, bytes: 0x1000 }); // its pages are no frames
    memory.addRam({ base: 0xbfff, bytes: 1 });
    const blank = (): readonly number[] =>
      Array.from({ length: 16 }, (_, pfn) => pfn).filter((pfn) => memory.isBlank(pfn));
    expect(blank()).toEqual([0, 1, 2, 3, 4, 5, 7, 8, 12, 13, 14, 15]);
    memory.write8(3, 4095, 1);
    expect(blank()).toEqual([0, 1, 2, 4, 5, 7, 8, 12, 13, 14, 15]);
    expect(new PhysicalMemory().isBlank(0)).toBe(true);
  });
});
