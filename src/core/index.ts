/**
 * Words that everybody uses: page numbers and addresses, the crossing between bigints and words, accesses, faults,
 * errors, seeded randomness, events.
 *
 * @packageDocumentation
 */
export * from './access.js';
export {
  type Address,
  addressFromVpn,
  addressOf,
  alignDown,
  alignUp,
  highWordFromVpn,
  isAligned,
  isCanonical,
  lowWordFromVpn,
  PAGE_BYTES,
  PAGE_NUMBER_END,
  PAGE_SHIFT,
  pageAndOffset,
  pageOffset,
  toCanonical,
  vpnFromAddress,
  vpnFromWords,
} from './address.js';
export * from './error.js';
export * from './event.js';
export * from './fault.js';
export * from './layout.js';
export {
  checkBoolean,
  checkList,
  checkMethods,
  checkOptions,
  type OptionNames,
} from './options.js';
export { type Plain, plain } from './plain.js';
export * from './random.js';
export * from './words.js';
