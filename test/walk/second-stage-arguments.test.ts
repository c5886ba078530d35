import { Access, VmError } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import {
  AArch64Stage2,
  AArch64Walker,
  type RadixWalker,
  RiscvGStage,
  RiscvWalker,
  X86Ept,
  X86Npt,
  X86Walker,
} from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

const memory = PhysicalMemory.allocate(0x10_0000, { base: 0 });

const STAGES: Readonly<Record<string, unknown>> = {
  'a G stage': new RiscvGStage({ memory }),
  'a stage 2': new AArch64Stage2({ memory }),
  'an EPT': new X86Ept({ memory, eptp: 0x101e }),
  'nested paging': new X86Npt({ memory, cr3: 0x1000 }),
  'a RISC-V walker': new RiscvWalker({ memory }),
  'an x86 walker': new X86Walker({ memory }),
  'an object': { memory },
  'an object that says so': { memory, stageType: 'x86-ept', tableAccess: 0, updateAccess: 1 },
};

/** What callers of JavaScript may do. */
function make(walker: new (options: never) => RadixWalker, secondStage: unknown): RadixWalker {
  return Reflect.construct(walker, [{ memory, secondStage }]);
}

const GUESTS = [
  ['RiscvWalker', RiscvWalker, ['a G stage']],
  ['AArch64Walker', AArch64Walker, ['a stage 2']],
  ['X86Walker', X86Walker, ['an EPT', 'nested paging']],
  ['X86Npt', X86Npt, []],
] as const;

describe('a second stage', () => {
  it.each(GUESTS)('of %s is one of its architecture', (_, guest, accepted) => {
    for (const [name, stage] of Object.entries(STAGES)) {
      const given = (): RadixWalker => make(guest, stage);
      if (accepted.some((one) => one === name)) expect(given).not.toThrow();
      else expect(given, name).toThrow(VmError);
    }
  });

  it.each([
    [new RiscvGStage({ memory }), RiscvWalker],
    [new AArch64Stage2({ memory }), AArch64Walker],
    [new X86Ept({ memory, eptp: 0x101e }), X86Walker],
    [new X86Npt({ memory, cr3: 0x1000 }), X86Walker],
  ])(
    'stands in the snapshot of a guest, which is restored over such a one alone (%#)',
    (stage, Guest) => {
      const restore = (snapshot: unknown, options: unknown): unknown =>
        Reflect.apply(Guest.restore, Guest, [snapshot, options]);
      const snapshot = Reflect.apply(Guest.prototype.snapshot, make(Guest, stage), []);
      expect(snapshot).toMatchObject({ secondStage: stage.stageType });
      expect(() => restore(snapshot, { memory })).toThrow(VmError);
      expect(() => restore(snapshot, { memory, secondStage: stage })).not.toThrow();
      const alone = { ...snapshot, secondStage: null };
      expect(() => restore(alone, { memory, secondStage: stage })).toThrow(VmError);
      expect(() => restore(alone, { memory })).not.toThrow();
    },
  );

  it('of the other vendor is another one', () => {
    const [ept, npt] = [new X86Ept({ memory, eptp: 0x101e }), new X86Npt({ memory, cr3: 0x1000 })];
    const saved = new X86Walker({ memory, secondStage: ept }).snapshot();
    expect(() => X86Walker.restore(saved, { memory, secondStage: npt })).toThrow(VmError);
  });

  it('of RISC-V must have the extensions that its guest is to have', () => {
    const secondStage = new RiscvGStage({ memory, adue: true });
    expect(() => new RiscvWalker({ memory, pbmte: true, secondStage })).toThrow(VmError);
    const walker = new RiscvWalker({ memory, adue: true, secondStage });
    expect(() => {
      walker.pbmte = true;
    }).toThrow(VmError);
    expect(walker.pbmte).toBe(false);
    secondStage.pbmte = true;
    walker.pbmte = true;
    expect(walker.pbmte).toBe(true);
    const none = new RiscvWalker({ memory, secondStage: new RiscvGStage({ memory }) });
    expect(() => {
      none.adue = true;
    }).toThrow(VmError);
  });
});

describe('an EPT', () => {
  it.each([3, 0.5, Number.NaN, 2 ** 32, -1, Access.Fetch | Access.ReadModifyWrite, Access.Machine])(
    'refuses access %s before its fast path, too',
    (access) => {
      const tables = PhysicalMemory.allocate(0x4000, { base: 0 });
      tables.write(0x1000, 8, 0x2507n);
      tables.write(0x2000, 8, 0x7b7n);
      const ept = new X86Ept({ memory: tables, eptp: 0x101e });
      expect(ept.walk(0, Access.Read)).toBe(0);
      expect(() => ept.walk(0, access)).toThrow(VmError);
      expect(() => ept.probe(0, access)).toThrow(VmError);
    },
  );
});
