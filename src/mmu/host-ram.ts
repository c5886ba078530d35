import { checkInteger, checkOptions, type OptionNames, VmError } from '../core/index.js';
import { PhysicalMemory } from '../memory/index.js';

/**
 * What a {@link HostRam} is made from.
 *
 * @public
 */
export interface HostRamOptions {
  /** The memory of the machine. */
  readonly memory: PhysicalMemory;
  /** Any frame of the RAM, one flat region, whose bytes the emulator touches by itself. */
  readonly pfn: number;
  /** Is told before a store to a frame whose code is watched; the watch is over then. */
  readonly onCodeWrite?: (pfn: number) => void;
  /** Is told before each store to a frame that is reserved. */
  readonly onReservedWrite?: (pfn: number) => void;
  /** Whether {@link HostRam.takeDirty} is used; stores are then noted, at the price of a slow one for each frame. @defaultValue false */
  readonly tracksDirty?: boolean;
}

const OPTIONS: OptionNames<HostRamOptions> = {
  memory: true,
  pfn: true,
  onCodeWrite: true,
  onReservedWrite: true,
  tracksDirty: true,
};

/** In `flags`: the frame holds code that the emulator has translated. */
const CODE = 1;
/** In `flags`: a load-reserved is waiting for its store-conditional. */
const RESERVED = 2;
/** In `flags`: nothing was stored there since dirty frames were taken. */
const CLEAN = 4;

/**
 * Somebody who lets stores to a frame pass unseen until told.
 *
 * @public
 */
export interface WriteCache {
  /** Forgets that stores may go to a page of the RAM, by its offset. */
  dropWrites(offset: number): void;
  /** The same of every page. */
  dropAllWrites(): void;
}

/**
 * What all CPUs of an emulator know of their RAM: which frames hold code that was translated, which are reserved, which were
 * stored to. Stores to frames of interest never get into the write tags of a {@link HostPages}, so that every one of them
 * is heard of, and all others cost nothing.
 *
 * @example
 * ```ts
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { HostRam } from 'pagewright/mmu';
 *
 * const memory = PhysicalMemory.allocate(0x10000, { base: 0x8000_0000 });
 * const ram = new HostRam({ memory, pfn: 0x80000, tracksDirty: true });
 * ram.offsetOf(0x80003); // => 0x3000
 * ram.offsetOf(0x10000); // => -1
 * ram.watchCode(0x80003);
 * ram.isWatched(0x80003); // => true
 * ```
 * @public
 */
export class HostRam {
  /** The memory that the RAM is a region of. */
  readonly memory: PhysicalMemory;
  /** The first frame. */
  readonly firstPfn: number;
  /** Frames. */
  readonly frames: number;
  private readonly flags: Uint8Array;
  private readonly dirty: Uint32Array;
  private readonly tracksDirty: boolean;
  private readonly onCodeWrite: ((pfn: number) => void) | null;
  private readonly onReservedWrite: ((pfn: number) => void) | null;
  private readonly caches: Set<WriteCache> = new Set();

  /**
   * @param options - See {@link HostRamOptions}.
   * @throws `VmError` when there is no flat RAM at the frame.
   */
  constructor(options: HostRamOptions) {
    checkOptions('', options, OPTIONS);
    const {
      memory,
      onCodeWrite = null,
      onReservedWrite = null,
      pfn,
      tracksDirty = false,
    } = options;
    if (!(memory instanceof PhysicalMemory)) {
      const expected = 'a PhysicalMemory';
      throw new VmError('bad-argument', { argument: 'memory', value: memory, expected });
    }
    checkInteger('pfn', pfn, 0, 2 ** 52 - 1);
    const window = memory.ramWindow(pfn);
    if (window === null) {
      const expected = 'a frame of flat RAM';
      throw new VmError('bad-argument', { argument: 'pfn', value: pfn, expected });
    }
    this.memory = memory;
    this.firstPfn = window.firstPfn;
    this.frames = window.words.length >>> 10;
    this.onCodeWrite = onCodeWrite;
    this.onReservedWrite = onReservedWrite;
    this.tracksDirty = tracksDirty;
    this.flags = new Uint8Array(this.frames).fill(tracksDirty ? CLEAN : 0);
    this.dirty = new Uint32Array(Math.ceil(this.frames / 32));
  }

  /**
   * Where a frame is in the RAM.
   *
   * @param pfn - The frame.
   * @returns The offset of its first byte, or -1: it is no frame of this RAM.
   */
  offsetOf(pfn: number): number {
    const frame = pfn - this.firstPfn;
    return frame >= 0 && frame < this.frames ? frame * 4096 : -1;
  }

  /** Watches the code of a frame: the next store to it is told of. O(entries of all `HostPages`). */
  watchCode(pfn: number): void {
    this.set(pfn, CODE);
  }

  /** Watches the code of a frame no more. */
  unwatchCode(pfn: number): void {
    this.flags[this.frameOf(pfn)]! &= ~CODE;
  }

  /** Whether the code of a frame is watched. */
  isWatched(pfn: number): boolean {
    return (this.flags[this.frameOf(pfn)]! & CODE) !== 0;
  }

  /** Tells of every store to a frame from now on, as between a load-reserved and its store-conditional. */
  reserve(pfn: number): void {
    this.set(pfn, RESERVED);
  }

  /** Tells of stores to a frame no more. */
  unreserve(pfn: number): void {
    this.flags[this.frameOf(pfn)]! &= ~RESERVED;
  }

  /**
   * The frames that were stored to since it was made, or since the last time.
   *
   * @returns A bitmap: bit `n % 32` of word `n / 32` for the frame `n` after the first. O(frames).
   * @throws `VmError` unless dirty frames are tracked.
   */
  takeDirty(): Uint32Array {
    if (!this.tracksDirty) {
      const expected = 'a HostRam with tracksDirty';
      throw new VmError('unsupported', { argument: 'takeDirty', expected });
    }
    const taken = this.dirty.slice();
    this.dirty.fill(0);
    for (let frame = 0; frame < this.frames; frame++) this.flags[frame]! |= CLEAN;
    for (const cache of this.caches) cache.dropAllWrites();
    return taken;
  }

  /** Notes a store of somebody else, a device say, as one of a CPU. */
  noteWrite(pfn: number): void {
    this.beforeWrite(this.frameOf(pfn) * 4096);
  }

  /** Tells of a store to a page; returns whether those that follow may pass unseen. @internal */
  beforeWrite(offset: number): boolean {
    const frame = offset / 4096;
    const flags = this.flags[frame]!;
    if (flags === 0) return true;
    if (flags & CLEAN) {
      this.dirty[frame >>> 5]! |= 1 << (frame & 31);
      this.flags[frame]! &= ~CLEAN;
    }
    if (flags & CODE) {
      this.flags[frame]! &= ~CODE;
      this.onCodeWrite?.(this.firstPfn + frame);
    }
    if (flags & RESERVED) this.onReservedWrite?.(this.firstPfn + frame);
    // Whoever was told may have asked for more.
    return this.flags[frame] === 0;
  }

  /** @internal */
  attach(cache: WriteCache): void {
    this.caches.add(cache);
  }

  private set(pfn: number, flag: number): void {
    const frame = this.frameOf(pfn);
    this.flags[frame]! |= flag;
    for (const cache of this.caches) cache.dropWrites(frame * 4096);
  }

  private frameOf(pfn: number): number {
    return checkInteger('pfn', pfn, this.firstPfn, this.firstPfn + this.frames - 1) - this.firstPfn;
  }
}
