import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import {
  AARCH64_RULES,
  AARCH64_STAGE2_RULES,
  type AArch64Features,
  AArch64Stage2,
  AArch64Walker,
  type AArch64WalkerOptions,
} from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';

const { Read, Write, User } = Access;
const BASE = 0x4000_0000;
const TCR_39 = 25n | (5n << 32n);
const DS = 1n << 59n;
const PS_52 = 6n << 32n;
const TG_64K = 1n << 14n;
/** 4 KiB page at 0x40010000: EL0 may use it, AF, not global. */
const PAGE = 0x4001_0c43n;

/** Entries at offsets from 0x40000000; 39-bit addresses, so that the root is a level 1 table. */
function cpu(
  entries: readonly (readonly [number, bigint])[],
  options: Partial<AArch64WalkerOptions> = {},
): AArch64Walker {
  const memory = PhysicalMemory.allocate(0x4_0000, { base: BASE });
  for (const [offset, value] of entries) memory.write(BASE + offset, 8, value);
  return new AArch64Walker({ memory, tcr: TCR_39, ttbr0: BASE, mair: 0xffn, ...options });
}

const tables = (leaf: bigint): readonly (readonly [number, bigint])[] => [
  [0, 0x4000_1003n],
  [0x1000, 0x4000_2003n],
  [0x2000, leaf],
];

const without = (features: Partial<AArch64Features>): Partial<AArch64WalkerOptions> => ({
  features,
});

/** The rule that decides about page 0. */
function ruleOf(walker: AArch64Walker | AArch64Stage2, access: number = Read): string {
  walker.walk(0, access);
  const { rule } = walker.explain(0, access);
  return rule.id;
}

describe('stage 1 of a CPU without a feature', () => {
  it.each<[string, Partial<AArch64Features>, Partial<AArch64WalkerOptions>, bigint, number]>([
    [
      'HAFDBS ignores HA: AF=0 faults',
      { hafdbs: 'none' },
      { tcr: TCR_39 | (1n << 39n) },
      PAGE & ~0x400n,
      Read,
    ],
    [
      'dirty state ignores HD: DBM makes nothing writable',
      { hafdbs: 'access-flag' },
      { tcr: TCR_39 | (3n << 39n) },
      PAGE | 0x80n | (1n << 51n),
      Write,
    ],
  ])('%s', (_, features, options, leaf, access) => {
    expect(cpu(tables(leaf), options).walk(0, access)).toBe(0x40010);
    expect(cpu(tables(leaf), { ...options, features }).walk(0, access)).toBeLessThan(0);
  });

  it('E0PD ignores its bits', () => {
    const tcr = TCR_39 | (1n << 55n);
    expect(cpu(tables(PAGE), { tcr }).walk(0, Read | User)).toBeLessThan(0);
    expect(cpu(tables(PAGE), { tcr, ...without({ e0pd: false }) }).walk(0, Read | User)).toBe(
      0x40010,
    );
  });

  it('HPDS ignores its bits: tables limit rights', () => {
    const tcr = TCR_39 | (1n << 41n);
    const limited = [[0, 0x2000_0000_4000_1003n], ...tables(PAGE).slice(1)] as const;
    expect(cpu(limited, { tcr }).walk(0, Read | User)).toBe(0x40010);
    const walker = cpu(limited, { tcr, ...without({ hpds: false }) });
    expect(walker.walk(0, Read | User)).toBeLessThan(0);
  });

  it('PAN3 ignores EPAN: EL1 may read what EL0 may only execute', () => {
    const options = { pan: true, sctlr: 0x200_0000_30d0_1805n };
    const leaf = PAGE & ~0x40n;
    expect(cpu(tables(leaf), options).walk(0, Read)).toBeLessThan(0);
    expect(cpu(tables(leaf), { ...options, ...without({ pan3: false }) }).walk(0, Read)).toBe(
      0x40010,
    );
  });

  it('TTST has no address spaces below 25 bits', () => {
    const options = { tcr: 44n | (5n << 32n), ttbr0: BASE + 0x2000 };
    expect(cpu(tables(PAGE), options).walk(0, Read)).toBe(0x40010);
    const walker = cpu(tables(PAGE), { ...options, ...without({ ttst: false }) });
    expect(ruleOf(walker)).toBe(AARCH64_RULES.badConfiguration.id);
  });

  it('LVA has no 52-bit input with 64 KiB granules', () => {
    const tcr = 12n | TG_64K | PS_52;
    expect(cpu([], { tcr }).rootFormat(0).virtualBits).toBe(52);
    const walker = cpu([], { tcr, ...without({ lva: false }) });
    expect(ruleOf(walker)).toBe(AARCH64_RULES.badConfiguration.id);
  });
});

describe('LPA2', () => {
  const lpa2 = without({ lpa2: false });

  it('without it, DS is ignored: 52-bit input is no configuration', () => {
    const tcr = 12n | PS_52 | DS;
    expect(cpu([], { tcr }).rootFormat(0).virtualBits).toBe(52);
    expect(ruleOf(cpu([], { tcr, ...lpa2 }))).toBe(AARCH64_RULES.badConfiguration.id);
  });

  it('without it, bits 9:8 of a descriptor are shareability, with it address bits', () => {
    const tcr = 25n | PS_52 | DS | (2n << 12n);
    const page = PAGE | 0x300n;
    expect(cpu(tables(page), { tcr }).walk(0, Read)).toBe(2 ** 40 - 2 ** 38 + 0x40010);
    expect(cpu(tables(PAGE), { tcr }).translate(0, Read)).toMatchObject({ aarch64: { sh: 2 } });
    const old = cpu(tables(page), { tcr, ...lpa2 });
    expect(old.translate(0, Read)).toMatchObject({ pa: 0x4001_0000n, aarch64: { sh: 3 } });
  });

  it('without it, bits 49:48 of a descriptor are ignored, with it address bits', () => {
    const tcr = 25n | PS_52 | DS;
    const page = PAGE | (3n << 48n);
    expect(cpu(tables(page), { tcr }).walk(0, Read)).toBe(3 * 2 ** 36 + 0x40010);
    expect(cpu(tables(page), { tcr, ...lpa2 }).walk(0, Read)).toBe(0x40010);
  });

  it.each([
    ['4 KiB: 512 GiB at level 0', 16n, 0n],
    ['16 KiB: 64 GiB at level 1', 17n, 2n << 14n],
  ])('without it, there are no blocks of %s', (_, size, granule) => {
    const tcr = size | granule | PS_52 | DS;
    const block = [[0, 0x441n]] as const;
    expect(cpu(block, { tcr }).walk(0, Read)).toBe(0);
    expect(ruleOf(cpu(block, { tcr, ...lpa2 }))).toBe(AARCH64_RULES.invalid.id);
  });
});

describe('LPA', () => {
  // 42-bit addresses with 64 KiB granules: a table, then a page with bits 15:12.
  const entries = [
    [0, 0x4001_0003n],
    [0x1_0000, 0x4002_f443n],
  ] as const;
  const tcr = 22n | TG_64K | PS_52;
  const options = { tcr };

  it('puts bits 51:48 of addresses into bits 15:12 of descriptors', () => {
    expect(cpu(entries, options).walk(0, Read)).toBe(15 * 2 ** 36 + 0x40020);
    expect(cpu(entries, options).rootFormat(0).physicalBits).toBe(52);
  });

  it('with a smaller IPS, they are beyond the output size', () => {
    const walker = cpu(entries, { tcr: 22n | TG_64K | (5n << 32n) });
    expect(ruleOf(walker)).toBe(AARCH64_RULES.leafAddressSize.id);
  });

  it.each<[string, Partial<AArch64Features>]>([
    ['LPA', { lpa: false }],
    ['52 physical bits', { physicalBits: 48 }],
  ])('without %s they are ignored, in pages and tables', (_, features) => {
    const walker = cpu(entries, { ...options, features });
    expect(walker.walk(0, Read)).toBe(0x40020);
    expect(walker.rootFormat(0).physicalBits).toBe(48);
    walker.memory.write(BASE, 8, 0x4001_f003n);
    expect(walker.walk(0, Read)).toBe(0x40020);
  });

  it('without it bits 5:2 of TTBR0 are none of the root’s address', () => {
    const root = BigInt(BASE) | 0x3cn;
    expect(ruleOf(cpu(entries, { ...options, ttbr0: root }))).toBe(AARCH64_RULES.tableMissing.id);
    const old = cpu(entries, { ...options, ttbr0: root, ...without({ lpa: false }) });
    expect(old.walk(0, Read)).toBe(0x40020);
  });
});

describe('physical addresses', () => {
  const tcr = 25n | PS_52;

  it.each([32, 36, 40, 42, 44] as const)('have %d bits, whatever IPS says', (physicalBits) => {
    const limit = 2n ** BigInt(physicalBits);
    const options = { tcr, ...without({ physicalBits }) };
    expect(ruleOf(cpu([], { ...options, ttbr0: limit }))).toBe(AARCH64_RULES.rootAddressSize.id);
    expect(ruleOf(cpu([], { ...options, ttbr0: limit / 2n }))).toBe(AARCH64_RULES.tableMissing.id);
    const leaf = (address: bigint): AArch64Walker => cpu(tables(PAGE | address), options);
    expect(ruleOf(leaf(limit))).toBe(AARCH64_RULES.leafAddressSize.id);
    expect(leaf(limit / 2n).walk(0, Read)).toBe(Number(limit / 2n) / 4096 + 0x40010);
    const off = cpu([], { ...options, sctlr: 0n });
    expect(off.translate(limit - 4096n, Read)).toMatchObject({ pa: limit - 4096n });
    expect(off.translate(limit, Read)).toMatchObject({ aarch64: { fsc: 0 } });
  });

  it.each([48, 52] as const)('have %d bits, where descriptors hold them', (physicalBits) => {
    // 64 KiB granules with LPA: bit 48 of the root is bit 2 of TTBR0, bit 48 of a page is its bit 12.
    const options = { tcr: 22n | TG_64K | PS_52, ...without({ physicalBits }) };
    const entries = [
      [0, 0x4001_0003n],
      [0x1_0000, 0x4002_1443n],
    ] as const;
    const wide = physicalBits === 52;
    expect(cpu(entries, options).walk(0, Read)).toBe((wide ? 2 ** 36 : 0) + 0x40020);
    const root = cpu(entries, { ...options, ttbr0: BigInt(BASE) | 4n });
    expect(ruleOf(root)).toBe(AARCH64_RULES[wide ? 'tableMissing' : 'translated'].id);
    const off = cpu([], { ...options, sctlr: 0n });
    expect(off.translate(2n ** BigInt(physicalBits), Read).kind).toBe('fault');
    expect(off.translate(2n ** BigInt(physicalBits) - 1n, Read).kind).toBe('page');
  });
});

describe('stage 2 of a CPU without a feature', () => {
  const VTCR = 0x8005_0059n;
  const BLOCK = 0x4000_04fdn;

  function stage(
    entries: readonly (readonly [number, bigint])[],
    vtcr: bigint,
    features: Partial<AArch64Features> = {},
  ): AArch64Stage2 {
    const memory = PhysicalMemory.allocate(0x4_0000, { base: BASE });
    for (const [offset, value] of entries) memory.write(BASE + offset, 8, value);
    return new AArch64Stage2({ memory, vtcr, vttbr: BASE, features });
  }

  it('HAFDBS ignores HA and HD', () => {
    const old = [[0, BLOCK & ~0x400n]] as const;
    const HA = 1n << 21n;
    expect(stage(old, VTCR | HA).walk(0, Read)).toBe(BASE / 4096);
    const none = stage(old, VTCR | HA, { hafdbs: 'none' });
    expect(ruleOf(none)).toBe(AARCH64_STAGE2_RULES.accessFlag.id);
    const clean = [[0, (BLOCK & ~0x80n) | (1n << 51n)]] as const;
    const HD = 1n << 22n;
    expect(stage(clean, VTCR | HA | HD).walk(0, Write)).toBe(BASE / 4096);
    const flag = stage(clean, VTCR | HA | HD, { hafdbs: 'access-flag' });
    expect(ruleOf(flag, Write)).toBe(AARCH64_STAGE2_RULES.notWritable.id);
  });

  it('LPA2 ignores DS and SL2', () => {
    const wide = 0x8006_0059n | (1n << 32n);
    const high = [[0, BLOCK | (1n << 48n)]] as const;
    expect(stage(high, wide).walk(0, Read)).toBe(2 ** 36 + BASE / 4096);
    expect(stage(high, wide, { lpa2: false }).walk(0, Read)).toBe(BASE / 4096);
    const shared = [[0, BLOCK | 0x300n]] as const;
    expect(stage(shared, wide).walk(0, Read)).toBe(3 * 2 ** 38 + BASE / 4096);
    expect(stage(shared, wide, { lpa2: false }).walk(0, Read)).toBe(BASE / 4096);
    // SL2 with SL0=0 is level -1, without LPA2 level 2, which 52-bit addresses do not fit.
    const deep = 0x8006_000cn | (3n << 32n);
    expect(ruleOf(stage([], deep))).toBe(AARCH64_STAGE2_RULES.invalid.id);
    expect(ruleOf(stage([], deep, { lpa2: false }))).toBe(AARCH64_STAGE2_RULES.badConfiguration.id);
  });

  it('TTST has no start at level 3', () => {
    // 24-bit addresses: four concatenated tables of pages.
    const vtcr = 0x8005_0028n | (3n << 6n);
    expect(stage([[0, BLOCK | 2n]], vtcr).walk(0, Read)).toBe(BASE / 4096);
    expect(ruleOf(stage([], vtcr, { ttst: false }))).toBe(AARCH64_STAGE2_RULES.badConfiguration.id);
    const sized = 0x8005_0027n | (3n << 6n);
    expect(ruleOf(stage([], sized, { ttst: false }))).toBe(
      AARCH64_STAGE2_RULES.badConfiguration.id,
    );
  });

  it('LPA ignores bits 15:12 of 64 KiB descriptors, and has no 52-bit input', () => {
    const vtcr = 0x8006_0040n | TG_64K | 22n;
    const entries = [
      [0, 0x4001_0003n],
      [0x1_0000, 0x4002_14ffn],
    ] as const;
    expect(stage(entries, vtcr).walk(0, Read)).toBe(2 ** 36 + 0x40020);
    expect(stage(entries, vtcr, { lpa: false }).walk(0, Read)).toBe(0x40020);
    const tall = 0x8006_0080n | TG_64K | 12n;
    expect(ruleOf(stage([], tall))).toBe(AARCH64_STAGE2_RULES.invalid.id);
    expect(ruleOf(stage([], tall, { lpa: false }))).toBe(AARCH64_STAGE2_RULES.badConfiguration.id);
  });
});

describe('a reserved granule is 4 KiB', () => {
  const upper = (leaf: bigint): readonly (readonly [number, bigint])[] => tables(leaf);

  it('in TG0', () => {
    expect(cpu(tables(PAGE), { tcr: TCR_39 | (3n << 14n) }).walk(0, Read)).toBe(0x40010);
  });

  it('in TG1', () => {
    const tcr = (25n << 16n) | (5n << 32n) | 25n;
    const walker = cpu(upper(PAGE), { tcr, ttbr0: 0n, ttbr1: BASE });
    expect(walker.walk(2 ** 52 - 2 ** 27, Read)).toBe(0x40010);
  });

  it('in stage 2', () => {
    const memory = PhysicalMemory.allocate(0x1000, { base: BASE });
    memory.write(BASE, 8, 0x4000_04fdn);
    const stage2 = new AArch64Stage2({ memory, vtcr: 0x8005_c059n, vttbr: BASE });
    expect(stage2.walk(0, Read)).toBe(BASE / 4096);
  });
});

describe('features', () => {
  const make = [
    ['AArch64Walker', (features: unknown) => cpu([], { features: features as never })],
    [
      'AArch64Stage2',
      (features: unknown) =>
        new AArch64Stage2({
          memory: PhysicalMemory.allocate(0x1000, { base: BASE }),
          features: features as never,
        }),
    ],
  ] as const;

  it.each(make)('of %s must be those that there are, and have values', (_, of) => {
    for (const name of ['lpa', 'lva', 'lpa2', 'pan3', 'e0pd', 'ttst', 'hpds']) {
      for (const value of ['no', 0, null]) {
        expectError(() => of({ [name]: value }), 'bad-argument', name);
      }
    }
    expectError(() => of({ physicalBits: 33 }), 'bad-argument', 'physicalBits');
    expectError(() => of({ hafdbs: 'some' }), 'bad-argument', 'hafdbs');
    expectError(() => of({ lpa3: true }), 'bad-argument', 'features');
    expectError(() => of(null), 'bad-argument', 'features');
  });

  it.each(make)('of %s are there unless the caller says otherwise', (_, of) => {
    const all = of({ hpds: undefined, physicalBits: undefined }).features;
    expect(all).toEqual(of({}).features);
    expect([all.hpds, all.physicalBits, all.hafdbs]).toEqual([true, 52, 'dirty']);
    expect(Object.isFrozen(all)).toBe(true);
  });

  it.each(make)('of %s: a snapshot has a copy', (_, of) => {
    const walker = of({ lva: false });
    const { features } = walker.snapshot();
    expect(features).toEqual(walker.features);
    expect(features).not.toBe(walker.features);
  });
});

describe('options and registers', () => {
  const memory = PhysicalMemory.allocate(0x1000, { base: BASE });

  it('must be there', () => {
    for (const options of [undefined, null, 5]) {
      expectError(() => new AArch64Walker(options as never), 'bad-argument', 'options');
      expectError(() => new AArch64Stage2(options as never), 'bad-argument', 'options');
    }
    expectError(() => new AArch64Walker({} as never), 'bad-argument', 'memory');
  });

  it('PAN is a boolean', () => {
    expectError(() => cpu([], { pan: 'no' as never }), 'bad-argument', 'pan');
    const walker = cpu([]);
    expectError(() => Object.assign(walker, { pan: 1 }), 'bad-argument', 'pan');
    expect(walker.pan).toBe(false);
  });

  it.each([
    ['AArch64Walker', new AArch64Walker({ memory, tcr: TCR_39 })],
    ['AArch64Stage2', new AArch64Stage2({ memory, vtcr: 0x8005_0059n })],
  ])('%s: registers are written by their names', (_, walker) => {
    const before = walker.snapshot();
    for (const values of [null, undefined, 5]) {
      expectError(() => walker.setRegisters(values as never), 'bad-argument', 'registers');
    }
    for (const values of [{ TCR: 5n }, { tcr_el1: 5n, hcr: 0n }]) {
      expectError(() => walker.setRegisters(values as never), 'bad-argument', 'registers');
    }
    expectError(() => walker.setRegisters({ hcr: undefined as never }), 'bad-argument', 'hcr');
    expect(walker.snapshot()).toEqual(before);
  });
});
