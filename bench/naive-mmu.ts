// An MMU as a textbook would have it: a bigint address in, a bigint address out, objects in a Map in the order of use.
import type { NaiveX86Walker } from './naive-x86.js';

interface Entry {
  readonly pfn: bigint;
  readonly writable: boolean;
  readonly executable: boolean;
  readonly user: boolean;
}

export type Kind = 'read' | 'write' | 'fetch';

const RW = 2n;
const US = 4n;
const XD = 1n << 63n;

export class NaiveMmu {
  /** Of the address space: a switch keeps what the others have in the map. */
  context = 5n;
  private readonly walker: NaiveX86Walker;
  private readonly entries: number;
  private readonly map: Map<bigint, Entry> = new Map();

  constructor(walker: NaiveX86Walker, entries: number) {
    this.walker = walker;
    this.entries = entries;
  }

  /** What a user's access reaches. */
  translate(va: bigint, kind: Kind): bigint {
    const vpn = va >> 12n;
    const key = (this.context << 52n) | vpn;
    const entry = this.map.get(key) ?? this.walk(vpn, kind);
    // Again at the end: the first is the one that was used least recently.
    this.map.delete(key);
    this.map.set(key, entry);
    const allowed = kind === 'write' ? entry.writable : kind === 'read' || entry.executable;
    if (!entry.user || !allowed) throw new Error('page fault');
    return (entry.pfn << 12n) | (va & 0xfffn);
  }

  private walk(vpn: bigint, kind: Kind): Entry {
    const pfn = this.walker.walk(vpn, kind, true);
    if (pfn < 0n) throw new Error('page fault');
    if (this.map.size >= this.entries) this.map.delete(this.map.keys().next().value!);
    const { leaf } = this.walker;
    const [writable, executable] = [(leaf & RW) !== 0n, (leaf & XD) === 0n];
    return { pfn, writable, executable, user: (leaf & US) !== 0n };
  }
}
