import { Access } from 'pagewright/core';
import type { GuestPages } from './guest-pages.js';

/** Slots of each table, a power of two. */
const SLOTS = 1024;

/** No page has this tag. */
const NONE = -1;

/** The pages of one kind of access, direct-mapped. */
class PageTags {
  /** What {@link tagOf} says of the page in each slot. */
  readonly tags = new Float64Array(SLOTS).fill(NONE);
  /** Where that page is in RAM. */
  readonly pages = new Int32Array(SLOTS);

  keep(tag: number, page: number): void {
    // A device is asked for anew each time, and a fault may be gone the next time.
    if (page < 0) return;
    this.tags[tag & (SLOTS - 1)] = tag;
    this.pages[tag & (SLOTS - 1)] = page;
  }
}

/**
 * The page and the privilege that it was asked for, in one number: below 2^53, so exact. What U-mode may do says nothing
 * of S-mode, and with the privilege in the tag neither a trap nor SRET has to forget anything.
 */
function tagOf(vpn: number, access: number): number {
  return vpn * 2 + ((access & Access.User) === 0 ? 0 : 1);
}

/**
 * Remembers where pages are. Loads, stores and fetches are apart because their rights are: a page that was read may
 * still have to fault at its first store, to have D set (RISC-V Privileged, 12.3.1).
 */
export class CachedPages implements GuestPages {
  readonly fault: { readonly cause: number };
  private readonly behind: GuestPages;
  private readonly reads = new PageTags();
  private readonly writes = new PageTags();
  private readonly fetches = new PageTags();

  /** @param behind - Who answers what is not remembered. */
  constructor(behind: GuestPages) {
    this.behind = behind;
    this.fault = behind.fault;
  }

  get pfn(): number {
    return this.behind.pfn;
  }

  read(vpn: number, access: number): number {
    const { tags, pages } = this.reads;
    const tag = tagOf(vpn, access);
    const slot = tag & (SLOTS - 1);
    if (tags[slot] === tag) return pages[slot]!;
    const page = this.behind.read(vpn, access);
    this.reads.keep(tag, page);
    return page;
  }

  write(vpn: number, access: number): number {
    const { tags, pages } = this.writes;
    const tag = tagOf(vpn, access);
    const slot = tag & (SLOTS - 1);
    if (tags[slot] === tag) return pages[slot]!;
    const page = this.behind.write(vpn, access);
    this.writes.keep(tag, page);
    return page;
  }

  fetch(vpn: number, access: number): number {
    const { tags, pages } = this.fetches;
    const tag = tagOf(vpn, access);
    const slot = tag & (SLOTS - 1);
    if (tags[slot] === tag) return pages[slot]!;
    const page = this.behind.fetch(vpn, access);
    this.fetches.keep(tag, page);
    return page;
  }

  flush(): void {
    this.reads.tags.fill(NONE);
    this.writes.tags.fill(NONE);
    this.fetches.tags.fill(NONE);
  }
}
