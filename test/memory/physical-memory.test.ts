import { type VmError, vpnFromAddress } from 'pagewright/core';
import {
  BUS_ERROR,
  type FrameSource,
  loadImage,
  PhysicalMemory,
  type RamSource,
} from 'pagewright/memory';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';

const hex = (memory: PhysicalMemory): string[] =>
  memory.regions().map((r) => `${r.kind} ${r.base.toString(16)}+${r.bytes.toString(16)}`);

describe('an empty memory', () => {
  const memory = new PhysicalMemory();

  it('answers every access with a bus error', () => {
    for (const pfn of [0, 1, 0x80000, 2 ** 52 - 1]) {
      expect(memory.read8(pfn, 0)).toBe(BUS_ERROR);
      expect(memory.read16(pfn, 0)).toBe(BUS_ERROR);
      expect(memory.read32(pfn, 4095)).toBe(BUS_ERROR);
      expect(memory.readWords(pfn, 0)).toBe(BUS_ERROR);
      expect(memory.write8(pfn, 0, 1)).toBe(BUS_ERROR);
      expect(memory.write16(pfn, 0, 1)).toBe(BUS_ERROR);
      expect(memory.write32(pfn, 0, 1)).toBe(BUS_ERROR);
      expect(memory.writeWords(pfn, 4095, 1, 1)).toBe(BUS_ERROR);
      expect(memory.compareExchange32(pfn, 0, 0, 1)).toBe(BUS_ERROR);
      expect(memory.compareExchangeWords(pfn, 0, 0, 0, 1, 1)).toBe(BUS_ERROR);
      expect(memory.ramWindow(pfn)).toBeNull();
      expect(memory.contains(pfn, 0, 1)).toBe(false);
      expect(memory.copyPage(pfn, pfn)).toBe(BUS_ERROR);
      expect(memory.fillPage(pfn, 0)).toBe(BUS_ERROR);
    }
    expect(memory.regions()).toEqual([]);
    memory.checkInvariants();
  });
});

describe('a big-endian host', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('is refused', () => {
    vi.stubGlobal(
      'Uint32Array',
      class {
        readonly buffer = Uint8Array.of(0, 0, 0, 1).buffer;
      },
    );
    expectError(() => new PhysicalMemory(), 'unsupported', 'host');
  });
});

describe('wrapped RAM', () => {
  const sources: [string, (bytes: Uint8Array) => RamSource][] = [
    ['ArrayBuffer', (bytes) => bytes.buffer],
    ['Uint8Array', (bytes) => bytes],
    ['DataView', (bytes) => new DataView(bytes.buffer)],
    ['Float64Array', (bytes) => new Float64Array(bytes.buffer)],
    ['object with a buffer', (bytes) => ({ buffer: bytes.buffer })],
  ];

  it.each(sources)('is the same bytes as the %s', (_, source) => {
    const bytes = new Uint8Array(0x2000);
    const memory = PhysicalMemory.wrap(source(bytes), { base: 0x8000_0000 });
    memory.write32(0x80001, 4, 0x11223344);
    expect([...bytes.subarray(0x1004, 0x1008)]).toEqual([0x44, 0x33, 0x22, 0x11]);
    bytes[0x1007] = 0xff;
    expect(memory.read32(0x80001, 4)).toBe(0xff223344);
    expect(hex(memory)).toEqual(['ram 80000000+2000']);
  });

  it('respects the place of a view in its buffer, and byteOffset within the view', () => {
    const buffer = new ArrayBuffer(64);
    const view = new Uint8Array(buffer, 7, 20);
    const memory = PhysicalMemory.wrap(view, { base: 0x1003, byteOffset: 2, byteLength: 10 });
    memory.write8(1, 3, 0xaa);
    expect(new Uint8Array(buffer)[9]).toBe(0xaa);
    expect(hex(memory)).toEqual(['ram 1003+a']);
    expect(memory.read8(1, 2)).toBe(BUS_ERROR);
    expect(memory.read8(1, 13)).toBe(BUS_ERROR);
    expect(PhysicalMemory.wrap(view, { base: 0, byteOffset: 2 }).regions()[0]?.bytes).toBe(18);
  });

  it('reaches exactly from its first byte to its last', () => {
    const memory = PhysicalMemory.wrap(new Uint8Array(0x1001), { base: 0xfff });
    expect(memory.read8(0, 0xffe)).toBe(BUS_ERROR);
    expect(memory.read8(0, 0xfff)).toBe(0);
    expect(memory.read8(1, 0xfff)).toBe(0);
    expect(memory.read8(2, 0)).toBe(BUS_ERROR);
    expect(memory.readWords(1, 0xff8)).toBe(0);
    expect(memory.readWords(1, 0xff9)).toBe(BUS_ERROR);
    expect(memory.writeWords(1, 0xff9, -1, -1)).toBe(BUS_ERROR);
    expect(memory.write32(1, 0xffd, -1)).toBe(BUS_ERROR);
    expect(memory.read32(1, 0xffc)).toBe(0);
  });

  it('lies anywhere, up to the last byte of the 64-bit space', () => {
    const memory = new PhysicalMemory();
    for (const base of [0xff_ffff_ffff_0000n, 2n ** 64n - 16n, 2n ** 53n + 1n]) {
      memory.addRam({ base, bytes: 16 });
      expect(memory.write(base + 8n, 8, base)).toEqual({ kind: 'ok' });
    }
    for (const base of [0xff_ffff_ffff_0000n, 2n ** 64n - 16n, 2n ** 53n + 1n]) {
      expect(memory.read(base + 8n, 8)).toEqual({ kind: 'value', value: base });
      expect(memory.read(base - 1n, 1).kind).toBe('bus-error');
    }
    expect(memory.readWords(2 ** 52 - 1, 4089)).toBe(BUS_ERROR);
    memory.checkInvariants();
  });

  it('refuses what cannot be RAM', () => {
    const source = new ArrayBuffer(16);
    const wrap = (more: object) => () =>
      new PhysicalMemory().addRam({ base: 0, source, ...more } as never);
    expectError(wrap({ source: 7 }), 'bad-argument', 'source');
    expectError(wrap({ source: null }), 'bad-argument', 'source');
    expectError(wrap({ source: {} }), 'bad-argument', 'source');
    expectError(wrap({ source: { buffer: 'x' } }), 'bad-argument', 'source');
    expectError(wrap({ source: new ArrayBuffer(0) }), 'out-of-range', 'source');
    expectError(wrap({ byteOffset: 16 }), 'out-of-range', 'byteOffset');
    expectError(wrap({ byteOffset: -1 }), 'out-of-range', 'byteOffset');
    expectError(wrap({ byteOffset: Number.NaN }), 'bad-argument', 'byteOffset');
    expectError(wrap({ byteLength: 17 }), 'out-of-range', 'byteLength');
    expectError(wrap({ byteOffset: 8, byteLength: 9 }), 'out-of-range', 'byteLength');
    expectError(wrap({ byteLength: 0 }), 'out-of-range', 'byteLength');
    expectError(wrap({ bytes: 16 }), 'bad-argument', 'bytes');
    expectError(wrap({ base: -1 }), 'out-of-range', 'base');
    expectError(wrap({ base: 'x' }), 'bad-argument', 'base');
    expectError(wrap({ base: 2n ** 64n - 15n }), 'out-of-range', 'bytes');
  });
});

describe('new RAM', () => {
  it('is zero, and shared when asked', () => {
    const memory = PhysicalMemory.allocate(0x1800, { base: 0x1000 });
    memory.addRam({ base: 0x8000, bytes: 8, shared: true });
    expect(memory.regions()).toEqual([
      { kind: 'ram', base: 0x1000n, bytes: 0x1800, usedBytes: 0x1800, shared: false, name: null },
      { kind: 'ram', base: 0x8000n, bytes: 8, usedBytes: 8, shared: true, name: null },
    ]);
    expect(JSON.parse(JSON.stringify(memory.regions()[0])).base).toBe('0x1000');
    expect(memory.read32(2, 0x7fc)).toBe(0);
    expect(memory.read32(2, 0x7fd)).toBe(BUS_ERROR);
  });

  it.each([0, -1, 1.5, Number.NaN, Infinity, 2 ** 52 + 1, undefined])(
    'refuses a size of %s',
    (bytes) => {
      const memory = new PhysicalMemory();
      expect(errorOf(() => memory.addRam({ base: 0, bytes } as never)).details.argument).toBe(
        'bytes',
      );
      expect(memory.regions()).toEqual([]);
    },
  );

  it('refuses a size that the host cannot allocate', () => {
    for (const shared of [false, true]) {
      const allocate = () => PhysicalMemory.allocate(2 ** 52, { base: 0, shared });
      expectError(allocate, 'out-of-range', 'bytes');
    }
  });
});

describe('regions', () => {
  const device = { read: () => 0, write: () => 0 };

  it('may touch but not overlap, and a refused one changes nothing', () => {
    const memory = new PhysicalMemory();
    memory.addRam({ base: 0x1010, bytes: 0x10 });
    memory.addSparse({ base: 0x1020, bytes: 0x10 });
    memory.addDevice({ base: 0x1000, bytes: 0x10, ...device });
    const before = hex(memory);
    expect(before).toEqual(['device 1000+10', 'ram 1010+10', 'sparse 1020+10']);
    const overlapping: [number, number][] = [
      [0x1000, 0x10],
      [0xfff, 2],
      [0x102f, 1],
      [0x1018, 1],
      [0, 0x10000],
    ];
    for (const [base, bytes] of overlapping) {
      expectError(() => memory.addRam({ base, bytes }), 'overlap', 'base');
      expectError(() => memory.addSparse({ base, bytes }), 'overlap', 'base');
      expectError(() => memory.addDevice({ base, bytes, ...device }), 'overlap', 'base');
    }
    expect(hex(memory)).toEqual(before);
    memory.checkInvariants();
  });

  it('are named in the error when they are in the way', () => {
    const memory = PhysicalMemory.allocate(0x1000, { base: 0x4000 });
    for (const base of [0x3fffn, 0x4001n]) {
      const error: VmError = errorOf(() => memory.addRam({ base, bytes: 0x1000 }));
      expect(error.details.value).toBe(base);
      expect(error.message).toContain('0x4000');
    }
  });

  it('are crossed byte by byte when they are adjacent', () => {
    const memory = new PhysicalMemory();
    memory.addRam({ base: 0x1000, bytes: 3 });
    memory.addSparse({ base: 0x1003, bytes: 4 });
    memory.addRam({ base: 0x1007, bytes: 9, shared: true });
    expect(memory.writeWords(1, 0, 0x44332211, 0x88776655 | 0)).toBe(0);
    expect(memory.readWords(1, 0)).toBe(0);
    expect([memory.low, memory.high]).toEqual([0x44332211, 0x88776655 | 0]);
    expect(memory.read32(1, 1)).toBe(0x55443322);
    expect(memory.read16(1, 2)).toBe(0x4433);
    expect(memory.write32(1, 1, 0xaabbccdd)).toBe(0);
    expect(memory.write16(1, 6, 0xeeff)).toBe(0);
    expect(memory.read(0x1000, 8)).toEqual({ kind: 'value', value: 0xee_ff66aabbccdd11n });
    expect(memory.compareExchangeWords(1, 0, 1, 2, 3, 4)).toBe(0);
    expect([memory.low, memory.high]).toEqual([0xbbccdd11 | 0, 0xeeff66aa | 0]);
    expect(memory.compareExchangeWords(1, 0, 0xbbccdd11, 0xeeff66aa, 5, 6)).toBe(1);
    expect(memory.read(0x1000, 8)).toEqual({ kind: 'value', value: 0x6_00000005n });
    expect(memory.compareExchange32(1, 1, 0, -1)).toBe(0);
    expect([memory.low, memory.high]).toEqual([0x06000000, 0]);
    expect(memory.compareExchange32(1, 1, 0x06000000, -1)).toBe(1);
    expect(memory.read32(1, 1)).toBe(0xffffffff);
  });

  it('are not crossed into a hole, and then nothing is written', () => {
    const memory = new PhysicalMemory();
    memory.addRam({ base: 0x1000, bytes: 3 });
    memory.addRam({ base: 0x1004, bytes: 16 });
    expect(memory.read32(1, 0)).toBe(BUS_ERROR);
    expect(memory.readWords(1, 1)).toBe(BUS_ERROR);
    expect(memory.write32(1, 0, -1)).toBe(BUS_ERROR);
    expect(memory.writeWords(1, 0, -1, -1)).toBe(BUS_ERROR);
    expect(memory.writeBytes(1, 0, new Uint8Array(8).fill(9))).toBe(BUS_ERROR);
    expect(memory.read16(1, 0)).toBe(0);
    expect(memory.readWords(1, 4)).toBe(0);
    expect([memory.low, memory.high]).toEqual([0, 0]);
  });

  it('are found among thousands', () => {
    const memory = new PhysicalMemory();
    for (let i = 0; i < 1000; i++) memory.addRam({ base: ((i * 7) % 1000) * 0x3000, bytes: 16 });
    memory.checkInvariants();
    for (let i = 0; i < 1000; i++) expect(memory.write32(i * 3, 0, i + 1)).toBe(0);
    for (let i = 999; i >= 0; i--) {
      expect(memory.read32(i * 3, 0)).toBe(i + 1);
      expect(memory.read32(i * 3 + 1, 0)).toBe(BUS_ERROR);
    }
  });
});

describe('hot methods', () => {
  it('read unsigned values and write modulo their width', () => {
    for (const shared of [false, true]) {
      const memory = PhysicalMemory.allocate(0x1000, { base: 0, shared });
      memory.write8(0, 0, 0x1ff);
      memory.write16(0, 2, -2);
      memory.write32(0, 4, -3);
      memory.write32(0, 8, 0xffffffff);
      expect(memory.read8(0, 0)).toBe(0xff);
      expect(memory.read8(0, 1)).toBe(0);
      expect(memory.read16(0, 2)).toBe(0xfffe);
      expect(memory.read32(0, 4)).toBe(0xfffffffd);
      expect(memory.read32(0, 8)).toBe(0xffffffff);
    }
  });

  it('neither throw nor damage anything when they are given nonsense', () => {
    const memory = new PhysicalMemory();
    memory.addRam({ base: 0, bytes: 64 });
    memory.addRam({ base: 64, bytes: 64, shared: true });
    memory.addSparse({ base: 128, bytes: 64 });
    const nonsense = [Number.NaN, Infinity, -Infinity, -1, 2 ** 52, 2 ** 60, 1e300];
    for (const pfn of nonsense) {
      for (const offset of [0, 65, 129]) {
        expect(memory.read8(pfn, offset)).toBe(BUS_ERROR);
        expect(memory.read32(pfn, offset)).toBe(BUS_ERROR);
        expect(memory.readWords(pfn, offset)).toBe(BUS_ERROR);
        expect(memory.write32(pfn, offset, -1)).toBe(BUS_ERROR);
        expect(memory.writeWords(pfn, offset, -1, -1)).toBe(BUS_ERROR);
        expect(memory.compareExchangeWords(pfn, offset, 0, 0, 1, 1)).toBe(BUS_ERROR);
        expect(memory.ramWindow(pfn)).toBeNull();
        expect(memory.fillPage(pfn, 1)).toBe(BUS_ERROR);
      }
    }
    expect(memory.read32(0, Number.NaN)).toBe(BUS_ERROR);
    expect(memory.contains(0, 0, Number.NaN)).toBe(false);
    expect(memory.contains(0, 0, Infinity)).toBe(false);
    const all = new Uint8Array(192);
    expect(memory.readBytes(0, 0, all)).toBe(0);
    expect(all.every((byte) => byte === 0)).toBe(true);
  });

  it('compare and exchange on plain RAM', () => {
    const memory = PhysicalMemory.allocate(0x1000, { base: 0x1000 });
    memory.writeWords(1, 0, 1, -1);
    expect(memory.compareExchangeWords(1, 0, 1, -2, 9, 9)).toBe(0);
    expect([memory.low, memory.high]).toEqual([1, -1]);
    expect(memory.compareExchangeWords(1, 0, 2, -1, 9, 9)).toBe(0);
    expect(memory.compareExchangeWords(1, 0, 1, 0xffffffff, 5, 6)).toBe(1);
    expect(memory.read(0x1000, 8)).toEqual({ kind: 'value', value: 0x6_00000005n });
    expect(memory.compareExchange32(1, 4, 7, 8)).toBe(0);
    expect([memory.low, memory.high]).toEqual([6, 0]);
    expect(memory.compareExchange32(1, 4, 6, 0x80000000)).toBe(1);
    expect(memory.compareExchange32(1, 4, 0x80000000, 1)).toBe(1);
    expect(memory.compareExchange32(1, 0xffd, 0, 1)).toBe(BUS_ERROR);
  });
});

describe('windows of RAM', () => {
  it('are direct views of whole frames', () => {
    const memory = PhysicalMemory.allocate(0x3800, { base: 0x8000_0000 });
    const window = memory.ramWindow(0x80001)!;
    expect(window.firstPfn).toBe(0x80000);
    expect(window.words.length).toBe(3 * 1024);
    window.words[1024] = -1;
    expect(memory.read32(0x80001, 0)).toBe(0xffffffff);
    expect(memory.ramWindow(0x80002)).toBe(window);
    expect(memory.ramWindow(0x80003)).toBeNull(); // half a frame
    expect(memory.ramWindow(0x7ffff)).toBeNull();
    expect(memory.ramWindow(0x80000)!.words.buffer).toBe(window.words.buffer);
  });

  it('begin at the first whole frame of a region at an odd place', () => {
    const buffer = new ArrayBuffer(0x4000);
    const memory = PhysicalMemory.wrap(buffer, { base: 0x1ffd, byteOffset: 1 });
    const window = memory.ramWindow(2)!;
    expect(window).toMatchObject({ firstPfn: 2 });
    expect(window.words.byteOffset).toBe(4);
    memory.write32(2, 0, 0x1234567);
    expect(window.words[0]).toBe(0x1234567);
    expect(memory.ramWindow(1)).toBeNull();
  });

  it('are not given for misaligned, shared, sparse or device memory', () => {
    const memory = new PhysicalMemory();
    memory.addRam({ base: 0, source: new ArrayBuffer(0x2001), byteOffset: 1 });
    memory.addRam({ base: 0x10000, bytes: 0x1000, shared: true });
    memory.addSparse({ base: 0x20000, bytes: 0x1000 });
    memory.addDevice({ base: 0x30000, bytes: 0x1000, read: () => 0, write: () => 0 });
    memory.addRam({ base: 0x40000, bytes: 0xfff });
    for (const pfn of [0, 1, 0x10, 0x20, 0x30, 0x40]) expect(memory.ramWindow(pfn)).toBeNull();
  });
});

describe('pages and byte strings', () => {
  const mixed = (): PhysicalMemory => {
    const memory = new PhysicalMemory();
    memory.addRam({ base: 0x1000, bytes: 0x1800 });
    memory.addSparse({ base: 0x2800, bytes: 0x1900 });
    memory.addRam({ base: 0x4100, bytes: 0xf00, shared: true });
    return memory;
  };

  it('span pages and regions', () => {
    const memory = mixed();
    const bytes = Uint8Array.from({ length: 0x3f00 }, (_, i) => (i * 7) ^ (i >> 8));
    expect(memory.contains(1, 0x100, 0x3f00)).toBe(true);
    expect(memory.contains(1, 0x100, 0x3f01)).toBe(false);
    expect(memory.writeBytes(1, 0x100, bytes)).toBe(0);
    const back = new Uint8Array(0x3f00);
    expect(memory.readBytes(1, 0x100, back)).toBe(0);
    expect(back).toEqual(bytes);
    expect(memory.read8(4, 0x200)).toBe(bytes[0x3100]);
    expect(memory.readBytes(1, 0x101, back)).toBe(BUS_ERROR);
    expect(memory.writeBytes(9, 0, new Uint8Array(0))).toBe(0); // no bytes are everywhere
  });

  it('read as 0 where sparse memory was never written', () => {
    const memory = mixed();
    const target = new Uint8Array(0x1800).fill(0xee);
    memory.write8(3, 0x900, 1);
    expect(memory.readBytes(2, 0x900, target)).toBe(0);
    expect(target.reduce((sum, byte) => sum + byte, 0)).toBe(1);
  });

  it('copy and fill whole frames', () => {
    const memory = mixed();
    expect(memory.fillPage(2, 0x1ab)).toBe(0); // RAM and sparse
    expect(memory.read32(2, 0x7fe)).toBe(0xabababab);
    memory.write8(2, 5, 1);
    expect(memory.copyPage(2, 4)).toBe(0); // sparse and shared
    expect(memory.read16(4, 4)).toBe(0x01ab);
    expect(memory.read8(4, 0xfff)).toBe(0xab);
    expect(memory.copyPage(4, 5)).toBe(BUS_ERROR);
    expect(memory.copyPage(5, 4)).toBe(BUS_ERROR);
    expect(memory.read8(4, 0)).toBe(0xab);
    expect(memory.fillPage(3, 0)).toBe(0);
    expect(memory.fillPage(0, 0)).toBe(BUS_ERROR);
  });
});

describe('the friendly doors', () => {
  const memory = PhysicalMemory.allocate(0x1000, { base: 0x1000 });

  it('read back what they wrote, at every width', () => {
    for (const [bytes, value] of [
      [1, 0xfen],
      [2, 0xfedcn],
      [4, 0xfedcba98n],
      [8, 0xfedcba9876543210n],
    ] as const) {
      expect(memory.write(0x1001n, bytes, value)).toEqual({ kind: 'ok' });
      expect(memory.read(0x1001, bytes)).toEqual({ kind: 'value', value });
      expect(JSON.stringify(memory.read(0x1001, bytes))).toContain(`"0x${value.toString(16)}"`);
    }
  });

  it('answer with the address where there is no memory', () => {
    for (const bytes of [1, 2, 4, 8] as const) {
      const error = { kind: 'bus-error', address: 0x2000n };
      expect(memory.read(0x2000, bytes)).toEqual(error);
      expect(memory.write(0x2000n, bytes, 1)).toEqual(error);
    }
  });

  it('refuse bad addresses, sizes and values', () => {
    expectError(() => memory.read(-1n, 4), 'out-of-range', 'address');
    expectError(() => memory.read(0.5, 4), 'bad-argument', 'address');
    expectError(() => memory.read(0, 3 as 4), 'bad-argument', 'bytes');
    expectError(() => memory.write(0, 16 as 8, 0), 'bad-argument', 'bytes');
    expectError(() => memory.write(0x1000, 1, 256), 'out-of-range', 'value');
    expectError(() => memory.write(0x1000, 8, -1n), 'out-of-range', 'value');
    expectError(() => memory.write(0x1000, 4, Number.NaN), 'bad-argument', 'value');
  });
});

describe('a raw image', () => {
  it('is written across regions, or not at all', () => {
    const memory = PhysicalMemory.allocate(0x1000, { base: 0x1000 });
    memory.addSparse({ base: 0x2000, bytes: 0x1000 });
    loadImage(memory, 0x1ffe, Uint8Array.of(1, 2, 3, 4));
    expect(memory.read32(1, 0xffe)).toBe(0x04030201);
    expectError(() => loadImage(memory, 0x2fff, Uint8Array.of(9, 9)), 'out-of-range', 'address');
    expect(memory.read8(2, 0xfff)).toBe(0);
    expectError(() => loadImage(memory, -1, Uint8Array.of(9)), 'out-of-range', 'address');
  });
});

describe('FrameSource', () => {
  it('can be anything that hands out frames', () => {
    let next = vpnFromAddress(0x8000_0000);
    const bump: FrameSource = { allocateFrame: () => next++, releaseFrame: () => {} };
    expect([bump.allocateFrame(), bump.allocateFrame()]).toEqual([0x80000, 0x80001]);
  });
});
