import { BUS_ERROR, PhysicalMemory } from 'pagewright/memory';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import { wasmMemory } from './wasm.js';

const PAGE = 0x10000; // WebAssembly's

/** Node 20 has resizable buffers; TypeScript's ES2022 does not. */
interface Resizable {
  resize(bytes: number): void;
}
type Constructor = new (bytes: number, options: { maxByteLength: number }) => ArrayBuffer;
const resizable = (bytes: number): ArrayBuffer & Resizable =>
  new (ArrayBuffer as unknown as Constructor)(bytes, { maxByteLength: 0x10000 }) as ArrayBuffer &
    Resizable;

describe('RAM in a WebAssembly memory', () => {
  it('survives growth, and grows along', () => {
    const wasm = wasmMemory(1, 4);
    const memory = PhysicalMemory.wrap(wasm, { base: 0x8000_0000 });
    memory.write32(0x80000, 0, 7);
    const window = memory.ramWindow(0x80000)!;
    wasm.grow(1);
    expect(window.words.length).toBe(0);
    expect(memory.read32(0x80000, 0)).toBe(7);
    expect(memory.write32(0x80010, 0, 8)).toBe(0);
    expect(new DataView(wasm.buffer).getUint32(PAGE, true)).toBe(8);
    const fresh = memory.ramWindow(0x80000)!;
    expect(fresh === window).toBe(false);
    expect(fresh.words.length).toBe((2 * PAGE) / 4);
    expect(memory.regions()[0]?.bytes).toBe(2 * PAGE);
    expect(memory.read8(0x80020, 0)).toBe(BUS_ERROR);
    memory.checkInvariants();
  });

  it.each([
    ['read8', (m: PhysicalMemory) => m.read8(0x10, 0)],
    ['read16', (m: PhysicalMemory) => m.read16(0x10, 0)],
    ['readWords', (m: PhysicalMemory) => m.readWords(0x10, 0)],
    ['write8', (m: PhysicalMemory) => m.write8(0x10, 0, 0)],
    ['write16', (m: PhysicalMemory) => m.write16(0x10, 0, 0)],
    ['writeWords', (m: PhysicalMemory) => m.writeWords(0x10, 0, 0, 0)],
    ['compareExchange32', (m: PhysicalMemory) => m.compareExchange32(0x10, 0, 1, 0)],
    ['compareExchangeWords', (m: PhysicalMemory) => m.compareExchangeWords(0x10, 0, 1, 0, 0, 0)],
    ['readBytes', (m: PhysicalMemory) => m.readBytes(0x10, 0, new Uint8Array(PAGE))],
    ['fillPage', (m: PhysicalMemory) => m.fillPage(0x1f, 0)],
  ])('is there at once for %s', (_, access) => {
    for (const shared of [false, true]) {
      const wasm = wasmMemory(1, 4, shared);
      const memory = PhysicalMemory.wrap(wasm, { base: 0 });
      memory.read8(0, 0);
      expect(access(memory)).toBe(BUS_ERROR);
      wasm.grow(1);
      expect(access(memory)).toBe(0);
    }
  });

  it('keeps its size when byteLength was given, and lives on after growth', () => {
    const wasm = wasmMemory(1, 4);
    const memory = PhysicalMemory.wrap(wasm, { base: 0, byteOffset: 3, byteLength: 0x2000 });
    memory.write8(1, 0xfff, 1);
    wasm.grow(1);
    expect(memory.read8(1, 0xfff)).toBe(1);
    expect(memory.read8(2, 0)).toBe(BUS_ERROR);
  });

  it('is cut off at the next region', () => {
    const wasm = wasmMemory(1, 4);
    const memory = PhysicalMemory.wrap(wasm, { base: 0 });
    memory.addSparse({ base: PAGE + 0x1000, bytes: 0x1000 });
    memory.write8(0x11, 0, 0xaa);
    wasm.grow(2);
    expect(memory.write8(0x10, 0xfff, 1)).toBe(0);
    expect(memory.read8(0x11, 0)).toBe(0xaa);
    expect(memory.read8(0x12, 0)).toBe(BUS_ERROR);
    expect(memory.regions().map((r) => r.bytes)).toEqual([PAGE + 0x1000, 0x1000]);
    memory.checkInvariants();
  });

  it('that has grown already leaves no room for another region there', () => {
    const wasm = wasmMemory(1, 4);
    const memory = PhysicalMemory.wrap(wasm, { base: 0 });
    wasm.grow(1);
    expectError(() => memory.addSparse({ base: PAGE, bytes: 1 }), 'overlap', 'base');
  });
});

describe('RAM whose buffer changes otherwise', () => {
  it('shrinks and grows with a resizable buffer', () => {
    const buffer = resizable(0x3000);
    const memory = PhysicalMemory.wrap(buffer, { base: 0 });
    memory.write8(0, 5, 9);
    buffer.resize(0x1000);
    expect(memory.read8(0, 5)).toBe(9);
    expect(memory.read8(1, 0)).toBe(BUS_ERROR);
    buffer.resize(0x2000);
    expect(memory.read8(1, 0)).toBe(0);
    buffer.resize(0);
    expect(memory.read8(0, 0)).toBe(BUS_ERROR);
    expect(memory.regions()[0]?.bytes).toBe(0);
    memory.checkInvariants();
  });

  it('has no window, and its accesses notice later that another buffer is gone', () => {
    const memory = PhysicalMemory.wrap(resizable(0x1000), { base: 0 });
    expect(memory.ramWindow(0)).toBeNull();
    // Compiled by V8, `length` of a view is not 0 when the buffer is gone, once it has met resizable ones.
    const accesses = [
      (page: number) => memory.read8(page, 5),
      (page: number) => memory.read16(page, 5),
      (page: number) => memory.read32(page, 5),
      (page: number) => memory.readWords(page, 5),
      (page: number) => memory.write8(page, 5, 0),
      (page: number) => memory.write16(page, 5, 0),
      (page: number) => memory.write32(page, 5, 0),
      (page: number) => memory.writeWords(page, 5, 0, 0),
    ];
    let answers = 0;
    for (let page = 1; page <= 3 * accesses.length; page++) {
      const access = accesses[page % accesses.length]!;
      const buffer = new ArrayBuffer(0x1000);
      memory.addRam({ base: page * 0x1000, source: buffer });
      for (let i = 0; i < 20_000; i++) answers += access(i % 2 === 0 ? 0 : page);
      structuredClone(buffer, { transfer: [buffer] });
      expect(access(page)).toBe(BUS_ERROR);
    }
    expect(answers).toBe(0);
  });

  it('is gone when the buffer was transferred away', () => {
    const buffer = new ArrayBuffer(0x1000);
    const memory = PhysicalMemory.wrap(new Uint8Array(buffer), { base: 0x1000 });
    structuredClone(buffer, { transfer: [buffer] });
    expect(memory.read32(1, 0)).toBe(BUS_ERROR);
    expect(memory.writeWords(1, 0, 1, 1)).toBe(BUS_ERROR);
    expect(memory.fillPage(1, 0)).toBe(BUS_ERROR);
    expect(memory.ramWindow(1)).toBeNull();
    expect(memory.snapshot().regions).toEqual([]);
    memory.addRam({ base: 0x1000, bytes: 0x1000 }); // its place is free
    expect(memory.write32(1, 0, 5)).toBe(0);
    memory.checkInvariants();
  });

  it('is gone when its source turns to a buffer that is too short or detached, until it has a better one', () => {
    for (const shared of [false, true]) {
      const buffer = shared ? new SharedArrayBuffer(32) : new ArrayBuffer(32);
      const source = { buffer: buffer as ArrayBufferLike };
      const memory = PhysicalMemory.wrap(source, { base: 0, byteOffset: 8, byteLength: 16 });
      memory.addSparse({ base: 16, bytes: 16 });
      expect(memory.write8(0, 0, 5)).toBe(0);
      const detached = new ArrayBuffer(32);
      structuredClone(detached, { transfer: [detached] });
      for (const other of [new ArrayBuffer(8), detached]) {
        source.buffer = other;
        expect(memory.regions().map((r) => r.bytes)).toEqual([0, 16]);
        expect(memory.read8(0, 0)).toBe(BUS_ERROR);
        expect(memory.contains(0, 0, 1)).toBe(false);
      }
      source.buffer = buffer;
      expect(memory.read8(0, 0)).toBe(5);
    }
  });

  it('that is gone already is refused', () => {
    const view = new Uint8Array(16);
    structuredClone(view.buffer, { transfer: [view.buffer] });
    expectError(() => PhysicalMemory.wrap(view, { base: 0 }), 'out-of-range', 'source');
    expectError(() => PhysicalMemory.wrap(view.buffer, { base: 0 }), 'out-of-range', 'source');
  });

  it('may vanish in the middle of a byte string, which then ends in a bus error', () => {
    const buffer = resizable(0x1000);
    const memory = new PhysicalMemory();
    const read = () => {
      buffer.resize(0);
      return 0;
    };
    memory.addDevice({ base: 0, bytes: 1, read, write: () => 0 });
    memory.addRam({ base: 1, source: buffer });
    expect(memory.readBytes(0, 0, new Uint8Array(16))).toBe(BUS_ERROR);
  });
});
