import { vpnFromAddress } from 'pagewright/core';
import { mappings, type RadixWalker } from 'pagewright/walk';
import { Malformed } from './fields.js';

/** All leaves of a guest's tables, to look pages up in. */
export class LeafIndex {
  private readonly starts: number[] = [];
  private readonly pages: number[] = [];
  private readonly pfns: number[] = [];

  constructor(walker: RadixWalker) {
    const cursor = mappings(walker);
    while (cursor.advance()) {
      this.starts.push(cursor.vpn);
      this.pages.push(cursor.pages);
      this.pfns.push(cursor.pfn);
    }
    if (cursor.stoppedAt !== null) throw new Malformed('the tables have too many paths to list');
  }

  /** The frame of the page that holds an address, as text, or what it says without one. */
  pageText(va: bigint): string {
    const pfn = this.frameOf(vpnFromAddress(va));
    return pfn < 0 ? 'not mapped' : `frame ${pfn.toString(16)}`;
  }

  private frameOf(vpn: number): number {
    let low = 0;
    let high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.starts[middle]! <= vpn) low = middle + 1;
      else high = middle;
    }
    const index = low - 1;
    const within = index < 0 ? Infinity : vpn - this.starts[index]!;
    return within < this.pages[index]! ? this.pfns[index]! + within : -1;
  }
}
