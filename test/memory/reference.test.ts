import fc from 'fast-check';
import { pageAndOffset } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { describe, expect, it } from 'vitest';
import { ReferenceMemory } from '../../src/reference/memory.js';
import { expectError } from '../core/errors.js';
import { wasmMemory } from './wasm.js';

const WASM_PAGE = 0x10000;

/** Both memories, with regions of every kind: some adjacent, some with holes between, few of them aligned. */
class Pair {
  readonly memory = new PhysicalMemory();
  readonly model = new ReferenceMemory();
  readonly wasm = wasmMemory(1, 3);

  constructor() {
    const device = new DataView(new ArrayBuffer(0x20));
    this.add(TOP - 0x40n, 0x40, (base) => this.memory.addRam({ base, bytes: 0x40 }));
    this.add(0x0fe5n, 0x1033, (base) =>
      this.memory.addRam({
        base,
        source: new Uint8Array(0x1040),
        byteOffset: 3,
        byteLength: 0x1033,
      }),
    );
    this.add(0x2018n, 0x1fe9, (base) => this.memory.addSparse({ base, bytes: 0x1fe9 }));
    this.add(0x4001n, 0x20, (base) =>
      this.memory.addDevice({
        base,
        bytes: 0x20,
        read(offset, width, words) {
          if (width === 1) return device.getUint8(offset);
          if (width === 2) return device.getUint16(offset, true);
          if (width === 4) return device.getUint32(offset, true);
          words.low = device.getInt32(offset, true);
          words.high = device.getInt32(offset + 4, true);
          return 0;
        },
        write(offset, width, low, high) {
          if (width === 1) device.setUint8(offset, low);
          else if (width === 2) device.setUint16(offset, low, true);
          else device.setUint32(offset, low, true);
          if (width === 8) device.setInt32(offset + 4, high, true);
          return 0;
        },
      }),
    );
    this.add(0x4021n, 0x102f, (base) =>
      this.memory.addRam({
        base,
        source: new SharedArrayBuffer(0x1040),
        byteOffset: 5,
        byteLength: 0x102f,
      }),
    );
    this.add(0x6000n, 1, (base) => this.memory.addRam({ base, bytes: 1 }));
    this.add(WASM, WASM_PAGE, (base) => this.memory.addRam({ base, source: this.wasm }));
  }

  private add(base: bigint, bytes: number, real: (base: bigint) => void): void {
    this.model.add(base, bytes);
    real(base);
  }

  grow(): void {
    const bytes = this.wasm.buffer.byteLength;
    if (bytes === 3 * WASM_PAGE) return;
    this.wasm.grow(1);
    this.model.add(WASM + BigInt(bytes), WASM_PAGE);
  }
}

const TOP = 2n ** 64n;
const WASM = 0xff_ffff_ffff_0000n;
const EDGES = [0x0fe5n, 0x1000n, 0x2018n, 0x3018n, 0x4001n, 0x4021n, 0x5050n, 0x6000n];
const FAR = [WASM, WASM + 0x1000n, WASM + 0x10000n, WASM + 0x20000n, WASM + 0x30000n, TOP - 0x40n];

type Width = 1 | 2 | 4 | 8;
const address = fc
  .tuple(fc.constantFrom(...EDGES, ...FAR, TOP - 9n), fc.integer({ min: -12, max: 12 }))
  .map(([edge, distance]) => BigInt.asUintN(64, edge + BigInt(distance)));
const width = fc.constantFrom<Width>(1, 2, 4, 8);
const pattern = fc.oneof(fc.constantFrom(0n, 2n ** 64n - 1n), fc.bigInt(0n, 2n ** 64n - 1n));

type Step = (pair: Pair) => void;

const read: fc.Arbitrary<Step> = fc
  .tuple(address, width)
  .map(([a, bytes]) => ({ memory, model }) => {
    const value = model.read(a, bytes);
    const expected = value === null ? { kind: 'bus-error', address: a } : { kind: 'value', value };
    expect(memory.read(a, bytes)).toEqual(expected);
  });

const write: fc.Arbitrary<Step> = fc
  .tuple(address, width, pattern)
  .map(([a, bytes, bits]) => ({ memory, model }) => {
    const value = BigInt.asUintN(bytes * 8, bits);
    const expected = model.write(a, bytes, value)
      ? { kind: 'ok' }
      : { kind: 'bus-error', address: a };
    expect(memory.write(a, bytes, value)).toEqual(expected);
  });

const exchange: fc.Arbitrary<Step> = fc
  .tuple(address, fc.boolean(), fc.boolean(), pattern, pattern)
  .map(([a, wide, right, guess, bits]) => ({ memory, model }) => {
    const bytes = wide ? 8 : 4;
    const value = BigInt.asUintN(bytes * 8, bits);
    const expected = right ? (model.read(a, bytes) ?? 0n) : BigInt.asUintN(bytes * 8, guess);
    const found = model.compareExchange(a, bytes, expected, value);
    const { vpn, offset } = pageAndOffset(a);
    const words = (v: bigint): [number, number] => [
      Number(BigInt.asIntN(32, v)),
      Number(BigInt.asIntN(32, v >> 32n)),
    ];
    const answer = wide
      ? memory.compareExchangeWords(vpn, offset, ...words(expected), ...words(value))
      : memory.compareExchange32(vpn, offset, words(expected)[0], words(value)[0]);
    expect(answer).toBe(found === null ? -1 : found === expected ? 1 : 0);
    if (answer === 0) expect([memory.low, memory.high]).toEqual(words(found!));
  });

const bytes: fc.Arbitrary<Step> = fc
  .tuple(address, fc.uint8Array({ maxLength: 0x1100 }))
  .map(([a, source]) => ({ memory, model }) => {
    const { vpn, offset } = pageAndOffset(a);
    const fits = model.contains(a, source.length);
    expect(memory.contains(vpn, offset, source.length)).toBe(fits);
    expect(memory.writeBytes(vpn, offset, source)).toBe(fits ? 0 : -1);
    if (!fits) return;
    source.forEach((byte, i) => {
      model.write(a + BigInt(i), 1, BigInt(byte));
    });
    const back = new Uint8Array(source.length);
    expect(memory.readBytes(vpn, offset, back)).toBe(0);
    expect(back).toEqual(source);
  });

const grow: fc.Arbitrary<Step> = fc.constant((pair) => pair.grow());

describe('PhysicalMemory', () => {
  it('agrees with the reference model over regions of every kind', () => {
    const step = fc.oneof(
      { weight: 8, arbitrary: read },
      { weight: 8, arbitrary: write },
      { weight: 4, arbitrary: exchange },
      { weight: 1, arbitrary: bytes },
      { weight: 1, arbitrary: grow },
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 150 }), (steps) => {
        const pair = new Pair();
        for (const run of steps) run(pair);
        pair.memory.checkInvariants();
      }),
      { numRuns: 150 },
    );
  });
});

describe('the reference model', () => {
  it('refuses regions that overlap, as the memory does', () => {
    const model = new ReferenceMemory();
    model.add(0x1000, 16);
    model.add(0x1010, 16);
    expectError(() => model.add(0x100f, 1), 'overlap', 'base');
    expect(model.has(0x101fn) && !model.has(0x1020n)).toBe(true);
  });
});
