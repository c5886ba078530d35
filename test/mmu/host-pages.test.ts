import fc from 'fast-check';
import { Access, Prot, VmError } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { HostPage, HostPages, HostRam, type HostRamOptions, Mmu } from 'pagewright/mmu';
import { Invalidations, PageTable } from 'pagewright/page-table';
import { sv39 } from 'pagewright/pte';
import { Tlb } from 'pagewright/tlb';
import { Pmp, RiscvWalker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

const BASE = 0x80000;

/** A hart with 64 frames of RAM, its fast path, and user pages 0x10 to 0x17 in frames 8 to 15. */
function hart(options: Partial<HostRamOptions> = {}, pmp?: Pmp) {
  const memory = PhysicalMemory.allocate(64 * 4096, { base: BASE * 4096 });
  const frames = new FramePool({ first: BASE + 32, frames: 32 });
  const owed = new Invalidations({ frames });
  const table = new PageTable({ format: sv39, memory, frames });
  const flags = table.flags({ prot: 15, dirty: false });
  for (let page = 0; page < 8; page++) table.map(0x10 + page, BASE + 8 + page, flags, owed);
  const satp = (8n << 60n) | BigInt(table.root);
  const walker = new RiscvWalker({ memory, satp, adue: true, ...(pmp ? { pmp } : {}) });
  const mmu = new Mmu({ walker, tlb: new Tlb({ entries: 8, ways: 2 }) });
  const ram = new HostRam({ memory, pfn: BASE, ...options });
  const host = new HostPages({ mmu, ram, entries: 4 });
  return { host, memory, mmu, owed, ram, table, walker };
}

const { Fetch, Machine, Read, User, Write } = Access;

describe('pages of the host', () => {
  it('are where the frames are in the RAM', () => {
    const { host } = hart();
    expect(host.read(0x11, Read | User)).toBe(9 * 4096);
    expect(host.write(0x12, Write | User)).toBe(10 * 4096);
    expect(host.fetch(0x13, Fetch | User)).toBe(11 * 4096);
    expect(host.read(BASE + 3, Read | Machine)).toBe(3 * 4096);
  });

  it('are devices elsewhere, and faults where the walk faults', () => {
    const { host } = hart();
    expect(host.read(0x10000, Read | Machine)).toBe(HostPage.Device);
    expect(host.pfn).toBe(0x10000);
    expect(host.read(0x11, Read)).toBe(HostPage.Fault);
    expect(host.fault.reason).toBe('user-page');
    expect(host.write(0x99, Write | User)).toBe(HostPage.Fault);
  });

  it('set the dirty bit at the first store, whatever was read before', () => {
    const { host, table } = hart();
    host.read(0x11, Read | User);
    expect(table.testDirty(0x11)).toBe(0);
    host.write(0x11, Write | User);
    expect(table.testDirty(0x11)).toBe(1);
  });

  it('follow SUM, MXR and privilege without a flush', () => {
    const { host, walker } = hart();
    expect(host.read(0x11, Read | User)).toBe(9 * 4096);
    expect(host.read(0x11, Read)).toBe(HostPage.Fault);
    walker.sum = true;
    expect(host.read(0x11, Read)).toBe(9 * 4096);
    walker.sum = false;
    expect(host.read(0x11, Read)).toBe(HostPage.Fault);
  });

  it('are forgotten when the MMU flushes, and when a register is written', () => {
    const { host, mmu, owed, table, walker } = hart();
    host.read(0x11, Read | User);
    table.unmap(0x11, owed);
    mmu.invalidate(owed);
    expect(host.read(0x11, Read | User)).toBe(HostPage.Fault);
    host.read(0x12, Read | User);
    walker.setSatp(0n);
    expect(host.read(0x12, Read | User)).toBe(HostPage.Device);
  });

  it('are walked for at every access where a PMP may refuse', () => {
    const pmp = new Pmp({ entries: 16 });
    pmp.setAddress(0, (1n << 54n) - 1n);
    pmp.setConfig(0, 0x1f);
    const { host } = hart({}, pmp);
    expect(host.read(BASE + 1, Read | Machine)).toBe(4096);
    expect(host.read(0x11, Read | User)).toBe(9 * 4096);
  });
});

describe('stores that matter', () => {
  it('to watched code are told of once, before they happen', () => {
    const told: number[] = [];
    const { host, ram } = hart({ onCodeWrite: (pfn) => told.push(pfn) });
    host.write(0x11, Write | User);
    ram.watchCode(BASE + 9);
    expect(told).toEqual([]);
    host.write(0x11, Write | User);
    host.write(0x11, Write | User);
    host.write(BASE + 9, Write | Machine);
    expect(told).toEqual([BASE + 9]);
    expect(ram.isWatched(BASE + 9)).toBe(false);
  });

  it('to watched code are told of again when whoever was told watches again', () => {
    let count = 0;
    const { host, ram } = hart({
      onCodeWrite: (pfn) => {
        count++;
        ram.watchCode(pfn);
      },
    });
    ram.watchCode(BASE + 9);
    for (let store = 0; store < 3; store++) host.write(0x11, Write | User);
    expect(count).toBe(3);
  });

  it('to a reserved frame are told of each time, by every name of the frame', () => {
    const told: number[] = [];
    const { host, ram } = hart({ onReservedWrite: (pfn) => told.push(pfn) });
    ram.reserve(BASE + 9);
    host.write(0x11, Write | User);
    host.write(BASE + 9, Write | Machine);
    ram.unreserve(BASE + 9);
    host.write(0x11, Write | User);
    expect(told).toEqual([BASE + 9, BASE + 9]);
  });

  it('are in the bitmap of dirty frames, until it is taken', () => {
    const { host, ram } = hart({ tracksDirty: true });
    host.write(0x11, Write | User);
    host.write(0x11, Write | User);
    host.read(0x12, Read | User);
    expect([...ram.takeDirty()]).toEqual([1 << 9, 0]);
    expect([...ram.takeDirty()]).toEqual([0, 0]);
    host.write(0x11, Write | User);
    ram.noteWrite(BASE + 40);
    expect([...ram.takeDirty()]).toEqual([1 << 9, 1 << 8]);
  });

  it('of one CPU are heard of when another watches', () => {
    const told: number[] = [];
    const { memory, host, ram, table } = hart({ onCodeWrite: (pfn) => told.push(pfn) });
    const satp = (8n << 60n) | BigInt(table.root);
    const walker = new RiscvWalker({ memory, satp, adue: true });
    const mmu = new Mmu({ walker, tlb: new Tlb({ entries: 8 }) });
    const other = new HostPages({ mmu, ram });
    other.write(0x11, Write | User);
    host.write(0x11, Write | User);
    ram.watchCode(BASE + 9);
    other.write(0x11, Write | User);
    expect(told).toEqual([BASE + 9]);
  });
});

describe('the parts', () => {
  it('have to go together', () => {
    const { mmu, ram } = hart();
    expect(() => new HostPages({ mmu, ram, entries: 3 })).toThrow(VmError);
    expect(() => new HostPages({ mmu, ram: hart().ram })).toThrow(VmError);
    expect(() => new HostRam({ memory: mmu.memory, pfn: 3 })).toThrow(VmError);
    expect(() => ram.watchCode(3)).toThrow(VmError);
    expect(() => ram.takeDirty()).toThrow(VmError);
  });
});

describe('the fast path answers as the bare walker does', () => {
  const step = fc.record({
    page: fc.integer({ min: 0x0f, max: 0x18 }),
    access: fc.constantFrom(Read, Write, Fetch),
    user: fc.boolean(),
    what: fc.constantFrom('access', 'access', 'access', 'sum', 'mxr', 'protect', 'unmap', 'map'),
    prot: fc.constantFrom(1, 3, 5, 7, 9, 11, 13, 15),
  });
  it('over random programs', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const [fast, bare] = [hart(), hart()];
        for (const { access, page, prot, user, what } of steps) {
          if (what === 'access') {
            const asked = access | (user ? User : 0);
            const got =
              access === Read
                ? fast.host.read(page, asked)
                : access === Write
                  ? fast.host.write(page, asked)
                  : fast.host.fetch(page, asked);
            const wanted = bare.walker.walk(page, asked);
            expect(got).toBe(wanted < 0 ? HostPage.Fault : (wanted - BASE) * 4096);
            continue;
          }
          for (const { owed, table, walker } of [fast, bare]) {
            if (what === 'sum') walker.sum = !walker.sum;
            else if (what === 'mxr') walker.mxr = !walker.mxr;
            else if (what === 'unmap') table.unmap(page, owed);
            else if (what === 'protect') table.protect(page, prot | Prot.Read, owed);
            else if (table.lookup(page) < 0) {
              table.map(page, BASE + 8 + (page % 8), table.flags({ prot }), owed);
            }
          }
          fast.mmu.invalidate(fast.owed);
          bare.owed.complete();
        }
      }),
      { numRuns: 200 },
    );
  });
});
