/**
 * Memory management units: a walker, the translation caches before it, and what keeps them true; and the TLBs that software
 * fills itself.
 *
 * @packageDocumentation
 */
export { HostPage, HostPages, type HostPagesOptions } from './host-pages.js';
export { HostRam, type HostRamOptions, type WriteCache } from './host-ram.js';
export { LoongArchEntryLo, type LoongArchEntryLoFields } from './loongarch-entry-lo.js';
export {
  LoongArchTlbAnswer,
  type LoongArchTlbEntry,
  type LoongArchTlbOptions,
  type LoongArchTlbSnapshot,
} from './loongarch-options.js';
export { LoongArchTlb } from './loongarch-tlb.js';
export { MipsEntryLo, type MipsEntryLoFields } from './mips-entry-lo.js';
export {
  MipsTlbAnswer,
  type MipsTlbEntry,
  type MipsTlbOptions,
  type MipsTlbSnapshot,
  mipsExcCode,
} from './mips-options.js';
export { MipsTlb } from './mips-tlb.js';
export { type GuestRead, type GuestRefusal, type GuestWrite, Mmu } from './mmu.js';
export type {
  MmuCosts,
  MmuEvent,
  MmuObserver,
  MmuOptions,
  MmuStatistics,
} from './mmu-options.js';
export {
  type Shootdown,
  type ShootdownOptions,
  Smp,
  type SmpCosts,
  type SmpOptions,
  type SmpStatistics,
} from './smp.js';
export type { SoftwareTlbHandler, SoftwareTlbStatistics } from './software-tlb.js';
export { type MmuReport, MmuTranslation } from './translation.js';
