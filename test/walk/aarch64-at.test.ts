import { VmError } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { decodeEsr, decodePar } from 'pagewright/pte';
import { AArch64Stage2, AArch64Walker, type AArch64WalkerOptions } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';

const BASE = 0x4000_0000;
const TCR_39 = 25n | (5n << 32n);
const TEA = 1n << 37n;
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

  it('must be instructions, at an exception level that has them', () => {
    const walker = cpu([]);
    expect(() => walker.at('S1E9R' as never, 0)).toThrow(VmError);
    expectError(() => walker.at('S1E1R', 0, { el: 3 as never }), 'bad-argument', 'el');
    expectError(() => walker.at('S12E1R', 0, { el: 1 }), 'bad-argument', 'el');
  });
});

describe('an AT instruction that meets an external abort', () => {
  const missing = [[0, 0x9000_0003n]] as const;
  const far = 0x123n;
  const taken = (walker: AArch64Walker, el?: 1 | 2): unknown =>
    walker.at('S1E1R', far, el === undefined ? {} : { el });

  it('takes it at EL2, where it was executed', () => {
    const exception = { kind: 'exception', el: 2, esr: 0x9600_0156n, far, hpfar: null };
    expect(taken(cpu(missing))).toEqual(exception);
    expect(taken(cpu(missing), 2)).toEqual(exception);
  });

  it('takes it at EL1, where it was executed, unless TEA sends it to EL2', () => {
    const exception = { kind: 'exception', far, hpfar: null };
    expect(taken(cpu(missing), 1)).toEqual({ ...exception, el: 1, esr: 0x9600_0156n });
    expect(taken(cpu(missing, { hcr: TEA }), 1)).toEqual({
      ...exception,
      el: 2,
      esr: 0x9200_0156n,
    });
  });

  it('takes one of a hardware update as well', () => {
    const memory = new PhysicalMemory();
    memory.addDevice({
      base: BASE,
      bytes: 0x1000,
      read(_offset, _width, words) {
        words.low = 0x301; // a block without AF
        return 0;
      },
      write: () => -1,
    });
    const tcr = TCR_39 | (1n << 39n);
    const walker = new AArch64Walker({ memory, tcr, ttbr0: BASE });
    expect(walker.at('S1E1R', 0)).toMatchObject({ kind: 'exception', esr: 0x9600_0155n });
    expect(walker.walk(0, 0)).toBeLessThan(0);
    expect(walker.fault.fsc).toBe(0b010101);
  });
});

describe('what stage 2 refuses to the walk of an AT S1 instruction', () => {
  /** Stage 2 maps nothing but GiB 0, and stage 1's root is in GiB 1. */
  function guest(): AArch64Walker {
    const memory = PhysicalMemory.allocate(0x2000, { base: BASE });
    memory.write(BASE, 8, 0x4000_07fdn);
    const secondStage = new AArch64Stage2({ memory, vtcr: 0x8005_0059n, vttbr: BASE });
    return new AArch64Walker({ memory, tcr: TCR_39, ttbr0: BASE + 0x1000, secondStage });
  }

  it('is in PAR_EL1 at EL2', () => {
    const result = guest().at('S1E1R', 0x123);
    const { F, FST, PTW, S } = decodePar(result.kind === 'par' ? result.par : 0n).fields;
    expect([F, FST, S, PTW]).toEqual([1, 0b000101, 1, 1]);
  });

  it('is a data abort to EL2 at EL1', () => {
    const result = guest().at('S1E0W', 0x123, { el: 1 });
    expect(result).toEqual({
      kind: 'exception',
      el: 2,
      esr: 0x9200_01c5n,
      far: 0x123n,
      hpfar: 0x40_0010n,
    });
    const { fields } = decodeEsr(result.kind === 'exception' ? result.esr : 0n);
    const { CM, EC, FSC, S1PTW, WNR } = fields;
    expect([EC, CM, S1PTW, WNR, FSC]).toEqual([0x24, 1, 1, 1, 0b000101]);
  });

  it('but what stage 1 refuses is in PAR_EL1 at EL1, too', () => {
    expect(cpu(tables(0n)).at('S1E1R', 0, { el: 1 })).toEqual({ kind: 'par', par: 0x80fn });
  });
});
