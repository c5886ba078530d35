// The four-level walk as a textbook would have it: bigints all through. Checks what X86Walker checks.

const P = 1n;
const RW = 2n;
const US = 4n;
const A = 0x20n;
const D = 0x40n;
const PS = 0x80n;
const XD = 1n << 63n;

const FRAME_MASK = 0xff_ffff_ffffn;

/** How a {@link NaiveX86Walker} is set up. */
export interface NaiveX86Options {
  readonly ram: ArrayBuffer;
  readonly firstPfn: bigint;
  readonly root: bigint;
  readonly maxPhyAddr: bigint;
  readonly smap: boolean;
}

export class NaiveX86Walker {
  leafLevel = 0;
  leaf = 0n;
  private readonly entries: BigUint64Array;
  private readonly options: NaiveX86Options;

  constructor(options: NaiveX86Options) {
    this.entries = new BigUint64Array(options.ram);
    this.options = options;
  }

  /** The frame, or -1. Page numbers are those of 64-bit addresses. */
  walk(vpn: bigint, kind: 'read' | 'write' | 'fetch', user: boolean): bigint {
    const { firstPfn, maxPhyAddr, root, smap } = this.options;
    const top = vpn >> 35n;
    if (top !== 0n && top !== (1n << 17n) - 1n) return -1n;
    const path: bigint[] = [];
    let table = root;
    let and = RW | US;
    let or = 0n;
    for (let level = 3n; level >= 0n; level--) {
      const at = (table - firstPfn) * 512n + ((vpn >> (9n * level)) & 511n);
      if (at < 0n || at >= BigInt(this.entries.length)) return -1n;
      path.push(at);
      const entry = this.entries[Number(at)]!;
      if ((entry & P) === 0n) return -1n;
      if ((entry & ((1n << 52n) - 1n)) >> maxPhyAddr !== 0n) return -1n;
      and &= entry;
      or |= entry & XD;
      const frame = (entry >> 12n) & FRAME_MASK;
      const leaf = level === 0n || ((entry & PS) !== 0n && level < 3n);
      if (!leaf) {
        if ((entry & PS) !== 0n) return -1n;
        table = frame;
        continue;
      }
      const below = (1n << (9n * level)) - 1n;
      if ((frame & below & ~1n) !== 0n) return -1n;
      if (user && (and & US) === 0n) return -1n;
      if (!user && smap && kind !== 'fetch' && (and & US) !== 0n) return -1n;
      if (kind === 'write' && (and & RW) === 0n) return -1n;
      if (kind === 'fetch' && or !== 0n) return -1n;
      this.touch(path, kind === 'write');
      this.leafLevel = Number(level);
      this.leaf = entry;
      return (frame & ~below) | (vpn & below);
    }
    return -1n;
  }

  private touch(path: readonly bigint[], write: boolean): void {
    path.forEach((at, step) => {
      const bits = write && step === path.length - 1 ? A | D : A;
      const entry = this.entries[Number(at)]!;
      if ((entry & bits) !== bits) this.entries[Number(at)] = entry | bits;
    });
  }
}
