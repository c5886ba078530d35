import type { TlbHierarchyOptions } from 'pagewright/tlb';

/** First-level arrays of their own for fetches, loads and stores, loads' by page size; a second level for all. */
export const SPLIT: TlbHierarchyOptions = {
  fetch: [{ entries: 2, orders: [0] }],
  load: [
    { entries: 2, orders: [0] },
    { entries: 1, orders: [9] },
  ],
  store: [{ entries: 1, orders: [0, 9] }],
  second: [{ entries: 4, orders: [0, 9] }],
};
