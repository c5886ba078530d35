// Where everything lies: what the loader and the guest agree on.

/** RAM: 16 MiB at 0x8000_0000. */
export const RAM_BASE = 0x8000_0000;
export const RAM_BYTES = 16 << 20;

/** The device: a page at 0x1000_0000 that prints what is stored to its first byte. */
export const UART_BASE = 0x1000_0000;

/** Pages of RAM, as byte offsets from its base. */
export const KERNEL_CODE = 0x0000;
export const KERNEL_DATA = 0x1000;
export const USER_CODE = 0x2000;
export const ROOT_TABLE = 0x4000;
export const USER_TABLE_1 = 0x5000;
export const USER_TABLE_0 = 0x6000;
/** From here on the kernel hands frames out; nobody has written them, so they are all zero. */
export const FREE_FRAMES = 0x10000;

/** The kernel runs at the top of the address space, where the GiB that begins with RAM is mapped a second time. */
export const KERNEL_BASE = 0xffff_ffff_8000_0000n;
/** From a physical address in RAM to the kernel's. */
export const KERNEL_OFFSET = KERNEL_BASE - BigInt(RAM_BASE);

/** Virtual addresses of the user program. */
export const USER_BASE = 0x10000;
export const USER_UART = 0x20000;
/** Pages here are mapped when they are first touched. */
export const FLAGS_BASE = 0x4000_0000;
export const WORDS_BASE = 0x4100_0000;
export const HEAP_END = 0x4200_0000;

/** Doublewords in the kernel's data. The first six keep registers of the interrupted program. */
export const KERNEL = {
  saved: 0,
  /** The kernel's address of the root table. */
  root: 48,
  /** The physical address of the next free frame. */
  next: 56,
  /** Page faults that were answered. */
  faults: 64,
  /** From physical to kernel addresses. */
  offset: 72,
} as const;

/** Multiplies the checksum at each step: Knuth's MMIX generator. */
export const FACTOR = 6364136223846793005n;
/** Pages whose boundary the program stores across. */
export const CROSSINGS = 16;
/** Rounds of LR/SC and AMOADD. */
export const ROUNDS = 100;
