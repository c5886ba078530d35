import { Access, VmError } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { AArch64Stage2, AArch64Walker, mappings, mergedMappings } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

const BASE = 0x4000_0000;
const ATOMIC = Access.Read | Access.ReadModifyWrite;
const TCR = 25n | (5n << 32n);
const TAG = 0xabn << 56n;

/** A 1 GiB stage 1 block at 0; EL0 may use it, AF. */
const BLOCK = 0x4000_0441n;
/** A 1 GiB stage 2 block at 0: read, write, AF. */
const BLOCK2 = 0x4000_04fdn;

function memoryWith(first: bigint): PhysicalMemory {
  const memory = PhysicalMemory.allocate(0x2000, { base: BASE });
  memory.write(BASE, 8, first);
  return memory;
}

const stage1 = (entry: bigint): AArch64Walker =>
  new AArch64Walker({ memory: memoryWith(entry), tcr: TCR, ttbr0: BASE, mair: 0xffn });

const stage2 = (entry: bigint): AArch64Stage2 =>
  new AArch64Stage2({ memory: memoryWith(entry), vtcr: 0x8005_0059n, vttbr: BASE });

describe('with stage 1 off', () => {
  const off = { memory: memoryWith(0n), sctlr: 0n };

  it('a tag that is ignored is no part of the address', () => {
    const walker = new AArch64Walker({ ...off, tcr: 1n << 37n });
    expect(walker.translate(TAG | 0x8123n, Access.Read)).toMatchObject({ pa: 0x8123n });
    expect(walker.translate(TAG | 0x8123n, Access.Fetch)).toMatchObject({ pa: 0x8123n });
    expect(walker.branchTarget(TAG | 0x8123n)).toBe(0x8123n);
  });

  it('TBID leaves tags of fetches in the address: address size fault, level 0', () => {
    const walker = new AArch64Walker({ ...off, tcr: (1n << 37n) | (1n << 51n) });
    expect(walker.translate(TAG, Access.Read)).toMatchObject({ pa: 0n });
    expect(walker.translate(TAG, Access.Fetch)).toMatchObject({
      kind: 'fault',
      aarch64: { fsc: 0, level: 0, far: TAG },
    });
  });
});

describe('an atomic access', () => {
  const wnr = (walker: AArch64Walker, access: number): boolean => {
    expect(walker.walk(0, access)).toBeLessThan(0);
    return (walker.fault.esr & 0x40n) !== 0n;
  };

  it('is reported as a write only when a load would have passed', () => {
    expect(wnr(stage1(BLOCK | 0x80n), ATOMIC)).toBe(true);
    expect(wnr(stage1(BLOCK & ~0x40n), ATOMIC | Access.User)).toBe(false);
    expect(wnr(stage1(0n), ATOMIC)).toBe(false);
    expect(wnr(stage1(0n), Access.Write)).toBe(true);
  });

  it('needs both rights of stage 2, which gives them one by one', () => {
    expect(stage2(BLOCK2).walk(0, ATOMIC)).toBe(BASE / 4096);
    const writeOnly = stage2(BLOCK2 & ~0x40n);
    expect(writeOnly.walk(0, Access.Write)).toBe(BASE / 4096);
    expect(writeOnly.walk(0, ATOMIC)).toBeLessThan(0);
    expect(writeOnly.fault.rule.id).toBe('aarch64.s2-not-readable');
    const readOnly = stage2(BLOCK2 & ~0x80n);
    expect(readOnly.walk(0, ATOMIC)).toBeLessThan(0);
    expect(readOnly.fault.rule.id).toBe('aarch64.s2-not-writable');
  });
});

describe('stage 2 of a CPU with narrow physical addresses', () => {
  const refused = (vtcr: bigint, physicalBits: 36 | 40 | 42 | 44 | 48 | 52): boolean => {
    const memory = memoryWith(BLOCK2);
    const walker = new AArch64Stage2({ memory, vtcr, vttbr: BASE, features: { physicalBits } });
    walker.walk(0, Access.Read);
    return walker.rule.id === 'aarch64.s2-bad-configuration';
  };

  it.each([
    ['input no wider than physical addresses', 0x8000_0059n, 40, false],
    ['input wider than physical addresses', 0x8000_0059n, 36, true],
    ['4 KiB from level 0, 42 bits', 0x8000_0096n, 42, true],
    ['4 KiB from level 0, 44 bits', 0x8000_0096n, 44, false],
    ['4 KiB from level -1, 52 bits', 0x3_8006_000cn, 52, false],
    ['4 KiB from level -1, 48 bits', 0x3_8006_000cn, 48, true],
    ['16 KiB from level 1, 40 bits', 0x8000_8098n, 40, true],
    ['16 KiB from level 1, 42 bits', 0x8000_8098n, 42, false],
    ['16 KiB from level 0, 52 bits', 0x1_8006_80ccn, 52, false],
    ['16 KiB from level 0, 48 bits', 0x1_8006_80d0n, 48, true],
    ['64 KiB from level 1, 42 bits', 0x8000_4096n, 42, true],
    ['64 KiB from level 1, 44 bits', 0x8000_4094n, 44, false],
    ['64 KiB, SL0=3', 0x8000_40d6n, 52, true],
  ] as const)('%s', (_what, vtcr, physicalBits, expected) => {
    expect(refused(vtcr, physicalBits)).toBe(expected);
  });
});

describe('big-endian tables', () => {
  it('are refused, and the registers stay as they are', () => {
    const walker = stage1(BLOCK);
    const sctlr = walker.sctlr;
    expect(() => walker.setRegisters({ sctlr: sctlr | (1n << 25n), tcr: 0n })).toThrow(VmError);
    expect([walker.sctlr, walker.tcr]).toEqual([sctlr, TCR]);
  });
});

describe('the list of mappings', () => {
  it('has what both halves translate, and nothing else', () => {
    const memory = PhysicalMemory.allocate(0x10000, { base: BASE });
    // 4 KiB below, 64 KiB above, with a block each; the upper root has 64 entries of 512 MiB.
    memory.write(BASE + 8, 8, BLOCK);
    memory.write(BASE + 0x8000 + 63 * 8, 8, 0x4000_0441n);
    const tcr = TCR | (29n << 16n) | (3n << 30n);
    const walker = new AArch64Walker({ memory, tcr, ttbr0: BASE, ttbr1: BASE + 0x8000 });
    const found = [...mappings(walker)].map(({ pa, pages, va }) => [va, pa, pages] as const);
    expect(found).toEqual([
      [0x4000_0000n, 0x4000_0000n, 2 ** 18],
      [2n ** 64n - 2n ** 29n, 0x4000_0000n, 2 ** 17],
    ]);
    for (const [va, pa, pages] of found) {
      const last = BigInt(pages - 1) << 12n;
      expect(walker.translate(va + last, Access.Read)).toMatchObject({ pa: pa + last });
      expect(walker.translate(va - 1n, Access.Read).kind).toBe('fault');
    }
    // Each range with the page size of its half, merged or one by one, whatever was walked meanwhile.
    const sizes = [2 ** 30, 2 ** 29];
    expect(mergedMappings(walker).ranges.map(({ pageBytes }) => pageBytes)).toEqual(sizes);
    const cursor = mappings(walker);
    const seen: number[] = [];
    while (cursor.advance()) {
      for (const [va] of found) walker.probe(Number(va >> 12n), Access.Read);
      seen.push(cursor.mapping().pageBytes);
      for (const [va] of found) walker.probe(Number(va >> 12n), Access.Read);
    }
    expect(seen).toEqual(sizes);
  });
});
