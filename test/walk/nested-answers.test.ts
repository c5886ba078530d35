import { Access, formatProt } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { mappings, RiscvGStage, RiscvWalker, X86Ept, X86Npt, X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

const { Fetch, Read, User, Write } = Access;

/** RAM of 4 MiB, with entries by address. */
function memoryOf(entries: Readonly<Record<number, bigint>>): PhysicalMemory {
  const memory = PhysicalMemory.allocate(0x40_0000, { base: 0 });
  for (const [address, entry] of Object.entries(entries)) memory.write(Number(address), 8, entry);
  return memory;
}

/** A four-level guest at 0x10000 whose 2 MiB page at 0 has the given low bits, over the EPT leaf for the first 2 MiB. */
function overEpt(guestLeaf: bigint, eptLeaf: bigint, modeBasedExecute: boolean): X86Walker {
  const memory = memoryOf({
    4096: 0x2507n,
    8192: 0x3507n,
    12288: eptLeaf,
    [0x10000]: 0x11067n,
    [0x11000]: 0x12067n,
    [0x12000]: guestLeaf,
  });
  const secondStage = new X86Ept({ memory, eptp: 0x101en, modeBasedExecute });
  return new X86Walker({ memory, cr3: 0x10000, secondStage });
}

const USER_PAGE = 0xe7n;
const SUPERVISOR_PAGE = 0xe3n;

describe('the rights of a nested translation', () => {
  it.each([
    ['X=0 XU=1', 0x7b3n, USER_PAGE, 'rwxu', 'rw--'],
    ['X=1 XU=0', 0x3b7n, SUPERVISOR_PAGE, 'rwx-', 'rw-u'],
  ])(
    'are by XU for user pages and by X for others, with mode-based execute control (%s)',
    (...row) => {
      const [, eptLeaf, allowed, granted, denied] = row;
      const refused = allowed === USER_PAGE ? SUPERVISOR_PAGE : USER_PAGE;
      const prot = (guestLeaf: bigint): string => {
        const answer = overEpt(guestLeaf, eptLeaf, true).translate(0, Read);
        return answer.kind === 'page' ? formatProt(answer.prot) : answer.reason;
      };
      expect([prot(allowed), prot(refused)]).toEqual([granted, denied]);
      const mode = allowed === USER_PAGE ? User : 0;
      expect(overEpt(allowed, eptLeaf, true).walk(0, Fetch | mode)).toBe(0);
      expect(overEpt(refused, eptLeaf, true).walk(0, Fetch | (User - mode))).toBeLessThan(0);
    },
  );

  it('are by X alone without it', () => {
    expect(overEpt(USER_PAGE, 0x3b7n, false).translate(0, Read)).toMatchObject({ prot: 15 });
    expect(overEpt(USER_PAGE, 0x7b3n, false).translate(0, Read)).toMatchObject({ prot: 11 });
  });

  it('are those that both stages leave', () => {
    expect(overEpt(USER_PAGE, 0x3b5n, false).translate(0, Read)).toMatchObject({ prot: 13 });
  });

  it("tell both kinds of execution in the EPT's own attributes", () => {
    const memory = memoryOf({ 4096: 0x2407n, 8192: 0x3407n, 12288: 0x4b0n });
    const ept = new X86Ept({ memory, eptp: 0x101en, modeBasedExecute: true });
    const [mapping] = [...mappings(ept)];
    expect(mapping).toMatchObject({ prot: 12, ept: { execute: false, executeUser: true } });
    const step = ept.explain(0, Fetch | User).steps.at(-1);
    expect(step?.prot).toBe('--xu');
  });
});

describe('the leaf of the second stage in an answer', () => {
  it("gives EPT's memory type beside the guest's PAT index", () => {
    const answer = overEpt(USER_PAGE | 8n, 0x3f7n, false).translate(0, Read);
    expect(answer).toMatchObject({
      x86: { patIndex: 1 },
      host: { pageBytes: 0x20_0000, ept: { memoryType: 6, ignorePat: true } },
    });
  });

  it("gives nested paging's PAT index", () => {
    const memory = memoryOf({ 4096: 0x2067n, 8192: 0xf7n, [0x10000]: 0x11067n, [0x11000]: 0xefn });
    const secondStage = new X86Npt({ memory, cr3: 0x1000 });
    const walker = new X86Walker({ memory, cr3: 0x10000, secondStage });
    const answer = walker.translate(0, Read);
    expect(answer).toMatchObject({ x86: { patIndex: 1 }, host: { x86: { patIndex: 2 } } });
  });

  it("overrides the PMA with its PBMT, and is overridden by the VS stage's", () => {
    const [PMA, NC, IO] = [0, 1, 2];
    for (const [guest, host, effective] of [
      [PMA, PMA, PMA],
      [PMA, NC, NC],
      [PMA, IO, IO],
      [NC, PMA, NC],
      [NC, IO, NC],
      [IO, PMA, IO],
      [IO, NC, IO],
    ] as const) {
      const leaf = (pbmt: number): bigint => 0xdfn | (BigInt(pbmt) << 61n);
      const memory = memoryOf({ [0x4000]: leaf(host), [0x8000]: leaf(guest) });
      const options = { memory, pbmte: true };
      const secondStage = new RiscvGStage({ ...options, hgatp: (8n << 60n) | 4n });
      const walker = new RiscvWalker({ ...options, satp: (8n << 60n) | 8n, secondStage });
      expect(walker.translate(0, Read | User)).toMatchObject({
        riscv: { pbmt: effective },
        host: { riscv: { pbmt: host } },
      });
      const bare = new RiscvWalker({ ...options, satp: 0, secondStage });
      expect(bare.translate(0, Read | User)).toMatchObject({ riscv: { pbmt: host } });
    }
  });
});

describe('the PDPTE of a PAE guest under nested paging', () => {
  it('limits no rights, although it is read from memory', () => {
    const memory = memoryOf({
      4096: 0x2067n,
      8192: 0xe7n,
      [0x10000]: 0x11001n,
      [0x11000]: 0x12067n,
      [0x12000]: 0x20067n,
    });
    const secondStage = new X86Npt({ memory, cr3: 0x1000 });
    const walker = new X86Walker({ memory, cr3: 0x10000, cr4: 0x20, efer: 0x800, secondStage });
    const report = walker.explain(0, Write | User);
    expect(report.steps.map((step) => step.prot)).toEqual(['rwxu', 'rwxu', 'rwxu']);
    expect(report.outcome).toMatchObject({ kind: 'page', prot: 15 });
  });
});
