import { Access, VmError } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { AArch64Stage2, AArch64Walker, type AArch64WalkerOptions } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

const BASE = 0x4000_0000;
const TCR_39 = 25n | (5n << 32n);
/** 4 KiB page at 0x40010000: EL0 may use it, AF, not global. */
const PAGE = 0x4001_0c43n;

/** Entries at offsets from 0x40000000; 39-bit addresses, so that the root is a level 1 table. */
function cpu(
  entries: readonly (readonly [number, bigint])[],
  options: Partial<AArch64WalkerOptions> = {},
): AArch64Walker {
  const memory = PhysicalMemory.allocate(0x2_0000, { base: BASE });
  for (const [offset, value] of entries) memory.write(BASE + offset, 8, value);
  return new AArch64Walker({ memory, tcr: TCR_39, ttbr0: BASE, mair: 0xffn, ...options });
}

const tables = (leaf: bigint): readonly (readonly [number, bigint])[] => [
  [0, 0x4000_1003n],
  [0x1000, 0x4000_2003n],
  [0x2000, leaf],
];

const USER = Access.User;

describe('a walker', () => {
  const options = {
    tcr: TCR_39 | (25n << 16n) | (2n << 30n) | (1n << 36n),
    ttbr1: (7n << 48n) | BigInt(BASE),
  };

  it('can be saved and made again', () => {
    const walker = cpu(tables(PAGE), { ...options, pan: true, features: { hpds: false } });
    const again = AArch64Walker.restore(walker.snapshot(), { memory: walker.memory });
    expect(again.snapshot()).toEqual(walker.snapshot());
    expect(again.walk(0, Access.Read)).toBe(walker.walk(0, Access.Read));
    expect(() => walker.checkInvariants()).not.toThrow();
  });

  it('walks both halves, and enumerates both', () => {
    const walker = cpu(tables(PAGE), options);
    expect(walker.walk(2 ** 52 - 2 ** 27, Access.Read)).toBe(0x40010);
    expect(walker.format?.onesExtended).toBe(false);
    expect(walker.rootFormat(1).onesExtended).toBe(true);
    expect(walker.leafLevel).toBe(0);
  });

  it('takes registers over, and tells them', () => {
    const walker = cpu(tables(PAGE));
    expect(walker.setRegisters(options)).toEqual({ kind: 'written', invalidates: 'none' });
    expect([walker.tcr, walker.ttbr1, walker.ttbr0]).toEqual([
      options.tcr,
      options.ttbr1,
      BigInt(BASE),
    ]);
    expect([walker.mair, walker.hcr, walker.sctlr & 1n]).toEqual([0xffn, 0n, 1n]);
    walker.setRegisters({ tcr: options.tcr | (1n << 22n) });
    expect(walker.asid).toBe(7);
    expect(() => walker.setRegisters({ tcr: -1n })).toThrow(VmError);
  });

  it('sets AF and clears AP[2] of a clean page', () => {
    const walker = cpu(tables((PAGE | 0x80n | (1n << 51n)) & ~0x400n), {
      tcr: TCR_39 | (3n << 39n),
    });
    const { cleared, set } = walker.explain(0, Access.Write).steps.at(-1)!;
    expect([set, cleared]).toEqual([['AF'], ['AP2']]);
    expect(walker.walk(0, Access.Write)).toBe(0x40010);
    expect(walker.memory.read(BASE + 0x2000, 8)).toMatchObject({ value: PAGE | (1n << 51n) });
  });

  it('strips tags where the top byte is ignored', () => {
    const walker = cpu(tables(PAGE), { tcr: TCR_39 | (1n << 37n) });
    expect(walker.translate(0xab00_0000_0000_0008n, Access.Read | USER)).toMatchObject({
      pa: 0x4001_0008n,
    });
    expect(walker.branchTarget(0xab00_0000_0000_0008n)).toBe(8n);
  });

  it.each([
    ['LDTR by EL0', Access.Unprivileged | USER],
    ['LDTR that fetches', Access.Unprivileged | Access.Fetch],
    ['M-mode', Access.Machine],
    ['a fetch that writes', Access.Fetch | Access.ReadModifyWrite],
  ])('refuses %s', (_, access) => {
    expect(() => cpu([]).walk(0, access)).toThrow(VmError);
  });
});

describe('stage 2', () => {
  const VTCR = 25n | (1n << 6n) | (5n << 16n);
  const stage = (leaf: bigint, options: object = {}): AArch64Stage2 => {
    const memory = PhysicalMemory.allocate(0x2_0000, { base: BASE });
    memory.write(BASE, 8, leaf);
    return new AArch64Stage2({ memory, vtcr: VTCR, vttbr: BigInt(BASE), ...options });
  };
  const BLOCK = 0x4000_07fdn;

  it.each<[string, bigint, object, number, string]>([
    ['reads need S2AP[0]', BLOCK & ~0x40n, {}, Access.Read, 'aarch64.s2-not-readable'],
    ['writes need S2AP[1]', BLOCK & ~0x80n, {}, Access.Write, 'aarch64.s2-not-writable'],
    ['XN=1: not at EL1', BLOCK | (1n << 53n), {}, Access.Fetch, 'aarch64.s2-not-executable'],
    ['XN=2: not at all', BLOCK | (2n << 53n), {}, Access.Fetch | USER, 'aarch64.s2-not-executable'],
    ['XN=3: not at EL0', BLOCK | (3n << 53n), {}, Access.Fetch | USER, 'aarch64.s2-not-executable'],
    ['AF=0', BLOCK & ~0x400n, {}, Access.Read, 'aarch64.s2-access-flag'],
    ['nothing there', 0n, {}, Access.Read, 'aarch64.s2-invalid'],
    [
      'a start level that does not fit',
      BLOCK,
      { vtcr: 25n | (2n << 6n) | (5n << 16n) },
      Access.Read,
      'aarch64.s2-bad-configuration',
    ],
    [
      'a start level of 64 KiB granules that there is not',
      BLOCK,
      { vtcr: 25n | (3n << 6n) | (1n << 14n) },
      Access.Read,
      'aarch64.s2-bad-configuration',
    ],
    [
      'a root beyond the output',
      BLOCK,
      { vtcr: 25n | (1n << 6n), vttbr: 1n << 40n },
      Access.Read,
      'aarch64.s2-root-address-size',
    ],
  ])('%s', (_, leaf, options, access, rule) => {
    const walker = stage(leaf, options);
    expect(walker.walk(1, access)).toBeLessThan(0);
    expect(walker.fault.rule.id).toBe(rule);
  });

  it('lets XN=1 execute at EL0, XN=3 at EL1', () => {
    expect(stage(BLOCK | (1n << 53n)).walk(1, Access.Fetch | USER)).toBe(0x40001);
    expect(stage(BLOCK | (3n << 53n)).walk(1, Access.Fetch)).toBe(0x40001);
  });

  it('with HCR.PTW keeps stage 1 tables out of Device memory', () => {
    const device = BLOCK & ~0x3cn;
    const access = Access.Read | Access.ImplicitSupervisor;
    expect(stage(device).walk(1, access)).toBe(0x40001);
    const guarded = stage(device, { hcr: 0x8000_0005n });
    expect(guarded.walk(1, access)).toBeLessThan(0);
    expect(guarded.fault.rule.id).toBe('aarch64.s2-device-table');
    expect(stage(BLOCK, { hcr: 0x8000_0005n }).walk(1, access)).toBe(0x40001);
  });

  it('sets S2AP[1] of a clean page', () => {
    const walker = stage((BLOCK & ~0x80n) | (1n << 51n), { vtcr: VTCR | (3n << 21n) });
    expect(walker.explain(0x1000, Access.Write).steps.at(-1)?.set).toEqual(['S2AP1']);
    expect(walker.walk(1, Access.Write)).toBe(0x40001);
    expect(walker.memory.read(BASE, 8)).toMatchObject({ value: BLOCK | (1n << 51n) });
  });

  it('off, is the identity', () => {
    expect(stage(0n, { hcr: 0x8000_0000n }).walk(5, Access.Read)).toBe(5);
    expect(stage(0n, { hcr: 0n }).translate(0x5000, Access.Read)).toMatchObject({ level: -1 });
  });

  it('tells attributes, VMID and registers, and can be saved', () => {
    const walker = stage(BLOCK, { vttbr: (0x1234n << 48n) | BigInt(BASE) });
    expect(walker.vmid).toBe(0x34);
    walker.setRegisters({ vtcr: VTCR | (1n << 19n) });
    expect([walker.vmid, walker.vtcr]).toEqual([0x1234, VTCR | (1n << 19n)]);
    expect(walker.translate(0x1000, Access.Read)).toMatchObject({ aarch64: { attr: 0xff, sh: 3 } });
    expect(walker.combine(0xff, 0)).toEqual({ attr: 0xff, sh: 3 });
    walker.setRegisters({ hcr: 0x1_8000_0001n });
    expect(walker.combine(0xff, 0)).toEqual({ attr: 0x44, sh: 2 });
    const again = AArch64Stage2.restore(walker.snapshot(), { memory: walker.memory });
    expect(again.snapshot()).toEqual(walker.snapshot());
  });
});
