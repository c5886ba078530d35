import { type FaultReason, faultCode } from '../core/index.js';

/**
 * One rule of a manual that can decide a walk.
 *
 * @public
 */
export interface WalkRule {
  /** Stable identifier, `architecture.rule`. */
  readonly id: string;
  /** Why the access is refused, or `null` for the rules that let it through. */
  readonly reason: FaultReason | null;
  /** What a walk decided by this rule returns: `-(1 + code)`, or 0 when it is let through. */
  readonly result: number;
  /** The manual and section that state it; `docs/sources.md` names the edition. */
  readonly source: string;
  /** The rule in words. */
  readonly text: string;
}

/**
 * Makes a rule; its result follows from its reason.
 *
 * @param id - Stable identifier, `architecture.rule`.
 * @param reason - Why the access is refused, or `null` for a rule that lets it through.
 * @param source - The manual and section.
 * @param text - The rule in words.
 * @returns The rule.
 * @public
 */
export function rule(
  id: string,
  reason: FaultReason | null,
  source: string,
  text: string,
): WalkRule {
  return { id, reason, result: reason === null ? 0 : -1 - faultCode(reason), source, text };
}
