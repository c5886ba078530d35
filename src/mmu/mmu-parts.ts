import { VmError } from '../core/index.js';
import { PagingStructureCache, Tlb, TlbHierarchy } from '../tlb/index.js';
import { RadixWalker } from '../walk/index.js';
import type { MmuOptions } from './mmu-options.js';

/** The most that a TLB entry covers, as log2 of base pages. */
export const MAX_ORDER = 30;

/** Refuses parts that do not go together. */
export function checkParts({ observer, structures, tlb, walker }: MmuOptions): void {
  const bad = (argument: string, value: unknown, expected: string): VmError =>
    new VmError('bad-argument', { argument, value, expected });
  if (!(walker instanceof RadixWalker)) throw bad('walker', walker, 'a walker');
  if (!(tlb instanceof Tlb) && !(tlb instanceof TlbHierarchy)) {
    throw bad('tlb', tlb, 'a Tlb or a TlbHierarchy');
  }
  if (structures !== undefined) {
    if (!(structures instanceof PagingStructureCache) || structures.contexts !== tlb.contexts) {
      throw bad('structures', structures, 'a PagingStructureCache over the contexts of tlb');
    }
    if (tlb instanceof TlbHierarchy) {
      throw bad('structures', structures, 'nothing: a hierarchy has its own');
    }
  }
  if (tlb instanceof TlbHierarchy && (tlb.nested !== null || tlb.nestedStructures !== null)) {
    throw bad(
      'tlb',
      tlb,
      'caches of whole translations: those of the second stage alone are not used',
    );
  }
  if (observer !== undefined && typeof observer !== 'function') {
    throw bad('observer', observer, 'a function');
  }
}

/** The sizes that a TLB takes, the smallest first, as log2 of base pages. */
export function ordersOf(tlb: Tlb): readonly number[] {
  const all = Array.from({ length: MAX_ORDER + 1 }, (_, order) => order);
  return all.filter((order) => tlb.takes(order));
}
