import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { mappings, mergedMappings, Pmp, RiscvGStage, RiscvWalker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

const { Fetch, Hlvx, ImplicitSupervisor, Read, User, Write } = Access;
const SV39X4 = 8n << 60n;

/** RAM of 1 MiB whose Sv39x4 root at 0x4000 maps the first GiB onto itself by a leaf with the given low byte. */
function stageOf(leaf: bigint, pmp?: Pmp): RiscvGStage {
  const memory = PhysicalMemory.allocate(0x10_0000, { base: 0 });
  memory.write(0x4000, 8, leaf);
  return new RiscvGStage({ memory, hgatp: SV39X4 | 4n, ...(pmp && { pmp }) });
}

/** PMP that gives everything the same rights. */
function pmpOf(rights: number): Pmp {
  const pmp = new Pmp();
  pmp.setAddress(0, (1n << 54n) - 1n);
  pmp.setConfig(0, 0x18 | rights);
  return pmp;
}

describe('hgatp (21.2.10)', () => {
  it('keeps its MODE when the new one is reserved, and takes the other fields', () => {
    const stage = stageOf(0xdfn);
    expect(stage.setHgatp((5n << 60n) | (7n << 44n) | 0x80400n)).toMatchObject({ kind: 'written' });
    expect(stage.hgatp).toBe(SV39X4 | (7n << 44n) | 0x80400n);
    expect([stage.vmid, stage.rootAt(0), stage.format?.name]).toEqual([7, 0x80400, 'sv39x4']);
    stage.setHgatp(0n);
    stage.setHgatp((1n << 60n) | 4n);
    expect([stage.hgatp, stage.format]).toEqual([4n, null]);
  });

  it('has reserved bits that are read-only 0', () => {
    const stage = stageOf(0xdfn);
    stage.setHgatp(SV39X4 | (3n << 58n) | 0x80400n);
    expect(stage.hgatp).toBe(SV39X4 | 0x80400n);
    const { memory } = stage;
    const narrow = new RiscvGStage({ memory, xlen: 32, hgatp: 0xffff_ffff });
    expect(narrow.hgatp).toBe(0x9fff_fffcn);
  });

  it('has a PPN whose two low bits are read-only 0 while a mode is selected', () => {
    const stage = stageOf(0xdfn);
    stage.setHgatp(SV39X4 | 7n);
    expect([stage.hgatp, stage.rootAt(0), stage.walk(5, Read)]).toEqual([SV39X4 | 4n, 4, 5]);
    stage.setHgatp(7n);
    expect(stage.hgatp).toBe(7n);
    expect(() => stage.checkInvariants()).not.toThrow();
  });
});

describe('PMP under two stages', () => {
  it('must let HLVX read and execute, while the tables need X alone (21.3.1)', () => {
    for (const [rights, allowed] of [
      [1, false],
      [3, false],
      [4, false],
      [5, true],
      [7, true],
    ] as const) {
      // The tables lie below 0x8000, where everything is allowed.
      const pmp = pmpOf(rights);
      pmp.setAddress(1, pmp.address(0));
      pmp.setConfig(1, 0x18 | rights);
      pmp.setAddress(0, 0x8000n / 4n);
      pmp.setConfig(0, 0x0f);
      const secondStage = stageOf(0xd9n, pmp);
      const walker = new RiscvWalker({ memory: secondStage.memory, secondStage });
      const result = walker.walk(0x20, Read | Hlvx);
      expect([rights, result >= 0]).toEqual([rights, allowed]);
      if (!allowed) expect(walker.fault.cause).toBe(5);
    }
  });

  it('refuses with access faults, of the kind of the access, and never with guest-page faults', () => {
    const secondStage = stageOf(0xdfn, pmpOf(1));
    const { memory } = secondStage;
    memory.write(0x8000, 8, 0xdfn);
    const bare = new RiscvWalker({ memory, secondStage });
    const causes = [Read, Write, Fetch].map((access) => {
      bare.walk(0x20, access);
      return [bare.fault.cause, bare.fault.reason, bare.fault.htval, bare.fault.tinst];
    });
    const reason = 'physical-protection';
    expect(causes[0]?.[1]).not.toBe(reason);
    expect(causes.slice(1)).toEqual([
      [7, reason, 0n, 0],
      [1, reason, 0n, 0],
    ]);
    const closed = stageOf(0xdfn, pmpOf(0));
    const guest = new RiscvWalker({
      memory: closed.memory,
      satp: SV39X4 | 8n,
      secondStage: closed,
    });
    guest.walk(0x20, Write | User);
    expect([guest.fault.cause, guest.fault.htval, guest.fault.gva]).toEqual([7, 0n, true]);
  });
});

describe('a G stage by itself', () => {
  it('raises guest-page faults', () => {
    const stage = stageOf(0xdfn);
    const [gpa, table] = [0x4000_1238n, ImplicitSupervisor];
    for (const [access, cause, tinst] of [
      [Fetch, 20, 0],
      [Read, 21, 0],
      [Write, 23, 0],
      [Read | table, 21, 0x3000],
      [Write | table, 23, 0x3020],
    ] as const) {
      const riscv = { cause, tval: gpa, htval: gpa >> 2n, tinst, gva: true };
      expect(stage.translate(gpa, access)).toMatchObject({ kind: 'fault', riscv });
      expect(stage.explain(gpa, access).outcome).toMatchObject({ riscv });
      expect([stage.fault.cause, stage.fault.tinst, stage.fault.htval]).toEqual([
        cause,
        tinst,
        gpa >> 2n,
      ]);
    }
    expect(stage.translate(0, Read)).toMatchObject({ kind: 'page' });
  });

  it('shows them in the reports of a guest', () => {
    const secondStage = stageOf(0xdfn);
    const { memory } = secondStage;
    const walker = new RiscvWalker({ memory, satp: SV39X4 | 0x40000n, secondStage });
    const report = walker.explain(0, Read | User);
    const inner = { cause: 21, htval: 0x4000_0000n >> 2n, tinst: 0x3000 };
    expect(report.unread?.secondStage.outcome).toMatchObject({ riscv: inner });
    expect(report.outcome).toMatchObject({ riscv: { ...inner, tval: 0n } });
  });

  it('passes leaves with U=0 over: no access can use them', () => {
    const stage = stageOf(0xcfn);
    stage.memory.write(0x4008, 8, 0xdfn);
    expect([...mappings(stage)].map(({ va }) => va)).toEqual([0x4000_0000n]);
    expect(mergedMappings(stage).ranges.map(({ va }) => va)).toEqual([0x4000_0000n]);
    expect(stage.walk(0, Read)).toBeLessThan(0);
  });
});

describe('menvcfg, which a G stage has', () => {
  /** A guest with a leaf for 1 GiB at 0, and the second stage. */
  function guest(leaf: bigint): { secondStage: RiscvGStage; walker: RiscvWalker } {
    const secondStage = stageOf(0xdfn);
    Object.assign(secondStage, { adue: true, pbmte: true });
    const { memory } = secondStage;
    memory.write(0x8000, 8, leaf);
    const options = { memory, satp: (8n << 60n) | 8n, adue: true, pbmte: true };
    return { secondStage, walker: new RiscvWalker({ ...options, secondStage }) };
  }

  it('takes PBMTE away from its guest, and gives it back, whatever the guest has walked before', () => {
    const { secondStage, walker } = guest((1n << 61n) | 0xdfn);
    const answers = [true, false, true].map((pbmte) => {
      secondStage.pbmte = pbmte;
      const result = walker.probe(0x20, Read | User);
      expect(walker.walk(0x20, Read | User)).toBe(result);
      walker.checkInvariants();
      return [walker.pbmte, result < 0 ? walker.fault.reason : result];
    });
    expect(answers).toEqual([
      [true, 0x20],
      [false, 'reserved-bits'],
      [true, 0x20],
    ]);
  });

  it('takes ADUE away from its guest', () => {
    const { secondStage, walker } = guest(0x1fn);
    secondStage.adue = false;
    expect([walker.adue, walker.snapshot().adue]).toEqual([false, false]);
    expect(walker.walk(0x20, Read | User)).toBeLessThan(0);
    expect(walker.fault.reason).toBe('accessed-clear');
    // What the guest's own bit says counts for none of the other's.
    walker.pbmte = true;
    walker.checkInvariants();
    secondStage.adue = true;
    expect(walker.walk(0x20, Read | User)).toBe(0x20);
  });
});
