import type { Random } from 'pagewright/core';
import { IMAGE_BYTES, PAGES } from '../walk/agreement/image.js';
import type { WalkCase } from '../walk/agreement/machine.js';

/**
 * Fills RAM with garbage, word by word. Of eight entries five point into the RAM itself, so that walks go deep and
 * round in circles; two map something; one is noise.
 */
export function fillWithGarbage(words: Int32Array, subject: WalkCase, random: Random): void {
  const riscv = subject.arch === 'riscv';
  const { base, entryBytes } = subject.image;
  const first = Number(base >> 12n);
  const frameShift = riscv ? 10 : 12;
  const step = entryBytes / 4;
  for (let at = 0; at < IMAGE_BYTES / 4; at += step) {
    const dice = random.word();
    const flags = random.word();
    let low = flags;
    let high = 0;
    if ((dice & 7) < 5) {
      const pfn = first + (((dice >>> 8) & 0xff) % PAGES);
      // RISC-V pointers have V alone; those of x86 have rights, and A or not.
      const kind = riscv ? (flags & 0x300) | 1 : (flags & 0xf7f) | 1;
      low = (((pfn % 2 ** 22) << frameShift) | kind) & -1;
      high = Math.floor(pfn / 2 ** (32 - frameShift)) | 0;
    } else if ((dice & 7) < 7) {
      // Zeros where large leaves want them, in most of these.
      const mask = (dice >>> 3) & 3 ? 0x800003ff : -1;
      low = (flags & mask) | (riscv ? 1 : 0x81);
      high = (random.word() >>> 4) & 0x3ff;
    } else {
      high = random.word();
    }
    // Upper bits are noise now and then: reserved bits, XD, N, keys.
    if (((dice >>> 16) & 15) === 0) high |= 1 << ((dice >>> 20) & 31);
    words[at] = low;
    if (step === 2) words[at + 1] = high;
  }
}
