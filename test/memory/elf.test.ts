import { type ElfCpu, loadElfCore, PhysicalMemory, parseElfCore } from 'pagewright/memory';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';

interface TestSegment {
  readonly type?: number;
  readonly paddr?: bigint;
  readonly bytes?: Uint8Array;
  readonly memsz?: number | bigint;
}

/** A file as QEMU lays it out: header, program headers, (section header 0,) segments. */
function elf(
  segments: readonly TestSegment[],
  options: { bits?: 32 | 64; machine?: number; extended?: boolean } = {},
): Uint8Array {
  const { bits = 64, machine = 62, extended = false } = options;
  const wide = bits === 64;
  const [header, entry, section] = wide ? [64, 56, 64] : [52, 32, 40];
  const shoff = header + entry * segments.length;
  let at = shoff + (extended ? section : 0);
  const sizes = segments.map((s) => s.bytes?.length ?? 0);
  const file = new Uint8Array(sizes.reduce((sum, size) => sum + size, at));
  const view = new DataView(file.buffer);
  const word = (offset: number, value: bigint): void => {
    if (wide) view.setBigUint64(offset, value, true);
    else view.setUint32(offset, Number(value), true);
  };
  file.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  view.setUint16(16, 4, true);
  view.setUint16(18, machine, true);
  word(wide ? 32 : 28, BigInt(header));
  if (extended) word(wide ? 40 : 32, BigInt(shoff));
  view.setUint16(wide ? 54 : 42, entry, true);
  view.setUint16(wide ? 56 : 44, extended ? 0xffff : segments.length, true);
  if (extended) view.setUint32(shoff + (wide ? 44 : 28), segments.length, true);
  segments.forEach((segment, i) => {
    const p = header + entry * i;
    view.setUint32(p, segment.type ?? 1, true);
    word(p + (wide ? 8 : 4), BigInt(at));
    word(p + (wide ? 24 : 12), segment.paddr ?? 0n);
    word(p + (wide ? 32 : 16), BigInt(sizes[i]!));
    word(p + (wide ? 40 : 20), BigInt(segment.memsz ?? sizes[i]!));
    file.set(segment.bytes ?? [], at);
    at += sizes[i]!;
  });
  return file;
}

function note(name: string, type: number, description: Uint8Array): Uint8Array {
  const padded = (n: number): number => (n + 3) & ~3;
  const bytes = new Uint8Array(12 + padded(name.length + 1) + padded(description.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, name.length + 1, true);
  view.setUint32(4, description.length, true);
  view.setUint32(8, type, true);
  for (let i = 0; i < name.length; i++) bytes[12 + i] = name.charCodeAt(i);
  bytes.set(description, 12 + padded(name.length + 1));
  return bytes;
}

/** QEMU's CPU state: every field gets a value of its own, so that a wrong offset shows. */
function cpuState(cpu: ElfCpu, size = 440, version = 1): Uint8Array {
  const bytes = Uint8Array.from({ length: size }, (_, i) => i | 1);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, version, true);
  view.setUint32(4, size, true);
  const control = 8 + 16 * 8 + 8 + 8 + 10 * 24;
  if (size >= control + 40) {
    view.setBigUint64(control, cpu.cr0, true);
    view.setBigUint64(control + 24, cpu.cr3, true);
    view.setBigUint64(control + 32, cpu.cr4, true);
  }
  return bytes;
}

const cpu: ElfCpu = { cr0: 0x80050033n, cr3: 0xff_1234_5000n, cr4: 0x350ef0n };
const join = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((p) => [...p]));
const filled = (bytes: number, value: number): Uint8Array => new Uint8Array(bytes).fill(value);

describe.each([32, 64] as const)('an ELF%i core', (bits) => {
  const segments: TestSegment[] = [
    { type: 4, bytes: note('CORE', 1, filled(30, 0xcc)) },
    { paddr: 0n, bytes: filled(0x1000, 1) },
    { paddr: 0x10_0000n, bytes: filled(0x800, 2), memsz: 0x2000 },
    { paddr: 0xf000_0000n, memsz: 0x1000 },
    { type: 0x6474e551, bytes: filled(3, 9) },
    { paddr: 7n, memsz: 0 },
  ];

  it.each([false, true])('has its segments (PN_XNUM: %s), which are views', (extended) => {
    const file = elf(segments, { bits, extended });
    const core = parseElfCore(file);
    expect(core).toMatchObject({ type: 'elf-core', bits, machine: 62, cpus: [] });
    expect(core.segments.map((s) => [s.base, s.bytes.length, s.memoryBytes])).toEqual([
      [0n, 0x1000, 0x1000],
      [0x10_0000n, 0x800, 0x2000],
      [0xf000_0000n, 0, 0x1000],
    ]);
    for (const segment of core.segments) expect(segment.bytes.buffer).toBe(file.buffer);
  });

  it('becomes memory without a copy, and zero where the file has nothing', () => {
    const whole = new Uint8Array(0x5000);
    const file = whole.subarray(3, 3 + elf(segments, { bits }).length); // at an odd place
    file.set(elf(segments, { bits }));
    const memory = new PhysicalMemory();
    const core = loadElfCore(memory, file);
    memory.checkInvariants();
    expect(memory.read32(0, 0xffc)).toBe(0x01010101);
    expect(memory.read32(0x100, 0x7fe)).toBe(0x00000202);
    expect(memory.read8(0x101, 0xfff)).toBe(0);
    expect(memory.contains(0x100, 0, 0x2001)).toBe(false);
    expect(memory.read32(0xf0000, 0)).toBe(0);
    expect(memory.write32(0x100, 0x7fe, 0x0a0b0c0d)).toBe(0);
    expect(memory.read32(0x100, 0x7fe)).toBe(0x0a0b0c0d);
    expect(core.segments[1]?.bytes[0x7fe]).toBe(0x0d);
  });

  it('gives the control registers of each x86 CPU', () => {
    const other = { ...cpu, cr3: 0x1000n };
    const notes = join(
      note('CORE', 1, filled(337, 0xcc)),
      note('QEMX', 0, filled(440, 0xcc)),
      note('QEMU2', 0, filled(440, 0xcc)),
      note('QEMU', 0, cpuState(cpu)),
      note('QEMU', 0, cpuState(other, 432)),
      filled(8, 0), // less than a note's header
    );
    for (const machine of [3, 62]) {
      const file = elf([{ type: 4, bytes: notes }], { bits, machine });
      expect(parseElfCore(file).cpus).toEqual([cpu, other]);
    }
    const riscv = elf([{ type: 4, bytes: notes }], { bits, machine: 243 });
    expect(parseElfCore(riscv)).toMatchObject({ machine: 243, cpus: [] });
  });

  it('that is cut off anywhere is refused', () => {
    const file = elf(segments, { bits, extended: true });
    for (let length = 0; length < file.length; length += length < 500 ? 1 : 97) {
      const error = errorOf(() => parseElfCore(file.slice(0, length)));
      expect(error.code).toBe('bad-image');
    }
  });

  it('may have nothing in it', () => {
    const memory = new PhysicalMemory();
    expect(loadElfCore(memory, elf([], { bits })).segments).toEqual([]);
    expect(memory.regions()).toEqual([]);
  });
});

describe('a bad ELF file', () => {
  const good = (): { file: Uint8Array; view: DataView } => {
    const file = elf([{ paddr: 0n, bytes: filled(16, 1) }]);
    return { file, view: new DataView(file.buffer) };
  };
  type Damage = (view: DataView) => void;
  it.each<[string, string, string, Damage]>([
    ['no magic number', 'bad-image', 'bytes', (v) => v.setUint8(1, 0)],
    ['an unknown class', 'bad-image', 'EI_CLASS', (v) => v.setUint8(4, 3)],
    ['big-endian data', 'unsupported', 'EI_DATA', (v) => v.setUint8(5, 2)],
    ['unknown data', 'bad-image', 'EI_DATA', (v) => v.setUint8(5, 0)],
    ['another type', 'bad-image', 'e_type', (v) => v.setUint16(16, 2, true)],
    ['an absurd e_phoff', 'bad-image', 'e_phoff', (v) => v.setBigUint64(32, 2n ** 63n, true)],
    ['an e_phoff outside', 'bad-image', 'the program headers', (v) => v.setUint32(32, 1e9, true)],
    ['small entries', 'bad-image', 'e_phentsize', (v) => v.setUint16(54, 55, true)],
    ['no entry size', 'bad-image', 'e_phentsize', (v) => v.setUint16(54, 0, true)],
    ['too many entries', 'bad-image', 'the program headers', (v) => v.setUint16(56, 9, true)],
    [
      'no section 0',
      'bad-image',
      'section header 0',
      (v) => {
        v.setUint16(56, 0xffff, true);
        v.setUint32(40, 1e9, true);
      },
    ],
    [
      'an absurd number of entries',
      'bad-image',
      'the program headers',
      (v) => {
        v.setUint16(56, 0xffff, true);
        v.setUint32(40, 16, true);
        v.setUint32(16 + 44, 0xffffffff, true);
      },
    ],
    [
      'an absurd p_offset',
      'bad-image',
      'p_offset',
      (v) => v.setBigUint64(72, 2n ** 52n + 1n, true),
    ],
    ['a p_offset outside', 'bad-image', 'segment 0', (v) => v.setBigUint64(72, 2n ** 51n, true)],
    [
      'an absurd p_filesz',
      'bad-image',
      'p_filesz',
      (v) => v.setBigUint64(96, 2n ** 64n - 1n, true),
    ],
    ['a p_filesz above p_memsz', 'bad-image', 'p_filesz', (v) => v.setBigUint64(96, 17n, true)],
    ['an absurd p_memsz', 'bad-image', 'p_memsz', (v) => v.setBigUint64(104, 2n ** 52n + 1n, true)],
  ])('with %s is refused', (_, code, argument, damage) => {
    const { file, view } = good();
    damage(view);
    const error = errorOf(() => parseElfCore(file));
    expect([error.code, error.details.argument]).toEqual([code, argument]);
  });

  it.each([undefined, 'file', new ArrayBuffer(64), [0x7f, 0x45, 0x4c, 0x46]])(
    'that is no Uint8Array is refused: %o',
    (bytes: unknown) => {
      expectError(() => parseElfCore(bytes as Uint8Array), 'bad-argument', 'bytes');
    },
  );

  it.each([
    ['leaves its segment', note('QEMU', 0, cpuState(cpu)).slice(0, -1), 'bad-image', 'note'],
    ['has an absurd name size', filled(12, 0xff), 'bad-image', 'note'],
    ['is too short', note('QEMU', 0, cpuState(cpu, 431)), 'bad-image', 'QEMU note'],
    ['is of version 2', note('QEMU', 0, cpuState(cpu, 440, 2)), 'unsupported', 'QEMU note version'],
  ] as const)('whose CPU note %s is refused', (_, bytes, code, argument) => {
    expectError(() => parseElfCore(elf([{ type: 4, bytes }])), code, argument);
  });

  it('adds nothing to the memory', () => {
    const memory = PhysicalMemory.allocate(0x1000, { base: 0x2000 });
    const before = memory.regions();
    const load = (segments: TestSegment[]) => () => loadElfCore(memory, elf(segments));
    const first = { paddr: 0n, bytes: filled(0x1000, 1) };
    expectError(load([first, { paddr: 0x2fffn, memsz: 1 }]), 'overlap', 'base');
    expectError(load([first, { paddr: 0xfffn, memsz: 1 }]), 'overlap', 'base');
    expectError(load([first, { paddr: 2n ** 64n - 1n, memsz: 2 }]), 'bad-image', 'p_memsz');
    expect(memory.regions()).toEqual(before);
  });

  it('with a huge memory costs no host memory', () => {
    const memory = new PhysicalMemory();
    loadElfCore(memory, elf([{ paddr: 0n, bytes: filled(1, 1), memsz: 2 ** 52 }]));
    expect(memory.regions().map((r) => r.usedBytes)).toEqual([1, 0]);
  });

  it('of many small segments in falling order is sorted, not searched', () => {
    const segments = Array.from({ length: 20_000 }, (_, i) => ({
      paddr: BigInt(20_000 - i) * 16n,
      bytes: filled(1, i),
    }));
    const memory = new PhysicalMemory();
    loadElfCore(memory, elf(segments));
    memory.checkInvariants();
    expect(memory.read8(0, 16)).toBe(19_999 & 0xff);
  });
});
