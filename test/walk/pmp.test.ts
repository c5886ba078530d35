import fc from 'fast-check';
import { Prot } from 'pagewright/core';
import { Pmp, type PmpSnapshot } from 'pagewright/walk';
import { describe, expect, it, test } from 'vitest';
import { expectError } from '../core/errors.js';

const [R, W, X, LOCK] = [1, 2, 4, 0x80];
const [TOR, NA4, NAPOT] = [0x08, 0x10, 0x18];
const ALL = R | W | X;

/** A PMP with [address, config] of entries 0, 1, ... */
function pmp(...entries: readonly (readonly [bigint, number])[]): Pmp {
  const made = new Pmp();
  entries.forEach(([address], entry) => {
    made.setAddress(entry, address);
  });
  entries.forEach(([, config], entry) => {
    made.setConfig(entry, config);
  });
  made.checkInvariants();
  return made;
}

/** Asks by byte address. */
function allows(made: Pmp, address: number, bytes: number, need: number, machine = false): boolean {
  return made.allows(Math.floor(address / 4096), address % 4096, bytes, need, machine);
}

describe('address matching', () => {
  it('OFF matches nothing', () => {
    const made = pmp([0xffffffn, ALL]);
    expect(allows(made, 0, 4, R)).toBe(false);
    expect(allows(made, 0x3fffff0, 4, R)).toBe(false);
  });

  it('TOR matches from the address register below to its own', () => {
    const made = pmp([0x400n, 0], [0x800n, TOR | R]);
    expect(allows(made, 0xffc, 4, R)).toBe(false);
    expect(allows(made, 0x1000, 4, R)).toBe(true);
    expect(allows(made, 0x1ffc, 4, R)).toBe(true);
    expect(allows(made, 0x2000, 4, R)).toBe(false);
  });

  it('TOR in entry 0 begins at address 0', () => {
    const made = pmp([0x400n, TOR | R]);
    expect(allows(made, 0, 8, R)).toBe(true);
    expect(allows(made, 0xff8, 8, R)).toBe(true);
    expect(allows(made, 0x1000, 1, R)).toBe(false);
  });

  it('TOR takes the address below whatever the mode there, and matches nothing when it is not below', () => {
    const made = pmp([0x401n, NA4 | R], [0x401n, TOR | ALL], [0x400n, TOR | ALL]);
    expect(allows(made, 0x1004, 4, R)).toBe(true);
    expect(allows(made, 0x1004, 4, W)).toBe(false);
    for (const address of [0, 0x1000, 0x1008]) expect(allows(made, address, 4, R)).toBe(false);
  });

  it('NA4 matches four bytes', () => {
    const made = pmp([0x401n, NA4 | R]);
    expect([0x1003, 0x1004, 0x1007, 0x1008].map((at) => allows(made, at, 1, R))).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });

  test.each([
    { address: 0x2000_0000n, from: 0x8000_0000, bytes: 8 },
    { address: 0x2000_0001n, from: 0x8000_0000, bytes: 16 },
    { address: 0x2000_0003n, from: 0x8000_0000, bytes: 32 },
    { address: 0x2000_01ffn, from: 0x8000_0000, bytes: 4096 },
    { address: 0x2000_0bffn, from: 0x8000_2000, bytes: 8192 },
    { address: 0x21ff_ffffn, from: 0x8000_0000, bytes: 2 ** 28 },
  ])('NAPOT $address matches $bytes bytes', ({ address, from, bytes }) => {
    const made = pmp([address, NAPOT | R]);
    expect(allows(made, from - 1, 1, R)).toBe(false);
    expect(allows(made, from, 1, R)).toBe(true);
    expect(allows(made, from + bytes - 1, 1, R)).toBe(true);
    expect(allows(made, from + bytes, 1, R)).toBe(false);
  });

  it.each([(1n << 54n) - 1n, (1n << 53n) - 1n])(
    'NAPOT %s matches all 56 bits of address',
    (address) => {
      const made = pmp([address, NAPOT | ALL]);
      expect(made.allows(0, 0, 4096, ALL, false)).toBe(true);
      expect(made.allows(2 ** 44 - 1, 0, 4096, ALL, false)).toBe(true);
      expect(made.allowsAll(0, 2 ** 44, ALL)).toBe(true);
    },
  );

  it('covers pages and parts of pages far above 4 GiB', () => {
    // 2^45 + 0x100 to 2^45 + 0x200.
    const made = pmp([(1n << 43n) + 0x40n, 0], [(1n << 43n) + 0x80n, TOR | R]);
    expect(made.allows(2 ** 33, 0x100, 0x100, R, false)).toBe(true);
    expect(made.allows(2 ** 33, 0xfc, 8, R, false)).toBe(false);
    expect(made.allows(2 ** 33, 0x1fc, 8, R, false)).toBe(false);
    expect(made.allows(0, 0x100, 4, R, false)).toBe(false);
  });
});

describe('the entry that decides', () => {
  it('is the one with the lowest number, whether it allows or not', () => {
    const deny = pmp([0x401n, NA4], [0x1fff_ffffn, NAPOT | ALL]);
    expect(allows(deny, 0x1004, 4, R)).toBe(false);
    expect(allows(deny, 0x1008, 4, R)).toBe(true);
    const allow = pmp([0x401n, NA4 | R], [0x1fff_ffffn, NAPOT]);
    expect(allows(allow, 0x1004, 4, R)).toBe(true);
    expect(allows(allow, 0x1008, 4, R)).toBe(false);
  });

  it('must match all bytes of the access, even if the others would be allowed by a later entry', () => {
    const made = pmp([0x401n, NA4 | ALL], [0x1fff_ffffn, NAPOT | ALL]);
    expect(allows(made, 0x1004, 4, R)).toBe(true);
    expect(allows(made, 0x1000, 8, R)).toBe(false);
    expect(allows(made, 0x1004, 8, R)).toBe(false);
    expect(allows(made, 0x1006, 4, R)).toBe(false);
    expect(allows(made, 0x1008, 8, R)).toBe(true);
    // M-mode too: a partial match fails whatever the lock bit says.
    expect(allows(made, 0x1000, 8, R, true)).toBe(false);
  });

  it('gives each right by itself', () => {
    for (const rights of [0, R, X, R | W, R | X, ALL]) {
      const made = pmp([0x1ffn, NAPOT | rights]);
      for (const need of [Prot.Read, Prot.Write, Prot.Execute, Prot.Read | Prot.Write]) {
        expect(allows(made, 0x10, 4, need)).toBe((rights & need) === need);
      }
    }
  });
});

describe('M-mode', () => {
  it('is bound by locked entries only', () => {
    const made = pmp([0x1ffn, NAPOT | R], [0x5ffn, NAPOT | LOCK | R]);
    expect(allows(made, 0x0, 4, W, true)).toBe(true);
    expect(allows(made, 0x0, 4, W, false)).toBe(false);
    expect(allows(made, 0x1000, 4, R, true)).toBe(true);
    expect(allows(made, 0x1000, 4, W, true)).toBe(false);
  });

  it('passes where nothing matches, where the others fail', () => {
    const made = pmp();
    expect(allows(made, 0x1000, 8, ALL, true)).toBe(true);
    expect(allows(made, 0x1000, 8, R, false)).toBe(false);
  });
});

describe('without entries', () => {
  it('everything is allowed', () => {
    const made = new Pmp({ entries: 0 });
    expect(allows(made, 0x1000, 8, ALL, false)).toBe(true);
    expect(allows(made, 0x1000, 8, ALL, true)).toBe(true);
    expect(made.allowsAll(0, 2 ** 44, ALL)).toBe(true);
    expectError(() => made.setConfig(0, 0), 'out-of-range', 'entry');
    expect(Pmp.restore(made.snapshot()).entries).toBe(0);
  });
});

describe('the registers', () => {
  it('are written and read back', () => {
    const made = new Pmp({ entries: 64 });
    expect(made.version).toBe(0);
    expect(made.setAddress(63, 0x1234n)).toBe(true);
    expect(made.setConfig(63, TOR | R | X)).toBe(true);
    expect([made.address(63), made.configOf(63), made.version]).toEqual([0x1234n, 0x0d, 2]);
    expect([made.address(0), made.configOf(0)]).toEqual([0n, 0]);
  });

  it('store the reserved R=0 W=1 as neither, and bits 6:5 as 0', () => {
    const made = new Pmp();
    const stored = Array.from({ length: 256 }, (_, value) => {
      const fresh = new Pmp();
      fresh.setConfig(0, value);
      return fresh.configOf(0);
    });
    expect(stored.every((value) => (value & 0x60) === 0 && (value & 3) !== W)).toBe(true);
    made.setConfig(0, W | X | NAPOT | 0x60);
    expect(made.configOf(0)).toBe(X | NAPOT);
  });

  it('keep 54 address bits on RV64 and 32 on RV32', () => {
    const wide = new Pmp();
    wide.setAddress(0, (1n << 64n) - 1n);
    expect(wide.address(0)).toBe((1n << 54n) - 1n);
    const narrow = new Pmp({ xlen: 32 });
    narrow.setAddress(0, 0xffff_ffff);
    expect(narrow.address(0)).toBe(0xffff_ffffn);
    expectError(() => narrow.setAddress(0, 1n << 32n), 'out-of-range', 'value');
    // 34-bit physical addresses, all of them.
    narrow.setConfig(0, NAPOT | ALL);
    expect(narrow.allowsAll(0, 2 ** 22, ALL)).toBe(true);
  });

  it('of a locked entry ignore writes', () => {
    const made = pmp([0x1ffn, NAPOT | LOCK | R]);
    const { version } = made;
    expect(made.setConfig(0, ALL)).toBe(false);
    expect(made.setAddress(0, 0n)).toBe(false);
    expect([made.address(0), made.configOf(0)]).toEqual([0x1ffn, NAPOT | LOCK | R]);
    expect(made.version).toBe(version);
  });

  it('are locked even while the entry is OFF', () => {
    const made = pmp([0x1ffn, LOCK]);
    expect(made.setConfig(0, ALL)).toBe(false);
    expect(made.setAddress(0, 0n)).toBe(false);
  });

  it('of the entry below a locked TOR have a locked address, not a locked configuration', () => {
    const made = pmp([0x400n, 0], [0x800n, TOR | LOCK | R]);
    expect(made.setAddress(0, 0n)).toBe(false);
    expect(made.setConfig(0, NA4 | R)).toBe(true);
    const other = pmp([0x400n, 0], [0x800n, NA4 | LOCK | R]);
    expect(other.setAddress(0, 0n)).toBe(true);
    const unlocked = pmp([0x400n, 0], [0x800n, TOR | R]);
    expect(unlocked.setAddress(0, 0n)).toBe(true);
    // The last entry has none above it.
    const last = new Pmp();
    expect(last.setAddress(15, 5n)).toBe(true);
  });

  it('refuse numbers that they do not have', () => {
    const made = new Pmp();
    expectError(() => made.setConfig(16, 0), 'out-of-range', 'entry');
    expectError(() => made.address(-1), 'out-of-range', 'entry');
    expectError(() => made.configOf(0.5), 'bad-argument', 'entry');
    expectError(() => made.setConfig(0, 256), 'out-of-range', 'value');
    expectError(() => made.setAddress(0, 1n << 64n), 'out-of-range', 'value');
    // What a JavaScript caller could pass.
    const wrong = (options: object) => () => new Pmp(options);
    expectError(wrong({ entries: 8 }), 'bad-argument', 'entries');
    expectError(wrong({ xlen: 128 }), 'bad-argument', 'xlen');
  });
});

describe('a snapshot', () => {
  it('gives the same behaviour back, locks included', () => {
    const made = pmp([0x400n, 0], [0x800n, TOR | LOCK | R], [0x1fff_ffffn, NAPOT | ALL]);
    const copy = Pmp.restore(JSON.parse(JSON.stringify(made.snapshot())));
    copy.checkInvariants();
    expect(copy.snapshot()).toEqual(made.snapshot());
    expect(copy.setAddress(0, 0n)).toBe(false);
    for (const at of [0, 0xffc, 0x1000, 0x1ffc, 0x2000, 0x8000_0000]) {
      for (const need of [R, W, X]) {
        expect(allows(copy, at, 4, need)).toBe(allows(made, at, 4, need));
        expect(allows(copy, at, 4, need, true)).toBe(allows(made, at, 4, need, true));
      }
    }
  });

  it('of RV32 comes back as RV32', () => {
    const made = new Pmp({ xlen: 32, entries: 64 });
    made.setAddress(63, 0xffff_ffffn);
    const copy = Pmp.restore(structuredClone(made.snapshot()));
    expect([copy.xlen, copy.entries, copy.address(63)]).toEqual([32, 64, 0xffff_ffffn]);
  });

  const good = new Pmp().snapshot();
  const bytes = (value: unknown): unknown[] => [value, ...Array<number>(15).fill(0)];
  const words = (value: unknown): unknown[] => [value, ...Array<string>(15).fill('0x0')];
  it.each([
    ['another version', { ...good, v: 2 }, 'unsupported', 'snapshot.v'],
    ['no version', {}, 'unsupported', 'snapshot.v'],
    ['another width', { ...good, xlen: 16 }, 'bad-image', 'snapshot.xlen'],
    ['no width', { ...good, xlen: undefined }, 'bad-image', 'snapshot.xlen'],
    [
      'too few entries',
      { ...good, config: [1], addresses: ['0x0'] },
      'bad-image',
      'snapshot.config',
    ],
    ['no array of bytes', { ...good, config: '0123456789abcdef' }, 'bad-image', 'snapshot.config'],
    ['no bytes', { ...good, config: null }, 'bad-image', 'snapshot.config'],
    ['a byte too large', { ...good, config: bytes(256) }, 'bad-image', 'snapshot.config'],
    ['a fraction', { ...good, config: bytes(0.5) }, 'bad-image', 'snapshot.config'],
    ['a byte that cannot be stored', { ...good, config: bytes(2) }, 'bad-image', 'snapshot.config'],
    ['a missing address', { ...good, addresses: ['0x0'] }, 'bad-image', 'snapshot.addresses'],
    ['no array of addresses', { ...good, addresses: {} }, 'bad-image', 'snapshot.addresses'],
    [
      'a number for an address',
      { ...good, addresses: words(1) },
      'bad-image',
      'snapshot.addresses',
    ],
    ['a decimal address', { ...good, addresses: words('12') }, 'bad-image', 'snapshot.addresses'],
    [
      'an address too wide',
      { ...good, addresses: words('0x40000000000000') },
      'bad-image',
      'snapshot.addresses',
    ],
    [
      'RV32 too wide',
      { ...good, xlen: 32, addresses: words('0x100000000') },
      'bad-image',
      'snapshot.addresses',
    ],
  ] as const)('with %s is refused', (_, snapshot, code, argument) => {
    expectError(() => Pmp.restore(snapshot as unknown as PmpSnapshot), code, argument);
  });

  it('that is none at all is refused', () => {
    expectError(() => Pmp.restore(null as unknown as PmpSnapshot), 'bad-image', 'snapshot');
  });
});

describe('checkInvariants', () => {
  interface Inside {
    readonly cachePfn: Float64Array;
    readonly cacheRights: Int32Array;
    readonly endPfn: Float64Array;
  }

  it('finds a cached page that the registers contradict', () => {
    const made = pmp([0x1ffn, NAPOT | R]);
    allows(made, 0, 4, R);
    made.checkInvariants();
    const inside = made as unknown as Inside; // damage that no call can do
    inside.cacheRights[0] = 7;
    expect(() => made.checkInvariants()).toThrow('stale');
  });

  it('finds a range that the registers contradict', () => {
    const made = pmp([0x1ffn, NAPOT | R]);
    const inside = made as unknown as Inside; // damage that no call can do
    inside.endPfn[0] = 2;
    expect(() => made.checkInvariants()).toThrow('entry 0');
  });
});

/** The manual's words, byte by byte: 3.7.1 "Priority and Matching Logic". */
function naive(
  { config, addresses, xlen }: PmpSnapshot,
  address: bigint,
  bytes: number,
  need: number,
  machine: boolean,
): boolean {
  const matches = (entry: number, byte: bigint): boolean => {
    const own = BigInt(addresses[entry] ?? 0);
    const mode = ((config[entry] ?? 0) >> 3) & 3;
    if (mode === 0) return false;
    if (mode === 1) {
      const below = entry === 0 ? 0n : BigInt(addresses[entry - 1] ?? 0);
      return byte >= below * 4n && byte < own * 4n;
    }
    if (mode === 2) return byte >> 2n === own;
    const width = xlen === 32 ? 32 : 54;
    let ones = 0;
    while (ones < width && (own >> BigInt(ones)) & 1n) ones++;
    return byte >> BigInt(ones + 3) === (own * 4n) >> BigInt(ones + 3);
  };
  for (let entry = 0; entry < config.length; entry++) {
    let hits = 0;
    for (let byte = 0; byte < bytes; byte++) if (matches(entry, address + BigInt(byte))) hits++;
    if (hits === 0) continue;
    if (hits < bytes) return false;
    const byteConfig = config[entry] ?? 0;
    return (machine && (byteConfig & LOCK) === 0) || (byteConfig & need) === need;
  }
  return machine || config.length === 0;
}

describe('a PMP and the manual read byte by byte', () => {
  const address = fc.oneof(
    fc.bigInt({ min: 0n, max: 0x1000n }),
    fc.constantFrom(0x3ffn, 0x7ffn, 0x1ffn, 0x5ffn, 0xffn, 0xfffn, 0xffff_ffffn),
    fc.bigInt({ min: 0n, max: 0xffff_ffffn }),
  );
  const write = fc.record({
    entry: fc.nat({ max: 15 }),
    address: fc.option(address),
    config: fc.option(
      fc.tuple(fc.nat({ max: 255 }), fc.boolean()).map(([v, lock]) => (lock ? v : v & 0x7f)),
    ),
  });
  const query = fc.record({
    page: fc.nat({ max: 4 }),
    offset: fc.nat({ max: 4095 }),
    bytes: fc.constantFrom(1, 2, 4, 8, 4096),
    need: fc.constantFrom(R, W, X, R | W),
    machine: fc.boolean(),
  });

  it.each([32, 64] as const)('agree after every write (RV%i)', (xlen) => {
    const seen = new Set<boolean>();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(write, fc.array(query, { maxLength: 6 })), {
          minLength: 1,
          maxLength: 12,
        }),
        (steps) => {
          const made = new Pmp({ xlen });
          for (const [change, queries] of steps) {
            if (change.address !== null) made.setAddress(change.entry, change.address);
            if (change.config !== null) made.setConfig(change.entry, change.config);
            const registers = made.snapshot();
            for (const { page, offset, bytes, need, machine } of queries) {
              const size = Math.min(bytes, 4096 - offset);
              const at = BigInt(page) * 4096n + BigInt(offset);
              const expected = naive(registers, at, size, need, machine);
              expect(made.allows(page, offset, size, need, machine)).toBe(expected);
              seen.add(expected);
            }
            made.checkInvariants();
          }
        },
      ),
      { numRuns: 150 },
    );
    expect(seen.size).toBe(2);
  });
});
