import {
  Access,
  checkInteger,
  checkMethods,
  isAccess,
  PAGE_NUMBER_END,
  VmError,
} from '../core/index.js';

/**
 * What an operating system does about the exceptions of a software-managed TLB. A handler uses the registers and
 * instructions of the TLB that it is given; the access is made again when it returns.
 *
 * @public
 */
export interface SoftwareTlbHandler<T> {
  /** No entry matches: the TLB refill exception. */
  refill(tlb: T, access: number): void;
  /** An entry matches, and its page is not valid. @defaultValue the exception is the answer */
  invalid?(tlb: T, access: number): void;
  /** A store to a page that is valid and not dirty. @defaultValue the exception is the answer */
  modified?(tlb: T, access: number): void;
  /** The page forbids the load, the fetch, or the privilege. @defaultValue the exception is the answer */
  refused?(tlb: T, access: number): void;
}

/**
 * What has happened in a software-managed TLB.
 *
 * @public
 */
export interface SoftwareTlbStatistics {
  /** Accesses that were translated. */
  readonly hits: number;
  /** Refill exceptions. */
  readonly refills: number;
  /** Exceptions of pages that are not valid. */
  readonly invalid: number;
  /** Exceptions of stores to pages that are not dirty. */
  readonly modified: number;
  /** Exceptions of loads, fetches and privileges that a page forbids. */
  readonly refused: number;
  /** Entries that were written. */
  readonly writes: number;
  /** Entries that random writes replaced, of those. */
  readonly evictions: number;
}

/** What kind of exception a negative number names, in the order of the counts. @internal */
export const ExceptionKind = { Refill: 0, Invalid: 1, Modified: 2, Refused: 3 } as const;

/** One of {@link ExceptionKind}. @internal */
export type ExceptionKindNumber = (typeof ExceptionKind)[keyof typeof ExceptionKind];

/** The names of the counts, as `SoftwareTlbStatistics` has them: exceptions by kind, then the rest. @internal */
export const Count = { Hits: 4, Writes: 5, Evictions: 6 } as const;

/** How many counts there are. @internal */
export const COUNTS = 7;

/** Counts by name. @internal */
export function statisticsOf(counts: Float64Array): SoftwareTlbStatistics {
  const [refills, invalid, modified, refused, hits, writes, evictions] = counts;
  return {
    hits: hits!,
    refills: refills!,
    invalid: invalid!,
    modified: modified!,
    refused: refused!,
    writes: writes!,
    evictions: evictions!,
  };
}

/** The load of a read-modify-write needs what its store does. */
const STORES: number = Access.Write | Access.ReadModifyWrite;

/** Whether an access needs the rights of a store. @internal */
export function isStore(access: number): boolean {
  return (access & STORES) !== 0;
}

/** Refuses an access that is none: what a translation must not be asked. @internal */
export function checkAsked(vpn: number, access: number): void {
  checkInteger('vpn', vpn, 0, PAGE_NUMBER_END - 1);
  if (isAccess(access)) return;
  throw new VmError('bad-argument', { argument: 'access', value: access, expected: 'an access' });
}

/**
 * Makes an access until it is translated, or an exception comes for which there is no handler or whose handler has been
 * called: four calls at most, one of each kind.
 *
 * @param tlb - The TLB.
 * @param attempt - Makes the access: a frame, or a negative number.
 * @param kindOf - The kind of a negative number.
 * @param back - Returns from the exception.
 * @internal
 */
export function untilTranslated<T>(
  tlb: T,
  access: number,
  handler: SoftwareTlbHandler<T>,
  attempt: () => number,
  kindOf: (answer: number) => ExceptionKindNumber,
  back: () => void,
): number {
  checkMethods('handler', handler, ['refill']);
  let called = 0;
  for (;;) {
    const answer = attempt();
    if (answer >= 0) return answer;
    const kind = kindOf(answer);
    if ((called & (1 << kind)) !== 0 || !call(tlb, access, handler, kind)) return answer;
    called |= 1 << kind;
    back();
  }
}

/** Calls the handler of a kind; false where there is none. */
function call<T>(
  tlb: T,
  access: number,
  handler: SoftwareTlbHandler<T>,
  kind: ExceptionKindNumber,
): boolean {
  switch (kind) {
    case ExceptionKind.Refill:
      handler.refill(tlb, access);
      return true;
    case ExceptionKind.Invalid:
      handler.invalid?.(tlb, access);
      return handler.invalid !== undefined;
    case ExceptionKind.Modified:
      handler.modified?.(tlb, access);
      return handler.modified !== undefined;
    case ExceptionKind.Refused:
      handler.refused?.(tlb, access);
      return handler.refused !== undefined;
  }
}
