import { addressFromVpn } from 'pagewright/core';
import { FramePool } from 'pagewright/memory';
import {
  NOT_COMPATIBLE,
  NOT_MAPPED,
  NOT_PRESENT,
  OUT_OF_FRAMES,
  type PageTable,
} from 'pagewright/page-table';
import {
  aarch64,
  eptLong4,
  type PteFormat,
  sv32,
  sv39,
  x86Legacy,
  x86Long4,
  x86Pae,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';
import { entryOf, makeSystem, RU, RW, RWU, type System, stateOf } from './system.js';

const flagsOf = ({ table }: { readonly table: PageTable }) => table.flags({ prot: RWU });

/** Writes the entry of a page as somebody else would. */
function poke(system: System, vpn: number, raw: bigint): void {
  const { memory, table } = system;
  const { entryBytes, pageShift } = table.format;
  const { index, table: frame } = table.describe(addressFromVpn(vpn, 0, pageShift)).path.at(-1)!;
  const at = addressFromVpn(frame, 0, pageShift) + BigInt(index * entryBytes);
  memory.write(at, entryBytes === 8 ? 8 : 4, raw);
}

/**
 * A leaf with every bit that may be set, and what becomes of it: the first piece, and what each further frame adds. The
 * page's number is that of its frame.
 */
const PIECES: readonly {
  readonly name: string;
  readonly format: PteFormat;
  readonly pages: number;
  readonly vpn: number;
  /** What the frame is above the page. */
  readonly high?: number;
  readonly leaf: bigint;
  readonly piece: bigint;
  readonly step: bigint;
  readonly entries: number;
}[] = [
  {
    // XD, PK 0xb, ignored 58:52 and 11:9, PAT in bit 12; in a base page PAT is bit 7 (Intel SDM Vol. 3A, Tables 4-18, 4-20).
    name: 'x86 2 MiB with PAT',
    format: x86Long4,
    pages: 512,
    vpn: 0x4_0600,
    leaf: 0xdda0_0000_4060_1bffn,
    piece: 0xdda0_0000_4060_0bffn,
    step: 0x1000n,
    entries: 512,
  },
  {
    name: 'x86 2 MiB without PAT',
    format: x86Long4,
    pages: 512,
    vpn: 0x4_0600,
    leaf: 0xdda0_0000_4060_0bffn,
    piece: 0xdda0_0000_4060_0b7fn,
    step: 0x1000n,
    entries: 512,
  },
  {
    // Both have PAT in bit 12.
    name: 'x86 1 GiB with PAT',
    format: x86Long4,
    pages: 2 ** 18,
    vpn: 0x4_0000,
    leaf: 0xdda0_0000_4000_1bffn,
    piece: 0xdda0_0000_4000_1bffn,
    step: 0x20_0000n,
    entries: 512,
  },
  {
    name: 'x86 4 MiB with PAT',
    format: x86Legacy,
    pages: 1024,
    vpn: 0x400,
    leaf: 0x0040_1bffn,
    piece: 0x0040_0bffn,
    step: 0x1000n,
    entries: 1024,
  },
  {
    name: 'PAE 2 MiB with PAT',
    format: x86Pae,
    pages: 512,
    vpn: 0x600,
    leaf: 0x8000_0000_0060_1bffn,
    piece: 0x8000_0000_0060_0bffn,
    step: 0x1000n,
    entries: 512,
  },
  {
    // Suppress #VE, VGP, PW, SSS, bit 11, XU, IPAT; bit 7 is the size.
    name: 'EPT 2 MiB',
    format: eptLong4,
    pages: 512,
    vpn: 0x600,
    leaf: 0x9600_0000_0060_0ff7n,
    piece: 0x9600_0000_0060_0f77n,
    step: 0x1000n,
    entries: 512,
  },
  {
    // PBMT 1, software's 60:59 and 9:8, all rights, G, A, D.
    name: 'RISC-V 2 MiB with PBMT',
    format: sv39,
    pages: 512,
    vpn: 0x600,
    leaf: 0x3800_0000_0018_03ffn,
    piece: 0x3800_0000_0018_03ffn,
    step: 0x400n,
    entries: 512,
  },
  {
    name: 'RISC-V 1 GiB',
    format: sv39,
    pages: 2 ** 18,
    vpn: 0x4_0000,
    leaf: 0x3800_0000_1000_03ffn,
    piece: 0x3800_0000_1000_03ffn,
    step: 0x8_0000n,
    entries: 512,
  },
  {
    name: 'RISC-V 4 MiB',
    format: sv32,
    pages: 1024,
    vpn: 0x400,
    leaf: 0x0010_03ffn,
    piece: 0x0010_03ffn,
    step: 0x400n,
    entries: 1024,
  },
  {
    // Software's 63, 58 and 56, PBHA, PXN, UXN, GP, nG, AF, SH, AP[1], AttrIndx 1; bit 1 is the page's.
    name: 'AArch64 2 MiB block',
    format: aarch64(),
    pages: 512,
    vpn: 0x600,
    leaf: 0xcd64_0000_0060_0fc5n,
    piece: 0xcd64_0000_0060_0fc7n,
    step: 0x1000n,
    entries: 512,
  },
  {
    name: 'AArch64 1 GiB block',
    format: aarch64(),
    pages: 2 ** 18,
    vpn: 0x4_0000,
    leaf: 0xcd64_0000_4000_0fc5n,
    piece: 0xcd64_0000_4000_0fc5n,
    step: 0x20_0000n,
    entries: 512,
  },
  {
    // Bits 9:8 are 51:50 of the address.
    name: 'AArch64 2 MiB block with LPA2',
    format: aarch64({ outputBits: 52 }),
    pages: 512,
    vpn: 0x600,
    high: 0xe0_0000_0000,
    leaf: 0xcd66_0000_0060_0fc5n,
    piece: 0xcd66_0000_0060_0fc7n,
    step: 0x1000n,
    entries: 512,
  },
  {
    name: 'AArch64 stage 2, 2 MiB block',
    format: aarch64({ stage: 2 }),
    pages: 512,
    vpn: 0x600,
    leaf: 0xcd48_0000_0060_0ffdn,
    piece: 0xcd48_0000_0060_0fffn,
    step: 0x1000n,
    entries: 512,
  },
];

/** A leaf with such an entry. */
function withEntry({ format, high = 0, leaf, pages, vpn }: (typeof PIECES)[number]): System {
  const system = makeSystem(format);
  const { owed, table } = system;
  expect(table.map(vpn, high + vpn, flagsOf(system), owed, pages)).toBe(0);
  poke(system, vpn, leaf);
  expect(table.lookup(vpn + pages - 1)).toBe(high + vpn + pages - 1);
  return system;
}

describe.each(PIECES)('$name', (row) => {
  const { entries, format, high = 0, leaf, pages, piece, step, vpn } = row;
  const stride = pages / entries;

  it('is split into pieces that say what it said', () => {
    const system = withEntry(row);
    const { owed, table } = system;
    expect(table.split(vpn + pages - 1, owed)).toBe(0);
    owed.complete();
    for (const index of [0, 1, 17, entries - 1]) {
      const expected = piece + BigInt(index) * step;
      expect([index, entryOf(system, vpn + index * stride)]).toEqual([index, expected]);
      expect(table.lookup(vpn + index * stride)).toBe(high + vpn + index * stride);
      expect(table.found.pages).toBe(stride);
    }
    expect(entryOf(system, vpn + pages - 1)).toBe(piece + BigInt(entries - 1) * step);
    table.checkInvariants();
  });

  it('comes of its pieces again', () => {
    const system = withEntry(row);
    const { frames, owed, table } = system;
    const { free } = frames;
    const before = table.statistics();
    table.split(vpn, owed);
    owed.complete();
    expect(frames.free).toBe(free - 1);
    expect(table.collapse(vpn, pages, owed)).toBe(0);
    owed.complete();
    expect(entryOf(system, vpn)).toBe(leaf);
    expect(frames.free).toBe(free);
    expect(table.statistics()).toEqual(before);
    table.checkInvariants();
  });

  it('has pointers above its pieces that grant everything', () => {
    const system = withEntry(row);
    const { owed, table } = system;
    table.split(vpn, owed);
    const va = addressFromVpn(vpn, 0, format.pageShift);
    const [pointer] = table.describe(va).path.slice(-2);
    expect(pointer?.entry.kind).toBe('pointer');
    table.checkInvariants();
  });
});

describe('what hardware kept of a leaf', () => {
  it.each([x86Long4, x86Legacy, sv39, eptLong4, aarch64(), aarch64({ stage: 2 })])(
    'is copied down when it is split, and or-ed up when it is collapsed ($name)',
    (format) => {
      const { pages } = makeSystem(format).table.sizes.find(({ level }) => level === 1)!;
      for (const accessed of [false, true]) {
        for (const dirty of [false, true]) {
          const system = makeSystem(format);
          const { owed, table } = system;
          const flags = table.flags({ prot: RWU, accessed, dirty });
          table.map(pages, pages, flags, owed, pages);
          table.split(pages, owed);
          const used = (vpn: number): readonly number[] => [
            table.testAccessed(vpn),
            table.testDirty(vpn),
          ];
          expect(used(pages)).toEqual([+accessed, +dirty]);
          expect(used(2 * pages - 1)).toEqual([+accessed, +dirty]);
          table.collapse(pages, pages, owed);
          expect(used(pages)).toEqual([+accessed, +dirty]);
          table.split(pages, owed);
          table.setAccessed(pages + 3, true, owed);
          table.setDirty(2 * pages - 1, true, owed);
          expect(table.collapse(pages, pages, owed)).toBe(0);
          expect(used(pages + 9)).toEqual([1, 1]);
        }
      }
    },
  );
});

describe('split', () => {
  it('goes one size down at a time', () => {
    const { owed, table } = makeSystem(aarch64());
    table.map(0, 0, table.flags({ prot: RW }), owed, 2 ** 22);
    const sizes: number[] = [];
    while (table.split(5, owed) === 0) {
      table.lookup(5);
      sizes.push(table.found.pages);
      table.checkInvariants();
    }
    expect(sizes).toEqual([2 ** 18, 512, 1]);
    expect(table.lookup(5)).toBe(5);
    owed.complete();
    table.checkInvariants();
  });

  it('of a page, of nothing or of a software entry does nothing', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    table.map(5, 6, flagsOf(system), owed);
    table.setSwap(6, { type: 1, offset: 1 }, owed);
    const before = stateOf(system);
    expect([table.split(5, owed), table.split(6, owed), table.split(7, owed)]).toEqual([
      NOT_COMPATIBLE,
      NOT_PRESENT,
      NOT_MAPPED,
    ]);
    expect(stateOf(system)).toEqual(before);
  });

  it('needs a table, or changes nothing', () => {
    const system = makeSystem(x86Long4, { frames: new FramePool({ first: 1, frames: 3 }) });
    const { owed, table } = system;
    table.map(0x200, 0, flagsOf(system), owed, 512);
    const before = stateOf(system);
    expect(table.split(0x234, owed)).toBe(OUT_OF_FRAMES);
    expect(stateOf(system)).toEqual(before);
  });

  it('refuses a leaf whose frames smaller pages cannot name: PSE-36', () => {
    const system = makeSystem(x86Legacy);
    const { owed, table } = system;
    table.map(0x400, 0x140_0000, flagsOf(system), owed, 1024);
    const before = stateOf(system);
    expect(table.split(0x400, owed)).toBe(NOT_COMPATIBLE);
    for (const operation of [
      () => table.unmapRange({ vpn: 0x410, pages: 4 }, owed),
      () => table.protectRange({ vpn: 0x410, pages: 4, prot: RU }, owed),
    ]) {
      const { code, details } = errorOf(operation);
      expect([code, details.argument, details.value]).toEqual(['misaligned', 'vpn', 0x410]);
      expect([details.address, details.entry]).toEqual([0x41_0000n, entryOf(system, 0x400)]);
    }
    expect(stateOf(system)).toEqual(before);
    expect(table.unmapRange({ vpn: 0x400, pages: 1024 }, owed)).toBe(1024);
  });
});

describe('collapse', () => {
  /** 512 pages, or a group of them, from 0x200 on. */
  function withPages(format: PteFormat = x86Long4): System {
    const system = makeSystem(format);
    const range = { vpn: 0x200, pfn: 0x600, pages: 512, pageSize: 1, flags: flagsOf(system) };
    system.table.mapRange(range, system.owed);
    return system;
  }
  type Spoil = readonly [string, PteFormat, (system: System) => unknown];
  const SPOILED: readonly Spoil[] = [
    ['a hole', x86Long4, ({ owed, table }) => table.unmap(0x205, owed)],
    ['a hole at the end', x86Long4, ({ owed, table }) => table.unmap(0x3ff, owed)],
    ['a hole at the beginning', x86Long4, ({ owed, table }) => table.unmap(0x200, owed)],
    [
      'a swapped page',
      x86Long4,
      ({ owed, table }) => table.setSwap(0x205, { type: 1, offset: 1 }, owed),
    ],
    ['another frame', x86Long4, ({ owed, table }) => table.remap(0x205, 0x606, owed)],
    ['other rights', x86Long4, ({ owed, table }) => table.protect(0x205, RU, owed)],
    ['another protection key', x86Long4, (s) => poke(s, 0x205, entryOf(s, 0x205) ^ (1n << 59n))],
    ['another software bit', x86Long4, (s) => poke(s, 0x205, entryOf(s, 0x205) ^ (1n << 9n))],
    ['another ignored bit', x86Long4, (s) => poke(s, 0x205, entryOf(s, 0x205) ^ (1n << 52n))],
    ['a global page', x86Long4, (s) => poke(s, 0x205, entryOf(s, 0x205) ^ 0x100n)],
    ['another memory type', x86Long4, (s) => poke(s, 0x205, entryOf(s, 0x205) ^ 0x80n)],
    ['another PBMT', sv39, (s) => poke(s, 0x205, entryOf(s, 0x205) ^ (1n << 61n))],
    ['another RSW', sv39, (s) => poke(s, 0x205, entryOf(s, 0x205) ^ 0x100n)],
    ['another ASID’s', sv39, (s) => poke(s, 0x205, entryOf(s, 0x205) ^ 0x20n)],
    ['another AttrIndx', aarch64(), (s) => poke(s, 0x205, entryOf(s, 0x205) ^ 4n)],
    ['another software bit, 58', aarch64(), (s) => poke(s, 0x205, entryOf(s, 0x205) ^ (1n << 58n))],
    ['EPT’s IPAT', eptLong4, (s) => poke(s, 0x205, entryOf(s, 0x205) ^ 0x40n)],
  ];

  it.each(SPOILED)('refuses %s among the pieces, and changes nothing', (_, format, spoil) => {
    const system = withPages(format);
    spoil(system);
    const before = stateOf(system);
    expect(system.table.collapse(0x200, 512, system.owed)).toBe(NOT_COMPATIBLE);
    expect(stateOf(system)).toEqual(before);
    if (!system.table.sizes.some(({ pages }) => pages === 16)) return;
    // A group of 16 with the same fault in it; holes elsewhere do not matter to it.
    const within = entryOf(system, 0x205) !== entryOf(system, 0x204) + 0x1000n;
    if (within) expect(system.table.collapse(0x200, 16, system.owed)).toBe(NOT_COMPATIBLE);
    expect(system.table.collapse(0x210, 16, system.owed)).toBe(0);
  });

  it('refuses frames that follow one another from a frame that is not aligned', () => {
    const system = makeSystem(aarch64());
    const { owed, table } = system;
    const range = { vpn: 0x200, pfn: 0x608, pages: 512, flags: flagsOf(system) };
    table.mapRange(range, owed);
    expect(table.collapse(0x200, 512, owed)).toBe(NOT_COMPATIBLE);
    expect(table.collapse(0x200, 16, owed)).toBe(NOT_COMPATIBLE);
  });

  it('refuses tables among the pieces, a leaf that is one already, and nothing at all', () => {
    const system = withPages();
    const { owed, table } = system;
    expect(table.collapse(0, 2 ** 18, owed)).toBe(NOT_COMPATIBLE);
    expect(table.collapse(0x200, 512, owed)).toBe(0);
    expect(table.collapse(0x200, 512, owed)).toBe(NOT_COMPATIBLE);
    expect(table.collapse(0x400, 512, owed)).toBe(NOT_COMPATIBLE);
    expect(table.collapse(0x4_0000, 512, owed)).toBe(NOT_COMPATIBLE);
    expect(table.collapse(0, 2 ** 18, owed)).toBe(NOT_COMPATIBLE);
  });

  it('takes pieces that are in groups', () => {
    for (const format of [sv39, aarch64()]) {
      const system = makeSystem(format);
      const { owed, table } = system;
      const range = { vpn: 0x200, pfn: 0x600, pages: 512, pageSize: 16, flags: flagsOf(system) };
      table.mapRange(range, owed);
      table.split(0x2f0, owed);
      expect(table.collapse(0x200, 512, owed)).toBe(0);
      expect(table.lookup(0x3ff)).toBe(0x7ff);
      expect(table.found.pages).toBe(512);
      table.checkInvariants();
    }
  });

  it('goes up through all sizes', () => {
    const system = makeSystem(x86Long4, { pages: 1024 });
    const { owed, table } = system;
    const range = { vpn: 0, pfn: 0, pages: 2 ** 18, pageSize: 1, flags: flagsOf(system) };
    table.mapRange(range, owed);
    for (let vpn = 0; vpn < 2 ** 18; vpn += 512) expect(table.collapse(vpn, 512, owed)).toBe(0);
    expect(table.collapse(0, 2 ** 18, owed)).toBe(0);
    expect([...table.entries()].map(({ pages, pfn, vpn }) => [vpn, pfn, pages])).toEqual([
      [0, 0, 2 ** 18],
    ]);
    expect(table.statistics().tables).toEqual([0, 0, 1, 1]);
    table.checkInvariants();
  });

  it('refuses sizes that there are not, and pages that are not aligned', () => {
    const system = withPages();
    const { owed, table } = system;
    const before = stateOf(system);
    expectError(() => table.collapse(0x200, 16, owed), 'bad-argument', 'pages');
    expectError(() => table.collapse(0x201, 512, owed), 'misaligned', 'vpn');
    expectError(() => table.collapse(2 ** 47, 512, owed), 'out-of-range', 'vpn');
    expect(stateOf(system)).toEqual(before);
    expect(table.collapse(0x200, 1, owed)).toBe(NOT_COMPATIBLE);
  });
});
