import { type MemorySnapshot, PhysicalMemory } from 'pagewright/memory';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';

function example(): PhysicalMemory {
  const memory = new PhysicalMemory();
  memory.addRam({ base: 0x1003, source: new Uint8Array(100), byteOffset: 1 });
  memory.addRam({ base: 0x2000, bytes: 0x1000, shared: true });
  memory.addSparse({ base: 2n ** 60n + 5n, bytes: 0x4001 });
  memory.write32(1, 3, 0x12345678);
  memory.write8(2, 0xfff, 9);
  memory.write8(2 ** 48 + 4, 5, 7); // the last byte of the last, partial page
  return memory;
}

describe('a snapshot', () => {
  it('brings regions and contents back', () => {
    const memory = example();
    const restored = PhysicalMemory.restore(structuredClone(memory.snapshot()));
    restored.checkInvariants();
    expect(restored.regions()).toEqual(memory.regions());
    expect(restored.snapshot()).toEqual(memory.snapshot());
    expect(restored.read32(1, 3)).toBe(0x12345678);
    expect(restored.read8(2 ** 48 + 4, 5)).toBe(7);
  });

  it('shares nothing with either memory', () => {
    const memory = example();
    const saved = memory.snapshot();
    const restored = PhysicalMemory.restore(saved);
    memory.write8(1, 3, 1);
    memory.write8(2 ** 48 + 4, 5, 1);
    restored.write8(2, 0xfff, 1);
    restored.write8(2 ** 48 + 4, 5, 2);
    const again = PhysicalMemory.restore(saved);
    expect(again.read32(1, 3)).toBe(0x12345678);
    expect(again.read8(2, 0xfff)).toBe(9);
    expect(again.read8(2 ** 48 + 4, 5)).toBe(7);
  });

  it.each([null, undefined, {}, { v: 2, regions: [] }, { v: '1', regions: [] }])(
    'of another version is refused: %j',
    (saved) => {
      const restore = () => PhysicalMemory.restore(saved as unknown as MemorySnapshot);
      expectError(restore, 'unsupported', 'snapshot.v');
    },
  );

  const page = new Uint8Array(4096);
  const sparse = (pages: unknown) => ({ kind: 'sparse', base: 0n, bytes: 0x1001, pages });
  it.each([
    ['no regions', undefined],
    ['a null', [null]],
    ['an unknown kind', [{ kind: 'rom', base: 0n, contents: page }]],
    ['no contents', [{ kind: 'ram', base: 0n, shared: false }]],
    ['empty contents', [{ kind: 'ram', base: 0n, shared: false, contents: new Uint8Array(0) }]],
    ['a bad base', [{ kind: 'ram', base: -1n, shared: false, contents: page }]],
    ['a bad size', [{ kind: 'sparse', base: 0n, bytes: -1, pages: [] }]],
    ['no pages', [sparse(undefined)]],
    ['a null page', [sparse([null])]],
    ['a short page', [sparse([{ index: 0, contents: new Uint8Array(4095) }])]],
    ['a page beyond the end', [sparse([{ index: 2, contents: page }])]],
    ['a page number of NaN', [sparse([{ index: Number.NaN, contents: page }])]],
    [
      'overlapping regions',
      [
        { kind: 'ram', base: 0n, shared: false, contents: page },
        { kind: 'sparse', base: 1n, bytes: 1, pages: [] },
      ],
    ],
  ])('with %s is refused', (_, regions) => {
    const saved = { v: 1, type: 'physical-memory', regions } as unknown as MemorySnapshot;
    errorOf(() => PhysicalMemory.restore(saved));
  });
});

describe('checkInvariants', () => {
  it('finds regions that were tampered with', () => {
    const memory = example();
    memory.checkInvariants();
    // Reaches into a private field, as nothing but a bug could.
    const { regions } = (memory as unknown as { table: { regions: { room: number }[] } }).table;
    regions[0]!.room += 1;
    expectError(() => memory.checkInvariants(), 'bad-image', 'regions');
  });
});
