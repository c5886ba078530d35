/**
 * What {@link Tlb.lookup} returns instead of a frame number.
 *
 * @public
 */
export const TlbAnswer = {
  /** No entry: walk the tables. */
  Miss: -1,
  /** There is an entry, and its rights are not all that was needed. */
  Denied: -2,
  /** The entry says that the page is not mapped; only where such entries are inserted. */
  NotPresent: -3,
} as const;
