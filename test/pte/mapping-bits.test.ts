import { Prot } from 'pagewright/core';
import {
  AArch64MappingBits,
  aarch64,
  definePteFormat,
  eptLong4,
  eptLong4ModeBased,
  MappingBits,
  mappingOf,
  nptLong4,
  PteFormat,
  type PteFormatOptions,
  sv32,
  sv39,
  sv39x4,
  sv48,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';

const { Execute: X, Read: R, User: U, Write: W } = Prot;
const ALL = R | W | X | U;
const stage2 = aarch64({ stage: 2 });
const lpa2 = aarch64({ outputBits: 52 });

/** Two words as one unsigned number. */
const raw = (low: number, high: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);

/** A base page's entry of frame 0: accessed, and dirty if it may be written. */
function leaf(format: PteFormat, prot: number, global = false): bigint {
  const bits = mappingOf(format);
  const given = bits.granted(prot);
  const dirty = (prot & W) !== 0;
  const low = format.leafLow(0, 0, bits.leafLow(given, true, dirty, global));
  return raw(low, format.leafHigh(0, 0, bits.leafHigh(given, dirty, global)));
}

function pointer(format: PteFormat, level: number): bigint {
  const { high, low } = mappingOf(format).pointers[level]!;
  return raw(format.tableLow(0, low), format.tableHigh(0, high));
}

describe('a leaf', () => {
  // Linux 6.18, arch/x86/include/asm/pgtable_types.h: PAGE_KERNEL and its like; user pages with dirty as hardware sets it.
  it.each([
    ['PAGE_KERNEL', R | W, true, 0x8000_0000_0000_0163n],
    ['PAGE_KERNEL_EXEC', R | W | X, true, 0x163n],
    ['PAGE_KERNEL_RO', R, true, 0x8000_0000_0000_0121n],
    ['PAGE_KERNEL_ROX', R | X, true, 0x121n],
    ['PAGE_SHARED, dirty', R | W | U, false, 0x8000_0000_0000_0067n],
    ['PAGE_SHARED_EXEC, dirty', ALL, false, 0x67n],
    ['PAGE_READONLY', R | U, false, 0x8000_0000_0000_0025n],
    ['PAGE_READONLY_EXEC', R | X | U, false, 0x25n],
  ])('of x86 is Linux’s %s', (_, prot, global, expected) => {
    expect(leaf(x86Long4, prot, global)).toBe(expected);
    expect(leaf(x86Long5, prot, global)).toBe(expected);
    expect(leaf(x86Pae, prot, global)).toBe(expected);
    // Without a no-execute bit.
    expect(leaf(x86Legacy, prot, global)).toBe(expected & 0xfffn);
  });

  // AMD64 APM Vol. 2, 15.25.5: nested entries are as in long mode, every access is a user's.
  it.each([
    ['rw-', R | W, 0x8000_0000_0000_0067n],
    ['r-x', R | X, 0x25n],
    ['rwx', R | W | X, 0x67n],
  ])('of nested paging is a user’s (%s)', (_, prot, expected) => {
    expect(leaf(nptLong4, prot)).toBe(expected);
    expect(leaf(nptLong4, prot, true)).toBe(expected); // of G there is none
  });

  // Intel SDM Vol. 3C, Table 29-7: bits 2:0 R, W, X; 5:3 memory type, 6 is write-back; 8 accessed, 9 dirty; 10 XU.
  it.each([
    ['r--', R, 0x131n, 0x131n],
    ['rw-', R | W, 0x333n, 0x333n],
    ['rwx', R | W | X, 0x337n, 0x737n],
    ['--x', X, 0x134n, 0x534n],
  ])('of EPT is write-back (%s)', (_, prot, expected, modeBased) => {
    expect(leaf(eptLong4, prot)).toBe(expected);
    expect(leaf(eptLong4ModeBased, prot)).toBe(modeBased);
  });

  // Linux 6.18, arch/riscv/include/asm/pgtable.h, and pgtable-bits.h; writable pages with D as hardware sets it.
  it.each([
    ['PAGE_KERNEL', R | W, true, 0xe7n],
    ['PAGE_KERNEL_READ', R, true, 0x63n],
    ['PAGE_KERNEL_EXEC', R | W | X, true, 0xefn],
    ['PAGE_READ', R | U, false, 0x53n],
    ['PAGE_WRITE, dirty', R | W | U, false, 0xd7n],
    ['PAGE_EXEC', X | U, false, 0x59n],
    ['PAGE_READ_EXEC', R | X | U, false, 0x5bn],
    ['PAGE_WRITE_EXEC, dirty', ALL, false, 0xdfn],
  ])('of RISC-V is Linux’s %s', (_, prot, global, expected) => {
    for (const format of [sv32, sv39, sv48, sv57]) {
      expect(leaf(format, prot, global)).toBe(expected);
    }
  });

  // RISC-V Privileged, "Guest Physical Address Translation": U must be set, G should be clear.
  it('of a G stage is a user’s, and never global', () => {
    expect(leaf(sv39x4, R | W, true)).toBe(0xd7n);
  });

  // Linux 6.18, arch/arm64/include/asm/pgtable-prot.h. A dirty page has PTE_RDONLY clear.
  it.each([
    ['PAGE_KERNEL', R | W, true, 0x0068_0000_0000_0703n],
    ['PAGE_KERNEL_EXEC', R | W | X, true, 0x0048_0000_0000_0703n],
    ['PAGE_KERNEL_RO', R, true, 0x0060_0000_0000_0783n],
    ['PAGE_KERNEL_ROX', R | X, true, 0x0040_0000_0000_0783n],
    ['PAGE_SHARED, dirty', R | W | U, false, 0x0068_0000_0000_0f43n],
    ['PAGE_READONLY', R | U, false, 0x0060_0000_0000_0fc3n],
    ['PAGE_READONLY_EXEC', R | X | U, false, 0x0020_0000_0000_0fc3n],
    ['PAGE_SHARED_EXEC, dirty', ALL, false, 0x0028_0000_0000_0f43n],
  ])('of AArch64 is Linux’s %s', (_, prot, global, expected) => {
    expect(leaf(aarch64(), prot, global)).toBe(expected);
    expect(leaf(aarch64({ granule: 65536, half: 'high' }), prot, global)).toBe(expected);
    // With LPA2 bits 9:8 are of the address.
    expect(leaf(lpa2, prot, global)).toBe(expected & ~0x300n);
  });

  // Arm ARM DDI 0487, D8 Stage 2: MemAttr 0b1111, S2AP, XN[1:0] = 0b10; as KVM has it (arch/arm64/kvm/hyp/pgtable.c).
  it.each([
    ['rwx', R | W | X, 0x0008_0000_0000_07ffn],
    ['rw-', R | W, 0x0048_0000_0000_07ffn],
    ['r-x', R | X, 0x77fn],
    ['r--', R, 0x0040_0000_0000_077fn],
    ['--x', X, 0x73fn],
  ])('of AArch64 stage 2 is write-back and inner shareable (%s)', (_, prot, expected) => {
    expect(leaf(stage2, prot)).toBe(expected);
    expect(leaf(stage2, prot, true)).toBe(expected);
  });

  it('that counts as unused or clean has the bits clear', () => {
    const of = (format: PteFormat): bigint => {
      const bits = mappingOf(format);
      const prot = bits.granted(R | W | U);
      return raw(bits.leafLow(prot, false, false, false), bits.leafHigh(prot, false, false));
    };
    expect(of(x86Long4)).toBe(0x8000_0000_0000_0007n);
    expect(of(sv39)).toBe(0x17n);
    expect(of(eptLong4)).toBe(0x33n);
    // Without the page bit, which is the format's. Clean: AP[2] set, or S2AP[1] clear, and DBM.
    expect(of(aarch64())).toBe(0x0068_0000_0000_0bc1n);
    expect(of(stage2)).toBe(0x0048_0000_0000_037dn);
  });
});

describe('a pointer', () => {
  it.each([
    // _PAGE_TABLE, but for D, which is ignored there; the NX bit clear.
    [x86Legacy, [0, 0x27n]],
    [x86Long4, [0, 0x27n, 0x27n, 0x27n]],
    [x86Long5, [0, 0x27n, 0x27n, 0x27n, 0x27n]],
    [nptLong4, [0, 0x27n, 0x27n, 0x27n]],
    // Intel SDM Vol. 3A, Table 4-8: bits 2:1 and 8:5 of a PDPTE are reserved.
    [x86Pae, [0, 0x27n, 1n]],
    [eptLong4, [0, 0x107n, 0x107n, 0x107n]],
    [eptLong4ModeBased, [0, 0x507n, 0x507n, 0x507n]],
    // RISC-V Privileged: R, W and X clear; D, A and U are reserved.
    [sv32, [0, 1n]],
    [sv39, [0, 1n, 1n]],
    [sv39x4, [0, 1n, 1n]],
    // Valid and table; AF, for a CPU with FEAT_HAFT that sets it; nG and SH, for when it is read as a page.
    [aarch64(), [0, 0xf03n, 0xf03n, 0xf03n]],
    [lpa2, [0, 0xc03n, 0xc03n, 0xc03n, 0xc03n]],
    [stage2, [0, 3n, 3n, 3n]],
  ] as const)('of $name grants everything', (format, expected) => {
    for (let level = 1; level < format.levels; level++) {
      expect([level, pointer(format, level)]).toEqual([level, expected[level]]);
      const { high, low } = mappingOf(format).pointers[level]!;
      expect(format.kindOf(low, high, level)).toBe('pointer');
      expect(mappingOf(format).pointerProt(low, high, level)).toBe(ALL);
    }
  });

  it('limits what is below where its rights count, and only there', () => {
    const bare = (format: PteFormat, low: number, high = 0, level = 1): number =>
      mappingOf(format).pointerProt(low, high, level);
    expect(bare(x86Long4, 0x21)).toBe(R | X);
    expect(bare(x86Long4, 0x23, -0x8000_0000)).toBe(R | W);
    expect(bare(x86Long4, 0x25, -0x8000_0000)).toBe(R | U);
    expect(bare(x86Legacy, 0x25)).toBe(R | X | U);
    expect(bare(x86Pae, 1, 0, 2)).toBe(ALL);
    expect(bare(x86Pae, 0x21, 0, 1)).toBe(R | X);
    expect(bare(eptLong4, 0x101)).toBe(R | U);
    expect(bare(eptLong4, 0x106)).toBe(W | X | U);
    expect(bare(sv39, 1)).toBe(ALL);
    // APTable (62:61), UXNTable (60), PXNTable (59).
    expect(bare(aarch64(), 0x403, 0x2000_0000)).toBe(R | W | X);
    expect(bare(aarch64(), 0x403, 0x4000_0000)).toBe(R | X | U);
    expect(bare(aarch64(), 0x403, 0x1000_0000)).toBe(R | W | U);
    expect(bare(aarch64(), 0x403, 0x0800_0000)).toBe(R | W | U);
    expect(bare(stage2, 3, -1)).toBe(ALL);
  });

  it('is widened to all rights, its other bits left alone', () => {
    const widened = (format: PteFormat, entry: bigint, level: number): bigint => {
      const bits = mappingOf(format);
      const [low, high] = [Number(entry & 0xffff_ffffn) | 0, Number(entry >> 32n) | 0];
      return raw(bits.widenLow(low, level), bits.widenHigh(high, level));
    };
    expect(widened(x86Long4, 0x8000_0000_1234_5019n, 1)).toBe(0x0000_0000_1234_501fn);
    expect(widened(x86Pae, 0x1234_5001n, 2)).toBe(0x1234_5001n);
    expect(widened(eptLong4, 0x1234_5001n, 3)).toBe(0x1234_5007n);
    expect(widened(sv39, 0x1234_5001n, 1)).toBe(0x1234_5001n);
    expect(widened(aarch64(), 0x7800_0000_1234_5003n, 1)).toBe(0x1234_5003n);
    expect(widened(stage2, 0x7800_0000_1234_5003n, 1)).toBe(0x7800_0000_1234_5003n);
  });

  it('that is widened hands down what it withheld', () => {
    const words = (entry: bigint) =>
      [Number(entry & 0xffff_ffffn) | 0, Number(entry >> 32n) | 0] as const;
    const narrowed = (format: PteFormat, entry: bigint, above: bigint, leaf: boolean): bigint => {
      const bits = mappingOf(format);
      const [low, high] = words(entry);
      const [aboveLow, aboveHigh] = words(above);
      const pointer = { low: aboveLow, high: aboveHigh };
      return raw(
        bits.narrowLow(low, high, pointer, 1, leaf),
        bits.narrowHigh(low, high, pointer, 1, leaf),
      );
    };
    // x86: no writing; no user and no execution.
    expect(narrowed(x86Long4, 0x7_7067n, 0x1025n, true)).toBe(0x7_7065n);
    expect(narrowed(x86Long4, 0x7_7067n, 0x8000_0000_0000_1023n, true)).toBe(
      0x8000_0000_0007_7063n,
    );
    expect(narrowed(x86Long4, 0x7_7027n, 0x8000_0000_0000_1023n, false)).toBe(
      0x8000_0000_0007_7023n,
    );
    expect(narrowed(eptLong4, 0x7_7337n, 0x1105n, true)).toBe(0x7_7335n);
    // RISC-V's pointers withhold nothing.
    expect(narrowed(sv39, 0x1_dcdfn, 1n, true)).toBe(0x1_dcdfn);
    // AArch64: APTable, UXNTable and PXNTable of a page are AP, UXN and PXN; of a table they are what they were.
    const page = 0x0008_0000_0007_7f43n;
    expect(narrowed(aarch64(), page, 0x2000_0000_0000_1003n, true)).toBe(page & ~0x40n);
    // Written before, which is remembered.
    expect(narrowed(aarch64(), page, 0x4000_0000_0000_1003n, true)).toBe(0x0080_0000_0007_7fc3n);
    expect(narrowed(aarch64(), page, 0x1000_0000_0000_1003n, true)).toBe(page | (1n << 54n));
    expect(narrowed(aarch64(), page, 0x0800_0000_0000_1003n, true)).toBe(page | (1n << 53n));
    expect(narrowed(aarch64(), 0x7_7003n, 0x7800_0000_0000_1003n, false)).toBe(
      0x7800_0000_0007_7003n,
    );
    expect(narrowed(stage2, 0x7_77ffn, 0x7800_0000_0000_1003n, true)).toBe(0x7_77ffn);
  });

  // Read as a page in the end: the supervisor's, and never executed.
  it.each([
    [x86Legacy, 0x63n],
    [x86Long4, 0x8000_0000_0000_0063n],
    [x86Long5, 0x8000_0000_0000_0063n],
    [aarch64(), 0x3860_0000_0000_0f03n],
  ])('at its own root is a page that only the supervisor reads ($name)', (format, expected) => {
    const { high, low } = mappingOf(format).recursive!;
    expect(raw(low, high)).toBe(expected);
    const bits = mappingOf(format);
    const rights = format === x86Legacy ? R | W | X : R | W;
    const readable = format.architecture === 'aarch64' ? R | W : rights;
    expect(bits.protOf(low, high)).toBe(readable);
    expect(format.kindOf(low, high, 0)).toBe('leaf');
    expect(format.kindOf(low, high, format.levels - 1)).toBe('pointer');
  });

  it('at its own root is none in RISC-V, PAE and second stages', () => {
    for (const format of [sv32, sv39, x86Pae, eptLong4, nptLong4, stage2, sv39x4]) {
      expect([format.name, mappingOf(format).recursive]).toEqual([format.name, null]);
    }
  });
});

describe('mappingOf', () => {
  it('gives the same object for the same format', () => {
    expect(mappingOf(sv39)).toBe(mappingOf(sv39));
    expect(mappingOf(aarch64())).toBe(mappingOf(aarch64()));
    expect(mappingOf(aarch64())).toBeInstanceOf(AArch64MappingBits);
    expect(mappingOf(sv39)).toBeInstanceOf(MappingBits);
  });

  it('is for formats of one’s own, with rights that are taken away by bits', () => {
    const own = definePteFormat({
      name: 'own',
      pageBytes: 4096,
      entryBytes: 8,
      levels: [{ bits: 9 }, { bits: 9, huge: true }, { bits: 9 }],
      bits: {
        valid: 0,
        write: 1,
        user: { not: 2 },
        execute: { not: 62 },
        accessed: 3,
        dirty: 4,
        global: 6,
        leaf: 5,
        frame: [47, 12],
      },
      pointers: { rights: true, accessed: true },
    });
    expect(leaf(own, R | W | U)).toBe(0x4000_0000_0000_001bn);
    expect(leaf(own, R | X, true)).toBe(0x4dn);
    expect(pointer(own, 1)).toBe(0xbn);
    const bits = mappingOf(own);
    expect(bits.pointerProt(0x0d, 0, 1)).toBe(R | X);
    expect(bits.widenLow(0x0d, 1)).toBe(0xb);
    expect(bits.widenHigh(0x4000_0000, 1)).toBe(0);
  });

  it('refuses formats that do not say how entries are written', () => {
    const options: PteFormatOptions = {
      name: 'bare',
      architecture: 'custom',
      signExtended: false,
      indexBits: [10],
      entryBytes: 4,
      physicalBits: 32,
      frameShift: 12,
      frameBits: 20,
      leafMask: [-1],
      leafBits: [0],
      fields: (kind) => [
        { name: 'REST', high: 31, low: 1, role: 'ignored', meaning: '', source: kind },
        { name: 'P', high: 0, low: 0, role: 'flag', meaning: '', source: kind },
      ],
    };
    expectError(() => mappingOf(new PteFormat(options)), 'unsupported', 'format');
  });

  it.each([undefined, null, 5, {}])('refuses %s', (bad) => {
    const format = bad as unknown as PteFormat; // what the compiler would refuse
    expectError(() => mappingOf(format), 'bad-argument', 'format');
  });
});
