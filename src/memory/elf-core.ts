import { VmError } from '../core/index.js';
import { type ElfCpu, parseCpuNotes } from './elf-note.js';
import { MAX_REGION_BYTES } from './region.js';

/**
 * A stretch of physical memory in an ELF core.
 *
 * @public
 */
export interface ElfSegment {
  /** Physical address of the first byte (`p_paddr`). */
  readonly base: bigint;
  /** What the file has of it: a view of the file, no copy. */
  readonly bytes: Uint8Array;
  /** Bytes in memory (`p_memsz`); those that the file does not have are 0. */
  readonly memoryBytes: number;
}

/**
 * An ELF core file, as QEMU's `dump-guest-memory` writes it.
 *
 * @public
 */
export interface ElfCore {
  /** Always `'elf-core'`. */
  readonly type: 'elf-core';
  /** ELF32 or ELF64. */
  readonly bits: 32 | 64;
  /** `e_machine`: 62 is x86-64, 3 is i386, 243 is RISC-V, 183 is AArch64. */
  readonly machine: number;
  /** In the file's order. */
  readonly segments: readonly ElfSegment[];
  /** One for each CPU whose control registers the file has; only x86 guests have them. */
  readonly cpus: readonly ElfCpu[];
}

/** Where fields are, by class (gABI, chapters 4 and 5: ELF header, sections, program header). */
interface ElfLayout {
  readonly bits: 32 | 64;
  readonly headerBytes: number;
  readonly phoff: number;
  readonly shoff: number;
  readonly phentsize: number;
  readonly phnum: number;
  readonly sectionBytes: number;
  readonly sectionInfo: number;
  readonly programBytes: number;
  readonly offset: number;
  readonly paddr: number;
  readonly filesz: number;
  readonly memsz: number;
}

const ELF32: ElfLayout = {
  bits: 32,
  headerBytes: 52,
  phoff: 28,
  shoff: 32,
  phentsize: 42,
  phnum: 44,
  sectionBytes: 40,
  sectionInfo: 28,
  programBytes: 32,
  offset: 4,
  paddr: 12,
  filesz: 16,
  memsz: 20,
};

const ELF64: ElfLayout = {
  bits: 64,
  headerBytes: 64,
  phoff: 32,
  shoff: 40,
  phentsize: 54,
  phnum: 56,
  sectionBytes: 64,
  sectionInfo: 44,
  programBytes: 56,
  offset: 8,
  paddr: 24,
  filesz: 32,
  memsz: 40,
};

const ET_CORE = 4;
const PT_LOAD = 1;
const PT_NOTE = 4;
/** In `e_phnum`: there are too many for 16 bits, and the number is in section header 0's `sh_info` (gABI). */
const PN_XNUM = 0xffff;

/**
 * Reads an ELF core: where its memory is, and the control registers of its CPUs. Nothing is copied. O(headers).
 *
 * @param bytes - The whole file.
 * @returns Plain data; the segments' `bytes` are views of the file.
 * @throws `VmError` `bad-argument` for anything but a Uint8Array; `bad-image` for a file that is truncated, no ELF
 * core or absurd; `unsupported` for a big-endian one.
 * @public
 */
export function parseElfCore(bytes: Uint8Array): ElfCore {
  const file = new ElfFile(bytes);
  const segments: ElfSegment[] = [];
  const cpus: ElfCpu[] = [];
  for (let i = 0; i < file.programHeaders; i++) {
    const header = file.programHeader(i);
    if (header.type === PT_LOAD && header.memoryBytes > 0) {
      const { base, contents, memoryBytes } = header;
      segments.push({ base, bytes: contents, memoryBytes });
    } else if (header.type === PT_NOTE) {
      for (const cpu of parseCpuNotes(header.contents, file.machine)) cpus.push(cpu);
    }
  }
  const { machine } = file;
  return { type: 'elf-core', bits: file.layout.bits, machine, segments, cpus };
}

/** The headers of an ELF file, every access checked. */
class ElfFile {
  readonly layout: ElfLayout;
  readonly machine: number;
  readonly programHeaders: number;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly tableStart: number;
  private readonly entryBytes: number;

  constructor(bytes: Uint8Array) {
    if (!(bytes instanceof Uint8Array)) {
      const expected = 'a Uint8Array of the whole file';
      throw new VmError('bad-argument', { argument: 'bytes', value: bytes, expected });
    }
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.layout = identify(this.view);
    const { layout, view } = this;
    this.need('the ELF header', 0, layout.headerBytes);
    if (view.getUint16(16, true) !== ET_CORE) {
      throw bad('e_type', view.getUint16(16, true), `${ET_CORE}, a core file`);
    }
    this.machine = view.getUint16(18, true);
    this.tableStart = this.offsetAt('e_phoff', layout.phoff);
    this.entryBytes = view.getUint16(layout.phentsize, true);
    this.programHeaders = this.countProgramHeaders();
    if (this.programHeaders > 0 && this.entryBytes < layout.programBytes) {
      throw bad('e_phentsize', this.entryBytes, `at least ${layout.programBytes}`);
    }
    // Bounds the loop over them by the size of the file.
    this.need('the program headers', this.tableStart, this.programHeaders * this.entryBytes);
  }

  programHeader(index: number): {
    readonly type: number;
    readonly base: bigint;
    readonly contents: Uint8Array;
    readonly memoryBytes: number;
  } {
    const { layout } = this;
    const at = this.tableStart + index * this.entryBytes;
    const type = this.view.getUint32(at, true);
    const base = this.wordAt(at + layout.paddr);
    if (type !== PT_LOAD && type !== PT_NOTE) {
      return { type, base, contents: new Uint8Array(0), memoryBytes: 0 };
    }
    const start = this.offsetAt('p_offset', at + layout.offset);
    const fileBytes = this.offsetAt('p_filesz', at + layout.filesz);
    const memoryBytes = this.offsetAt('p_memsz', at + layout.memsz);
    if (type === PT_LOAD && fileBytes > memoryBytes) {
      throw bad('p_filesz', fileBytes, `at most p_memsz, ${memoryBytes}`);
    }
    this.need(`segment ${index}`, start, fileBytes);
    return { type, base, contents: this.bytes.subarray(start, start + fileBytes), memoryBytes };
  }

  private countProgramHeaders(): number {
    const { layout, view } = this;
    const count = view.getUint16(layout.phnum, true);
    if (count !== PN_XNUM) return count;
    const section = this.offsetAt('e_shoff', layout.shoff);
    this.need('section header 0', section, layout.sectionBytes);
    return view.getUint32(section + layout.sectionInfo, true);
  }

  private wordAt(at: number): bigint {
    return this.layout.bits === 64
      ? this.view.getBigUint64(at, true)
      : BigInt(this.view.getUint32(at, true));
  }

  private offsetAt(field: string, at: number): number {
    const value = this.wordAt(at);
    if (value > MAX_REGION_BYTES) throw bad(field, value, 'at most 2^52');
    return Number(value);
  }

  private need(what: string, start: number, length: number): void {
    if (start + length > this.bytes.length) {
      throw bad(what, start + length, `inside the file's ${this.bytes.length} bytes`);
    }
  }
}

/** Checks `e_ident` (gABI, chapter 4): the magic number, the class, little-endian data. */
function identify(view: DataView): ElfLayout {
  if (view.byteLength < 16 || view.getUint32(0, false) !== 0x7f454c46) {
    throw bad('bytes', view.byteLength, 'the 16 bytes or more of an ELF file, from 7f 45 4c 46 on');
  }
  const [fileClass, encoding] = [view.getUint8(4), view.getUint8(5)];
  if (encoding === 2) {
    throw new VmError('unsupported', {
      argument: 'EI_DATA',
      value: encoding,
      expected: '1, little-endian',
    });
  }
  if (encoding !== 1) throw bad('EI_DATA', encoding, '1, little-endian');
  if (fileClass === 1) return ELF32;
  if (fileClass === 2) return ELF64;
  throw bad('EI_CLASS', fileClass, '1 or 2');
}

function bad(argument: string, value: unknown, expected: string): VmError {
  return new VmError('bad-image', { argument, value, expected });
}
