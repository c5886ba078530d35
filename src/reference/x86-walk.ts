import { Access } from '../core/index.js';

/** The control registers that an x86 walk depends on, and the abilities of the processor. */
export interface ReferenceX86Registers {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  /** EFLAGS.AC. */
  readonly ac: boolean;
  readonly pkru: bigint;
  /** IA32_PKRS. */
  readonly pkrs: bigint;
  /** The four PDPTE registers of PAE paging, as loaded. */
  readonly pdptes: readonly bigint[];
  /** MAXPHYADDR, 32 to 52. */
  readonly maxPhyAddr: number;
  /** CPUID.PSE-36. */
  readonly pse36: boolean;
  /** CPUID.Page1GB. */
  readonly gigabytePages: boolean;
  /** Whether a walk that ends in a fault has set A in the non-leaf entries it passed: the SDM leaves it open. */
  readonly accessedOnFault: boolean;
}

/** One access, and everything that its answer depends on. */
export interface ReferenceX86Input {
  /** A little-endian value, or `null` where there is no memory. */
  readonly read: (pa: bigint, bytes: number) => bigint | null;
  readonly registers: ReferenceX86Registers;
  /** The linear address; 32 bits wide outside 4-level and 5-level paging. */
  readonly va: bigint;
  /** `Access` bits. */
  readonly access: number;
}

/** An entry that the walk changed. */
export interface ReferenceX86Write {
  readonly pa: bigint;
  readonly value: bigint;
}

/** The answer to an access. A vector of 0 says that an entry is not in memory at all. */
export type ReferenceX86Outcome =
  | {
      readonly kind: 'page';
      readonly pa: bigint;
      /** The size of the page; 4096 without paging. */
      readonly pageBytes: bigint;
      /** PAT, PCD and PWT of the leaf as a number. */
      readonly patIndex: number;
      /** 4.6: whether the linear address is a user-mode one; without paging all are. */
      readonly userAddress: boolean;
      readonly writes: readonly ReferenceX86Write[];
    }
  | {
      readonly kind: 'fault';
      readonly vector: 0 | 13 | 14;
      readonly errorCode: number;
      readonly writes: readonly ReferenceX86Write[];
    };

/** Bits `high` to `low` of a value. */
const field = (value: bigint, high: number, low: number): bigint =>
  high < low ? 0n : (value >> BigInt(low)) % 2n ** BigInt(high - low + 1);

/** Whether a bit of a value is set. */
const bit = (value: bigint, at: number): boolean => field(value, at, at) === 1n;

/** The bits of the control registers by their names (SDM Vol. 3A, 2.5 and 2.2.1; 4.1). */
function controls(registers: ReferenceX86Registers) {
  const { cr0, cr4, efer } = registers;
  const paging = bit(cr0, 31);
  const pae = bit(cr4, 5);
  const long = paging && pae && bit(efer, 8);
  return {
    paging,
    pae,
    long,
    levels: !pae ? 2 : !long ? 3 : bit(cr4, 12) ? 5 : 4,
    wp: bit(cr0, 16),
    pse: bit(cr4, 4),
    smep: bit(cr4, 20),
    smap: bit(cr4, 21),
    pke: long && bit(cr4, 22),
    pks: long && bit(cr4, 24),
    nxe: pae && bit(efer, 11),
  };
}

type Controls = ReturnType<typeof controls>;

/** 4.6: implicit accesses are supervisor-mode accesses, whatever the CPL. */
const isUser = (access: number): boolean =>
  (access & Access.User) !== 0 && (access & Access.ImplicitSupervisor) === 0;

/** An entry that the walk used. */
interface Used {
  readonly pa: bigint;
  readonly entry: bigint;
}

/** Bits 1 (page), 2 (2 MiB, 4 MiB) or 3 (1 GiB): whether an entry that is present maps a page. */
function mapsPage(entry: bigint, level: number, control: Controls): boolean {
  if (level === 1) return true;
  if (level > 3) return false;
  if (level === 2 && !control.pae && !control.pse) return false;
  return bit(entry, 7);
}

/** Whether a present entry has a reserved bit set: SDM Vol. 3A, tables 4-4 to 4-6, 4-9 to 4-11 and 4-14 to 4-20. */
function usesReserved(
  entry: bigint,
  level: number,
  control: Controls,
  registers: ReferenceX86Registers,
): boolean {
  const { maxPhyAddr } = registers;
  const leaf = mapsPage(entry, level, control);
  if (!control.pae) {
    if (level !== 2 || !leaf) return false;
    // Table 4-4: bits (M-20):13 are bits (M-1):32 of the address, bits 21:(M-19) are reserved.
    const width = registers.pse36 ? Math.min(40, maxPhyAddr) : 32;
    return field(entry, 21, width - 19) !== 0n;
  }
  if (bit(entry, 63) && !control.nxe) return true;
  // PAE reserves all of 62:MAXPHYADDR, the 64-bit modes 51:MAXPHYADDR.
  if (field(entry, control.long ? 51 : 62, maxPhyAddr) !== 0n) return true;
  if (level >= 4) return bit(entry, 7);
  if (level === 3 && leaf) return !registers.gigabytePages || field(entry, 29, 13) !== 0n;
  return level === 2 && leaf && field(entry, 20, 13) !== 0n;
}

/** The physical address of the page that a leaf maps. */
function pageAddress(entry: bigint, level: number, control: Controls): bigint {
  if (!control.pae) {
    if (level === 1) return field(entry, 31, 12) * 2n ** 12n;
    return field(entry, 20, 13) * 2n ** 32n + field(entry, 31, 22) * 2n ** 22n;
  }
  const shift = 12 + 9 * (level - 1);
  return field(entry, 51, shift) * 2n ** BigInt(shift);
}

/** SDM Vol. 3A, 4.6.2: whether a protection key forbids a data access. */
function keyForbids(
  leaf: bigint,
  userAddress: boolean,
  input: ReferenceX86Input,
  write: boolean,
  control: Controls,
): boolean {
  if ((input.access & 3) === Access.Fetch) return false;
  if (!(userAddress ? control.pke : control.pks)) return false;
  const rights = userAddress ? input.registers.pkru : input.registers.pkrs;
  const key = Number(field(leaf, 62, 59));
  const accessDisable = bit(rights, 2 * key);
  const writeDisable = bit(rights, 2 * key + 1);
  return accessDisable || (write && writeDisable && (isUser(input.access) || control.wp));
}

/** SDM Vol. 3A, 4.6.1: whether the flags of the entries allow the access. */
function flagsAllow(
  userAddress: boolean,
  writable: boolean,
  executeDisable: boolean,
  write: boolean,
  input: ReferenceX86Input,
  control: Controls,
): boolean {
  const { access, registers } = input;
  const fetch = (access & 3) === Access.Fetch;
  const mayExecute = !(control.nxe && executeDisable);

  if (isUser(access)) {
    if (!userAddress) return false;
    return fetch ? mayExecute : !write || writable;
  }
  if (fetch) return mayExecute && !(userAddress && control.smep);
  // The alignment-check flag excuses explicit accesses only.
  const explicit = (access & Access.ImplicitSupervisor) === 0;
  if (userAddress && control.smap && !(explicit && registers.ac)) return false;
  return !write || writable || !control.wp;
}

/** An x86 page walk: Intel SDM Vol. 3A, 4.3 (32-bit), 4.4 (PAE), 4.5 (4-level and 5-level), 4.6 to 4.8. */
export function referenceX86Walk(input: ReferenceX86Input): ReferenceX86Outcome {
  const { registers, va, access, read } = input;
  const control = controls(registers);
  const fetch = (access & 3) === Access.Fetch;
  const write = !fetch && (access & (Access.Write | Access.ReadModifyWrite)) !== 0;
  if (!control.paging) {
    return {
      ...{ kind: 'page', pa: va, pageBytes: 4096n, patIndex: 0 },
      ...{ userAddress: true, writes: [] },
    };
  }

  // 4.8: the entries used by a translation get A; the last one D when the access writes.
  const changes = (used: readonly Used[], dirty: boolean): ReferenceX86Write[] => {
    const words = new Map<bigint, { before: bigint; after: bigint }>();
    used.forEach(({ pa, entry }, i) => {
      const word = words.get(pa) ?? { before: entry, after: entry };
      word.after |= dirty && i === used.length - 1 ? 0x60n : 0x20n;
      words.set(pa, word);
    });
    return [...words]
      .filter(([, word]) => word.before !== word.after)
      .map(([pa, word]) => ({ pa, value: word.after }));
  };
  const passed: Used[] = [];
  const fault = (vector: 0 | 13 | 14, errorCode: number): ReferenceX86Outcome => {
    const writes = registers.accessedOnFault ? changes(passed, false) : [];
    return { kind: 'fault', vector, errorCode, writes };
  };
  // 4.7: the error code. P, RSVD and PK are given; W/R, U/S and I/D follow from the access.
  const pageFault = (bits: number): ReferenceX86Outcome => {
    const wr = write ? 2 : 0;
    const us = isUser(access) ? 4 : 0;
    const id = fetch && (control.smep || control.nxe) ? 16 : 0;
    return fault(14, bits | wr | us | id);
  };

  // A linear address of the 64-bit modes must be canonical.
  if (control.long) {
    const width = control.levels === 5 ? 57 : 48;
    const upper = field(va, 63, width - 1);
    if (upper !== 0n && upper !== 2n ** BigInt(65 - width) - 1n) return fault(13, 0);
  }

  // 4.3, 4.4.1, 4.5: where the walk starts.
  let level = control.levels;
  let table: bigint;
  if (level === 3) {
    const pdpte = registers.pdptes[Number(field(va, 31, 30))]!;
    if (!bit(pdpte, 0)) return pageFault(0);
    table = field(pdpte, 51, 12) * 4096n;
    level = 2;
  } else {
    table = field(registers.cr3, control.long ? 51 : 31, 12) * 4096n;
  }

  let userAddress = true;
  let writable = true;
  let executeDisable = false;
  const bytes = control.pae ? 8 : 4;
  const indexBits = control.pae ? 9 : 10;
  for (; ; level--) {
    const low = 12 + (level - 1) * indexBits;
    const pa = table + field(va, low + indexBits - 1, low) * BigInt(bytes);
    const entry = read(pa, bytes);
    if (entry === null) return fault(0, 0);
    if (!bit(entry, 0)) return pageFault(0);
    if (usesReserved(entry, level, control, registers)) return pageFault(1 | 8);

    userAddress = userAddress && bit(entry, 2);
    writable = writable && bit(entry, 1);
    executeDisable = executeDisable || bit(entry, 63);
    if (!mapsPage(entry, level, control)) {
      passed.push({ pa, entry });
      table = field(entry, control.pae ? 51 : 31, 12) * 4096n;
      continue;
    }

    const key = keyForbids(entry, userAddress, input, write, control);
    const allowed = flagsAllow(userAddress, writable, executeDisable, write, input, control);
    if (key || !allowed) return pageFault(1 | (key ? 32 : 0));
    const pageBytes = 2n ** BigInt(low);
    return {
      kind: 'page',
      pa: pageAddress(entry, level, control) + (va % pageBytes),
      pageBytes,
      // 4.9.2: PAT is bit 7 of a PTE, bit 12 of a larger page's entry; PCD is bit 4, PWT bit 3.
      patIndex: Number(field(entry, 4, 3)) + (bit(entry, level === 1 ? 7 : 12) ? 4 : 0),
      userAddress,
      writes: changes([...passed, { pa, entry }], write),
    };
  }
}
