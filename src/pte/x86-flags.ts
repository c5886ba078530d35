/**
 * The flags of CR0, as unsigned numbers (Intel SDM Vol. 3A, 2.5 "Control Registers").
 *
 * @public
 */
export const CR0 = {
  /** Bit 0, protection enable. */
  PE: 0x1,
  /** Bit 1, monitor coprocessor. */
  MP: 0x2,
  /** Bit 2, emulation. */
  EM: 0x4,
  /** Bit 3, task switched. */
  TS: 0x8,
  /** Bit 4, extension type. */
  ET: 0x10,
  /** Bit 5, numeric error. */
  NE: 0x20,
  /** Bit 16, write protect: supervisor writes obey R/W. */
  WP: 0x10000,
  /** Bit 18, alignment mask. */
  AM: 0x40000,
  /** Bit 29, not write-through. */
  NW: 0x20000000,
  /** Bit 30, cache disable. */
  CD: 0x40000000,
  /** Bit 31, paging. */
  PG: 0x80000000,
} as const;

/**
 * The flags of CR4's low half, as unsigned numbers (Intel SDM Vol. 3A, 2.5). Bit 32 is FRED.
 *
 * @public
 */
export const CR4 = {
  /** Bit 0, virtual-8086 mode extensions. */
  VME: 0x1,
  /** Bit 1, protected-mode virtual interrupts. */
  PVI: 0x2,
  /** Bit 2, time stamp disable. */
  TSD: 0x4,
  /** Bit 3, debugging extensions. */
  DE: 0x8,
  /** Bit 4, page size extensions: 4 MiB pages in 32-bit paging. */
  PSE: 0x10,
  /** Bit 5, physical address extension: 8-byte entries. */
  PAE: 0x20,
  /** Bit 6, machine-check enable. */
  MCE: 0x40,
  /** Bit 7, page global enable. */
  PGE: 0x80,
  /** Bit 8, performance-monitoring counter enable. */
  PCE: 0x100,
  /** Bit 9, FXSAVE and FXRSTOR. */
  OSFXSR: 0x200,
  /** Bit 10, unmasked SIMD exceptions. */
  OSXMMEXCPT: 0x400,
  /** Bit 11, user-mode instruction prevention. */
  UMIP: 0x800,
  /** Bit 12, 57-bit linear addresses: 5-level paging. */
  LA57: 0x1000,
  /** Bit 13, VMX enable. */
  VMXE: 0x2000,
  /** Bit 14, SMX enable. */
  SMXE: 0x4000,
  /** Bit 16, FSGSBASE instructions. */
  FSGSBASE: 0x10000,
  /** Bit 17, process-context identifiers. */
  PCIDE: 0x20000,
  /** Bit 18, XSAVE and extended states. */
  OSXSAVE: 0x40000,
  /** Bit 19, Key Locker. */
  KL: 0x80000,
  /** Bit 20, supervisor-mode execution prevention. */
  SMEP: 0x100000,
  /** Bit 21, supervisor-mode access prevention. */
  SMAP: 0x200000,
  /** Bit 22, protection keys for user pages. */
  PKE: 0x400000,
  /** Bit 23, control-flow enforcement. */
  CET: 0x800000,
  /** Bit 24, protection keys for supervisor pages. */
  PKS: 0x1000000,
  /** Bit 25, user interrupts. */
  UINTR: 0x2000000,
  /** Bit 27, linear-address-space separation. */
  LASS: 0x8000000,
  /** Bit 28, linear-address masking of supervisor pointers. */
  LAM_SUP: 0x10000000,
} as const;

/**
 * The flags of IA32_EFER (Intel SDM Vol. 3A, 2.2.1).
 *
 * @public
 */
export const EFER = {
  /** Bit 0, SYSCALL enable. */
  SCE: 0x1,
  /** Bit 8, long mode (IA-32e) enable. */
  LME: 0x100,
  /** Bit 10, long mode active. */
  LMA: 0x400,
  /** Bit 11, execute-disable enable. */
  NXE: 0x800,
} as const;

/**
 * The bits of a page fault's error code (Intel SDM Vol. 3A, Figure 4-12).
 *
 * @public
 */
export const X86_PAGE_FAULT = {
  /** Bit 0: a page-level protection violation; 0 when an entry was not present. */
  P: 0x1,
  /** Bit 1, W/R: the access was a write. */
  W: 0x2,
  /** Bit 2, U/S: a user-mode access. */
  U: 0x4,
  /** Bit 3: a reserved bit was set in an entry. */
  RSVD: 0x8,
  /** Bit 4, I/D: an instruction fetch (reported with SMEP, or with PAE and NXE). */
  I: 0x10,
  /** Bit 5: a protection key forbade a data access. */
  PK: 0x20,
  /** Bit 6: a shadow-stack access. */
  SS: 0x40,
  /** Bit 7: in HLAT paging. */
  HLAT: 0x80,
  /** Bit 15: a violation of SGX's requirements. */
  SGX: 0x8000,
} as const;
