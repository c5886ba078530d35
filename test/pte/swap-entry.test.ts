import fc from 'fast-check';
import { highWord, lowWord } from 'pagewright/core';
import {
  aarch64,
  csapp14,
  decodeSwapEntry,
  encodeSwapEntry,
  eptLong4,
  nptLong4,
  nptLong5,
  type PteFormat,
  type SwapEntrySpec,
  sv32,
  sv32x4,
  sv39,
  sv39x4,
  sv48,
  sv48x4,
  sv57,
  sv57x4,
  swapLayout,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';

const arm4K = aarch64();
const arm16K = aarch64({ granule: 16384, virtualBits: 47, half: 'high' });
const arm64K = aarch64({ granule: 65536, virtualBits: 52, outputBits: 52 });

/** What a layout can hold, by the Linux headers: bits of the offset, and markers. */
const RANGES: readonly (readonly [PteFormat, number, readonly Marker[]])[] = [
  [x86Long4, 50, ['exclusive', 'uffdWriteProtect', 'softDirty']],
  [x86Long5, 50, ['exclusive', 'uffdWriteProtect', 'softDirty']],
  [x86Pae, 26, ['exclusive']],
  [x86Legacy, 23, ['exclusive']],
  [sv32, 20, ['exclusive']],
  [sv39, 52, ['exclusive']],
  [sv48, 52, ['exclusive']],
  [sv57, 52, ['exclusive']],
  [arm4K, 50, ['exclusive', 'uffdWriteProtect']],
  [arm16K, 50, ['exclusive', 'uffdWriteProtect']],
  [arm64K, 50, ['exclusive', 'uffdWriteProtect']],
];

type Marker = 'exclusive' | 'uffdWriteProtect' | 'softDirty';

const clear = { exclusive: false, uffdWriteProtect: false, softDirty: false };

describe('a swap entry is what Linux makes of it', () => {
  const place = { type: 0b10110, offset: 0x12345 };
  const all = { exclusive: true, uffdWriteProtect: true, softDirty: true };
  it.each<[PteFormat, SwapEntrySpec, bigint]>([
    [x86Long4, place, 0xb7ff_ffff_fdb9_7400n],
    [x86Long4, { ...place, ...all }, 0xb7ff_ffff_fdb9_740en],
    [x86Long4, { type: 0, offset: 0 }, 0x07ff_ffff_ffff_fe00n],
    [x86Long4, { type: 31, offset: 2 ** 50 - 1 }, 0xf800_0000_0000_0000n],
    [x86Long4, { type: 0, offset: 2 ** 50 - 2 }, 0x200n],
    [x86Long5, { type: 0, offset: 1, softDirty: true }, 0x07ff_ffff_ffff_fc02n],
    [x86Long5, { type: 0, offset: 1, uffdWriteProtect: true }, 0x07ff_ffff_ffff_fc04n],
    [x86Long5, { type: 0, offset: 1, exclusive: true }, 0x07ff_ffff_ffff_fc08n],
    [x86Pae, place, 0xb7ff_ffff_fdb9_7400n],
    [x86Pae, { ...place, exclusive: true }, 0xb7ff_ffff_fdb9_7480n],
    [x86Pae, { type: 1, offset: 2 ** 26 - 1 }, 0x0fff_fff8_0000_0000n],
    [x86Legacy, place, 0x0246_8a2cn],
    [x86Legacy, { ...place, exclusive: true }, 0x0246_8aacn],
    [x86Legacy, { type: 31, offset: 2 ** 23 - 1 }, 0xffff_fe3en],
    [sv32, place, 0x1234_5b00n],
    [sv32, { type: 31, offset: 2 ** 20 - 1, exclusive: true }, 0xffff_ffc0n],
    [sv39, place, 0x1234_5b00n],
    [sv48, { ...place, exclusive: true }, 0x1234_5b40n],
    [sv57, { type: 1, offset: 2 ** 52 - 1 }, 0xffff_ffff_ffff_f080n],
    [arm4K, place, 0x1234_5580n],
    [arm16K, { ...place, exclusive: true }, 0x1234_5584n],
    [arm64K, { ...place, uffdWriteProtect: true }, 0x1234_5588n],
    [arm4K, { type: 31, offset: 2 ** 50 - 1 }, 0x3fff_ffff_ffff_f7c0n],
    [arm4K, { type: 1, offset: 0 }, 0x40n],
  ])('$name: %o is %s', (format, entry, raw) => {
    expect(encodeSwapEntry(format, entry)).toBe(raw);
    expect({ ...decodeSwapEntry(format, raw) }).toEqual({ ...clear, ...entry });
  });

  it('and is no page table entry of anything else', () => {
    for (const raw of [0n, 1n, 0x8000_0000_4020_00e7n]) {
      expect(decodeSwapEntry(x86Long4, raw)).toBe(null);
      expect(decodeSwapEntry(sv39, raw & 0xffff_ffffn)).toBe(null);
    }
    expect(decodeSwapEntry(x86Long4, 0x07ff_ffff_ffff_ff00n)).toBe(null); // PROT_NONE
    expect(decodeSwapEntry(x86Long4, 0x07ff_ffff_ffff_fe80n)).toBe(null); // present at level 1
    expect(decodeSwapEntry(x86Long4, 0x0en)).toBe(null); // markers on nothing
    expect(decodeSwapEntry(x86Pae, 0x0fff_fff7_ffff_fe00n)).toBe(null); // 27 bits
    expect(decodeSwapEntry(x86Pae, 0x0fff_ffff_ffff_fa08n)).toBe(null); // x86-64's bit
    expect(decodeSwapEntry(x86Legacy, 0x100n)).toBe(null);
    expect(decodeSwapEntry(sv39, 0x1234_5b20n)).toBe(null); // PROT_NONE
    expect(decodeSwapEntry(sv39, 0x1234_5b08n)).toBe(null); // soft-dirty, of Linux 6.19
    expect(decodeSwapEntry(arm4K, 0x1234_5d80n)).toBe(null); // PTE_PRESENT_INVALID
    expect(decodeSwapEntry(arm4K, 1n << 62n)).toBe(null);
  });
});

/** Any entry that a format can hold. */
function anyEntry(bits: number, markers: readonly Marker[]): fc.Arbitrary<SwapEntrySpec> {
  const marker = (name: Marker) => (markers.includes(name) ? fc.boolean() : fc.constant(false));
  const offsets = fc.oneof(
    fc.maxSafeNat(),
    fc.nat(3),
    fc.nat(3).map((n) => 2 ** bits - 1 - n),
  );
  return fc.record({
    type: fc.nat(31),
    offset: offsets.map((n) => n % 2 ** bits),
    exclusive: marker('exclusive'),
    uffdWriteProtect: marker('uffdWriteProtect'),
    softDirty: marker('softDirty'),
  });
}

describe.each(RANGES.map((range) => [range[0].name, ...range] as const))(
  '%s',
  (_, format, bits, markers) => {
    // The offset that leaves an entry of type 0 all zeros: inverted ones, and in PAE it does not go so far.
    const inverted = format.architecture === 'x86' && format !== x86Legacy;
    const empty = inverted ? 2 ** 50 - 1 : 0;
    const last = 2 ** bits - 1;

    it('gives back every entry, never zero or present at any level', () => {
      fc.assert(
        fc.property(anyEntry(bits, markers), (entry) => {
          fc.pre(entry.type !== 0 || entry.offset !== empty);
          const raw = encodeSwapEntry(format, entry);
          expect(raw > 0n && raw < 1n << BigInt(8 * format.entryBytes)).toBe(true);
          for (let level = 0; level < format.levels; level++) {
            expect(format.isPresent(lowWord(raw), highWord(raw), level)).toBe(false);
          }
          expect({ ...decodeSwapEntry(format, raw) }).toEqual(entry);
        }),
      );
    });

    it('takes no bits for an entry that it would not make', () => {
      const full = (1n << BigInt(8 * format.entryBytes)) - 1n;
      const legible = anyEntry(bits, markers)
        .filter(({ type }) => type !== 0)
        .map((entry) => encodeSwapEntry(format, entry));
      const flipped = fc
        .tuple(legible, fc.nat(63))
        .map(([raw, bit]) => (raw ^ (1n << BigInt(bit))) & full);
      fc.assert(
        fc.property(fc.oneof(fc.bigInt({ min: 0n, max: full }), flipped), (raw) => {
          const entry = decodeSwapEntry(format, raw);
          if (entry !== null) expect(encodeSwapEntry(format, entry)).toBe(raw);
        }),
      );
    });

    it('has its range', () => {
      const encode = (entry: SwapEntrySpec) => () => encodeSwapEntry(format, entry);
      expect(encodeSwapEntry(format, { type: 31, offset: last })).toBeGreaterThan(0n);
      expectError(encode({ type: 1, offset: last + 1 }), 'out-of-range', 'offset');
      expectError(encode({ type: 1, offset: -1 }), 'out-of-range', 'offset');
      expectError(encode({ type: 1, offset: 0.5 }), 'bad-argument', 'offset');
      expectError(encode({ type: 32, offset: 1 }), 'out-of-range', 'type');
      expectError(encode({ type: -1, offset: 1 }), 'out-of-range', 'type');
      expectError(encode({ type: Number.NaN, offset: 1 }), 'bad-argument', 'type');
      const zeros = encode({ type: 0, offset: empty, exclusive: true });
      expectError(zeros, 'out-of-range', 'offset');
      for (const name of ['exclusive', 'uffdWriteProtect', 'softDirty'] as const) {
        expect(encodeSwapEntry(format, { type: 1, offset: 1, [name]: false })).toBeGreaterThan(0n);
        const marked = encode({ type: 1, offset: 1, [name]: true });
        if (markers.includes(name)) expect(marked()).toBeGreaterThan(0n);
        else expectError(marked, 'unsupported', name);
      }
    });
  },
);

describe('swap entries refuse', () => {
  it.each([
    sv32x4,
    sv39x4,
    sv48x4,
    sv57x4,
    nptLong4,
    nptLong5,
    eptLong4,
    csapp14,
    aarch64({ stage: 2, virtualBits: 40 }),
  ])('formats that have none: $name', (format) => {
    expect(format.swap).toBe(null);
    expectError(() => encodeSwapEntry(format, { type: 1, offset: 1 }), 'unsupported', 'format');
    expectError(() => decodeSwapEntry(format, 0n), 'unsupported', 'format');
    expectError(() => swapLayout(format), 'unsupported', 'format');
  });

  it('what is no format, no entry, and no word', () => {
    const encode = (format: unknown, entry: unknown) => () =>
      encodeSwapEntry(format as PteFormat, entry as SwapEntrySpec);
    expectError(encode(null, { type: 1, offset: 1 }), 'unsupported', 'format');
    expectError(encode({ swap: 'toString' }, { type: 1, offset: 1 }), 'unsupported', 'format');
    const narrow = { name: 'narrow', swap: 'x86-64', entryBytes: 4 };
    expectError(encode(narrow, { type: 1, offset: 1 }), 'unsupported', 'format');
    expectError(encode(sv39, null), 'bad-argument', 'entry');
    expectError(encode(sv39, { type: 1, offset: 1, dirty: true }), 'bad-argument', 'dirty');
    expectError(encode(sv39, { type: 1 }), 'bad-argument', 'offset');
    expectError(encode(sv39, { type: 1, offset: 1, exclusive: 1 }), 'bad-argument', 'exclusive');
    expectError(() => decodeSwapEntry(sv32, 1n << 32n), 'out-of-range', 'raw');
    expectError(() => decodeSwapEntry(sv32, -1), 'out-of-range', 'raw');
  });
});
