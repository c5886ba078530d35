import fc from 'fast-check';
import { Access, PAGE_NUMBER_END } from 'pagewright/core';
import { describe, expect, it } from 'vitest';
import { Fnv1a64 } from '../../src/mmu/fnv-1a.js';
import { type ReferenceStream, streamHash } from '../../src/mmu/reference-stream.js';
import { codeOf } from '../tlb/code-of.js';

/** FNV-1a as its authors write it, in bigint. */
function fnv1a(bytes: readonly number[]): string {
  const hash = bytes.reduce(
    (so, byte) => BigInt.asUintN(64, (so ^ BigInt(byte)) * 0x100000001b3n),
    0xcbf29ce484222325n,
  );
  return hash.toString(16).padStart(16, '0');
}

/** The nine bytes of a reference, by division. */
function bytesOf(vpn: number, access: number): readonly number[] {
  return [...Array.from({ length: 8 }, (_, at) => Math.floor(vpn / 256 ** at) % 256), access];
}

describe('the hash', () => {
  it.each([
    ['', 'cbf29ce484222325'],
    ['a', 'af63dc4c8601ec8c'],
    ['foobar', '85944171f73967e8'],
    ['127.0.0.1', 'aabafe7104d914be'],
  ])('is FNV-1a of 64 bits: of %o what its authors publish', (text, digits) => {
    const hash = new Fnv1a64();
    for (const byte of Buffer.from(text)) hash.byte(byte);
    expect(hash.digits).toBe(digits);
  });

  it.each<[string, ReferenceStream, string]>([
    ['of nothing', { vpns: [] }, 'cbf29ce484222325'],
    ['of page 0, read', { vpns: [0] }, 'e604823a249029bf'],
    ['of pages 1 and 2, read', { vpns: [1, 2] }, 'cebe2e4bfd8809ea'],
    [
      'of the last page, and pages above 2^32, accessed in several ways',
      { vpns: [2 ** 52 - 1, 0x1_2345_6789_abcd, 7], accesses: [6, 5, 2] },
      'fcca010ce197130d',
    ],
    [
      'of pages whose low words are negative as int32',
      { vpns: [0x8000_0000, 0xffff_ffff], accesses: [0, 1] },
      '708d6e7849fba68e',
    ],
  ])('%s is what another implementation computed', (_name, stream, digits) => {
    expect(streamHash(stream)).toBe(digits);
  });

  it('is that of nine bytes for each reference, for any stream', () => {
    const reference = fc.tuple(
      fc.oneof(
        fc.nat(),
        fc.maxSafeInteger().map((any) => Math.abs(any) % PAGE_NUMBER_END),
      ),
      fc.constantFrom(Access.Read, Access.Write | Access.User, Access.Fetch | Access.Machine),
    );
    fc.assert(
      fc.property(fc.array(reference, { maxLength: 30 }), (references) => {
        const vpns = references.map(([vpn]) => vpn);
        const accesses = references.map(([, access]) => access);
        const bytes = references.flatMap(([vpn, access]) => bytesOf(vpn, access));
        expect(streamHash({ vpns, accesses })).toBe(fnv1a(bytes));
      }),
    );
  });

  it('does not ask how the stream is kept, or whether reads are spelled out', () => {
    const digits = streamHash({ vpns: [5, 6, 7] });
    expect(streamHash({ vpns: Float64Array.of(5, 6, 7) })).toBe(digits);
    expect(streamHash({ vpns: Uint32Array.of(5, 6, 7), accesses: [0, 0, 0] })).toBe(digits);
    expect(streamHash({ vpns: [5, 6, 7], accesses: new Uint8Array(3) })).toBe(digits);
  });

  it('tells streams apart by order, access and length', () => {
    const streams: readonly ReferenceStream[] = [
      { vpns: [] },
      { vpns: [0] },
      { vpns: [0, 0] },
      { vpns: [1, 2] },
      { vpns: [2, 1] },
      { vpns: [1, 2], accesses: [1, 0] },
      { vpns: [1, 2], accesses: [0, 1] },
    ];
    expect(new Set(streams.map(streamHash)).size).toBe(streams.length);
  });
});

describe('a stream', () => {
  it.each<[string, object | null | undefined, string]>([
    ['none', undefined, 'bad-argument'],
    ['null', null, 'bad-argument'],
    ['pages alone', [1, 2], 'bad-argument'],
    ['a misspelt name', { vpns: [1], access: [0] }, 'bad-argument'],
    ['no pages', {}, 'bad-argument'],
    ['a string of pages', { vpns: '123' }, 'bad-argument'],
    ['pages without a length', { vpns: { 0: 1 } }, 'bad-argument'],
    ['a page with a fraction', { vpns: [1, 0.5] }, 'bad-argument'],
    ['a page in a string', { vpns: ['1'] }, 'bad-argument'],
    ['a page that is a bigint', { vpns: [1n] }, 'bad-argument'],
    ['a page left out', { vpns: Array(2) }, 'bad-argument'],
    ['a negative page', { vpns: [-1] }, 'out-of-range'],
    ['a page above the last one', { vpns: [2 ** 52] }, 'out-of-range'],
    ['fewer accesses than pages', { vpns: [1, 2], accesses: [0] }, 'out-of-range'],
    ['more accesses than pages', { vpns: [1], accesses: [0, 0] }, 'out-of-range'],
    ['null for accesses', { vpns: [1], accesses: null }, 'bad-argument'],
    ['an access of two kinds', { vpns: [1], accesses: [3] }, 'bad-argument'],
    ['an access with unknown bits', { vpns: [1], accesses: [256] }, 'bad-argument'],
    ['an access in a string', { vpns: [1], accesses: ['1'] }, 'bad-argument'],
  ])('is not %s', (_name, stream, code) => {
    expect(codeOf(() => Reflect.apply(streamHash, undefined, [stream]))).toBe(code);
  });

  it('is refused by the index of what is wrong in it', () => {
    expect(() => streamHash({ vpns: [1, 2, -3] })).toThrow('stream.vpns[2]');
    expect(() => streamHash({ vpns: [1, 2], accesses: [0, 3] })).toThrow('stream.accesses[1]');
  });
});
