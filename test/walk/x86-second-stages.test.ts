import { Access, VmError } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { decodeEptQualification, decodeNpfExitInfo } from 'pagewright/pte';
import { mappings, X86Ept, type X86EptOptions, X86Npt, X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

const EPTP = 0x101en;

/** An EPT whose PML4E and PDPTE lead to a page directory at 0x3000, and a page table at 0x4000. */
function ept(pde: bigint, pte: bigint, options: Partial<X86EptOptions> = {}): X86Ept {
  const memory = PhysicalMemory.allocate(0x40_0000, { base: 0 });
  memory.write(0x1000, 8, 0x2507n);
  memory.write(0x2000, 8, 0x3507n);
  memory.write(0x3000, 8, pde);
  memory.write(0x4000, 8, pte);
  return new X86Ept({ memory, eptp: EPTP, ...options });
}

const POINTER = 0x4507n;
/** Read, write, execute, write-back; A, D, XU. */
const LEAF = 0x9737n;

describe('a VM exit', () => {
  /** A guest whose PML4 is at guest-physical 0x10000. */
  function guest(stage: X86Ept | X86Npt): X86Walker {
    const { memory } = stage;
    memory.write(0x1_0000, 8, 0x1_1007n);
    memory.write(0x1_1000, 8, 0x87n);
    return new X86Walker({ memory, cr3: 0x1_0000, secondStage: stage });
  }

  it('for an EPT violation has its qualification: the access, what the entries allow, what was translated', () => {
    const stage = ept(0xb5n, 0n);
    const walker = guest(stage);
    // The guest's tables are read-only for it, but without accessed and dirty flags reading is no write ...
    expect(walker.walk(0, Access.Read)).toBeLessThan(0);
    const { exit } = walker.fault;
    // ... while the guest's own A flags are.
    expect(exit).toMatchObject({ kind: 'ept-violation', gpa: 0x1_0000n, linear: 0n });
    const qualification = exit?.kind === 'ept-violation' ? exit.qualification : 0n;
    const { FINAL, LINEAR, R_ALLOWED, W_ALLOWED, WRITE } =
      decodeEptQualification(qualification).fields;
    expect([WRITE, R_ALLOWED, W_ALLOWED, LINEAR, FINAL]).toEqual([1, 1, 0, 1, 0]);
    expect(walker.fault.purpose).toBe('table-update');
  });

  it('for the access itself is final', () => {
    const stage = ept(0xb7n, 0n);
    const walker = guest(stage);
    const answer = walker.translate(0x4000_0000 - 0x1000, Access.Write);
    expect(answer).toMatchObject({
      kind: 'fault',
      reason: 'not-present',
      secondStage: { gpa: 0x3fff_f000n, purpose: 'access' },
      x86: { exit: { kind: 'ept-violation', qualification: 0x182n } },
    });
  });

  it('for a misconfiguration has the guest-physical address only', () => {
    const walker = guest(ept(0xafn | 0x10n, 0n));
    walker.walk(0, Access.Read);
    expect(walker.fault.exit).toEqual({ kind: 'ept-misconfiguration', gpa: 0x1_0000n });
  });

  it('is none where the platform decides', () => {
    const walker = guest(ept(0x8000_0507n, 0n));
    walker.walk(0, Access.Read);
    expect(walker.fault.exit).toEqual({ kind: 'bus-error', gpa: 0x1_0000n });
  });

  it('for nested paging tells guest tables from the final address, always as a user access', () => {
    const memory = PhysicalMemory.allocate(0x40_0000, { base: 0 });
    memory.write(0x1000, 8, 0x2007n);
    memory.write(0x2000, 8, 0x3007n);
    memory.write(0x3000, 8, 0xe5n);
    const walker = guest(new X86Npt({ memory, cr3: 0x1000 }));
    expect(walker.walk(0, Access.Read)).toBeLessThan(0);
    const { exit } = walker.fault;
    expect(exit).toEqual({ kind: 'npf', exitInfo1: 0x2_0000_0007n, gpa: 0x1_0000n });
    expect(decodeNpfExitInfo(0x2_0000_0007n).translating).toBe('guest-table');
    memory.write(0x3000, 8, 0xe7n);
    expect(walker.walk(0, Access.Read)).toBe(0);
    walker.walk(0x3ffff, Access.Write);
    expect(walker.fault.exit).toEqual({
      kind: 'npf',
      exitInfo1: 0x1_0000_0006n,
      gpa: 0x3fff_f000n,
    });
  });

  it("is missing from the guest's own faults", () => {
    const walker = guest(ept(0xb7n, 0n));
    walker.walk(2 ** 35, Access.Read);
    expect([walker.fault.vector, walker.fault.exit]).toEqual([13, null]);
  });
});

describe('PDPTEs of a PAE guest', () => {
  it('are loaded through EPT by MOV to CR3, which may exit', () => {
    const stage = ept(0xb7n, 0n);
    const { memory } = stage;
    memory.write(0x1_0000, 8, 0x1_1001n);
    const registers = { cr4: 0x20, efer: 0x800 };
    const walker = new X86Walker({ memory, cr3: 0x1_0000, ...registers, secondStage: stage });
    expect(walker.loadedPdptes[0]).toBe(0x1_1001n);
    expect(walker.loadCr3(0x4000_0000)).toMatchObject({
      kind: 'exit',
      exit: { kind: 'ept-violation', gpa: 0x4000_0000n },
    });
    expect(walker.cr3).toBe(0x1_0000n);
    const make = (): X86Walker =>
      new X86Walker({ memory, cr3: 0x4000_0000, ...registers, secondStage: stage });
    expect(make).toThrow(VmError);
  });

  it('are plain reads for EPT, and their exit has no linear address', () => {
    // A and D of EPT are enabled, and the page of the PDPTEs is read-only with both clear.
    const stage = ept(POINTER, LEAF, { eptp: 0x105en });
    const { memory } = stage;
    memory.write(0x4000 + 8 * 16, 8, 0x1_0035n);
    memory.write(0x1_0000, 8, 0x1_1001n);
    const registers = { cr4: 0x20, efer: 0x800, pdptes: [0, 0, 0, 0] };
    const walker = new X86Walker({ memory, cr3: 0, ...registers, secondStage: stage });
    expect(walker.loadCr3(0x1_0000)).toMatchObject({ kind: 'written', pdptesLoaded: true });
    expect(memory.read(0x4000 + 8 * 16, 8)).toMatchObject({ value: 0x1_0135n });
    const gpa = 0x4000_0000n;
    expect(walker.loadCr3(gpa)).toEqual({
      kind: 'exit',
      exit: { kind: 'ept-violation', qualification: 1n, gpa, linear: null },
    });
    memory.write(0x4000 + 8 * 17, 8, 0x1_1034n);
    expect(walker.loadCr3(0x1_1000)).toMatchObject({ exit: { qualification: 0x21n } });
    // Where an entry of EPT is not in memory, there is nothing to exit with.
    memory.write(0x1008, 8, 0x8000_0507n);
    expect(walker.loadCr3(1n << 31n)).toMatchObject({ kind: 'exit' });
    memory.write(0x2008, 8, 0x8000_0507n);
    expect(walker.loadCr3(gpa)).toMatchObject({ kind: 'fault', vector: 13 });
  });

  it('are read on every walk under nested paging, reserved bits included', () => {
    const memory = PhysicalMemory.allocate(0x40_0000, { base: 0 });
    memory.write(0x1000, 8, 0x2007n);
    memory.write(0x2000, 8, 0xe7n);
    const secondStage = new X86Npt({ memory, cr3: 0x1000 });
    const walker = new X86Walker({ memory, cr3: 0x1_0000, cr4: 0x20, efer: 0x800, secondStage });
    walker.walk(0, Access.Read);
    expect([walker.fault.vector, walker.fault.errorCode]).toEqual([14, 0]);
    memory.write(0x1_0000, 8, 0x1_1007n);
    walker.walk(0, Access.Read);
    expect([walker.fault.vector, walker.fault.errorCode]).toEqual([14, 9]);
    memory.write(0x1_0000, 8, 0x1_1001n);
    memory.write(0x1_1000, 8, 0xe7n);
    expect(walker.walk(7, Access.Read)).toBe(7);
    expect(walker.explain(0x7000, Access.Read).steps).toHaveLength(2);
    const lost = new X86Walker({ memory, cr3: 0x80_0000, cr4: 0x20, efer: 0x800, secondStage });
    lost.walk(0, Access.Read);
    expect(lost.fault.reason).toBe('bus-error');
  });
});

describe('EPT as a walker', () => {
  it('enumerates what it maps, and tells its memory types', () => {
    const stage = ept(POINTER, LEAF);
    const leaf = { memoryType: 6, ignorePat: false, execute: true, executeUser: true };
    expect([...mappings(stage)].map((m) => [m.va, m.pa, m.ept])).toEqual([[0n, 0x9000n, leaf]]);
  });

  it('can be saved and made again, and refuses an EPTP that VM entry does', () => {
    const stage = ept(POINTER, LEAF, { modeBasedExecute: true, maxPhyAddr: 40 });
    const again = X86Ept.restore(stage.snapshot(), { memory: stage.memory });
    expect(again.snapshot()).toEqual(stage.snapshot());
    expect(() => stage.checkInvariants()).not.toThrow();
    for (const eptp of [0x1006n, 0x109en, 1n << 45n, 0x1019n]) {
      expect(() => stage.setEptp(eptp)).toThrow(VmError);
    }
    expect(stage.eptp).toBe(EPTP);
    expect(() => stage.walk(0, Access.Machine)).toThrow(VmError);
    expect(stage.translate(0, Access.Write | Access.ReadModifyWrite)).toMatchObject({
      kind: 'page',
    });
  });

  it('of nested paging can be saved, too', () => {
    const memory = PhysicalMemory.allocate(0x4000, { base: 0 });
    const npt = new X86Npt({ memory, cr3: 0x1000 });
    expect(X86Npt.restore(npt.snapshot(), { memory }).snapshot()).toEqual(npt.snapshot());
    const walker = new X86Walker({ memory, cr3: 0x2000, secondStage: npt });
    const again = X86Walker.restore(walker.snapshot(), { memory, secondStage: npt });
    expect(again.snapshot()).toEqual(walker.snapshot());
  });
});
