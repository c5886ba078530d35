import { leafFlags, PageTable } from 'pagewright/page-table';
import { aarch64, eptLong4, type PteFormat, sv39, x86Legacy, x86Long4 } from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';
import { entryOf, makeSystem, RU, RWU, type System } from './system.js';

/** A mistake: what is there before, what is done, and the page whose address and entry the error names. */
interface Mistake {
  readonly name: string;
  readonly format: PteFormat;
  readonly code: string;
  readonly page: number;
  /** The level of that entry, unless 0. */
  readonly level?: number;
  readonly prepare?: (system: System) => unknown;
  readonly act: (system: System) => unknown;
}

const flagsOf = ({ table }: System) => table.flags({ prot: RWU });
const GIGABYTE = 2 ** 18;

const MISTAKES: readonly Mistake[] = [
  {
    name: 'a page where one is',
    format: x86Long4,
    code: 'overlap',
    page: 0x10,
    prepare: (system) => system.table.map(0x10, 5, flagsOf(system), system.owed),
    act: (system) => system.table.map(0x10, 6, flagsOf(system), system.owed),
  },
  {
    name: 'a large page where a page is',
    format: sv39,
    code: 'overlap',
    page: 0x200,
    level: 1,
    prepare: (system) => system.table.map(0x210, 5, flagsOf(system), system.owed),
    act: (system) => system.table.map(0x200, 0x200, flagsOf(system), system.owed, 512),
  },
  {
    name: 'a group where one of its entries is in use',
    format: aarch64(),
    code: 'overlap',
    page: 0x15,
    prepare: (system) => system.table.map(0x15, 5, flagsOf(system), system.owed),
    act: (system) => system.table.map(0x10, 0x10, flagsOf(system), system.owed, 16),
  },
  {
    name: 'a stretch with a page in it',
    format: x86Long4,
    code: 'overlap',
    page: 0x15,
    prepare: (system) => system.table.map(0x15, 5, flagsOf(system), system.owed),
    act: (system) => {
      const range = { vpn: 0x10, pfn: 0x100, pages: 8, flags: flagsOf(system) };
      return system.table.mapRange(range, system.owed);
    },
  },
  {
    name: 'a swapped page where one is mapped',
    format: sv39,
    code: 'overlap',
    page: 0x10,
    prepare: (system) => system.table.map(0x10, 5, flagsOf(system), system.owed),
    act: (system) => system.table.swapIn(0x10, 6, flagsOf(system), system.owed),
  },
  {
    name: 'a boundary in a page that can not be split',
    format: x86Legacy,
    code: 'misaligned',
    page: 0x410,
    prepare: (system) => system.table.map(0x400, 0x148c00, flagsOf(system), system.owed, 1024),
    act: (system) => system.table.unmapRange({ vpn: 0x410, pages: 0x3f0 }, system.owed),
  },
  {
    name: 'a leaf that is to be lent',
    format: sv39,
    code: 'overlap',
    page: GIGABYTE,
    prepare: (system) =>
      system.table.map(GIGABYTE, GIGABYTE, flagsOf(system), system.owed, GIGABYTE),
    act: ({ frames, memory, owed, table }) => {
      const other = new PageTable({ format: sv39, memory, frames });
      return other.share(table, { vpn: 0, pages: 2 * GIGABYTE }, owed);
    },
  },
];

describe('an error names the address and the entry there, as data', () => {
  it.each(MISTAKES)('$name', ({ act, code, format, level = 0, page, prepare }) => {
    const system = makeSystem(format);
    prepare?.(system);
    system.owed.complete();
    const error = errorOf(() => act(system));
    const address = BigInt(page) << 12n;
    expect(error.code).toBe(code);
    expect(error.details).toMatchObject({ address, entry: entryOf(system, page, level) });
    expect(error.message).toContain(`0x${address.toString(16)}`);
  });

  it('of what leads nowhere sound, wherever in the stretch it is', () => {
    const { frames, memory, owed, table } = makeSystem(sv39);
    table.map(0x10, 5, table.flags({ prot: RU }), owed);
    const { table: middle } = table.describe(0x10_000).path[1]!;
    const entry = (0xfffffn << 10n) | 1n;
    memory.write(middle * 4096 + 8 * 9, 8, entry);
    const guest = new PageTable({ format: sv39, memory, frames, root: table.root });
    const unmap = (): number => guest.unmapRange({ vpn: 0, pages: GIGABYTE }, owed);
    expect(errorOf(unmap).details).toMatchObject({ address: BigInt(9 * 512) << 12n, entry });
  });

  it('of what is aligned badly, the address alone', () => {
    const system = makeSystem(x86Long4);
    const map = (vpn: number, pfn: number) => () =>
      system.table.map(vpn, pfn, flagsOf(system), system.owed, 512);
    expect(errorOf(map(0x201, 0x200)).details).toMatchObject({ address: 0x201_000n });
    expect(errorOf(map(0x200, 0x201)).details).toMatchObject({ address: 0x200_000n });
    expect(errorOf(map(0x200, 2 ** 40)).details).toMatchObject({ address: 0x200_000n });
  });
});

describe('leafFlags', () => {
  // RISC-V Privileged, Svpbmt: a leaf with PBMT 3 faults.
  it('refuses RISC-V’s reserved memory type', () => {
    expect(leafFlags(sv39, { prot: RU, fields: { PBMT: 2 } }).high).toBe(0x40000000);
    const reserved = (): unknown => leafFlags(sv39, { prot: RU, fields: { PBMT: 3 } });
    expectError(reserved, 'out-of-range', 'fields.PBMT');
    // Two bits of others may be 3.
    expect(leafFlags(eptLong4, { prot: RU, fields: { IGN56_52: 3 } }).high).toBe(3 << 20);
  });

  it.each(['accessed', 'dirty', 'global'])('takes a boolean for %s', (name) => {
    const options: { prot: number } = JSON.parse(`{"prot": 3, "${name}": "no"}`);
    expectError(() => leafFlags(sv39, options), 'bad-argument', name);
  });

  it('takes fields by name', () => {
    const options: { prot: number } = JSON.parse('{"prot": 3, "fields": null}');
    expectError(() => leafFlags(sv39, options), 'bad-argument', 'fields');
  });
});
