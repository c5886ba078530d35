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
export type { MmuReport } from './mmu-report.js';
export { type ReferenceStream, streamHash } from './reference-stream.js';
export {
  type Shootdown,
  type ShootdownOptions,
  Smp,
  type SmpCosts,
  type SmpOptions,
  type SmpStatistics,
} from './smp.js';
export type { SoftwareTlbHandler, SoftwareTlbStatistics } from './software-tlb.js';
export {
  type SweepOptions,
  type SweepResult,
  type SweepRow,
  type SweepSubject,
  sweep,
} from './sweep.js';
export { grid, type SweepConfiguration, type SweepValue } from './sweep-configuration.js';
export { sweepCsv } from './sweep-csv.js';
export { hierarchySubject, type SweepFillOptions, tlbSubject } from './sweep-subjects.js';
export { MmuTranslation } from './translation.js';
