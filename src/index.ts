/**
 * Virtual memory primitives. This root has everyday names; the rooms have all: `pagewright/core`, `/memory`,
 * `/pte`, `/walk`, `/page-table`, `/tlb`, `/mmu`, `/replacement`, `/textbook`.
 *
 * @packageDocumentation
 */
export {
  Access,
  formatProt,
  Prot,
  splitAddress,
  VmError,
  vpnFromAddress,
} from './core/index.js';
export { FramePool, PhysicalMemory } from './memory/index.js';
export { Mmu, Smp } from './mmu/index.js';
export { Invalidations, PageTable } from './page-table/index.js';
export {
  aarch64,
  definePteFormat,
  sv32,
  sv39,
  sv48,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from './pte/index.js';
export {
  aarch64Invalidations,
  riscvInvalidations,
  Tlb,
  TlbAnswer,
  TlbContexts,
  TlbHierarchy,
  x86Invalidations,
} from './tlb/index.js';
export {
  AArch64Walker,
  FormatWalker,
  formatWalk,
  mappings,
  mergedMappings,
  RiscvWalker,
  X86Walker,
} from './walk/index.js';
