import { checkOptions } from '../core/index.js';
import { checkScope, type FlushedCaches, type FlushScope } from './flush-scope.js';

/**
 * What one instruction, or one event, invalidates: a row of an architecture's table.
 *
 * @public
 */
export interface InvalidationRule<Operands> {
  /** The instruction, as the manual writes it. */
  readonly instruction: string;
  /** The manual and the section that say so. */
  readonly source: string;
  /** What goes, in words. */
  readonly effect: string;
  /**
   * What goes, for given operands. Hardware may drop more; software can count on no more.
   *
   * @param operands - Those of the instruction, and the registers that it goes by.
   * @returns Scopes for the `flush` of every cache, all of them.
   * @throws `VmError` for operands that are missing, out of range, or of no instruction.
   */
  scopes(operands: Operands): readonly FlushScope[];
}

/** Translations, and the paging-structure entries above the pages or of the whole contexts. */
export function firstStage(structures: FlushedCaches['structures']): FlushedCaches {
  return { translations: true, structures, secondStage: false };
}

/** Translations of guest-physical addresses, and the second stage's structures above the frames, or all of them. */
export function secondStage(secondStructures: FlushedCaches['structures']): FlushedCaches {
  return { translations: false, structures: 'none', secondStage: true, secondStructures };
}

/** Paging-structure entries alone, whatever their pages. */
export const STRUCTURES_ALONE: FlushedCaches = {
  translations: false,
  structures: 'all',
  secondStage: false,
};

/** The operands of all rows. */
const OPERANDS: Readonly<Record<string, true>> = {
  ...{ asid: true, pcid: true, vmid: true, vpid: true, root: true },
  ...{ vpn: true, pages: true, scale: true, num: true, ipn: true, gpn: true },
  ...{ host: true, e2h: true, guest: true, noFlush: true, tce: true },
  ...{ globals: true, finalOnly: true, nested: true },
};

/** A row that refuses operands which say nothing: its scopes would reach more than the instruction does. */
export function checked<Operands>(row: InvalidationRule<Operands>): InvalidationRule<Operands> {
  const scopes = (operands: Operands): readonly FlushScope[] => {
    // A row without operands takes whatever it is given.
    if (row.scopes.length > 0) checkOptions('operands', operands, OPERANDS);
    const reached = row.scopes(operands);
    for (const scope of reached) checkScope(scope);
    return reached;
  };
  return { ...row, scopes };
}
