import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { sv39 } from 'pagewright/pte';
import { Pmp, RiscvGStage, RiscvWalker, X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';

const ram = (): PhysicalMemory => PhysicalMemory.allocate(0x4000, { base: 0 });

describe('a snapshot of an x86 walker', () => {
  const walkers = (memory: PhysicalMemory): readonly X86Walker[] => [
    new X86Walker({ memory, cr3: 0x1000 }),
    new X86Walker({ memory, cr0: 0x8001_0001, cr3: 0x1000, cr4: 0x10, efer: 0, pse36: false }),
    new X86Walker({ memory, cr4: 0x20, efer: 0x800, pdptes: [0x1001n, 0n, 0x2001n, 0n] }),
    new X86Walker({ memory, cr4: 0x70_1020, maxPhyAddr: 40, accessedOnFault: true }),
    new X86Walker({ memory, cr0: 0x11 }),
  ];

  it('gives the same walker back, in every mode, and survives JSON', () => {
    const memory = ram();
    for (const walker of walkers(memory)) {
      walker.ac = true;
      walker.pkru = 0x5555_5554;
      walker.pkrs = 1;
      const saved = walker.snapshot();
      const restored = X86Walker.restore(JSON.parse(JSON.stringify(saved)), { memory });
      expect(restored.snapshot()).toEqual(saved);
      expect(restored.mode).toBe(walker.mode);
      restored.checkInvariants();
    }
  });

  it('refuses another version and damaged registers', () => {
    const memory = ram();
    const saved = new X86Walker({ memory }).snapshot();
    const version = { ...saved, v: 2 as 1 };
    expectError(() => X86Walker.restore(version, { memory }), 'unsupported', 'snapshot.v');
    const damaged = { ...saved, cr3: 'tampered' };
    expectError(() => X86Walker.restore(damaged, { memory }), 'bad-image', 'snapshot.cr3');
  });
});

describe('a snapshot of a RISC-V walker', () => {
  it('gives the same walker back, its PMP included', () => {
    const memory = ram();
    const pmp = new Pmp();
    pmp.setAddress(0, (1n << 54n) - 1n);
    pmp.setConfig(0, 0x9f);
    const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 1n, pmp, svnapot: false });
    Object.assign(walker, { sum: true, mxr: true, mprv: true, mpp: 3, adue: true, pbmte: true });
    const saved = walker.snapshot();
    const restored = RiscvWalker.restore(JSON.parse(JSON.stringify(saved)), { memory });
    expect(restored.snapshot()).toEqual(saved);
    expect(restored.format).toBe(sv39);
    restored.checkInvariants();
    const narrow = new RiscvWalker({ memory, xlen: 32, satp: (1n << 31n) | 1n });
    expect(RiscvWalker.restore(narrow.snapshot(), { memory }).snapshot()).toEqual(
      narrow.snapshot(),
    );
  });

  it('refuses another version', () => {
    const memory = ram();
    const version = { ...new RiscvWalker({ memory }).snapshot(), v: 2 as 1 };
    expectError(() => RiscvWalker.restore(version, { memory }), 'unsupported', 'snapshot.v');
  });
});

describe('the invariants of a walker', () => {
  it('hold after every change of its registers, its memory and its observer', () => {
    const memory = ram();
    const x86 = new X86Walker({ memory, cr3: 0x1000, cr4: 0x20 });
    const riscv = new RiscvWalker({ memory, pmp: new Pmp() });
    const stage = new RiscvGStage({ memory, xlen: 32 });
    const steps: readonly (() => unknown)[] = [
      () => x86.writeCr4(0x70_00a0),
      () => x86.loadCr3(0x2000),
      () => x86.writeCr0(0x8000_0001),
      () => Object.assign(x86, { ac: true, observer: () => undefined }),
      () => Object.assign(x86, { observer: null }),
      () => riscv.setSatp((9n << 60n) | 1n),
      () => Object.assign(riscv, { sum: true, pbmte: true, mpp: 1 }),
      () => riscv.pmp?.setConfig(0, 0x1f),
      () => memory.addRam({ base: 0x10_0000, bytes: 0x1000 }),
      () => riscv.walk(5, Access.Read),
      // The mode's shape goes with it; a PMP that opens or closes the tables counts at once.
      () => riscv.setSatp(0),
      () => riscv.setSatp((8n << 60n) | 1n),
      () => riscv.pmp?.setAddress(0, (1n << 54n) - 1n),
      () => riscv.pmp?.setConfig(0, 0),
      () => Object.assign(riscv, { pbmte: false }),
      () => stage.setHgatp((1n << 31n) | 1n),
      () => stage.setHgatp(0),
    ];
    for (const step of steps) {
      step();
      x86.checkInvariants();
      riscv.checkInvariants();
      stage.checkInvariants();
    }
  });

  it('notice a field that went astray', () => {
    const walker = new X86Walker({ memory: ram(), cr3: 0x1000 });
    Reflect.set(walker, 'reservedHigh', 7);
    expect(() => walker.checkInvariants()).toThrow('reservedHigh is 7');
  });
});

describe('a RISC-V walker', () => {
  it('refuses a privilege in MPP that there is not, and a PMP of another width', () => {
    const memory = ram();
    const walker = new RiscvWalker({ memory });
    expectError(() => Reflect.set(walker, 'mpp', 2), 'bad-argument', 'mpp');
    expect(walker.mpp).toBe(0);
    expectError(() => new RiscvWalker({ memory, xlen: 32, pmp: new Pmp() }), 'bad-argument', 'pmp');
  });
});
