import { Access } from '../core/index.js';

/** A right that physical memory protection grants. */
export type ReferencePmpRight = 'read' | 'write' | 'execute';

/** A privilege mode. */
export type ReferencePrivilege = 'user' | 'supervisor' | 'machine';

/** The fields of the control registers that a RISC-V walk depends on, and the extensions of the machine. */
export interface ReferenceRiscvRegisters {
  readonly xlen: 32 | 64;
  /** satp, with one of the modes that exist. */
  readonly satp: bigint;
  /** mstatus.SUM. */
  readonly sum: boolean;
  /** mstatus.MXR. */
  readonly mxr: boolean;
  /** mstatus.MPRV. */
  readonly mprv: boolean;
  /** mstatus.MPP. */
  readonly mpp: ReferencePrivilege;
  /** menvcfg.ADUE: hardware sets accessed and dirty bits (Svadu); otherwise a clear bit is a page fault (Svade). */
  readonly adue: boolean;
  /** menvcfg.PBMTE: page-based memory types (Svpbmt). */
  readonly pbmte: boolean;
  readonly svnapot: boolean;
  readonly svrsw60t59b: boolean;
}

/** One access, and everything that its answer depends on. */
export interface ReferenceRiscvInput {
  /** A little-endian value, or `null` where there is no memory. */
  readonly read: (pa: bigint, bytes: number) => bigint | null;
  readonly registers: ReferenceRiscvRegisters;
  readonly va: bigint;
  /** `Access` bits. */
  readonly access: number;
  /** The size of the access. */
  readonly bytes: number;
  /** Called before an entry gets accessed and dirty bits. */
  readonly update?: (pa: bigint, value: bigint) => void;
  /** Physical memory protection: whether an access to physical memory is allowed. */
  readonly protect?: (
    pa: bigint,
    bytes: number,
    right: ReferencePmpRight,
    privilege: ReferencePrivilege,
  ) => boolean;
}

/** An entry that the walk changed. */
export interface ReferenceWrite {
  readonly pa: bigint;
  readonly value: bigint;
}

/** The answer to an access. */
export type ReferenceRiscvOutcome =
  | {
      readonly kind: 'page';
      readonly pa: bigint;
      /** The size of the page; 4096 when nothing was translated. */
      readonly pageBytes: bigint;
      /** The Svpbmt memory type. */
      readonly pbmt: number;
      readonly writes: readonly ReferenceWrite[];
    }
  | {
      readonly kind: 'fault';
      readonly cause: number;
      readonly tval: bigint;
      readonly writes: readonly ReferenceWrite[];
    };

/** Bits `high` to `low` of a value. */
const field = (value: bigint, high: number, low: number): bigint =>
  (value >> BigInt(low)) % 2n ** BigInt(high - low + 1);

/** Whether a bit of a value is set. */
const bit = (value: bigint, at: number): boolean => field(value, at, at) === 1n;

/** One of the modes of satp: section "Supervisor Address Translation and Protection (satp) Register". */
interface Mode {
  readonly levels: number;
  /** Bits of one level's page number. */
  readonly indexBits: number;
  readonly pteSize: number;
  /** Bits of a physical page number. */
  readonly ppnBits: number;
}

const SV32: Mode = { levels: 2, indexBits: 10, pteSize: 4, ppnBits: 22 };
const sv64 = (levels: number): Mode => ({ levels, indexBits: 9, pteSize: 8, ppnBits: 44 });

function modeOf(registers: ReferenceRiscvRegisters): Mode | null {
  if (registers.xlen === 32) return bit(registers.satp, 31) ? SV32 : null;
  const mode = Number(field(registers.satp, 63, 60));
  return mode === 0 ? null : sv64(mode - 5);
}

/** The privilege that an access has: MPRV lends MPP to the loads and stores of M-mode (section "Memory Privilege in mstatus Register"). */
function privilegeOf(input: ReferenceRiscvInput): ReferencePrivilege {
  const { access, registers } = input;
  if (access & Access.Machine) {
    return registers.mprv && (access & 3) !== Access.Fetch ? registers.mpp : 'machine';
  }
  return access & Access.User ? 'user' : 'supervisor';
}

/** Whether an entry uses a bit or an encoding that the manual reserves, beside V, R, W and X. */
export function usesReserved(
  pte: bigint,
  leaf: boolean,
  level: number,
  mode: Pick<Mode, 'pteSize'>,
  registers: Pick<ReferenceRiscvRegisters, 'pbmte' | 'svnapot' | 'svrsw60t59b'>,
): boolean {
  const [user, accessed, dirty] = [bit(pte, 4), bit(pte, 6), bit(pte, 7)];
  if (!leaf && (user || accessed || dirty)) return true;
  if (mode.pteSize === 4) return false;
  const napot = bit(pte, 63);
  const pbmt = field(pte, 62, 61);
  // Bits 60:54 are reserved; Svrsw60t59b gives 60:59 to software.
  if (field(pte, registers.svrsw60t59b ? 58 : 60, 54) !== 0n) return true;
  // Svpbmt: 3 is reserved, as is anything in a pointer or while menvcfg.PBMTE=0.
  if (pbmt === 3n || (pbmt !== 0n && (!leaf || !registers.pbmte))) return true;
  // Svnapot: only 64 KiB leaves of level 0, ppn[0] = xxxx1000, are defined.
  if (napot && !(registers.svnapot && leaf && level === 0 && field(pte, 13, 10) === 8n))
    return true;
  return false;
}

/** Whether a leaf's U bit admits a privilege. */
function userBitAllows(
  pte: bigint,
  privilege: ReferencePrivilege,
  input: ReferenceRiscvInput,
): boolean {
  if (privilege === 'user') return bit(pte, 4);
  if (!bit(pte, 4)) return true;
  return input.registers.sum && (input.access & 3) !== Access.Fetch;
}

/** Whether a leaf's R, W and X bits admit the access. */
function rightsAllow(pte: bigint, store: boolean, input: ReferenceRiscvInput): boolean {
  // 21.3.1: for HLVX, execute permission takes the place of read permission.
  if (input.access & Access.Hlvx) return bit(pte, 3);
  const [readable, writable, executable] = [bit(pte, 1), bit(pte, 2), bit(pte, 3)];
  if ((input.access & 3) === Access.Fetch) return executable;
  if (store) return writable;
  return readable || (input.registers.mxr && executable);
}

/**
 * A RISC-V page walk, word for word: RISC-V Privileged, 12.3.2 "Virtual Address Translation Process", whose step
 * numbers stand beside the code.
 */
export function referenceRiscvWalk(input: ReferenceRiscvInput): ReferenceRiscvOutcome {
  const { registers, va, access, read } = input;
  const protect = input.protect ?? (() => true);
  const fetch = (access & 3) === Access.Fetch;
  const store = !fetch && (access & (Access.Write | Access.ReadModifyWrite)) !== 0;
  const writes: ReferenceWrite[] = [];
  const fault = (cause: number): ReferenceRiscvOutcome => ({
    kind: 'fault',
    cause,
    tval: va,
    writes,
  });
  const pageFault = (): ReferenceRiscvOutcome => fault(fetch ? 12 : store ? 15 : 13);
  const accessFault = (): ReferenceRiscvOutcome => fault(fetch ? 1 : store ? 7 : 5);

  const privilege = privilegeOf(input);
  const finish = (pa: bigint, pageBytes: bigint, pbmt: number): ReferenceRiscvOutcome => {
    const rights: ReferencePmpRight[] = fetch ? ['execute'] : store ? ['write'] : ['read'];
    if (store && access & Access.ReadModifyWrite) rights.push('read');
    const allowed = rights.every((right) => protect(pa, input.bytes, right, privilege));
    return allowed ? { kind: 'page', pa, pageBytes, pbmt, writes } : accessFault();
  };

  const mode = modeOf(registers);
  if (mode === null || privilege === 'machine') return finish(va, 4096n, 0);

  // Before step 1: bits 63 and down to the top bit of the virtual address must be equal.
  const vaBits = mode.levels * mode.indexBits + 12;
  if (registers.xlen === 64) {
    const upper = field(va, 63, vaBits - 1);
    if (upper !== 0n && upper !== 2n ** BigInt(65 - vaBits) - 1n) return pageFault();
  }

  // 1. Start at the root.
  let table = field(registers.satp, mode.ppnBits - 1, 0) * 4096n;
  for (let level = mode.levels - 1; ; level--) {
    // 2. Read the entry.
    const low = 12 + level * mode.indexBits;
    const address = table + field(va, low + mode.indexBits - 1, low) * BigInt(mode.pteSize);
    if (!protect(address, mode.pteSize, 'read', 'supervisor')) return accessFault();
    const pte = read(address, mode.pteSize);
    if (pte === null) return accessFault();

    // 3. It must be valid.
    const [valid, readable, writable, executable] = [
      bit(pte, 0),
      bit(pte, 1),
      bit(pte, 2),
      bit(pte, 3),
    ];
    const leaf = readable || executable;
    if (!valid || (writable && !readable)) return pageFault();
    if (usesReserved(pte, leaf, level, mode, registers)) return pageFault();

    // 4. A pointer leads to the next level.
    const ppn = field(pte, mode.ppnBits + 9, 10);
    if (!leaf) {
      if (level === 0) return pageFault();
      table = ppn * 4096n;
      continue;
    }

    // 5. A large page must be aligned to its size.
    const pages = 2n ** BigInt(level * mode.indexBits);
    if (ppn % pages !== 0n) return pageFault();

    // 6 to 8. The U bit, then R, W and X (7 is about shadow stacks).
    if (!userBitAllows(pte, privilege, input)) return pageFault();
    if (!rightsAllow(pte, store, input)) return pageFault();

    // 9. Accessed and dirty.
    if (!bit(pte, 6) || (store && !bit(pte, 7))) {
      if (!registers.adue) return pageFault();
      if (!protect(address, mode.pteSize, 'write', 'supervisor')) return accessFault();
      const value = pte | (store ? 0xc0n : 0x40n);
      input.update?.(address, value);
      writes.push({ pa: address, value });
    }

    // 10. The low bits of the page number come from the virtual address: those of a large page or a NAPOT group.
    const group = bit(pte, 63) ? 16n : pages; // bit 63 is N
    const vpn = va / 4096n;
    const frame = ppn - (ppn % group) + (vpn % group);
    const pbmt = mode.pteSize === 4 ? 0 : Number(field(pte, 62, 61));
    return finish(frame * 4096n + (va % 4096n), group * 4096n, pbmt);
  }
}
