/**
 * What an entry's bits mean: the formats of RISC-V, x86 and AArch64 page tables, formats of your own and of textbooks,
 * and the registers around them, with every field as data.
 *
 * @packageDocumentation
 */
export * from './aarch64.js';
export * from './aarch64-esr.js';
export * from './aarch64-format.js';
export { AArch64MappingBits } from './aarch64-mapping.js';
export * from './aarch64-memory-type.js';
export * from './aarch64-registers.js';
export * from './bit-field.js';
export { definePteFormat } from './define-format.js';
export * from './define-format-description.js';
export * from './entry.js';
export * from './format.js';
export { checkProt, MappingBits, type MappingBitsOptions } from './mapping-bits.js';
export { mappingOf } from './mapping-of.js';
export {
  type DecodedRegister,
  decodeRegister,
  encodeRegister,
  type RegisterFields,
  type RegisterLayout,
} from './register.js';
export * from './riscv.js';
export * from './riscv-cause.js';
export * from './riscv-format.js';
export * from './riscv-hypervisor-registers.js';
export * from './riscv-registers.js';
export * from './swap-entry.js';
export type { SwapLayout, SwapLayoutName } from './swap-layout.js';
export * from './textbook-formats.js';
export * from './x86.js';
export * from './x86-cr3.js';
export * from './x86-ept.js';
export * from './x86-flags.js';
export * from './x86-format.js';
export * from './x86-memory-type.js';
export * from './x86-mtrr.js';
export * from './x86-nested-memory-type.js';
export * from './x86-registers.js';
