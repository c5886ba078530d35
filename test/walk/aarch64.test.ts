import { Access, VmError } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { decodePar } from 'pagewright/pte';
import {
  AARCH64_RULES,
  type AArch64Features,
  type AArch64RuleName,
  AArch64Stage2,
  AArch64Walker,
  type AArch64WalkerOptions,
} from 'pagewright/walk';
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

describe('every rule of stage 1', () => {
  it.each<[AArch64RuleName, number, AArch64Walker, number]>([
    ['translated', Access.Read | USER, cpu(tables(PAGE)), 0],
    ['off', Access.Read, cpu([], { sctlr: 0n }), 0x40005],
    ['offAddressSize', Access.Read, cpu([], { sctlr: 0n }), 2 ** 40],
    ['outOfRange', Access.Read, cpu([]), 2 ** 27],
    ['badConfiguration', Access.Read, cpu([], { tcr: 10n | (5n << 32n) }), 0],
    ['walkDisabled', Access.Read, cpu([], { tcr: TCR_39 | 0x80n }), 0],
    ['userDisabled', Access.Read | USER, cpu([], { tcr: TCR_39 | (1n << 55n) }), 0],
    ['rootAddressSize', Access.Read, cpu([], { tcr: 25n, ttbr0: 1n << 40n }), 0],
    ['tableMissing', Access.Read, cpu([[0, 0x9000_0003n]]), 0],
    ['invalid', Access.Read, cpu([]), 0],
    [
      'invalid',
      Access.Read,
      cpu([
        [0, 0x4000_1003n],
        [0x1000, 0x4000_2003n],
        [0x2000, 0x4001_0c41n],
      ]),
      0,
    ],
    ['tableAddressSize', Access.Read, cpu([[0, 0x1_4000_1003n]], { tcr: 25n }), 0],
    ['leafAddressSize', Access.Read, cpu(tables(0x1_0000_0c43n), { tcr: 25n }), 0],
    ['accessFlag', Access.Read, cpu(tables(PAGE & ~0x400n)), 0],
    ['supervisorPage', Access.Read | USER, cpu(tables(PAGE & ~0x40n)), 0],
    [
      'supervisorPage',
      Access.Read | USER,
      cpu([[0, 0x2000_0000_4000_1003n], ...tables(PAGE).slice(1)]),
      0,
    ],
    ['privilegedAccessNever', Access.Read, cpu(tables(PAGE), { pan: true }), 0],
    ['notWritable', Access.Write | USER, cpu(tables(PAGE | 0x80n)), 0],
    [
      'notWritable',
      Access.Write | USER,
      cpu([[0, 0x4000_0000_4000_1003n], ...tables(PAGE).slice(1)]),
      0,
    ],
    ['notExecutable', Access.Fetch | USER, cpu(tables(PAGE | (1n << 54n))), 0],
    ['notExecutable', Access.Fetch, cpu(tables(PAGE | 0x80n | (1n << 53n))), 0],
    ['userWritable', Access.Fetch, cpu(tables(PAGE)), 0],
    ['writableExecuteNever', Access.Fetch, cpu(tables(PAGE & ~0x40n), { sctlr: 0x30d8_1805n }), 0],
    ['writableExecuteNever', Access.Fetch | USER, cpu(tables(PAGE), { sctlr: 0x30d8_1805n }), 0],
  ])('%s', (name, access, walker, vpn) => {
    expect(walker.explain(BigInt(vpn) << 12n, access).rule.id).toBe(AARCH64_RULES[name].id);
    const { reason, result } = AARCH64_RULES[name];
    const walked = walker.walk(vpn, access);
    expect(reason === null ? walked >= 0 : walked).toBe(reason === null ? true : result);
  });
});

describe('a CPU without a feature', () => {
  const without = (features: Partial<AArch64Features>): Partial<AArch64WalkerOptions> => ({
    features,
  });

  it.each<[string, Partial<AArch64Features>, Partial<AArch64WalkerOptions>, bigint, number]>([
    [
      'HAFDBS ignores HA: AF=0 faults',
      { hafdbs: 'none' },
      { tcr: TCR_39 | (1n << 39n) },
      PAGE & ~0x400n,
      Access.Read,
    ],
    [
      'dirty state ignores HD: DBM makes nothing writable',
      { hafdbs: 'access-flag' },
      { tcr: TCR_39 | (3n << 39n) },
      PAGE | 0x80n | (1n << 51n),
      Access.Write,
    ],
  ])('%s', (_, features, options, leaf, access) => {
    expect(cpu(tables(leaf), options).walk(0, access)).toBe(0x40010);
    expect(cpu(tables(leaf), { ...options, features }).walk(0, access)).toBeLessThan(0);
  });

  it('E0PD ignores its bits', () => {
    const tcr = TCR_39 | (1n << 55n);
    expect(cpu(tables(PAGE), { tcr }).walk(0, Access.Read | USER)).toBeLessThan(0);
    expect(
      cpu(tables(PAGE), { tcr, ...without({ e0pd: false }) }).walk(0, Access.Read | USER),
    ).toBe(0x40010);
  });

  it('HPDS ignores its bits: tables limit rights', () => {
    const tcr = TCR_39 | (1n << 41n);
    const limited = [[0, 0x2000_0000_4000_1003n], ...tables(PAGE).slice(1)] as const;
    expect(cpu(limited, { tcr }).walk(0, Access.Read | USER)).toBe(0x40010);
    expect(
      cpu(limited, { tcr, ...without({ hpds: false }) }).walk(0, Access.Read | USER),
    ).toBeLessThan(0);
  });

  it('PAN3 ignores EPAN: EL1 may read what EL0 may only execute', () => {
    const options = { pan: true, sctlr: 0x200_0000_30d0_1805n };
    const leaf = PAGE & ~0x40n;
    expect(cpu(tables(leaf), options).walk(0, Access.Read)).toBeLessThan(0);
    expect(
      cpu(tables(leaf), { ...options, ...without({ pan3: false }) }).walk(0, Access.Read),
    ).toBe(0x40010);
  });

  it('TTST has no address spaces below 25 bits', () => {
    const options = { tcr: 44n | (5n << 32n), ttbr0: BASE + 0x2000 };
    expect(cpu(tables(PAGE), options).walk(0, Access.Read)).toBe(0x40010);
    const walker = cpu(tables(PAGE), { ...options, ...without({ ttst: false }) });
    expect(walker.walk(0, Access.Read)).toBeLessThan(0);
    expect(walker.rule).toBe(AARCH64_RULES.badConfiguration);
  });

  it('LPA2 ignores DS: 52-bit input is no configuration', () => {
    const tcr = 12n | (6n << 32n) | (1n << 59n);
    expect(cpu([], { tcr }).rootFormat(0).virtualBits).toBe(52);
    const walker = cpu([], { tcr, ...without({ lpa2: false }) });
    walker.walk(0, Access.Read);
    expect(walker.rule).toBe(AARCH64_RULES.badConfiguration);
  });

  it('LVA has no 52-bit input with 64 KiB granules, LPA no 52-bit output', () => {
    const tcr = 12n | (1n << 14n) | (6n << 32n);
    const walker = cpu([], { tcr, ...without({ lva: false }) });
    walker.walk(0, Access.Read);
    expect(walker.rule).toBe(AARCH64_RULES.badConfiguration);
    const wide = cpu([], { tcr });
    expect(wide.rootFormat(0).physicalBits).toBe(52);
    expect(cpu([], { tcr, ...without({ lpa: false }) }).rootFormat(0).physicalBits).toBe(48);
  });

  it.each([32, 36, 40, 42, 44, 48, 52] as const)(
    'has %d physical bits, whatever IPS says',
    (physicalBits) => {
      const tcr = 16n | (1n << 14n) | (6n << 32n);
      const root = 2n ** BigInt(physicalBits - 1);
      const options = { tcr, ...without({ physicalBits }) };
      const walker = cpu([], { ...options, ttbr0: root });
      walker.walk(0, Access.Read);
      if (physicalBits < 52) {
        const beyond = cpu([], {
          ...options,
          ttbr0: physicalBits < 48 ? 2n ** BigInt(physicalBits) : 4n,
        });
        beyond.walk(0, Access.Read);
        expect(beyond.rule).toBe(physicalBits < 48 ? AARCH64_RULES.rootAddressSize : beyond.rule);
      }
      expect(walker.rule).not.toBe(AARCH64_RULES.rootAddressSize);
    },
  );

  it('must be one that there is', () => {
    expect(() => cpu([], without({ physicalBits: 33 as never }))).toThrow(VmError);
    expect(() => cpu([], without({ hafdbs: 'some' as never }))).toThrow(VmError);
  });
});

describe('AT instructions', () => {
  it('give PAR_EL1, with an address or a fault', () => {
    const walker = cpu(tables(PAGE));
    const found = walker.at('S1E0R', 0x123);
    expect(found.kind).toBe('par');
    const { ATTR, F, PA } = decodePar(found.kind === 'par' ? found.par : 0n).fields;
    expect([F, PA, ATTR]).toEqual([0, 0x40010, 0xff]);
    const missing = walker.at('S1E1W', 0x20_0000);
    const fault = decodePar(missing.kind === 'par' ? missing.par : 0n).fields;
    expect([fault['F'], fault['FST'], fault['S']]).toEqual([1, 6, 0]);
  });

  it('honour PAN with P only', () => {
    const walker = cpu(tables(PAGE), { pan: true });
    const failed = (instruction: 'S1E1R' | 'S1E1RP'): boolean => {
      const result = walker.at(instruction, 0);
      return result.kind === 'par' && (result.par & 1n) === 1n;
    };
    expect([failed('S1E1R'), failed('S1E1RP')]).toEqual([false, true]);
  });

  it('take an exception for an external abort', () => {
    expect(cpu([[0, 0x9000_0003n]]).at('S1E1R', 0)).toMatchObject({
      kind: 'exception',
      esr: 0x9600_0156n,
    });
  });

  it('must be instructions', () => {
    expect(() => cpu([]).at('S1E9R' as never, 0)).toThrow(VmError);
  });
});

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
