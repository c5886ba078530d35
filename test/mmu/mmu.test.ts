import { Access, Prot, VmError } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { Mmu, type MmuEvent, type MmuObserver } from 'pagewright/mmu';
import { Invalidations, PageTable } from 'pagewright/page-table';
import { definePteFormat, eptLong4, type PteFormat, sv39, x86Long4 } from 'pagewright/pte';
import {
  PagingStructureCache,
  Tlb,
  TlbContexts,
  TlbHierarchy,
  x86Structures,
} from 'pagewright/tlb';
import { FormatWalker, RiscvWalker, X86Ept, X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

const { Read, User, Write } = Access;

function tables(format: PteFormat, context = 0) {
  const memory = PhysicalMemory.allocate(0x80000, { base: 0 });
  const frames = new FramePool({ first: 0, frames: 128 });
  const owed = new Invalidations({ frames });
  const table = new PageTable({ format, memory, frames, context });
  const flags = table.flags({ prot: Prot.Read | Prot.Write | Prot.User, dirty: false });
  table.mapRange({ vpn: 0x100, pfn: 0x50, pages: 8, flags }, owed);
  owed.complete();
  return { flags, frames, memory, owed, table };
}

function x86(context = 0, observer?: MmuObserver) {
  const made = tables(x86Long4, context);
  const walker = new X86Walker({ memory: made.memory, cr3: made.table.root * 4096 });
  const contexts = new TlbContexts();
  const tlb = new Tlb({ entries: 16, contexts });
  const structures = new PagingStructureCache({
    ...x86Structures({ pde: 4, pdpte: 2, pml4e: 2 }),
    contexts,
  });
  const parts = { walker, tlb, structures };
  const mmu = new Mmu(observer === undefined ? parts : { ...parts, observer });
  return { ...made, mmu, structures, tlb, walker };
}

describe('an access', () => {
  it('walks once, and hits from then on, for loads and stores when the walk was for a store', () => {
    const { mmu } = x86();
    mmu.translatePage(0x100, Write);
    mmu.translatePage(0x100, Read);
    mmu.translatePage(0x100, Write | User);
    expect(mmu.statistics()).toMatchObject({ hits: 2, misses: 1, walks: 1, fills: { 0: 1 } });
  });

  it('walks again for the first store to a page that was read', () => {
    const { mmu, table } = x86();
    mmu.translatePage(0x100, Read);
    expect(table.testDirty(0x100)).toBe(0);
    mmu.translatePage(0x100, Write);
    expect(table.testDirty(0x100)).toBe(1);
    expect(mmu.statistics().walks).toBe(2);
  });

  it('begins its walk at the paging-structure cache when its table is known', () => {
    const { mmu } = x86();
    mmu.translatePage(0x100, Write);
    const before = mmu.statistics().walkReferences;
    mmu.translatePage(0x101, Read);
    // Its accessed bit is set already: mapped pages are accessed.
    expect(mmu.statistics()).toMatchObject({ structureHits: 1, walkReferences: before + 1 });
  });

  it('drops what is cached of its address when it page-faults, on x86', () => {
    const { mmu, structures, table, owed, tlb, walker } = x86();
    table.protect(0x100, Prot.Read | Prot.User, owed);
    mmu.invalidate(owed);
    mmu.translatePage(0x100, Read);
    expect([tlb.used, structures.used[0]]).toEqual([1, 1]);
    expect(mmu.translatePage(0x100, Write | User)).toBeLessThan(0);
    expect(walker.fault.vector).toBe(14);
    expect([tlb.used, structures.used[0]]).toEqual([0, 0]);
  });

  it('tells its observer of the walk, then of the entry or the fault', () => {
    const events: MmuEvent[] = [];
    const { mmu } = x86(0, (event) => events.push(event));
    events.length = 0;
    mmu.translatePage(0x100, Read);
    mmu.translatePage(0x100, Read);
    mmu.translatePage(0x300, Read);
    expect(events.map(({ type }) => type)).toEqual([
      'mmu-walk',
      'mmu-fill',
      'mmu-walk',
      'mmu-fault',
    ]);
    expect(events[2]).toMatchObject({ vpn: 0x300, references: 3, from: -1 });
  });
});

describe('what was changed in the tables', () => {
  it('is not seen until it is invalidated, and is then', () => {
    const { mmu, owed, table } = x86();
    mmu.translatePage(0x100, Read);
    table.remap(0x100, 0x77, owed);
    expect(mmu.translatePage(0x100, Read)).toBe(0x50);
    expect(mmu.invalidate(owed)).toBe(1);
    expect(mmu.translatePage(0x100, Read)).toBe(0x77);
  });

  it('is invalidated whatever number its space has, where spaces have none', () => {
    const { mmu, owed, table } = x86(7);
    mmu.translatePage(0x100, Read);
    table.remap(0x100, 0x77, owed);
    mmu.invalidate(owed);
    expect(mmu.translatePage(0x100, Read)).toBe(0x77);
  });

  it('in a second stage drops whatever went through it', () => {
    const { guest, mmu, owed, stages } = nested();
    expect(mmu.translatePage(0x100, Read)).toBe(0x50);
    stages[0]!.remap(0x50, 0x66, owed);
    mmu.invalidate(owed, 2);
    expect(mmu.translatePage(0x100, Read)).toBe(0x66);
    expect(guest.testDirty(0x100)).toBe(0);
  });
});

/** A guest over two second stages that give its frame 0x50 different frames. */
function nested() {
  const { frames, memory, owed, table: guest } = tables(x86Long4);
  const stages = [0x50, 0x51].map((pfn) => {
    const stage = new PageTable({ format: eptLong4, memory, frames, context: 9 });
    const flags = stage.flags({ prot: Prot.Read | Prot.Write | Prot.Execute });
    stage.mapRange({ vpn: 0, pfn: 0, pages: 0x50, flags }, owed);
    stage.map(0x50, pfn, flags, owed);
    return stage;
  });
  owed.complete();
  const eptp = stages.map(({ root }) => (BigInt(root) << 12n) | 0x1en);
  const secondStage = new X86Ept({ memory, eptp: eptp[0]! });
  const walker = new X86Walker({ memory, cr3: guest.root * 4096, secondStage });
  const mmu = new Mmu({ walker, tlb: new Tlb({ entries: 16 }) });
  return { eptp, guest, mmu, owed, secondStage, stages };
}

describe('registers', () => {
  it('of a second stage make another context, to which entries of the first do not belong', () => {
    const { eptp, mmu, secondStage } = nested();
    expect(mmu.translatePage(0x100, Read)).toBe(0x50);
    secondStage.setEptp(eptp[1]!);
    expect(mmu.translatePage(0x100, Read)).toBe(0x51);
    secondStage.setEptp(eptp[0]!);
    expect(mmu.translatePage(0x100, Read)).toBe(0x50);
    expect(mmu.statistics().walks).toBe(2);
  });

  it('drop what their writes drop: MOV to CR3 without PCIDs everything but global pages', () => {
    const { mmu, table, tlb, walker } = x86();
    mmu.translatePage(0x100, Read);
    walker.loadCr3(table.root * 4096);
    expect(tlb.used).toBe(0);
  });

  it('of a walker do nothing any more to an MMU that is detached', () => {
    const { mmu, table, tlb, walker } = x86();
    mmu.translatePage(0x100, Read);
    mmu.detach();
    walker.loadCr3(table.root * 4096);
    expect(tlb.used).toBe(1);
  });

  it('cost a flush without ASIDs, and nothing with them', () => {
    const made = tables(sv39);
    const walker = new RiscvWalker({ memory: made.memory });
    const mmu = new Mmu({ walker, tlb: new Tlb({ entries: 16 }) });
    const satp = (asid: bigint): bigint => (8n << 60n) | (asid << 44n) | BigInt(made.table.root);
    for (const asid of [1n, 2n, 1n, 2n]) {
      walker.setSatp(satp(asid));
      mmu.translatePage(0x100, Read | User);
    }
    expect(mmu.statistics()).toMatchObject({ hits: 2, walks: 2, switches: 5 });
    expect(mmu.cycles({ hit: 1, walk: 10, walkReference: 20, switch: 100 })).toBe(642);
  });
});

describe('an explanation', () => {
  it('tells whether an entry serves the access, and what a walk finds', () => {
    const { mmu } = x86();
    expect(mmu.explain(0x10_0123, Read)).toMatchObject({ kind: 'miss', entry: null });
    mmu.translatePage(0x100, Read);
    expect(mmu.explain(0x10_0123, Read)).toMatchObject({
      kind: 'hit',
      entry: { level: 1, pfn: 0x50, serves: true },
      walk: { outcome: { kind: 'page' } },
    });
    expect(mmu.explain(0x10_0123, Write)).toMatchObject({ kind: 'denied' });
    expect(mmu.statistics().walks).toBe(1);
  });

  it('finds the level of a hierarchy', () => {
    const { memory, table } = tables(x86Long4);
    const walker = new X86Walker({ memory, cr3: table.root * 4096 });
    const first = [{ entries: 1 }];
    const tlb = new TlbHierarchy({ fetch: first, load: first, second: [{ entries: 16 }] });
    const mmu = new Mmu({ walker, tlb });
    mmu.translatePage(0x100, Read);
    mmu.translatePage(0x101, Read);
    expect(mmu.explain(0x10_0000, Read)).toMatchObject({ entry: { level: 2 } });
    mmu.translatePage(0x100, Read);
    expect(mmu.statistics()).toMatchObject({ hits: 0, secondHits: 1, misses: 2 });
    expect(mmu.translate(0x10_0000, Read)).toMatchObject({ kind: 'page', pfn: 0x50 });
  });
});

describe('an MMU of a format of your own', () => {
  it('counts in its pages', () => {
    const format = definePteFormat({
      name: 'two levels of 32-byte pages',
      pageBytes: 32,
      entryBytes: 1,
      levels: [{ bits: 5 }, { bits: 5 }],
      bits: { valid: 7, frame: [6, 0] },
    });
    const memory = PhysicalMemory.allocate(0x1000, { base: 0 });
    memory.write(108 * 32 + 24, 1, 0x80 | 33);
    memory.write(33 * 32 + 3, 1, 0x80 | 50);
    memory.write(50 * 32 + 7, 1, 0x5a);
    const walker = new FormatWalker({ memory, format, root: 108 });
    const mmu = new Mmu({ walker, tlb: new Tlb({ entries: 4 }) });
    const va = (24 * 32 + 3) * 32 + 7;
    expect(mmu.read(va, 1)).toMatchObject({ kind: 'value', value: 0x5an });
    expect(mmu.explain(va, Read)).toMatchObject({ kind: 'hit', entry: { pfn: 50 } });
  });
});

describe('parts', () => {
  it('have to go together', () => {
    const { mmu, structures, tlb, walker } = x86();
    const other = new Tlb({ entries: 4 });
    const first = [{ entries: 1 }];
    const levels = { fetch: first, load: first, second: [] };
    const nestedLevels = new TlbHierarchy({ ...levels, nested: { entries: 4 } });
    // @ts-expect-error: no walker
    expect(() => new Mmu({ walker: {}, tlb })).toThrow(VmError);
    // @ts-expect-error: no TLB
    expect(() => new Mmu({ walker, tlb: {} })).toThrow(VmError);
    // @ts-expect-error: no function
    expect(() => new Mmu({ walker, tlb, observer: 1 })).toThrow(VmError);
    expect(() => new Mmu({ walker, tlb: other, structures })).toThrow(VmError);
    expect(() => new Mmu({ walker, tlb: new TlbHierarchy(levels), structures })).toThrow(VmError);
    expect(() => new Mmu({ walker, tlb: nestedLevels })).toThrow(VmError);
    expect(() => mmu.translatePage(0x100, 3)).toThrow(VmError);
    expect(() => mmu.translatePage(-1, Read)).toThrow(VmError);
  });
});
