/**
 * The hardware's side: page walks exactly as the CPU makes them, with every step explained.
 *
 * @packageDocumentation
 */
export { AArch64CompleteWalk } from './aarch64-complete.js';
export { AArch64FastWalk } from './aarch64-fast.js';
export { AArch64Fault } from './aarch64-fault.js';
export type { AArch64Features } from './aarch64-features.js';
export type {
  AArch64Registers,
  AArch64RegisterWrite,
  AArch64WalkerOptions,
  AArch64WalkerSnapshot,
} from './aarch64-options.js';
export {
  AARCH64_RULES,
  type AArch64CommonRuleName,
  type AArch64Rule,
  type AArch64RuleName,
} from './aarch64-rules.js';
export { AArch64Stage1 } from './aarch64-stage1.js';
export { AArch64Stage2 } from './aarch64-stage2.js';
export type { AArch64Stage2Options, AArch64Stage2Snapshot } from './aarch64-stage2-options.js';
export { AARCH64_STAGE2_RULES, type AArch64Stage2RuleName } from './aarch64-stage2-rules.js';
export { AArch64State } from './aarch64-state.js';
export {
  type AArch64AtInstruction,
  type AArch64AtOptions,
  type AArch64AtResult,
  AArch64Walker,
} from './aarch64-walker.js';
export { CachedRules } from './cached-rules.js';
export { EntryAccess, UPDATE_ATTEMPTS } from './entry-access.js';
export { EntryRules, LEAF, LOCAL, POINTER, ROOT_RIGHTS, SKIP } from './entry-rules.js';
export { WalkFault } from './fault.js';
export type { FormatPolicy, FormatWalkerOptions, FormatWalkerSnapshot } from './format-options.js';
export { FORMAT_RULES, type FormatRuleName } from './format-rules.js';
export { formatBytes, formatWalk } from './format-walk.js';
export { FormatWalker } from './format-walker.js';
export { type CacheContext, KeptLeaf, type WalkerChange } from './kept-leaf.js';
export { LeafCursor, type Mapping, type MappingsOptions, mappings } from './leaf-cursor.js';
export {
  type MappedRange,
  type MergedMappings,
  type MergedMappingsOptions,
  mergedMappings,
} from './merged.js';
export { WalkPath } from './path.js';
export { Pmp, type PmpOptions, type PmpSnapshot } from './pmp.js';
export type {
  ExplainOptions,
  FaultEncoding,
  FaultTranslation,
  LeafAttributes,
  PageTranslation,
  Translation,
  UnreadEntry,
  WalkReport,
  WalkStep,
} from './report.js';
export { RiscvCachedWalk } from './riscv-cached.js';
export { RiscvCompleteWalk, RiscvFault } from './riscv-complete.js';
export { RiscvFastWalk } from './riscv-fast.js';
export { RiscvGStage, type RiscvGStageOptions, type RiscvGStageSnapshot } from './riscv-g-stage.js';
export {
  RISCV_G_RULES,
  RISCV_RULES,
  type RiscvGRuleName,
  type RiscvRuleName,
} from './riscv-rules.js';
export { type RiscvStageOptions, type RiscvStageSnapshot, RiscvState } from './riscv-state.js';
export {
  RiscvWalker,
  type RiscvWalkerOptions,
  type RiscvWalkerSnapshot,
  type SatpWrite,
} from './riscv-walker.js';
export { rule as walkRule, type WalkRule } from './rule.js';
export type { SecondStage, SecondStagePurpose, SecondStageType } from './second-stage.js';
export { TableWindow } from './table-window.js';
export { RadixWalker } from './walker.js';
export { X86CompleteWalk } from './x86-complete.js';
export type { ControlWrite, X86PagingMode } from './x86-control.js';
export { X86Ept } from './x86-ept.js';
export { X86EptCompleteWalk } from './x86-ept-complete.js';
export { X86EptFault, type X86EptOptions, type X86EptSnapshot } from './x86-ept-options.js';
export { EPT_RULES, type EptRuleName } from './x86-ept-rules.js';
export { X86FastWalk } from './x86-fast.js';
export { X86Fault } from './x86-fault.js';
export { X86Instructions } from './x86-instructions.js';
export { X86Npt, type X86NptSnapshot } from './x86-npt.js';
export { NPT_RULES, type NptRuleName } from './x86-npt-rules.js';
export type {
  X86StageOptions,
  X86StageSnapshot,
  X86WalkerOptions,
  X86WalkerSnapshot,
} from './x86-options.js';
export { X86_RULES, type X86RuleName } from './x86-rules.js';
export type { X86Exit, X86SecondStage, X86VmExit } from './x86-second-stage.js';
export { X86State } from './x86-state.js';
export { X86Walker } from './x86-walker.js';
