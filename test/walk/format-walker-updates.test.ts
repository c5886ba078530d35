import { Access, VmError, type VmEvent } from 'pagewright/core';
import { BUS_ERROR, PhysicalMemory } from 'pagewright/memory';
import { definePteFormat, type PteFormatDescription } from 'pagewright/pte';
import { FORMAT_RULES, FormatWalker, formatWalk } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';

/** Two levels of four 16-byte pages each, with accessed bits in pointers too. */
const tiny = (entryBytes: 1 | 2 | 4 | 8): PteFormatDescription => ({
  name: `tiny${entryBytes}`,
  pageBytes: 16,
  entryBytes,
  levels: [
    { bits: 2, tableBytes: 32 },
    { bits: 2, tableBytes: 32 },
  ],
  bits: { valid: 0, write: 1, accessed: 2, dirty: 3, frame: [7, 4] },
  pointers: { rights: true, accessed: true },
});

/** The root in frame 0; entry 1 of it points at frame 4, whose entry 3 maps frame 9. */
function machine(
  entryBytes: 1 | 2 | 4 | 8,
  memory: PhysicalMemory = PhysicalMemory.allocate(4096, { base: 0 }),
): FormatWalker {
  const format = definePteFormat(tiny(entryBytes));
  memory.write(entryBytes, entryBytes, 0x43);
  memory.write(64 + 3 * entryBytes, entryBytes, 0x93);
  return new FormatWalker({ memory, format, root: 0 });
}

/** The page whose number has these two indexes. */
const PAGE = (1 << 2) | 3;

/** Memory of one device, which answers all reads of one byte or two, and takes no write. */
function deviceOf(read: (offset: number) => number): PhysicalMemory {
  const memory = new PhysicalMemory();
  memory.addDevice({ base: 0, bytes: 4096, read, write: () => BUS_ERROR });
  return memory;
}

describe('accessed and dirty bits of entries of any size', () => {
  it.each([1, 2, 4, 8] as const)('%i bytes: are set there and nowhere else', (entryBytes) => {
    const walker = machine(entryBytes);
    const { memory } = walker;
    const expected = new Uint8Array(4096).fill(0xff);
    expected.fill(0, entryBytes, 2 * entryBytes).fill(0, 64 + 3 * entryBytes, 64 + 4 * entryBytes);
    expected[entryBytes] = 0x43;
    expected[64 + 3 * entryBytes] = 0x93;
    memory.writeBytes(0, 0, expected);
    expect(walker.walk(PAGE, Access.Write)).toBe(9);
    expected[entryBytes] = 0x47;
    expected[64 + 3 * entryBytes] = 0x9f;
    const found = new Uint8Array(4096);
    memory.readBytes(0, 0, found);
    expect(found).toEqual(expected);
  });

  it.each([1, 2, 4] as const)('%i bytes: are kept when the entry is shared', (entryBytes) => {
    const memory = PhysicalMemory.allocate(4096, { base: 0, shared: true });
    const walker = machine(entryBytes, memory);
    expect(walker.walk(PAGE, Access.Read)).toBe(9);
    expect(memory.read8(0, 64 + 3 * entryBytes)).toBe(0x97);
  });

  it.each([1, 2] as const)('%i bytes: are set in one step where memory is shared', (entryBytes) => {
    const memory = PhysicalMemory.allocate(4096, { base: 0, shared: true });
    const walker = machine(entryBytes, memory);
    const written = (): never => {
      throw new Error('another worker may have changed the entry meanwhile');
    };
    Object.assign(memory, { write8: written, write16: written });
    expect(walker.walk(PAGE, Access.Write)).toBe(9);
    expect(memory.read8(0, 64 + 3 * entryBytes)).toBe(0x9f);
  });

  it('that cannot be written are a bus error at their level', () => {
    const walker = new FormatWalker({
      memory: deviceOf((offset) => (offset === 1 ? 0x43 : 0x97)),
      format: definePteFormat(tiny(1)),
      root: 0,
    });
    expect(walker.walk(PAGE, Access.Read)).toBe(FORMAT_RULES.updateMissing.result);
    expect(walker.fault).toMatchObject({ level: 1, reason: 'bus-error', va: 0x70n });
    expect(walker.probe(PAGE, Access.Read)).toBe(9);
  });

  it('that others keep changing are given up in the end', () => {
    let reads = 0;
    const walker = new FormatWalker({
      memory: deviceOf((offset) => (offset === 1 ? 0x47 : ((reads++ & 15) << 4) | 0x03)),
      format: definePteFormat(tiny(1)),
      root: 0,
    });
    expect(walker.walk(PAGE, Access.Read)).toBe(FORMAT_RULES.contended.result);
    expect(walker.rule).toBe(FORMAT_RULES.contended);
  });

  it('that vanish are a bus error', () => {
    let reads = 0;
    const memory = deviceOf((offset) =>
      offset === 1 ? 0x47 : reads++ % 2 === 0 ? 0x93 : BUS_ERROR,
    );
    const walker = new FormatWalker({ memory, format: definePteFormat(tiny(1)), root: 0 });
    expect(walker.walk(PAGE, Access.Read)).toBe(FORMAT_RULES.updateMissing.result);
  });
});

describe('a walk that ends in a fault', () => {
  it('changes nothing, unless the machine sets accessed bits as it goes', () => {
    const walker = machine(1);
    const { memory } = walker;
    expect(walker.walk(PAGE - 1, Access.Read)).toBe(FORMAT_RULES.invalid.result);
    expect(walker.leafLevel).toBe(-1);
    expect(memory.read8(0, 1)).toBe(0x43);
    walker.setPolicy({ accessedOnFault: true });
    expect(walker.explain((PAGE - 1) * 16, Access.Read).steps[0]?.set).toEqual(['A']);
    expect(memory.read8(0, 1)).toBe(0x43);
    expect(walker.walk(PAGE - 1, Access.Read)).toBe(FORMAT_RULES.invalid.result);
    expect(memory.read8(0, 1)).toBe(0x47);
  });

  it('leaves them alone where software sets them', () => {
    const walker = machine(1);
    walker.setPolicy({ accessedOnFault: true, updates: 'software' });
    expect(walker.walk(PAGE, Access.Read)).toBe(FORMAT_RULES.accessedClear.result);
    expect(walker.fault.level).toBe(1);
    expect(walker.memory.read8(0, 1)).toBe(0x43);
  });

  it('may fail to set them, or see the entry change', () => {
    const format = definePteFormat(tiny(1));
    const rom = new FormatWalker({ memory: deviceOf(() => 0x43), format, root: 0 });
    rom.setPolicy({ accessedOnFault: true });
    expect(rom.walk(PAGE, Access.Read)).toBe(FORMAT_RULES.updateMissing.result);
    let reads = 0;
    const restless = new FormatWalker({
      memory: deviceOf(() => ((reads++ & 15) << 4) | 0x03),
      format,
      root: 0,
      accessedOnFault: true,
    });
    expect(restless.walk(PAGE, Access.Read)).toBe(FORMAT_RULES.contended.result);
  });
});

describe('the policy', () => {
  it('changes as a whole or not at all', () => {
    const walker = machine(1);
    const before = walker.policy;
    const wrong = { executableIsReadable: true, accessedOnFault: 'yes' };
    // As a caller without types would.
    expectError(
      () => walker.setPolicy(JSON.parse(JSON.stringify(wrong))),
      'bad-argument',
      'accessedOnFault',
    );
    expect(walker.policy).toEqual(before);
    walker.setPolicy({ executableIsReadable: true });
    expect(walker.policy).toEqual({ ...before, executableIsReadable: true });
    expect(walker.snapshot()).toMatchObject({ executableIsReadable: true, updates: 'hardware' });
  });
});

describe('pages of 16 bytes', () => {
  it('are told of in bytes: addresses, tables, sizes', () => {
    const walker = machine(1);
    expect(formatWalk(walker.explain(0x7a, Access.Write)).split('\n')).toEqual([
      'supervisor write at 0x7a (tiny1, root 0x0)',
      '  level 1 [  1] @0x1 = 0x43  pointer to 0x40, rwxu so far, sets A',
      '  level 0 [  3] @0x43 = 0x93  leaf at 0x90, rwxu A=0 D=0, sets D A',
      '  physical address 0x9a, in a 16 B page',
    ]);
  });

  it('have events that count in them', () => {
    const walker = machine(2);
    const events: VmEvent[] = [];
    walker.observer = (event) => events.push(event);
    walker.walk(PAGE, Access.Read);
    expect(events.map(({ type }) => type)).toEqual([
      ...['walk-begin', 'entry-read', 'entry-read', 'entry-write', 'entry-write', 'walk-end'],
    ]);
    expect(events[2]).toMatchObject({ level: 0, tablePfn: 4, index: 3, low: 0x93 });
    expect(events[5]).toMatchObject({ result: 9, rule: 'format.translated' });
  });

  it('give tables that span two frames of memory', () => {
    const format = definePteFormat({
      name: 'spanning',
      pageBytes: 16,
      entryBytes: 4,
      levels: [{ bits: 10, tableBytes: 4096 }],
      bits: { valid: 0, frame: [31, 4] },
    });
    const memory = PhysicalMemory.allocate(0x4000, { base: 0x1000 });
    const walker = new FormatWalker({ memory, format, root: 0x1ff0 / 16 });
    memory.write(0x1ff0 + 4 * 1023, 4, 0x70001);
    expect(walker.walk(1023, Access.Read)).toBe(0x7000);
    expect(walker.explain(1023 * 16, Access.Read).steps[0]?.address).toBe(0x2fecn);
  });
});

describe('the ends of the address spaces', () => {
  const wide: PteFormatDescription = {
    name: 'wide',
    pageBytes: 4096,
    entryBytes: 8,
    levels: [
      { bits: 26, tableBytes: 2 ** 29 },
      { bits: 26, tableBytes: 2 ** 29 },
    ],
    bits: { valid: 0, frame: [63, 12] },
    virtualBits: 64,
    physicalBits: 64,
  };

  it('are reached by indexes as wide as they may be', () => {
    const memory = new PhysicalMemory();
    memory.addSparse({ base: 0, bytes: 2 ** 31 });
    memory.write(8 * (2 ** 26 - 1), 8, 0x2000_0001n);
    memory.write(0x2000_0000 + 8 * (2 ** 26 - 2), 8, 0xffff_ffff_ffff_f001n);
    const walker = new FormatWalker({ memory, format: definePteFormat(wide), root: 0 });
    expect(walker.walk(2 ** 52 - 2, Access.Read)).toBe(2 ** 52 - 1);
    expect(walker.translate(0xffff_ffff_ffff_e123n, Access.Read)).toMatchObject({
      kind: 'page',
      pa: 0xffff_ffff_ffff_f123n,
    });
  });

  it('hold no table beyond them', () => {
    const memory = PhysicalMemory.allocate(4096, { base: 2n ** 64n - 4096n });
    const format = definePteFormat(wide);
    const walker = new FormatWalker({ memory, format, root: 2 ** 52 - 1 });
    memory.write(2n ** 64n - 8n, 8, 0x5001);
    expect(walker.walk(512, Access.Read)).toBe(FORMAT_RULES.invalid.result);
    expect(walker.walk(512 * 2 ** 26, Access.Read)).toBe(FORMAT_RULES.tableMissing.result);
    expect(walker.walk(511 * 2 ** 26, Access.Read)).toBe(FORMAT_RULES.tableMissing.result);
    expect(walker.fault.level).toBe(0);
  });

  it('are a fault just outside, and a mistake where page numbers are no longer exact', () => {
    const walker = machine(1);
    expect(walker.translate(0x100, Access.Read)).toMatchObject({ reason: 'non-canonical' });
    expect(walker.translate(2n ** 56n, Access.Read)).toMatchObject({ reason: 'non-canonical' });
    expect(() => walker.translate(2n ** 58n, Access.Read)).toThrow(VmError);
  });
});
