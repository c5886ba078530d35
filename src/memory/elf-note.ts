import { VmError } from '../core/index.js';

/**
 * The registers that a page walk starts from, of one x86 CPU in a QEMU core.
 *
 * @public
 */
export interface ElfCpu {
  /** Paging enable, write protect. */
  readonly cr0: bigint;
  /** The root of the page tables. */
  readonly cr3: bigint;
  /** PAE, LA57, SMEP and the rest. */
  readonly cr4: bigint;
}

const EM_386 = 3;
const EM_X86_64 = 62;

/**
 * QEMU's x86 CPU state, version 1 (QEMU, target/i386/arch_dump.c, QEMUCPUState), little-endian:
 *
 * ```text
 *    0  u32 version, u32 size
 *    8  16 x u64  rax rbx rcx rdx rsi rdi rsp rbp r8 ... r15
 *  136  u64 rip, u64 rflags
 *  152  10 x { u32 selector, limit, flags, pad; u64 base }  cs ds es fs gs ss ldt tr gdt idt
 *  392  5 x u64  cr0 ... cr4
 *  432  u64 kernel_gs_base (later QEMUs; not needed here)
 * ```
 */
const CPU_STATE = { version: 1, cr: 392, end: 432 } as const;

/**
 * Finds the CPU states among the notes of one PT_NOTE segment. Each note is three words (name size, descriptor size,
 * type), then name and descriptor, each padded to 4 bytes (gABI, chapter 5, note section). Notes of other owners,
 * NT_PRSTATUS among them, are passed over.
 *
 * @throws VmError `bad-image` for a note that leaves its segment or a CPU state that is too short; `unsupported` for
 * another version of it.
 */
export function parseCpuNotes(notes: Uint8Array, machine: number): ElfCpu[] {
  const view = new DataView(notes.buffer, notes.byteOffset, notes.byteLength);
  const x86 = machine === EM_386 || machine === EM_X86_64;
  const cpus: ElfCpu[] = [];
  for (let at = 0; at + 12 <= notes.length; ) {
    const nameBytes = view.getUint32(at, true);
    const bytes = view.getUint32(at + 4, true);
    const name = at + 12;
    const description = name + padded(nameBytes);
    if (description + bytes > notes.length) {
      throw new VmError('bad-image', {
        argument: 'note',
        value: description + bytes,
        expected: `a note inside its segment's ${notes.length} bytes`,
      });
    }
    if (x86 && isQemu(notes.subarray(name, name + nameBytes))) {
      cpus.push(parseCpu(view, description, bytes));
    }
    at = description + padded(bytes);
  }
  return cpus;
}

function parseCpu(view: DataView, at: number, bytes: number): ElfCpu {
  if (bytes < CPU_STATE.end) {
    throw new VmError('bad-image', {
      argument: 'QEMU note',
      value: bytes,
      expected: `at least ${CPU_STATE.end} bytes of CPU state`,
    });
  }
  const version = view.getUint32(at, true);
  if (version !== CPU_STATE.version) {
    throw new VmError('unsupported', {
      argument: 'QEMU note version',
      value: version,
      expected: String(CPU_STATE.version),
    });
  }
  const control = (index: number): bigint => view.getBigUint64(at + CPU_STATE.cr + index * 8, true);
  return { cr0: control(0), cr3: control(3), cr4: control(4) };
}

/** "QEMU", with its terminating 0. */
function isQemu(name: Uint8Array): boolean {
  return name.length === 5 && [0x51, 0x45, 0x4d, 0x55, 0].every((byte, i) => name[i] === byte);
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}
