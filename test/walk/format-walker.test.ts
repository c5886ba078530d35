import { Access, formatProt, Prot, VmError } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { definePteFormat, type PteFormatDescription, sv39 } from 'pagewright/pte';
import {
  FORMAT_RULES,
  type FormatPolicy,
  FormatWalker,
  formatWalk,
  mappings,
  mergedMappings,
} from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

const TOY: PteFormatDescription = {
  name: 'toy',
  pageBytes: 256,
  entryBytes: 2,
  levels: [{ bits: 4, huge: true }, { bits: 4 }],
  bits: {
    ...{ valid: 0, read: 1, write: 2, execute: { not: 3 }, user: 4, accessed: 5, dirty: 6 },
    ...{ leaf: 7, frame: [15, 8] },
  },
  reserved: { pointers: [[4, 2]] },
};

/** A toy machine with the root at 0 and a table at 0x100. */
function toy(
  entries: readonly (readonly [number, number])[],
  policy: FormatPolicy = {},
): FormatWalker {
  const memory = PhysicalMemory.allocate(0x1000, { base: 0 });
  for (const [address, value] of entries) memory.write(address, 2, value);
  return new FormatWalker({ memory, format: definePteFormat(TOY), root: 0, ...policy });
}

const USER = Access.User;
/** V R W U A D, frame 9. */
const FULL = 0x0977;

describe('every rule of a format of your own', () => {
  it.each<
    [
      keyof typeof FORMAT_RULES,
      number,
      number,
      readonly (readonly [number, number])[],
      FormatPolicy,
    ]
  >([
    [
      'translated',
      0,
      Access.Read | USER,
      [
        [0, 0x101],
        [0x100, FULL],
      ],
      {},
    ],
    ['outOfRange', 0x100, Access.Read, [], {}],
    ['invalid', 0, Access.Read, [[0, 0x100]], {}],
    ['tableMissing', 0, Access.Read, [[0, 0xf001]], {}],
    ['reservedBits', 0, Access.Read, [[0, 0x105]], {}],
    ['misaligned', 0, Access.Read, [[0, 0x0983]], {}],
    [
      'supervisorPage',
      0,
      Access.Read | USER,
      [
        [0, 0x101],
        [0x100, 0x0967],
      ],
      {},
    ],
    [
      'userPage',
      0,
      Access.Read,
      [
        [0, 0x101],
        [0x100, FULL],
      ],
      { supervisorOnUserPages: Prot.Write },
    ],
    [
      'notReadable',
      0,
      Access.Read,
      [
        [0, 0x101],
        [0x100, 0x0975],
      ],
      {},
    ],
    [
      'notWritable',
      0,
      Access.Write,
      [
        [0, 0x101],
        [0x100, 0x0973],
      ],
      {},
    ],
    [
      'notExecutable',
      0,
      Access.Fetch,
      [
        [0, 0x101],
        [0x100, 0x097f],
      ],
      {},
    ],
    [
      'accessedClear',
      0,
      Access.Read,
      [
        [0, 0x101],
        [0x100, 0x0917],
      ],
      { updates: 'software' },
    ],
    [
      'dirtyClear',
      0,
      Access.Write,
      [
        [0, 0x101],
        [0x100, 0x0937],
      ],
      { updates: 'software' },
    ],
  ])('%s', (name, vpn, access, entries, policy) => {
    const walker = toy(entries, policy);
    const result = walker.walk(vpn, access);
    expect(walker.rule).toBe(FORMAT_RULES[name]);
    expect(result).toBe(name === 'translated' ? 9 : FORMAT_RULES[name].result);
    const report = walker.explain(vpn * 256, access);
    expect(report.rule.id).toBe(FORMAT_RULES[name].id);
    expect(formatWalk(report)).toContain(
      name === 'translated' ? 'physical address 0x900' : 'refused',
    );
  });

  it('writeOnly and noLeaf, where rights make leaves', () => {
    const format = definePteFormat({
      name: 'by rights',
      pageBytes: 4096,
      entryBytes: 4,
      levels: [{ bits: 10, huge: true }, { bits: 10 }],
      bits: { valid: 0, read: 1, write: 2, execute: 3, leaf: 'rights', frame: [31, 10] },
      writeOnly: 'reserved',
    });
    const memory = PhysicalMemory.allocate(0x2000, { base: 0 });
    const walker = new FormatWalker({ memory, format, root: 0 });
    memory.write(0, 4, 5);
    expect(walker.walk(0, Access.Write)).toBe(FORMAT_RULES.writeOnly.result);
    memory.write(0, 4, 0x401);
    memory.write(0x1000, 4, 1);
    expect(walker.walk(0, Access.Read)).toBe(FORMAT_RULES.noLeaf.result);
    memory.write(0x1000, 4, 0xc0f);
    expect(walker.walk(0, Access.Read)).toBe(3);
  });
});

describe('accessed and dirty bits', () => {
  it('are set by a walk, foretold by explain, and left alone by a probe', () => {
    const walker = toy([
      [0, 0x101],
      [0x100, 0x0917],
    ]);
    expect(walker.probe(0, Access.Write | USER)).toBe(9);
    expect(walker.memory.read16(0, 0x100)).toBe(0x0917);
    expect(walker.explain(0, Access.Write | USER).steps.at(-1)?.set).toEqual(['D', 'A']);
    expect(walker.walk(0, Access.Write | USER)).toBe(9);
    expect(walker.memory.read16(0, 0x100)).toBe(0x0977);
  });
});

describe('policies', () => {
  it('let the supervisor write read-only pages, and loads read executable ones', () => {
    const readOnly = [
      [0, 0x101],
      [0x100, 0x0973],
    ] as const;
    expect(toy(readOnly, { supervisorIgnoresWrite: true }).walk(0, Access.Write)).toBe(9);
    expect(
      toy(readOnly, { supervisorIgnoresWrite: true }).walk(0, Access.Write | USER),
    ).toBeLessThan(0);
    const unreadable = [
      [0, 0x101],
      [0x100, 0x0975],
    ] as const;
    expect(toy(unreadable, { executableIsReadable: true }).walk(0, Access.Read)).toBe(9);
  });

  it('must be known', () => {
    expect(() => toy([], { updates: 'magic' as never })).toThrow(VmError);
    expect(() => toy([], { supervisorOnUserPages: 16 })).toThrow(VmError);
  });
});

describe('a walker of a format of your own', () => {
  const walker = toy([
    [0, 0x101],
    [0x100, FULL],
    [0x102, 0x0a77],
    [2, 0x10f7],
  ]);

  it('enumerates its leaves, and merges them', () => {
    const leaves = [...mappings(walker)].map((m) => [m.va, m.pa, m.pages, formatProt(m.prot)]);
    expect(leaves).toEqual([
      [0n, 0x900n, 1, 'rwxu'],
      [0x100n, 0xa00n, 1, 'rwxu'],
      [0x1000n, 0x1000n, 16, 'rwxu'],
    ]);
    const { ranges } = mergedMappings(walker);
    expect(ranges.map((r) => [r.va, r.end])).toEqual([
      [0n, 0x200n],
      [0x1000n, 0x2000n],
    ]);
  });

  it('says how large a page is', () => {
    expect(walker.translate(0x1234, Access.Read | USER)).toMatchObject({
      kind: 'page',
      pa: 0x1234n,
      pageBytes: 4096,
      level: 1,
    });
    expect(walker.leafLevel).toBe(1);
  });

  it('can be saved and made again', () => {
    const again = FormatWalker.restore(walker.snapshot(), { memory: walker.memory });
    expect(again.snapshot()).toEqual(walker.snapshot());
    expect(again.walk(1, Access.Read | USER)).toBe(10);
    expect(() => walker.checkInvariants()).not.toThrow();
    expect(() =>
      FormatWalker.restore({ ...walker.snapshot(), v: 2 as never }, { memory: walker.memory }),
    ).toThrow(VmError);
  });

  it('takes formats that definePteFormat made, and accesses that there are', () => {
    const { memory } = walker;
    expect(() => new FormatWalker({ memory, format: sv39, root: 0 })).toThrow(VmError);
    expect(() => new FormatWalker({ memory, format: definePteFormat(TOY), root: -1 })).toThrow(
      VmError,
    );
    expect(() => walker.walk(0, Access.Machine)).toThrow(VmError);
    expect(() => walker.walk(0, Access.Read, 256)).toThrow(VmError);
    expect(() => walker.translate(2n ** 64n, Access.Read)).toThrow(VmError);
  });
});
