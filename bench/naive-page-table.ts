// A page table as a textbook would have it: a map from page numbers to objects.

/** What the textbook has instead of page tables. */
interface NaiveMapping {
  readonly pfn: bigint;
  readonly writable: boolean;
  readonly user: boolean;
  readonly noExecute: boolean;
  readonly accessed: boolean;
  readonly dirty: boolean;
}

export class NaivePageTable {
  private readonly mappings: Map<bigint, NaiveMapping> = new Map();

  map(vpn: bigint, pfn: bigint): void {
    if (this.mappings.has(vpn)) throw new Error(`page ${vpn} is mapped`);
    const flags = { writable: true, user: true, noExecute: true, accessed: true, dirty: true };
    this.mappings.set(vpn, { pfn, ...flags });
  }

  lookup(vpn: bigint): bigint {
    return this.mappings.get(vpn)?.pfn ?? -1n;
  }

  unmap(vpn: bigint): bigint {
    const mapping = this.mappings.get(vpn);
    if (mapping === undefined) return -1n;
    this.mappings.delete(vpn);
    return mapping.pfn;
  }

  clear(): void {
    this.mappings.clear();
  }
}
