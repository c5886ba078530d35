import { BUS_ERROR, type DeviceCallbacks, PhysicalMemory, type WordPair } from 'pagewright/memory';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';

/** Records what it is asked; answers `answer`. */
function recorder(answer: (offset: number, width: number, words: WordPair) => number) {
  const log: (string | number)[][] = [];
  const callbacks: DeviceCallbacks = {
    read(offset, width, words) {
      log.push(['read', offset, width]);
      return answer(offset, width, words);
    },
    write(offset, width, low, high) {
      log.push(['write', offset, width, low, high]);
      return offset >= 8 ? BUS_ERROR : 0;
    },
  };
  const memory = new PhysicalMemory();
  memory.addDevice({ base: 0x10002, bytes: 0x10, ...callbacks });
  return { log, memory };
}

describe('a device', () => {
  it('is asked with the offset from its base and the width, and answers modulo the width', () => {
    const { log, memory } = recorder((_, width, words) => {
      words.low = width === 8 ? 0x89abcdef : 0;
      words.high = width === 8 ? 0x01234567 : 0;
      return width === 8 ? 0 : 0x1_2345_6789;
    });
    expect(memory.read8(0x10, 2)).toBe(0x89);
    expect(memory.read16(0x10, 3)).toBe(0x6789);
    expect(memory.read32(0x10, 6)).toBe(0x23456789);
    expect(memory.readWords(0x10, 10)).toBe(0);
    expect([memory.low, memory.high]).toEqual([0x89abcdef | 0, 0x01234567]);
    expect(log).toEqual([
      ['read', 0, 1],
      ['read', 1, 2],
      ['read', 4, 4],
      ['read', 8, 8],
    ]);
  });

  it('gets unsigned values, and two int32 words at width 8', () => {
    const { log, memory } = recorder(() => 0);
    expect(memory.write8(0x10, 2, -1)).toBe(0);
    expect(memory.write16(0x10, 2, -1)).toBe(0);
    expect(memory.write32(0x10, 2, -1)).toBe(0);
    expect(memory.writeWords(0x10, 2, 0xffffffff, 0x80000000)).toBe(0);
    expect(log.map((entry) => entry.slice(2))).toEqual([
      [1, 0xff, 0],
      [2, 0xffff, 0],
      [4, 0xffffffff, 0],
      [8, -1, -(2 ** 31)],
    ]);
  });

  it('has words of 0 when it leaves them alone', () => {
    let first = true;
    const { memory } = recorder((_, __, words) => {
      if (first) words.low = words.high = 5;
      first = false;
      return 0;
    });
    memory.readWords(0x10, 2);
    expect([memory.low, memory.high]).toEqual([5, 5]);
    memory.readWords(0x10, 2);
    expect([memory.low, memory.high]).toEqual([0, 0]);
  });

  it('refuses by answering anything negative', () => {
    const { memory } = recorder(() => -7);
    expect(memory.read8(0x10, 2)).toBe(BUS_ERROR);
    expect(memory.read32(0x10, 2)).toBe(BUS_ERROR);
    expect(memory.readWords(0x10, 2)).toBe(BUS_ERROR);
    expect(memory.write32(0x10, 10, 0)).toBe(BUS_ERROR);
    expect(memory.writeWords(0x10, 10, 0, 0)).toBe(BUS_ERROR);
    expect(memory.read(0x10002, 8)).toEqual({ kind: 'bus-error', address: 0x10002n });
    expect(memory.readBytes(0x10, 2, new Uint8Array(2))).toBe(BUS_ERROR);
    expect(memory.compareExchange32(0x10, 2, 0, 1)).toBe(BUS_ERROR);
    expect(memory.compareExchangeWords(0x10, 2, 0, 0, 1, 1)).toBe(BUS_ERROR);
  });

  it('may refuse only the store of a compare-exchange', () => {
    const { memory } = recorder(() => 0);
    expect(memory.compareExchange32(0x10, 10, 0, 1)).toBe(BUS_ERROR);
    expect(memory.compareExchangeWords(0x10, 10, 0, 0, 1, 1)).toBe(BUS_ERROR);
    expect(memory.compareExchange32(0x10, 2, 0, 1)).toBe(1);
  });

  it('is not asked beyond its bounds', () => {
    const { log, memory } = recorder(() => 0);
    expect(memory.read32(0x10, 0)).toBe(BUS_ERROR);
    expect(memory.read32(0x10, 0xf)).toBe(BUS_ERROR);
    expect(memory.readWords(0x10, 0xb)).toBe(BUS_ERROR);
    expect(memory.writeWords(0x10, 0xb, 0, 0)).toBe(BUS_ERROR);
    expect(memory.write16(0x10, 0x11, 0)).toBe(BUS_ERROR);
    expect(memory.contains(0x10, 2, 0x10)).toBe(true);
    expect(memory.contains(0x10, 1, 0x10)).toBe(false);
    expect(log).toEqual([]);
  });

  it('takes byte strings byte by byte, and keeps those before one that it refuses', () => {
    const { log, memory } = recorder((offset) => offset + 1);
    const target = new Uint8Array(3);
    expect(memory.readBytes(0x10, 3, target)).toBe(0);
    expect([...target]).toEqual([2, 3, 4]);
    log.length = 0;
    expect(memory.writeBytes(0x10, 8, Uint8Array.of(1, 2, 3))).toBe(BUS_ERROR);
    expect(log).toEqual([
      ['write', 6, 1, 1, 0],
      ['write', 7, 1, 2, 0],
      ['write', 8, 1, 3, 0],
    ]);
  });

  it('is crossed into from RAM byte by byte', () => {
    const { memory } = recorder((offset) => (offset === 2 ? -1 : 0x50 + offset));
    memory.addRam({ base: 0xfffe, bytes: 4 });
    expect(memory.read32(0x10, 0)).toBe(0x51500000);
    expect(memory.read32(0x10, 1)).toBe(BUS_ERROR); // the device's byte 2
    expect(memory.readWords(0x10, 0)).toBe(BUS_ERROR); // its second half
    expect(memory.readWords(0x10, 1)).toBe(BUS_ERROR); // its first half
    expect(memory.write32(0x10, 0, 0x01020304)).toBe(0);
    expect(memory.read16(0x10, 0)).toBe(0x0304);
  });

  it('may refuse a byte of a store that crosses into it', () => {
    const memory = new PhysicalMemory();
    memory.addRam({ base: 0, bytes: 6 });
    memory.addDevice({ base: 6, bytes: 8, read: () => -1, write: () => -1 });
    expect(memory.write32(0, 4, -1)).toBe(BUS_ERROR);
    expect(memory.writeWords(0, 4, -1, -1)).toBe(BUS_ERROR);
    expect(memory.writeWords(0, 0, -1, -1)).toBe(BUS_ERROR);
    expect(memory.readWords(0, 4)).toBe(BUS_ERROR);
    expect(memory.readWords(0, 0)).toBe(BUS_ERROR);
  });

  it('may use the memory from its callbacks', () => {
    const memory = PhysicalMemory.allocate(0x3000, { base: 0 });
    memory.fillPage(1, 0x11);
    const copies: number[] = [];
    memory.addDevice({
      base: 0x3000,
      bytes: 0x1000,
      read: () => 0,
      write: (offset) => (offset === 1 ? copies.push(memory.copyPage(1, 2)) : 0),
    });
    memory.fillPage(0, 0x22);
    expect(memory.copyPage(0, 3)).toBe(0);
    expect(copies).toEqual([0]);
    expect(memory.read32(2, 0)).toBe(0x11111111);
  });

  it('keeps its own `this`, and its name', () => {
    class Counter {
      readonly base = 0x1000;
      readonly bytes = 4;
      readonly name = 'counter';
      private count = 0;
      read(): number {
        return this.count++;
      }
      write(): number {
        return BUS_ERROR;
      }
    }
    const memory = new PhysicalMemory();
    memory.addDevice(new Counter());
    expect([memory.read8(1, 0), memory.read8(1, 0)]).toEqual([0, 1]);
    expect(memory.regions()[0]).toMatchObject({ name: 'counter', usedBytes: 0, kind: 'device' });
  });

  it('cannot be saved', () => {
    const { memory } = recorder(() => 0);
    expectError(() => memory.snapshot(), 'unsupported', 'device at 0x10002');
  });

  it('needs its callbacks and a size', () => {
    const add = (options: object) => () =>
      new PhysicalMemory().addDevice({
        base: 0,
        bytes: 4,
        read: () => 0,
        write: () => 0,
        ...options,
      });
    expectError(add({ read: undefined }), 'bad-argument', 'read');
    expectError(add({ write: 1 }), 'bad-argument', 'write');
    expectError(add({ bytes: 0 }), 'out-of-range', 'bytes');
    expectError(add({ base: 2n ** 64n - 1n }), 'out-of-range', 'bytes');
  });
});
