import fc from 'fast-check';
import { Access, addressFromVpn, VmError } from 'pagewright/core';
import type { PhysicalMemory } from 'pagewright/memory';
import {
  formatWalk,
  mappings,
  mergedMappings,
  type RadixWalker,
  RiscvGStage,
  RiscvWalker,
  type SecondStage,
  X86Npt,
  X86Walker,
} from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { NESTED, nestedMachine, ram } from './nested-machines.js';

const ACCESSES = [
  Access.Read | Access.User,
  Access.Write | Access.User,
  Access.Fetch | Access.User,
  Access.Read,
  Access.Write,
  Access.Fetch,
];

const READ = Access.Read | Access.User;

const levelsOf = (walker: RadixWalker): number => walker.format?.levels ?? 0;

function stageOf(walker: RadixWalker): SecondStage {
  if (walker.secondStage === null) throw new Error('there is no second stage');
  return walker.secondStage;
}

describe.each(NESTED.map((kind) => [kind.name, kind] as const))('%s', (_, kind) => {
  it('translates through both stages', () => {
    const { vpns, walker } = nestedMachine(kind);
    for (const vpn of vpns) {
      // Guest frame base + 256 + n lies at host frame base + 512 + n.
      const wanted = kind.base + 512 + vpn;
      expect(walker.walk(vpn, Access.Read | Access.User)).toBe(wanted);
      expect(walker.probe(vpn, Access.Write | Access.User)).toBe(wanted);
      const answer = walker.translate(addressFromVpn(vpn, 8), Access.Read | Access.User);
      expect(answer).toMatchObject({
        kind: 'page',
        pfn: wanted,
        gpa: addressFromVpn(wanted - 256, 8),
      });
    }
  });

  it('makes (g + 1)(h + 1) - 1 references, and shows them in both dimensions', () => {
    const { walker } = nestedMachine(kind);
    const report = walker.explain(0, Access.Read | Access.User);
    const host = levelsOf(stageOf(walker));
    const pdpteIsRegister = report.steps.some(({ address }) => address === null);
    const guest = report.steps.length - (pdpteIsRegister ? 1 : 0);
    expect(report.references).toBe((guest + 1) * (host + 1) - 1);
    expect(report.target?.steps.length).toBe(host);
    for (const { address, secondStage } of report.steps) {
      if (address === null) continue;
      expect(secondStage?.steps.length).toBe(host);
      expect(secondStage?.va).toBe(address);
    }
    expect(formatWalk(report)).toContain('physical address');
  });

  it('answers the same from flat RAM, by the fast path, and from sparse RAM, whatever the tables hold', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            host: fc.boolean(),
            entry: fc.nat(),
            bits: fc.array(fc.integer({ min: 0, max: 63 }), { minLength: 1, maxLength: 3 }),
          }),
          { maxLength: 4 },
        ),
        fc.array(fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 5 })), { minLength: 1, maxLength: 12 }),
        (flips, questions) => {
          const machines = [nestedMachine(kind, true), nestedMachine(kind, false)] as const;
          for (const { entry, host, bits } of flips) {
            for (const machine of machines) flip(machine, host, entry, bits);
          }
          for (const [page, which] of questions) {
            const access = ACCESSES[which]!;
            const vpn = page * Math.max(1, machines[0].vpns[1] ?? 1);
            const answers = machines.map(({ walker }) => {
              const probed = walker.probe(vpn, access);
              const explained = walker.explain(addressFromVpn(vpn), access).outcome;
              const walked = walker.walk(vpn, access);
              const again = walker.walk(vpn, access);
              const translated = walker.translate(addressFromVpn(vpn), access);
              expect(again).toBe(walked);
              return { probed, explained, walked, translated };
            });
            expect(answers[0]).toEqual(answers[1]);
            const { explained, probed, walked } = answers[0]!;
            expect(probed).toBe(walked);
            expect(explained.kind === 'page' ? explained.pfn : -1).toBe(Math.max(walked, -1));
          }
          const [flat, sparse] = machines.map(entriesOf);
          expect(flat).toEqual(sparse);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('says which stage refused, what it was asked for, and at which guest-physical address', () => {
    const { host, memory, walker } = nestedMachine(kind);
    // Away with what maps the guest's last table.
    const last = walker.explain(0, Access.Read).steps.at(-1)!;
    const table = Number(last.address! >> 12n);
    const entry = host.written.find((address) => holds(memory, address, table + 256, kind))!;
    memory.write(entry, kind.host.format.entryBytes === 4 ? 4 : 8, 0n);
    const answer = walker.translate(0, Access.Read | Access.User);
    expect(answer).toMatchObject({
      kind: 'fault',
      reason: 'not-present',
      secondStage: { purpose: 'table-read' },
    });
    expect(walker.fault.stage).toBe(2);
    expect(walker.fault.gpa).toBe(last.address);
    const report = walker.explain(0, Access.Read | Access.User);
    // Only the last table is out of reach: the report has the steps before it, and the walk that refused.
    expect(report.unread).toMatchObject({ level: 0, address: last.address });
    expect(report.unread?.secondStage.outcome).toMatchObject({ kind: 'fault' });
    expect(report.unread?.secondStage.va).toBe(last.address);
    expect(report.steps.at(-1)?.level).toBe(1);
    expect(report.target).toBeNull();
    expect(formatWalk(report)).toContain(`@0x${last.address!.toString(16)} can't be read`);
  });

  it('lists its own leaves, read through the second stage', () => {
    for (const flat of [true, false]) {
      const { vpns, walker } = nestedMachine(kind, flat);
      const leaves = [...mappings(walker)];
      expect(leaves.map(({ va }) => va)).toEqual(vpns.map((vpn) => addressFromVpn(vpn)));
      for (const { entry, pa, raw, va } of leaves) {
        const { outcome, steps } = walker.explain(va, READ);
        expect(outcome).toMatchObject({ kind: 'page', gpa: pa });
        expect(steps.at(-1)).toMatchObject({ address: entry, raw });
      }
      const pages = mergedMappings(walker).ranges.reduce((sum, range) => sum + range.pages, 0);
      expect(pages).toBe(leaves.reduce((sum, leaf) => sum + leaf.pages, 0));
    }
  });

  it('tells the observers of both stages of every walk once, explained or not', () => {
    const { walker } = nestedMachine(kind);
    const seen: string[] = [];
    stageOf(walker).observer = ({ type }) => seen.push(type);
    walker.probe(0, READ);
    const probed = seen.splice(0);
    walker.explain(0, READ);
    expect(seen).toEqual(probed);
    // One walk for each table in memory, and one for the page: PAE's PDPTEs are registers over EPT.
    const tables = walker.explain(0, READ).steps.filter(({ address }) => address !== null);
    const ends = probed.filter((type) => type === 'walk-end');
    expect(ends).toHaveLength(tables.length + 1);
  });

  it('answers the same whatever an observer asks the second stage meanwhile', () => {
    const { walker } = nestedMachine(kind);
    const answer = walker.translate(0, READ);
    walker.observer = ({ type }) => {
      if (type === 'walk-end') stageOf(walker).probe(2 ** 19, Access.Write);
    };
    expect(walker.translate(0, READ)).toEqual(answer);
    walker.observer = null;
    expect(walker.translate(0, READ)).toEqual(answer);
  });

  it('refuses a walk that the observer of the second stage asks of the guest', () => {
    const { walker } = nestedMachine(kind);
    const before = walker.explain(0, READ);
    stageOf(walker).observer = () => walker.probe(0, READ);
    expect(() => walker.walk(0, READ)).toThrow(VmError);
    stageOf(walker).observer = null;
    expect(walker.explain(0, READ)).toEqual(before);
  });

  it('keeps its invariants, and its second stage does', () => {
    const { walker } = nestedMachine(kind);
    expect(() => walker.checkInvariants()).not.toThrow();
    expect(() => stageOf(walker).checkInvariants()).not.toThrow();
  });
});

/** Whether a host entry is the leaf of a host frame. */
function holds(
  memory: PhysicalMemory,
  address: bigint,
  frame: number,
  kind: (typeof NESTED)[number],
): boolean {
  const { format } = kind.host;
  const found = memory.read(address, format.entryBytes === 4 ? 4 : 8);
  if (found.kind !== 'value') return false;
  const granule = 2 ** (format.pageShift - 12);
  const entry = format.decode(found.value, 0);
  return entry.kind === 'leaf' && entry.pfn === Math.floor(frame / granule);
}

function flip(
  { guest, host, memory }: ReturnType<typeof nestedMachine>,
  inHost: boolean,
  entry: number,
  bits: readonly number[],
): void {
  const { style, written } = inHost ? host : guest;
  const width = style.format.entryBytes === 4 ? 4 : 8;
  const address = written[entry % written.length]!;
  const found = memory.read(address, width);
  if (found.kind !== 'value') throw new Error('no memory');
  // Not the host's frames: a guest's table that lies in a host's table changes what is read after it.
  const places = bits.map((bit) => (inHost ? (bit % 24 < 10 ? bit % 24 : 63 - (bit % 12)) : bit));
  const mask = places.reduce((all, bit) => all ^ (1n << BigInt(bit % (8 * width))), 0n);
  memory.write(address, width, found.value ^ mask);
}

/** All entries as they are now. */
function entriesOf({ guest, host, memory }: ReturnType<typeof nestedMachine>): unknown[] {
  const read = (address: bigint): unknown => memory.read(address, 8);
  return [...guest.written, ...host.written.slice(0, 64)].map(read);
}

describe('a second stage', () => {
  it('must be over the memory of the guest', () => {
    const memory = ram(0x400, true);
    const secondStage = new X86Npt({ memory: ram(0x400, true), cr3: 0x40_0000 });
    expect(() => new X86Walker({ memory, cr3: 0x40_0000, secondStage })).toThrow(VmError);
  });

  it('gives the smaller page of both stages', () => {
    const kind = NESTED.find(({ name }) => name === 'sv39 over sv39x4')!;
    const { guest, host, walker } = nestedMachine(kind);
    expect(walker.translate(0, Access.Read | Access.User)).toMatchObject({ pageBytes: 4096 });
    // 2 MiB of guest over 2 MiB of host, and over 4 KiB.
    host.map(0x40000, kind.base + 512, 1);
    guest.map(0x200, 0x40000, 1);
    expect(walker.translate(0x20_0000, Access.Read | Access.User)).toMatchObject({
      pageBytes: 0x20_0000,
    });
    guest.map(0x400, kind.base, 1);
    expect(walker.translate(0x40_0000, Access.Read | Access.User)).toMatchObject({
      pageBytes: 4096,
    });
  });

  it('that is off has no page size of its own, nor has a guest without paging', () => {
    const memory = ram(0, true);
    const gib = 0x4000_0000;
    const off = new RiscvGStage({ memory, hgatp: 0n });
    memory.write(0x2000, 8, 0xdfn); // an Sv39 root: a 1 GiB leaf at 0
    const satp = (8n << 60n) | 2n;
    const guest = new RiscvWalker({ memory, satp, secondStage: off });
    expect(guest.translate(0, Access.Read | Access.User)).toMatchObject({ pageBytes: gib });
    memory.write(0, 8, 0xdfn);
    const on = new RiscvGStage({ memory, hgatp: 8n << 60n });
    const bare = new RiscvWalker({ memory, satp: 0n, secondStage: on });
    expect(bare.translate(0, Access.Read | Access.User)).toMatchObject({ pageBytes: gib });
    const both = new RiscvWalker({ memory, satp: 0n, secondStage: off });
    expect(both.translate(0, Access.Read | Access.User)).toMatchObject({ pageBytes: 4096 });
  });

  it('alone decides for a guest without translation, whatever lies where satp.PPN would have it', () => {
    const memory = ram(0, true);
    memory.write(0x4000, 8, 0xdfn); // an Sv39x4 root: a 1 GiB leaf at 0
    memory.write(0, 8, 0x2000_00dfn); // would be a 1 GiB leaf at 0x8000_0000 of a root table at 0
    const secondStage = new RiscvGStage({ memory, hgatp: (8n << 60n) | 4n });
    const guest = new RiscvWalker({ memory, satp: 0n, secondStage });
    expect(guest.walk(5, Access.Read | Access.User)).toBe(5);
    guest.setSatp(8n << 60n);
    expect(guest.walk(5, Access.Read | Access.User)).toBeLessThan(0);
    guest.setSatp(0n);
    expect(guest.walk(5, Access.Read | Access.User)).toBe(5);
  });

  it('stands in the text of a report above each entry that it led to', () => {
    const kind = NESTED.find(({ name }) => name === 'sv39 over sv39x4')!;
    const { walker } = nestedMachine(kind);
    const lines = formatWalk(walker.explain(0, Access.Read | Access.User)).split('\n');
    const depth = lines.map((line) => line.search(/\S/));
    // Title, three times a walk of three levels before an entry, the walk to the target, verdict, count.
    const walk = [4, 6, 6, 6, 6];
    expect(depth).toEqual([0, ...walk, 2, ...walk, 2, ...walk, 2, ...walk, 2, 2]);
    expect(lines.at(-1)).toBe('  15 references in both stages');
  });

  it('that gets its root after its guest was made serves the fast path all the same', () => {
    const memory = ram(0, true);
    memory.write(0x4000, 8, 0xdfn);
    memory.write(0x1000, 8, 0xdfn);
    const secondStage = new RiscvGStage({ memory, hgatp: 0n });
    const guest = new RiscvWalker({ memory, satp: (8n << 60n) | 1n, secondStage });
    secondStage.setHgatp((8n << 60n) | 4n);
    expect(guest.walk(0, READ)).toBe(0);
    // The complete form records its path, the fast path does not.
    guest.path.last = 7;
    expect(guest.walk(3, READ)).toBe(3);
    expect(guest.path.last).toBe(7);
  });

  it('that leads to where there is no memory did not refuse', () => {
    const memory = ram(0, true);
    memory.write(0x4000, 8, 0xdfn | (1n << 37n)); // 0 is at 512 GiB
    const secondStage = new RiscvGStage({ memory, hgatp: (8n << 60n) | 4n });
    const guest = new RiscvWalker({ memory, satp: (8n << 60n) | 1n, secondStage });
    const { outcome, unread } = guest.explain(0, READ);
    expect(outcome).toMatchObject({ kind: 'fault', reason: 'bus-error' });
    expect(unread).toBeNull();
  });

  it('makes 19 references of 24 when one side has 2 MiB pages', () => {
    const kind = NESTED.find(({ name }) => name === 'sv48 over sv48x4')!;
    const { guest, walker } = nestedMachine(kind);
    expect(walker.explain(0, Access.Read | Access.User).references).toBe(24);
    guest.map(0x200, kind.base, 1);
    expect(walker.explain(0x20_0000, Access.Read | Access.User).references).toBe(19);
  });
});
