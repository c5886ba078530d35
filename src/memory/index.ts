/**
 * Simulated physical memory: RAM wrapped without copying, sparse RAM, devices; loaders for RAM images and ELF cores;
 * the interface that hands out frames, and a pool behind it.
 *
 * @packageDocumentation
 */
export type { DeviceCallbacks, DeviceWidth } from './device-region.js';
export { type ElfCore, type ElfSegment, parseElfCore } from './elf-core.js';
export type { ElfCpu } from './elf-note.js';
export type { RamWindow } from './flat-region.js';
export { FramePool, type FramePoolOptions } from './frame-pool.js';
export type { FramePoolSnapshot, SavedBlock } from './frame-pool-snapshot.js';
export type { FrameSource } from './frame-source.js';
export { loadElfCore } from './load-elf-core.js';
export { loadImage } from './load-image.js';
export type {
  DeviceOptions,
  FreshRamOptions,
  RamOptions,
  RamSource,
  SparseOptions,
  WrappedRamOptions,
} from './make-region.js';
export { MemoryBus } from './memory-bus.js';
export {
  type BusErrorResult,
  PhysicalMemory,
  type ReadResult,
  type WriteResult,
} from './physical-memory.js';
export { BUS_ERROR, type RegionKind, type WordPair } from './region.js';
export type { RegionInfo } from './region-info.js';
export type { RamSnapshot, SparseSnapshot } from './region-snapshot.js';
export type { MemorySnapshot } from './snapshot.js';
