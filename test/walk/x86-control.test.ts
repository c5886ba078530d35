import fc from 'fast-check';
import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { CR0, CR4, EFER } from 'pagewright/pte';
import { type ControlWrite, mappings, X86Walker, type X86WalkerOptions } from 'pagewright/walk';
import { describe, expect, it, test } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';

const { PE, WP, PG, CD, NW } = CR0;
const { PAE, PGE, PSE, SMEP, SMAP, PCIDE, LA57, CET, PKE } = CR4;
const { LME, LMA, NXE, SCE } = EFER;

/** 1 MiB of RAM; PDPTEs at 0x1000 (0 and 3 present) and at 0x1020 (1 present), directories with 2 MiB pages. */
function ram(): PhysicalMemory {
  const memory = PhysicalMemory.allocate(0x10_0000, { base: 0 });
  memory.write(0x1000, 8, 0x2001);
  memory.write(0x1018, 8, 0x3001);
  memory.write(0x1028, 8, 0x2001);
  memory.write(0x2000, 8, 0x20_0083);
  memory.write(0x3000, 8, 0x40_0083);
  return memory;
}

type Options = Partial<X86WalkerOptions>;
const make = (options: Options = {}): X86Walker => new X86Walker({ memory: ram(), ...options });

const unpaged: Options = { cr0: PE | WP, cr4: 0, efer: 0 };
const legacy: Options = { cr0: PG + PE + WP, cr4: 0, efer: 0 };
const pae: Options = { cr0: PG + PE + WP, cr3: 0x1000, cr4: PAE, efer: 0 };
const long: Options = { cr0: PG + PE + WP, cr3: 0x1000, cr4: PAE, efer: LME | LMA };

/** All that a refused write must leave alone. */
const state = (walker: X86Walker): unknown => ({
  registers: [walker.cr0, walker.cr3, walker.cr4, walker.efer, walker.pcid],
  mode: walker.mode,
  format: walker.format?.name,
  leaves: [...mappings(walker)],
});

function expectRefused(
  walker: X86Walker,
  write: (walker: X86Walker) => ControlWrite,
  why: string,
): void {
  const before = state(walker);
  expect(write(walker)).toEqual({ kind: 'fault', vector: 13, why });
  expect(state(walker)).toEqual(before);
}

describe('#GP of MOV to CR0 leaves everything as it was', () => {
  test.each<[string, Options, number | bigint]>([
    ['a bit of CR0 above 31 is set', unpaged, 1n << 32n],
    ['a bit of CR0 above 31 is set', long, (1n << 63n) | BigInt(PG + PE)],
    ['CR0.PG=1 needs CR0.PE=1', unpaged, PG],
    ['CR0.PG=1 needs CR0.PE=1', pae, PG],
    ['CR0.NW=1 needs CR0.CD=1', unpaged, PE | NW],
    ['CR0.NW=1 needs CR0.CD=1', pae, PG + PE + NW],
    ['EFER.LME=1 needs CR4.PAE=1 when paging begins', { ...unpaged, efer: LME }, PG + PE],
    ['CR4.PCIDE=1 needs CR0.PG=1', { ...long, cr4: PAE | PCIDE }, PE],
    ['CR4.CET=1 needs CR0.WP=1', { ...long, cr4: PAE | CET }, PG + PE],
  ])('%s', (why, options, value) => {
    expectRefused(make(options), (walker) => walker.writeCr0(value), why);
  });

  it('when a PDPTE that paging needs has a reserved bit', () => {
    const memory = ram();
    memory.write(0x1008, 8, 0x2007);
    const walker = make({ ...unpaged, memory, cr3: 0x1000, cr4: PAE });
    const why = 'a reserved bit is set in PDPTE 1';
    expectRefused(walker, (w) => w.writeCr0(PG + PE), why);
  });
});

describe('#GP of MOV to CR4 leaves everything as it was', () => {
  test.each<[string, Options, number | bigint]>([
    ['a reserved bit of CR4 is set', unpaged, 1n << 32n],
    ['a reserved bit of CR4 is set', unpaged, 1 << 15],
    ['a reserved bit of CR4 is set', unpaged, 1 << 26],
    ['a reserved bit of CR4 is set', unpaged, CR4.LASS],
    ['a reserved bit of CR4 is set', unpaged, CR4.LAM_SUP],
    ['a reserved bit of CR4 is set', unpaged, 2 ** 31],
    ['CR4.PAE cannot be cleared in IA-32e mode', long, 0],
    ['CR4.PAE cannot be cleared in IA-32e mode', { ...long, cr4: PAE | LA57 }, LA57],
    ['CR4.LA57 cannot change in IA-32e mode', long, PAE | LA57],
    ['CR4.LA57 cannot change in IA-32e mode', { ...long, cr4: PAE | LA57 }, PAE],
    ['CR4.PCIDE can be set in IA-32e mode only', unpaged, PCIDE],
    ['CR4.PCIDE can be set in IA-32e mode only', pae, PAE | PCIDE],
    ['CR4.PCIDE can be set only while CR3[11:0] is 0', { ...long, cr3: 0x1018 }, PAE | PCIDE],
    ['CR4.CET=1 needs CR0.WP=1', { ...long, cr0: PG + PE }, PAE | CET],
  ])('%s', (why, options, value) => {
    expectRefused(make(options), (walker) => walker.writeCr4(value), why);
  });

  it('when a PDPTE that PAE paging needs has a reserved bit', () => {
    const memory = ram();
    memory.write(0x1018, 8, 0x3021);
    const walker = make({ ...legacy, memory, cr3: 0x1000 });
    expectRefused(walker, (w) => w.writeCr4(PAE), 'a reserved bit is set in PDPTE 3');
  });
});

describe('#GP of MOV to CR3 leaves everything as it was', () => {
  test.each<[string, Options, bigint]>([
    ['bit 52', long, 1n << 52n],
    ['bit 62', long, 1n << 62n],
    ['bit 63 without PCIDs', long, 1n << 63n],
    ['bit 62 with PCIDs', { ...long, cr4: PAE | PCIDE }, 1n << 62n],
    ['the bit of MAXPHYADDR', { ...long, maxPhyAddr: 36 }, 1n << 36n],
    ['five levels', { ...long, cr4: PAE | LA57, maxPhyAddr: 46 }, 1n << 46n],
  ])('in IA-32e mode: %s', (_, options, value) => {
    const why = 'a bit of CR3 above MAXPHYADDR is set';
    expectRefused(make(options), (walker) => walker.loadCr3(value), why);
  });

  it('but up to MAXPHYADDR all bits may be set, and outside IA-32e mode the upper ones are ignored', () => {
    expect(make({ ...long, maxPhyAddr: 36 }).loadCr3((1n << 36n) - 1n).kind).toBe('written');
    const walker = make({ ...pae, maxPhyAddr: 36 });
    expect(walker.loadCr3((1n << 40n) | 0x1020n).kind).toBe('written');
    expect([...mappings(walker)].map((leaf) => leaf.va)).toEqual([0x4000_0000n]);
    const other = make({ ...legacy, cr4: PSE, maxPhyAddr: 32 });
    expect(other.loadCr3((1n << 60n) | 0x3000n).kind).toBe('written');
    expect([...mappings(other)].map((leaf) => leaf.pa)).toEqual([0x40_0000n]);
  });
});

describe('#GP of WRMSR to IA32_EFER leaves everything as it was', () => {
  test.each<[string, Options, number | bigint]>([
    ['a reserved bit of EFER is set', unpaged, 2],
    ['a reserved bit of EFER is set', unpaged, 1 << 9],
    ['a reserved bit of EFER is set', long, LME | LMA | (1 << 12)],
    ['a reserved bit of EFER is set', unpaged, 1n << 32n],
    ['EFER.LME cannot change while CR0.PG=1', pae, LME],
    ['EFER.LME cannot change while CR0.PG=1', legacy, LME],
    ['EFER.LME cannot change while CR0.PG=1', long, NXE],
  ])('%s', (why, options, value) => {
    expectRefused(make(options), (walker) => walker.writeEfer(value), why);
  });
});

describe('a value that is no register', () => {
  it.each(['writeCr0', 'writeCr4', 'loadCr3', 'writeEfer'] as const)('is refused by %s', (name) => {
    const walker = make();
    const before = state(walker);
    for (const value of [-1, 1n << 64n, -1n]) {
      expect(errorOf(() => walker[name](value)).code).toBe('out-of-range');
    }
    expect(errorOf(() => walker[name](Number.NaN)).code).toBe('bad-argument');
    expect(state(walker)).toEqual(before);
  });
});

describe('what a write invalidates', () => {
  const written = (result: ControlWrite): string => {
    if (result.kind !== 'written')
      throw new Error(result.kind === 'fault' ? result.why : result.exit.kind);
    return result.invalidates;
  };
  const pcids: Options = { ...long, cr4: PAE | PCIDE };

  test.each<[string, Options, number, string]>([
    ['PG from 1 to 0', pae, PE, 'everything'],
    ['PG from 1 to 0 in IA-32e mode', long, PE, 'everything'],
    ['PG from 0 to 1', { ...unpaged, cr4: PAE, cr3: 0x1000 }, PG + PE, 'none'],
    ['WP', long, PG + PE, 'none'],
    ['CD and NW', long, PG + PE + WP + CD + NW, 'none'],
    ['nothing', long, PG + PE + WP, 'none'],
  ])('MOV to CR0: %s', (_, options, value, expected) => {
    expect(written(make(options).writeCr0(value))).toBe(expected);
  });

  test.each<[string, Options, number, string]>([
    ['PGE from 0 to 1', long, PAE | PGE, 'everything'],
    ['PGE from 1 to 0', { ...long, cr4: PAE | PGE }, PAE, 'everything'],
    ['PCIDE from 1 to 0', pcids, PAE, 'everything'],
    ['PCIDE from 0 to 1', long, PAE | PCIDE, 'none'],
    ['PAE from 0 to 1', { ...legacy, cr3: 0x1000 }, PAE, 'pcid'],
    ['PAE from 1 to 0', pae, 0, 'pcid'],
    ['SMEP from 0 to 1', long, PAE | SMEP, 'pcid'],
    ['SMEP from 1 to 0', { ...long, cr4: PAE | SMEP }, PAE, 'none'],
    ['SMEP and PGE', long, PAE | SMEP | PGE, 'everything'],
    ['SMAP', long, PAE | SMAP, 'none'],
    ['PKE', long, PAE | PKE, 'none'],
    ['PSE', long, PAE | PSE, 'none'],
    ['LA57 without paging', unpaged, LA57, 'none'],
    ['nothing', long, PAE, 'none'],
  ])('MOV to CR4: %s', (_, options, value, expected) => {
    expect(written(make(options).writeCr4(value))).toBe(expected);
  });

  test.each<[string, Options, bigint, string]>([
    ['without PCIDs', long, 0x2000n, 'non-global'],
    ['the same value', long, 0x1000n, 'non-global'],
    ['with PCIDs', pcids, 0x2005n, 'non-global'],
    ['with PCIDs and bit 63', pcids, (1n << 63n) | 0x2005n, 'none'],
    ['PAE', pae, 0x1020n, 'non-global'],
  ])('MOV to CR3: %s', (_, options, value, expected) => {
    expect(written(make(options).loadCr3(value))).toBe(expected);
  });

  it('WRMSR to IA32_EFER: nothing', () => {
    expect(written(make(long).writeEfer(LME | NXE))).toBe('none');
  });
});

describe('the registers', () => {
  it('read as they were written', () => {
    const walker = make(unpaged);
    expect(walker.writeCr0(PE | WP | CD | CR0.ET | CR0.NE).kind).toBe('written');
    expect(walker.cr0).toBe(BigInt(PE | WP | CD | CR0.ET | CR0.NE));
    expect(walker.writeCr4(PSE | PGE | SMAP).kind).toBe('written');
    expect(walker.cr4).toBe(BigInt(PSE | PGE | SMAP));
    expect(walker.writeEfer(SCE | NXE).kind).toBe('written');
    expect(walker.efer).toBe(BigInt(SCE | NXE));
    expect(walker.loadCr3(0x1234_5678n).kind).toBe('written');
    expect(walker.cr3).toBe(0x1234_5678n);
  });

  it('CR0 drops its reserved bits', () => {
    const walker = make(unpaged);
    expect(walker.writeCr0(0x1ffa_ffc0 | PE).kind).toBe('written');
    expect(walker.cr0).toBe(BigInt(PE));
  });

  it('CR3 does not keep bit 63', () => {
    const walker = make({ ...long, cr4: PAE | PCIDE });
    walker.loadCr3((1n << 63n) | 0x2005n);
    expect(walker.cr3).toBe(0x2005n);
  });

  it('PCID is CR3[11:0] while CR4.PCIDE is 1', () => {
    const walker = make(long);
    expect(walker.pcid).toBe(0);
    walker.writeCr4(PAE | PCIDE);
    expect(walker.pcid).toBe(0);
    walker.loadCr3(0x1abc);
    expect(walker.pcid).toBe(0xabc);
    expect(walker.writeCr4(PAE).kind).toBe('written');
    expect(walker.pcid).toBe(0);
    expect(walker.cr3).toBe(0x1abcn);
  });

  it('LMA follows LME and CR0.PG, whatever is written to it', () => {
    const walker = make({ ...unpaged, cr3: 0x1000 });
    walker.writeEfer(LMA);
    expect(walker.efer).toBe(0n);
    walker.writeCr4(PAE);
    walker.writeEfer(LME | LMA);
    expect(walker.efer).toBe(BigInt(LME));
    expect(walker.writeCr0(PG + PE).kind).toBe('written');
    expect(walker.efer).toBe(BigInt(LME | LMA));
    expect(walker.writeEfer(LME | NXE).kind).toBe('written');
    expect(walker.efer).toBe(BigInt(LME | LMA | NXE));
    expect(walker.writeCr0(PE).kind).toBe('written');
    expect(walker.efer).toBe(BigInt(LME | NXE));
  });

  it('are a long-mode kernel by default', () => {
    const walker = make();
    expect([walker.cr0, walker.cr3, walker.cr4, walker.efer]).toEqual([
      0x8001_0001n,
      0n,
      0x20n,
      0xd00n,
    ]);
    expect([walker.mode, walker.maxPhyAddr, walker.format?.name]).toEqual([
      '4-level',
      52,
      'x86Long4',
    ]);
  });
});

describe('the paging mode', () => {
  it('changes with the registers, on the way that an operating system goes', () => {
    const memory = ram();
    memory.write(0x5000, 4, 0x0080_0083); // a directory of 32-bit paging
    memory.write(0x6000, 8, 0x7003); // PML4
    memory.write(0x7000, 8, 0x4000_0083); // 1 GiB page
    memory.write(0x8000, 8, 0x6003); // PML5
    const walker = make({ memory, cr0: PE, cr4: 0, efer: 0 });
    const at = (): unknown => [walker.mode, walker.format?.name, walker.probe(3, Access.Read)];
    expect(at()).toEqual(['none', undefined, 3]);
    expect(walker.loadCr3(0x5000)).toEqual({
      kind: 'written',
      invalidates: 'non-global',
      pdptesLoaded: false,
    });
    walker.writeCr4(PSE);
    walker.writeCr0(PG + PE);
    expect(at()).toEqual(['32-bit', 'x86Legacy', 0x803]);
    // PAE: CR3 must name PDPTEs first.
    walker.writeCr0(PE);
    walker.loadCr3(0x1000);
    walker.writeCr4(PAE);
    expect(walker.writeCr0(PG + PE)).toMatchObject({ kind: 'written', pdptesLoaded: true });
    expect(at()).toEqual(['pae', 'x86Pae', 0x203]);
    // IA-32e: by way of no paging.
    walker.writeCr0(PE);
    walker.writeEfer(LME);
    walker.loadCr3(0x6000);
    expect(walker.writeCr0(PG + PE)).toMatchObject({ kind: 'written', pdptesLoaded: false });
    expect(at()).toEqual(['4-level', 'x86Long4', 0x40003]);
    walker.writeCr0(PE);
    walker.writeCr4(PAE | LA57);
    walker.loadCr3(0x8000);
    walker.writeCr0(PG + PE);
    expect(at()).toEqual(['5-level', 'x86Long5', 0x40003]);
  });

  it('takes WP, SMEP, SMAP, NXE, PSE and PGE into account at once', () => {
    const memory = ram();
    memory.write(0x9000, 4, 0x0080_0185); // user, read-only, global
    const walker = make({ memory, cr0: PG + PE, cr3: 0x9000, cr4: PSE, efer: 0 });
    expect(walker.probe(0, Access.Write)).toBe(0x800);
    walker.writeCr0(PG + PE + WP);
    expect(walker.probe(0, Access.Write)).toBeLessThan(0);
    expect(walker.probe(0, Access.Fetch)).toBe(0x800);
    walker.writeCr4(PSE | SMEP);
    expect(walker.probe(0, Access.Fetch)).toBeLessThan(0);
    expect(walker.probe(0, Access.Read)).toBe(0x800);
    walker.writeCr4(PSE | SMAP);
    expect(walker.probe(0, Access.Read)).toBeLessThan(0);
    walker.ac = true;
    expect(walker.ac).toBe(true);
    expect(walker.probe(0, Access.Read)).toBe(0x800);
    // AC outlives a register write.
    walker.writeCr4(PSE | SMAP | PGE);
    expect(walker.probe(0, Access.Read)).toBe(0x800);
    expect(walker.translate(0, Access.Read)).toMatchObject({ kind: 'page', global: true });
    walker.ac = false;
    expect(walker.probe(0, Access.Read)).toBeLessThan(0);
    walker.writeCr4(PSE);
    expect(walker.translate(0, Access.Read)).toMatchObject({ kind: 'page', global: false });
    walker.writeCr4(0); // the entry now points at a table in frame 0x800, where there is none
    expect(walker.probe(0, Access.Read)).toBeLessThan(0);
    expect(walker.fault.rule.id).toBe('x86.table-missing');
  });

  it('obeys NXE at once', () => {
    const memory = ram();
    memory.write(0x2000, 8, (1n << 63n) | 0x20_0083n);
    const walker = make({ ...pae, memory });
    expect(walker.probe(0, Access.Read)).toBeLessThan(0);
    expect(walker.fault.reason).toBe('reserved-bits');
    walker.writeEfer(NXE);
    expect(walker.probe(0, Access.Read)).toBe(0x200);
    expect(walker.probe(0, Access.Fetch)).toBeLessThan(0);
    expect(walker.fault.errorCode).toBe(0x11);
  });

  it('obeys protection keys at once', () => {
    const memory = ram();
    memory.write(0x1000, 8, 0x2007);
    memory.write(0x2000, 8, (5n << 59n) | 0x87n);
    const walker = make({ ...long, memory });
    walker.pkru = 1 << 10; // access-disable of key 5
    expect([walker.pkru, walker.pkrs]).toEqual([0x400, 0]);
    expect(walker.probe(0, Access.Read | Access.User)).toBe(0);
    walker.writeCr4(PAE | PKE);
    expect(walker.probe(0, Access.Read | Access.User)).toBeLessThan(0);
    expect(walker.fault.reason).toBe('protection-key');
    walker.pkru = 0x8000_0000;
    expect(walker.pkru).toBe(0x8000_0000);
    expect(walker.probe(0, Access.Read | Access.User)).toBe(0);
    memory.write(0x1000, 8, 0x2003);
    walker.writeCr4(PAE | CR4.PKS);
    walker.pkrs = 0x400;
    expect(walker.pkrs).toBe(0x400);
    expect(walker.probe(0, Access.Read)).toBeLessThan(0);
    expect(walker.fault.rule.id).toBe('x86.supervisor-protection-key');
    expectError(() => (walker.pkru = 2 ** 32), 'out-of-range', 'pkru');
    expectError(() => (walker.pkrs = -1), 'out-of-range', 'pkrs');
    expect([walker.pkru, walker.pkrs]).toEqual([0x8000_0000, 0x400]);
  });
});

describe('the PDPTE registers', () => {
  const vas = (walker: X86Walker): bigint[] => [...mappings(walker)].map((leaf) => leaf.va);

  it('can be saved, and handed to another walker', () => {
    const memory = ram();
    const walker = make({ ...pae, memory });
    const saved = walker.loadedPdptes;
    expect(saved).toEqual([0x2001n, 0n, 0n, 0x3001n]);
    memory.write(0x1000, 8, 0);
    const other = make({ ...pae, memory, pdptes: saved });
    expect(other.loadedPdptes).toEqual(saved);
    expect(vas(other)).toEqual(vas(walker));
  });

  it('are loaded by MOV to CR3, and only then', () => {
    const memory = ram();
    const walker = make({ ...pae, memory });
    expect(vas(walker)).toEqual([0n, 0xc000_0000n]);
    memory.write(0x1000, 8, 0);
    expect(vas(walker)).toEqual([0n, 0xc000_0000n]);
    expect(walker.loadCr3(0x1000)).toEqual({
      kind: 'written',
      invalidates: 'non-global',
      pdptesLoaded: true,
    });
    expect(vas(walker)).toEqual([0xc000_0000n]);
    // 32-byte aligned: CR3[4:0] are ignored.
    expect(walker.loadCr3(0x103f).kind).toBe('written');
    expect(vas(walker)).toEqual([0x4000_0000n]);
  });

  test.each([
    ['bit 1', 0x2003n],
    ['bit 2', 0x2005n],
    ['bit 5', 0x2021n],
    ['bit 6', 0x2041n],
    ['bit 7', 0x2081n],
    ['bit 8', 0x2101n],
    ['bit 40, MAXPHYADDR', (1n << 40n) | 0x2001n],
    ['bit 51', (1n << 51n) | 0x2001n],
    ['bit 62', (1n << 62n) | 0x2001n],
    ['bit 63', (1n << 63n) | 0x2001n],
  ])('are not loaded when one is present with %s set: #GP, and the old ones stay', (_, entry) => {
    for (const slot of [0, 1, 2, 3]) {
      const memory = ram();
      const walker = make({ ...pae, memory, maxPhyAddr: 40, efer: NXE });
      memory.write(0x1040, 8, 0x2001);
      memory.write(0x1048, 8, 0x2001);
      memory.write(0x1040 + 8 * slot, 8, entry);
      expectRefused(walker, (w) => w.loadCr3(0x1040), `a reserved bit is set in PDPTE ${slot}`);
      // The same bits mean nothing in one that is not present.
      memory.write(0x1040 + 8 * slot, 8, entry & ~1n);
      expect(walker.loadCr3(0x1040).kind).toBe('written');
    }
  });

  it('may have PWT, PCD and bits 11:9 set', () => {
    const memory = ram();
    memory.write(0x1000, 8, 0x2e19);
    expect(make({ ...pae, memory }).probe(3, Access.Read)).toBe(0x203);
  });

  it('are not loaded from where there is no memory', () => {
    const walker = make(pae);
    const why = 'there is no memory at the PDPTEs';
    expectRefused(walker, (w) => w.loadCr3(0x1000_0000), why);
    expectRefused(walker, (w) => w.loadCr3(0xffff_ffe0), why);
  });

  const reloads = (value: ControlWrite): boolean => value.kind === 'written' && value.pdptesLoaded;
  test.each<[string, number, boolean]>([
    ['CD', PG + PE + WP + CD, true],
    ['CD and NW', PG + PE + WP + CD + NW, true],
    ['WP', PG + PE, false],
    ['NE', PG + PE + WP + CR0.NE, false],
    ['nothing', PG + PE + WP, false],
  ])('are loaded by MOV to CR0 that changes %s: %#', (_, value, expected) => {
    const memory = ram();
    const walker = make({ ...pae, memory });
    memory.write(0x1000, 8, 0);
    expect(reloads(walker.writeCr0(value))).toBe(expected);
    expect(vas(walker)).toEqual(expected ? [0xc000_0000n] : [0n, 0xc000_0000n]);
  });

  test.each<[string, number, boolean]>([
    ['PGE', PAE | PGE, true],
    ['PSE', PAE | PSE, true],
    ['SMEP', PAE | SMEP, true],
    ['SMAP', PAE | SMAP, false],
    ['LA57', PAE | LA57, false],
    ['nothing', PAE, false],
  ])('are loaded by MOV to CR4 that changes %s: %#', (_, value, expected) => {
    const memory = ram();
    const walker = make({ ...pae, memory });
    memory.write(0x1000, 8, 0);
    expect(reloads(walker.writeCr4(value))).toBe(expected);
    expect(vas(walker)).toEqual(expected ? [0xc000_0000n] : [0n, 0xc000_0000n]);
  });

  it('are not loaded while the write leaves another mode', () => {
    const memory = ram();
    memory.write(0x1000, 8, 0x2007); // no PDPTE
    const walker = make({ ...unpaged, memory, cr3: 0x1000 });
    expect(reloads(walker.writeCr4(PAE))).toBe(false);
    expect(reloads(walker.loadCr3(0x1000))).toBe(false);
    expect(reloads(walker.writeCr0(PE | CD))).toBe(false);
    walker.writeEfer(LME);
    expect(reloads(walker.writeCr0(PG + PE))).toBe(false);
    expect(reloads(walker.loadCr3(0x1000))).toBe(false);
  });

  it('are loaded when 32-bit paging turns into PAE paging', () => {
    const walker = make({ ...legacy, cr3: 0x1000 });
    expect(reloads(walker.writeCr4(PAE))).toBe(true);
    expect(vas(walker)).toEqual([0n, 0xc000_0000n]);
  });

  it('can be handed over as already loaded, reserved bits and all', () => {
    const pdptes = [0x2021n, 0n, 0x3021, 0n];
    const walker = make({ ...pae, cr3: 0xdead_0000n, pdptes });
    expect(vas(walker)).toEqual([0n, 0x8000_0000n]);
    expect(walker.translate(0x8000_1234n, Access.Read)).toMatchObject({ pa: 0x40_1234n });
  });
});

describe('construction', () => {
  it('refuses PDPTEs that cannot be loaded', () => {
    const memory = ram();
    memory.write(0x1000, 8, 0x2021);
    expectError(() => make({ ...pae, memory }), 'bad-argument', 'cr3');
    expect(errorOf(() => make({ ...pae, memory })).message).toContain('give pdptes');
    expectError(() => make({ ...pae, cr3: 0x9000_0000 }), 'bad-argument', 'cr3');
  });

  test.each<[string, Options, 'bad-argument' | 'out-of-range']>([
    ['cr0', { cr0: 1n << 32n }, 'out-of-range'],
    ['cr0', { cr0: 0.5 }, 'bad-argument'],
    ['cr3', { cr3: -1n }, 'out-of-range'],
    ['cr3', { cr3: 1n << 52n }, 'out-of-range'],
    ['cr3', { cr3: 1n << 63n }, 'out-of-range'],
    ['cr3', { cr3: 1n << 36n, maxPhyAddr: 36 }, 'out-of-range'],
    ['cr4', { cr4: -1 }, 'out-of-range'],
    ['efer', { efer: 1n << 32n }, 'out-of-range'],
    ['maxPhyAddr', { maxPhyAddr: 31 }, 'out-of-range'],
    ['maxPhyAddr', { maxPhyAddr: 53 }, 'out-of-range'],
    ['maxPhyAddr', { maxPhyAddr: 40.5 }, 'bad-argument'],
    ['pdptes', { pdptes: [0, 0, 0] }, 'bad-argument'],
    ['pdptes', { pdptes: [0, 0, 0, 1n << 64n] }, 'out-of-range'],
  ])('refuses a bad %s: %#', (argument, options, code) => {
    expectError(() => make(options), code, argument);
  });
});

describe('any sequence of register writes', () => {
  it('leaves a walker that answers, and a #GP changes nothing', () => {
    const pattern = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }),
    );
    const oneOf = (...bits: number[]): fc.Arbitrary<bigint> =>
      fc.subarray(bits).map((chosen) => BigInt(chosen.reduce((sum, bit) => sum + bit, 0)));
    const command = fc.oneof(
      fc.tuple(fc.constant('writeCr0' as const), fc.oneof(pattern, oneOf(PG, PE, WP, CD, NW))),
      fc.tuple(
        fc.constant('writeCr4' as const),
        fc.oneof(pattern, oneOf(PAE, PGE, PSE, SMEP, PCIDE, LA57, CET)),
      ),
      fc.tuple(fc.constant('loadCr3' as const), fc.oneof(pattern, oneOf(0x1000, 0x2000, 0x20, 1))),
      fc.tuple(fc.constant('writeEfer' as const), fc.oneof(pattern, oneOf(LME, LMA, NXE, SCE))),
    );
    const start = fc.constantFrom(unpaged, legacy, pae, long);
    const kinds = new Set<string>();
    fc.assert(
      fc.property(
        start,
        fc.array(command, { minLength: 1, maxLength: 20 }),
        (options, commands) => {
          const walker = make(options);
          for (const [name, value] of commands) {
            const registers = [walker.cr0, walker.cr3, walker.cr4, walker.efer];
            const result = walker[name](value);
            kinds.add(`${name} ${result.kind}`);
            if (result.kind === 'fault') {
              expect([walker.cr0, walker.cr3, walker.cr4, walker.efer]).toEqual(registers);
            }
            const { mode } = walker;
            const [paged, wide] = [
              (walker.cr0 & BigInt(PG)) !== 0n,
              (walker.cr4 & BigInt(PAE)) !== 0n,
            ];
            const lme = (walker.efer & BigInt(LME)) !== 0n;
            expect((walker.efer & BigInt(LMA)) !== 0n).toBe(paged && lme);
            expect(mode === 'none').toBe(!paged);
            expect(mode === '4-level' || mode === '5-level').toBe(paged && lme && wide);
            if (mode === '32-bit') expect(wide || lme).toBe(false);
            expect(Number.isInteger(walker.probe(3, Access.Read))).toBe(true);
          }
        },
      ),
      { numRuns: 300 },
    );
    expect(kinds.size).toBe(8);
  });
});
