import { Access, VmError } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { decodeNpfExitInfo } from 'pagewright/pte';
import { mappings, mergedMappings, X86Npt, type X86StageOptions, X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

const { Fetch, ImplicitSupervisor, Read, User, Write } = Access;

/** RAM of 4 MiB, with entries by address. */
function memoryOf(entries: Readonly<Record<number, bigint>>): PhysicalMemory {
  const memory = PhysicalMemory.allocate(0x40_0000, { base: 0 });
  for (const [address, entry] of Object.entries(entries)) memory.write(Number(address), 8, entry);
  return memory;
}

/** A guest with four levels at 0x10000 whose page 0 lies at a guest-physical address. */
function guestOf(memory: PhysicalMemory, gpa: bigint, secondStage: X86Npt): X86Walker {
  memory.write(0x10000, 8, 0x11067n);
  memory.write(0x11000, 8, 0x12067n);
  memory.write(0x12000, 8, 0x13067n);
  memory.write(0x13000, 8, gpa | 0x67n);
  return new X86Walker({ memory, cr3: 0x10000, secondStage });
}

const LONG4: Partial<X86StageOptions> = {};
const LONG5: Partial<X86StageOptions> = { cr4: 0x1020 };
const PAE: Partial<X86StageOptions> = { cr4: 0x20, efer: 0x800, pdptes: [0x2001, 0, 0, 0] };
const LEGACY: Partial<X86StageOptions> = { cr4: 0x10, efer: 0 };

/** Nested paging in a mode of the host that maps the first megabytes onto themselves. */
function nptOf(memory: PhysicalMemory, host: Partial<X86StageOptions>): X86Npt {
  if (host === LEGACY) {
    memory.write(0x1000, 4, 0xe7);
  } else {
    memory.write(0x1000, 8, 0x2067n);
    memory.write(0x2000, 8, host === LONG5 ? 0x3067n : 0xe7n);
    memory.write(0x3000, 8, 0xe7n);
  }
  return new X86Npt({ memory, cr3: 0x1000, ...host });
}

describe('guest-physical addresses of nested paging', () => {
  it('are not sign-extended: the upper half of the tables is above 2^47', () => {
    const memory = memoryOf({ [0x1000 + 8 * 256]: 0x3067n, 12288: 0xe7n });
    const npt = nptOf(memory, LONG4);
    memory.write(0x1000 + 8 * 256, 8, 0x3067n);
    expect(npt.walk(2 ** 35 + 5, Read)).toBe(5);
    const walker = guestOf(memory, (1n << 47n) | 0x5000n, npt);
    expect(walker.walk(0, Read)).toBe(5);
    expect(walker.translate(0, Read)).toMatchObject({ gpa: (1n << 47n) | 0x5000n });
    expect([...mappings(npt)].map(({ va }) => va)).toEqual([0n, 1n << 47n]);
    expect(mergedMappings(npt).ranges.map(({ va }) => va)).toEqual([0n, 1n << 47n]);
    expect(npt.explain(1n << 47n, Read)).toMatchObject({ format: 'nptLong4' });
  });

  it.each([
    ['4-level', LONG4, 1n << 48n],
    ['PAE', PAE, 1n << 32n],
    ['32-bit', LEGACY, 1n << 32n],
  ])('above the reach of a host with %s paging are not present for it', (_, host, gpa) => {
    const memory = memoryOf({});
    const npt = nptOf(memory, host);
    const walker = guestOf(memory, gpa, npt);
    for (const [access, code] of [
      [Read, 0x1_0000_0004n],
      [Write, 0x1_0000_0006n],
      [Fetch, host === LEGACY ? 0x1_0000_0004n : 0x1_0000_0014n],
    ] as const) {
      expect(walker.walk(0, access)).toBeLessThan(0);
      expect(walker.fault.exit).toEqual({ kind: 'npf', exitInfo1: code, gpa });
      expect(walker.fault.rule.id).toBe('npt.out-of-range');
      expect(walker.explain(0, access).outcome).toMatchObject({ rule: 'npt.out-of-range' });
      expect(npt.probe(Number(gpa >> 12n), access)).toBe(walker.probe(0, access));
    }
    memory.write(0x13000, 8, 0x2_0067n);
    expect(walker.walk(0, Read)).toBe(0x20);
  });

  it('of 57 bits are there with five levels', () => {
    const memory = memoryOf({});
    const npt = nptOf(memory, LONG5);
    memory.write(0x1000 + 8 * 511, 8, 0x2067n);
    expect(npt.walk(511 * 2 ** 36 + 7, Read)).toBe(7);
    expect(npt.walk(2 ** 45, Read)).toBeLessThan(0);
    expect([...mappings(npt)].map(({ va }) => va)).toEqual([0n, 511n << 48n]);
  });
});

describe("the host's registers in nested paging", () => {
  it('have PG=1, or VMRUN fails; nCR3 has no reserved bit', () => {
    const memory = memoryOf({});
    expect(() => new X86Npt({ memory, cr0: 1 })).toThrow(VmError);
    expect(() => new X86Npt({ memory, cr3: 1n << 52n })).toThrow(VmError);
    const npt = nptOf(memory, LONG4);
    expect(() => npt.setNcr3(1n << 60n)).toThrow(VmError);
    expect(npt.cr3).toBe(0x1000n);
    npt.setNcr3(0x2000);
    memory.write(0x2000, 8, 0x3067n);
    expect(npt.walk(0, Read)).toBe(0);
    expect(() => npt.checkInvariants()).not.toThrow();
  });

  it('may load PDPTEs, but none with a reserved bit', () => {
    const memory = memoryOf({ 4096: 0x2001n, 8192: 0xe7n, 16384: 0x2007n });
    const npt = new X86Npt({ memory, cr3: 0x1000, cr4: 0x20, efer: 0x800 });
    expect(npt.walk(3, Read)).toBe(3);
    expect(() => npt.setNcr3(0x4000)).toThrow(VmError);
    expect([npt.cr3, npt.walk(3, Read)]).toEqual([0x1000n, 3]);
  });

  it('give SMEP, SMAP, WP and protection keys no say', () => {
    const memory = memoryOf({ 4096: 0x2067n, 8192: (1n << 59n) | 0xe5n });
    const all = 0x20 | (1 << 20) | (1 << 21) | (1 << 22) | (1 << 24);
    for (const cr0 of [0x8001_0001, 0x8000_0001]) {
      const npt = new X86Npt({ memory, cr0, cr3: 0x1000, cr4: all });
      expect([npt.walk(5, Read), npt.walk(5, Fetch)]).toEqual([5, 5]);
      expect(npt.walk(5, Write)).toBeLessThan(0);
      expect(npt.fault.rule.id).toBe('npt.not-writable');
      expect(() => npt.checkInvariants()).not.toThrow();
    }
  });

  it('are saved under a tag of their own', () => {
    const memory = memoryOf({});
    const npt = nptOf(memory, LONG4);
    expect(npt.snapshot()).toMatchObject({ v: 1, type: 'x86-npt', cr3: '0x1000' });
    expect(npt.snapshot()).not.toHaveProperty('pkru');
    expect(X86Npt.restore(npt.snapshot(), { memory }).snapshot()).toEqual(npt.snapshot());
  });
});

describe('answers of nested paging by itself', () => {
  it('are nested page faults: no vector, no CR2', () => {
    const memory = memoryOf({});
    const npt = nptOf(memory, LONG4);
    const gpa = 1n << 39n;
    const exit = (access: number): unknown => npt.translate(gpa, access);
    const x86 = { vector: 0, errorCode: 0, cr2: null };
    const final = { kind: 'npf', exitInfo1: 0x1_0000_0006n, gpa };
    expect(exit(Write)).toMatchObject({ rule: 'npt.not-present', x86: { ...x86, exit: final } });
    const table = { kind: 'npf', exitInfo1: 0x2_0000_0006n, gpa };
    expect(exit(npt.tableAccess)).toMatchObject({ x86: { ...x86, exit: table } });
    expect(npt.fault.vector).toBe(0);
    expect(npt.explain(gpa, Write).rule.source).toContain('AMD64 APM');
  });

  it('pass entries with U/S=0 over: no access can use them', () => {
    const memory = memoryOf({ 4096: 0x2067n, 8192: 0xe3n, 8200: 0x4000_00e7n });
    const npt = new X86Npt({ memory, cr3: 0x1000 });
    expect([...mappings(npt)].map(({ va }) => va)).toEqual([0x4000_0000n]);
  });

  it('count any access as a user one', () => {
    const memory = memoryOf({ 4096: 0x2067n, 8192: 0xe3n });
    const npt = new X86Npt({ memory, cr3: 0x1000 });
    for (const access of [Read, Read | User, Read | ImplicitSupervisor, npt.tableAccess]) {
      expect(npt.walk(0, access)).toBeLessThan(0);
      expect(npt.probe(0, access)).toBeLessThan(0);
      expect(npt.fault.rule.id).toBe('npt.supervisor-page');
    }
  });
});

describe('a PAE guest under nested paging', () => {
  const entries = {
    [0x10000]: 0x11001n,
    [0x11000]: 0x12067n,
    [0x12000]: 0x20067n,
    [0x10018]: 0x14001n,
    [0x14000]: 0xe7n,
  };

  function guest(memory: PhysicalMemory): X86Walker {
    const secondStage = nptOf(memory, LONG4);
    return new X86Walker({ memory, cr3: 0x10000, cr4: 0x20, efer: 0x800, secondStage });
  }

  it('is enumerated, and its PDPT is the root of a report', () => {
    const walker = guest(memoryOf(entries));
    const found = [...mappings(walker)].map(({ pa, va }) => [va, pa]);
    expect(found).toEqual([
      [0n, 0x2_0000n],
      [0xc000_0000n, 0n],
    ]);
    expect(mergedMappings(walker).ranges.map(({ va }) => va)).toEqual([0n, 0xc000_0000n]);
    expect(walker.explain(0, Read).root).toBe(0x1_0000n);
  });

  it('is walked on the fast path, and reads its PDPTE every time', () => {
    const { memory, walker } = counted(entries);
    expect(walker.walk(0, Read)).toBe(0x20);
    expect(memory.reads).toBe(0);
    memory.write(0x10000, 8, 0x14001n);
    expect(walker.walk(7, Read)).toBe(7);
    for (const wrong of [0x14000n, 0x14003n, (1n << 62n) | 0x14001n]) {
      memory.write(0x10000, 8, wrong);
      expect(walker.walk(7, Read)).toBeLessThan(0);
    }
    expect(walker.walk(0xc0007, Read)).toBe(7);
    expect(() => walker.checkInvariants()).not.toThrow();
  });

  /** Memory that counts what only the complete form reads. */
  class CountedMemory extends PhysicalMemory {
    reads = 0;

    override readWords(pfn: number, offset: number): number {
      this.reads++;
      return super.readWords(pfn, offset);
    }
  }

  function counted(all: Readonly<Record<number, bigint>>): {
    readonly memory: CountedMemory;
    readonly walker: X86Walker;
  } {
    const memory = new CountedMemory();
    memory.addRam({ base: 0, bytes: 0x40_0000 });
    for (const [address, entry] of Object.entries(all)) memory.write(Number(address), 8, entry);
    const walker = guest(memory);
    memory.reads = 0;
    return { memory, walker };
  }
});

describe('EXITINFO1', () => {
  it('has bits for shadow stacks too', () => {
    const { fields } = decodeNpfExitInfo((1n << 32n) | (1n << 37n) | (1n << 6n) | 5n);
    expect([fields['SS'], fields['SSS'], fields['FINAL'], fields['P']]).toEqual([1, 1, 1, 1]);
  });
});
