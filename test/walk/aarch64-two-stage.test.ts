import { Access, VmError } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { decodeEsr, decodeRegister, hpfarRegister } from 'pagewright/pte';
import { AArch64Stage2, AArch64Walker, formatWalk } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';

const { Read, Write, Fetch, User, ImplicitSupervisor } = Access;
const BASE = 0x4000_0000;
const VTCR = 0x8005_0059n;
const DC = 1n << 12n;
const TGE = 1n << 27n;
const VM = 1n;
/** A 1 GiB stage 2 block at 0x40000000: read, write, write-back, AF. */
const BLOCK2 = 0x4000_07fdn;
/** A 1 GiB stage 1 block at 0x40000000: EL0 may use it, AF. */
const BLOCK = 0x4000_0741n;

/** Memory with the tables of stage 2 at its beginning and those of stage 1 at 0x40001000. */
function memoryWith(...entries: readonly (readonly [number, bigint])[]): PhysicalMemory {
  const memory = PhysicalMemory.allocate(0x4000, { base: BASE });
  for (const [offset, entry] of entries) memory.write(BASE + offset, 8, entry);
  return memory;
}

/** 39-bit addresses in both stages; stage 2 maps GiB 1, where the tables are, to itself. */
function guest(
  memory: PhysicalMemory,
  options: { readonly tcr?: bigint; readonly vtcr?: bigint; readonly hcr?: bigint } = {},
): { readonly walker: AArch64Walker; readonly secondStage: AArch64Stage2 } {
  const { hcr = 0x8000_0001n, tcr = 25n | (5n << 32n), vtcr = VTCR } = options;
  const secondStage = new AArch64Stage2({ memory, vtcr, vttbr: BASE, hcr });
  const registers = { tcr, ttbr0: BASE + 0x1000, mair: 0xffn };
  return { walker: new AArch64Walker({ memory, ...registers, secondStage }), secondStage };
}

describe('a table of a guest beyond the output size', () => {
  it('is an address size fault, on the fast path too', () => {
    // Stage 2 maps 4 GiB to where the next table is; IPS says 32 bits.
    const memory = memoryWith(
      ...([
        [8, BLOCK2],
        [32, BLOCK2],
        [0x1000, 0x1_0000_2003n],
        [0x2000, BLOCK & ~0x4000_0000n],
      ] as const),
    );
    const { walker } = guest(memory, { tcr: 25n });
    expect(walker.walk(0, Read)).toBeLessThan(0);
    expect(walker.rule.id).toBe('aarch64.table-address-size');
    expect(walker.fault.fsc).toBe(1);
    memory.write(BASE + 0x1000, 8, 0x4000_2003n);
    walker.setRegisters({ ttbr0: BASE + 0x1000 });
    memory.write(BASE, 8, BLOCK2);
    expect(walker.walk(0, Read)).toBe(BASE / 4096);
  });
});

describe('HCR_EL2', () => {
  it('DC alone switches stage 2 on', () => {
    const memory = memoryWith([0, BLOCK2]);
    const stage = (hcr: bigint): AArch64Stage2 =>
      new AArch64Stage2({ memory, vtcr: VTCR, vttbr: BASE, hcr });
    expect(stage(DC).walk(1, Read)).toBe(BASE / 4096 + 1);
    expect(stage(VM).walk(1, Read)).toBe(BASE / 4096 + 1);
    expect(stage(0n).walk(1, Read)).toBe(1);
  });

  it.each([
    ['DC', DC],
    ['TGE', TGE],
  ])('%s switches stage 1 off', (_, hcr) => {
    const memory = memoryWith([0x1000, BLOCK]);
    const registers = { tcr: 25n | (5n << 32n), ttbr0: BASE + 0x1000 };
    const walker = new AArch64Walker({ memory, ...registers, hcr });
    expect(walker.walk(1, Read | User)).toBe(1);
    walker.setRegisters({ hcr: 0n });
    expect(walker.walk(1, Read | User)).toBe(BASE / 4096 + 1);
  });

  it('is one register: a walker with a second stage reads and writes that stage’s', () => {
    const { secondStage, walker } = guest(memoryWith([0, BLOCK2], [8, BLOCK2], [0x1000, BLOCK]));
    const both = (): readonly bigint[] => [walker.hcr, secondStage.hcr];
    expect(walker.walk(1, Read)).toBe(BASE / 4096 + 1);
    secondStage.setRegisters({ hcr: VM | TGE });
    expect(both()).toEqual([VM | TGE, VM | TGE]);
    expect(walker.format).toBeNull();
    expect(walker.walk(0x4_0001, Read)).toBe(BASE / 4096 + 1); // stage 2's alone
    walker.setRegisters({ hcr: VM });
    expect(both()).toEqual([VM, VM]);
    expect(walker.walk(0x4_0001, Read)).toBeLessThan(0); // stage 1 again
    expect(walker.walk(1, Read)).toBe(BASE / 4096 + 1);
    walker.checkInvariants();
    expect(walker.snapshot().hcr).toBe('0x1');
    expect(new AArch64Walker({ memory: walker.memory, secondStage, hcr: DC }).hcr).toBe(DC);
    expect(secondStage.hcr).toBe(DC);
  });

  it('stays as it is when another register is refused', () => {
    const { secondStage, walker } = guest(memoryWith());
    expectError(() => walker.setRegisters({ hcr: DC, tcr: -1n }), 'out-of-range', 'tcr');
    expect(secondStage.hcr).toBe(0x8000_0001n);
  });
});

describe('HCR_EL2.PTW', () => {
  it('keeps the tables of a guest out of Device memory, on the fast path too', () => {
    const memory = memoryWith([0, BLOCK2], [8, BLOCK2 & ~0x3cn], [0x1000, 0x741n]);
    const { secondStage, walker } = guest(memory);
    expect(walker.walk(5, Read)).toBe(BASE / 4096 + 5);
    secondStage.setRegisters({ hcr: 0x8000_0005n });
    expect(walker.walk(5, Read)).toBeLessThan(0);
    expect(walker.fault.rule.id).toBe('aarch64.s2-device-table');
    expect(walker.translate(0x5000, Read)).toMatchObject({
      aarch64: { fsc: 0b001101, s1ptw: true, stage: 2 },
    });
    secondStage.setRegisters({ hcr: 0x8000_0001n });
    expect(walker.walk(5, Read)).toBe(BASE / 4096 + 5);
  });
});

describe('dirty state of stage 2', () => {
  const clean = (BLOCK2 & ~0x80n) | (1n << 51n);
  const vtcr = VTCR | (3n << 21n);

  it('is not set by AT S12 of a write, but by the write', () => {
    const memory = memoryWith([0, clean], [8, clean], [0x1000, 0x741n]);
    const { walker } = guest(memory, { vtcr });
    expect(walker.at('S12E1W', 0x5000)).toMatchObject({ kind: 'par', par: 0xff00_0000_4000_5980n });
    expect(memory.read(BASE, 8)).toMatchObject({ value: clean });
    expect(walker.walk(5, Write)).toBe(BASE / 4096 + 5);
    expect(memory.read(BASE, 8)).toMatchObject({ value: clean | 0x80n });
  });

  it('is set where AT sets the access flag of a stage 1 descriptor', () => {
    const memory = memoryWith([0, clean], [8, clean], [0x1000, 0x341n]);
    const { walker } = guest(memory, { vtcr, tcr: 25n | (5n << 32n) | (1n << 39n) });
    expect(walker.at('S12E1W', 0x5000).kind).toBe('par');
    expect(memory.read(BASE + 0x1000, 8)).toMatchObject({ value: 0x741n });
    expect(memory.read(BASE + 8, 8)).toMatchObject({ value: clean | 0x80n });
    expect(memory.read(BASE, 8)).toMatchObject({ value: clean });
  });
});

describe('a fault of a stage 2 that is asked by itself', () => {
  const stage = new AArch64Stage2({ memory: memoryWith(), vtcr: VTCR, vttbr: BASE });

  it.each([
    ['a read', Read, 'access', 0x9200_0005n],
    ['a write', Write, 'access', 0x9200_0045n],
    ['a fetch', Fetch, 'access', 0x8200_0005n],
    ['the reading of a descriptor', Read | ImplicitSupervisor, 'table-read', 0x9200_0085n],
    ['the update of one', Write | ImplicitSupervisor, 'table-update', 0x9200_00c5n],
  ] as const)('%s', (_, access, purpose, esr) => {
    expect(stage.walk(1, access, 8)).toBeLessThan(0);
    const { fault } = stage;
    expect([fault.stage, fault.el, fault.purpose, fault.esr]).toEqual([2, 2, purpose, esr]);
    expect(fault.s1ptw).toBe(purpose !== 'access');
    expect(stage.translate(0x1008, access)).toMatchObject({
      kind: 'fault',
      secondStage: { gpa: 0x1008n, purpose },
      aarch64: { stage: 2, el: 2, esr, hpfar: 0x10n, s1ptw: purpose !== 'access' },
    });
  });
});

describe('HPFAR_EL2', () => {
  const page = (hpfar: bigint | null): unknown =>
    hpfar === null ? null : decodeRegister(hpfarRegister, hpfar).fields['FIPA'];

  it('has the intermediate address that stage 2 refused', () => {
    const { walker } = guest(memoryWith([8, BLOCK2], [0x1000, BLOCK & ~0x4000_0000n]));
    expect(walker.translate(0x5000, Read)).toMatchObject({ aarch64: { hpfar: 0x50n, el: 2 } });
    expect(page(walker.fault.hpfar)).toBe(5);
  });

  it('is unknown for a permission fault of the access, known for one of the walk', () => {
    const unreadable = BLOCK2 & ~0x40n;
    const access = guest(memoryWith([0, unreadable], [8, BLOCK2], [0x1000, 0x741n]));
    expect(access.walker.translate(0x5000, Read)).toMatchObject({ aarch64: { hpfar: null } });
    const walk = guest(memoryWith([0, BLOCK2], [8, unreadable], [0x1000, 0x741n]));
    expect(walk.walker.translate(0x5000, Read)).toMatchObject({
      aarch64: { hpfar: 0x40_0010n, s1ptw: true },
    });
    expect(page(walk.walker.fault.hpfar)).toBe(0x4_0001);
  });

  it('is nothing to stage 1', () => {
    const { walker } = guest(memoryWith([8, BLOCK2]));
    expect(walker.translate(0x5000, Read)).toMatchObject({ aarch64: { hpfar: null, stage: 1 } });
  });
});

describe('who takes an abort', () => {
  const external = memoryWith([0x1000, 0x9000_0003n]);
  const walker = (hcr: bigint): AArch64Walker =>
    new AArch64Walker({
      memory: external,
      tcr: 25n | (5n << 32n),
      ttbr0: BASE + 0x1000,
      hcr,
    });
  const exception = (hcr: bigint, vpn: number): string => {
    const cpu = walker(hcr);
    expect(cpu.walk(vpn, Read)).toBeLessThan(0);
    return `EL${cpu.fault.el}: ${decodeEsr(cpu.fault.esr).exception}`;
  };

  it('HCR_EL2.TEA sends external aborts to EL2, and nothing else', () => {
    const same = 'EL1: data abort from the same exception level';
    const lower = 'EL2: data abort from a lower exception level';
    const TEA = 1n << 37n;
    expect([exception(0n, 0), exception(TEA, 0)]).toEqual([same, lower]);
    expect([exception(0n, 2 ** 18), exception(TEA, 2 ** 18)]).toEqual([same, same]);
  });
});

describe('a second stage', () => {
  const memory = memoryWith();

  it.each([
    ['a walker of stage 1', new AArch64Walker({ memory })],
    ['something with a memory', { memory }],
  ])('is not %s', (_, secondStage) => {
    const make = (): unknown => new AArch64Walker({ memory, secondStage: secondStage as never });
    expectError(make, 'bad-argument', 'secondStage');
  });

  it('is over the same memory', () => {
    const secondStage = new AArch64Stage2({ memory: memoryWith() });
    expect(() => new AArch64Walker({ memory, secondStage })).toThrow(VmError);
  });
});

describe('a report as text', () => {
  it('tells which level takes the abort, and of a refusal by stage 2 the intermediate page', () => {
    const { walker } = guest(memoryWith([8, BLOCK2], [0x1000, BLOCK & ~0x4000_0000n]));
    const [, , , verdict, count] = formatWalk(walker.explain(0x5678, Read)).split('\n').slice(-5);
    expect([verdict, count]).toMatchInlineSnapshot(`
      [
        "  read refused: bit 0 of the stage 2 descriptor is clear, or it is of a kind that this level does not have: translation fault (ESR_EL2 0x92000005, FAR_EL2 0x5678, HPFAR_EL2 0x50) [Arm ARM DDI 0487, D8 Translation table descriptor formats]",
        "  3 references in both stages",
      ]
    `);
  });

  it('shows the access flag of a leaf', () => {
    const { walker } = guest(memoryWith([8, BLOCK2], [0x1000, BLOCK & ~0x400n]));
    const text = formatWalk(walker.explain(0x5678, Read));
    expect(text).toMatchInlineSnapshot(`
      "supervisor read at 0x5678 (aarch64 4K 39-bit, root 0x40001000)
          second stage: supervisor implicit-supervisor read at 0x40001000 (aarch64 stage 2 4K 39-bit, root 0x40000000)
            level 2 [  1] @0x40000008 = 0x400007fd  leaf at 0x40000000, rwxu AF=1
            physical address 0x40001000, in a 1 GiB page
        level 2 [  0] @0x40001000 = 0x40000341  leaf at 0x40000000, rwxu AF=0
        read refused: AF=0 and hardware does not set it: access flag fault (ESR_EL1 0x96000009, FAR_EL1 0x5678) [Arm ARM DDI 0487, D8 The Access flag]
        2 references in both stages"
    `);
  });

  it('counts one reference as one', () => {
    const { walker } = guest(memoryWith());
    expect(formatWalk(walker.explain(0x5678, Read))).toMatch(/\n {2}1 reference in both stages$/);
  });
});
