import { VmError } from '../core/index.js';
import { type ElfCore, type ElfSegment, parseElfCore } from './elf-core.js';
import { ramRegion, sparseRegion } from './make-region.js';
import type { PhysicalMemory } from './physical-memory.js';
import type { Region } from './region.js';

/**
 * Adds the memory in an ELF core as regions. What the file has is not copied: guest writes go to `bytes`. What it has
 * not (`p_filesz` below `p_memsz`) becomes sparse RAM that reads 0, so an absurd size costs nothing.
 *
 * @param memory - Where to; it may have other regions.
 * @param bytes - The whole file, as QEMU's `dump-guest-memory` writes it (without `-p`, whose segments may overlap).
 * @returns What {@link parseElfCore} found, with the CPUs' control registers.
 * @throws `VmError` as {@link parseElfCore}; `bad-image` for a segment beyond the 64-bit space; `overlap` when
 * segments overlap each other or a region. Nothing was added then.
 *
 * @example
 * ```ts
 * import { VmError } from 'pagewright/core';
 * import { loadElfCore, PhysicalMemory } from 'pagewright/memory';
 *
 * function openDump(file: Uint8Array): { memory: PhysicalMemory; cr3: bigint | undefined } {
 *   const memory = new PhysicalMemory();
 *   const core = loadElfCore(memory, file);
 *   return { memory, cr3: core.cpus[0]?.cr3 };
 * }
 *
 * let code = '';
 * try {
 *   openDump(Uint8Array.of(1, 2, 3));
 * } catch (error) {
 *   if (error instanceof VmError) code = error.code;
 * }
 * code; // => 'bad-image'
 * ```
 * @public
 */
export function loadElfCore(memory: PhysicalMemory, bytes: Uint8Array): ElfCore {
  const core = parseElfCore(bytes);
  memory.insert(core.segments.flatMap(segmentRegions));
  return core;
}

function segmentRegions(segment: ElfSegment): Region[] {
  const { base, bytes, memoryBytes } = segment;
  if (base + BigInt(memoryBytes) > 2n ** 64n) {
    throw new VmError('bad-image', {
      argument: 'p_memsz',
      value: memoryBytes,
      expected: 'a segment that ends at 2^64 at the latest',
    });
  }
  const regions: Region[] = [];
  if (bytes.length > 0) regions.push(ramRegion({ base, source: bytes }));
  const missing = memoryBytes - bytes.length;
  if (missing > 0) {
    regions.push(sparseRegion({ base: base + BigInt(bytes.length), bytes: missing }));
  }
  return regions;
}
