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

/**
 * A row that refuses operands which say nothing, and those of other rows: its scopes would reach more than the instruction
 * does. A row without operands takes whatever it is given.
 */
export function checked<Operands>(
  row: InvalidationRule<Operands>,
  ...names: readonly NoInfer<keyof Operands & string>[]
): InvalidationRule<Operands> {
  const known: Readonly<Record<string, true>> = Object.fromEntries(
    names.map((name) => [name, true]),
  );
  const scopes = (operands: Operands): readonly FlushScope[] => {
    if (names.length > 0) checkOptions('operands', operands, known);
    const reached = row.scopes(operands);
    for (const scope of reached) checkScope(scope);
    return reached;
  };
  return { ...row, scopes };
}
