import { type Address, pageAndOffset, VmError } from '../core/index.js';
import type { PhysicalMemory } from './physical-memory.js';

/**
 * Copies a raw RAM image into memory that is there. (To use an image without copying it, give it to
 * {@link PhysicalMemory.addRam} as a source.)
 *
 * @param memory - Where to.
 * @param address - Physical address of the image's first byte.
 * @param bytes - The image.
 * @throws `VmError` `out-of-range` when the image does not wholly fall on memory, and then nothing was written
 * (unless a device refused a byte).
 *
 * @example
 * ```ts
 * import { loadImage, PhysicalMemory } from 'pagewright/memory';
 *
 * const memory = PhysicalMemory.allocate(0x4000, { base: 0x8000_0000 });
 * loadImage(memory, 0x8000_0ffe, Uint8Array.of(1, 2, 3, 4));
 * memory.read16(0x80001, 0); // => 0x0403
 * ```
 * @public
 */
export function loadImage(memory: PhysicalMemory, address: Address, bytes: Uint8Array): void {
  const { vpn, offset } = pageAndOffset(address);
  if (memory.writeBytes(vpn, offset, bytes) < 0) {
    throw new VmError('out-of-range', {
      argument: 'address',
      value: address,
      expected: `memory for all ${bytes.length} bytes of the image`,
    });
  }
}
