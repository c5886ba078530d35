/** What the access to a page led to. */
export interface ReferenceAccess {
  readonly hit: boolean;
  /** The page that had to go, or `null`. */
  readonly victim: number | null;
}

/**
 * A replacement policy together with the memory that it rules, in pages. Where a policy knows slots by their number, a
 * page comes into the free slot with the lowest one.
 */
export interface ReferencePolicy {
  access(page: number, write?: boolean): ReferenceAccess;
  /** Takes a page out that goes for another reason; nothing where it is not there. */
  remove(page: number): void;
  /** The clock interrupt. */
  tick(): void;
  /** A page was written back; nothing where it is not there. */
  clean(page: number): void;
}
