// Runs in a worker: the hardware of shared-memory.test.ts, which walks the tables and sets accessed and dirty bits.
import { parentPort, workerData } from 'node:worker_threads';

/** Where the entries of a format say what; all formats have three levels and 512 entries in a table. */
export interface Layout {
  readonly levels: number;
  /** The lowest bit of the frame number. */
  readonly frameShift: number;
  readonly frameMask: bigint;
  readonly present: bigint;
  /** A present entry above level 0 is a leaf when `entry & leafMask` is `leaf`. */
  readonly leafMask: bigint;
  readonly leaf: bigint;
  readonly accessed: bigint;
  /** What a write needs, all of it. */
  readonly writable: bigint;
  /** A page is clean when `entry & dirtyMask` is `clean`; a write makes it `dirty`. */
  readonly dirtyMask: bigint;
  readonly clean: bigint;
  readonly dirty: bigint;
}

/** What the test asks for. */
export interface Job {
  readonly ram: SharedArrayBuffer;
  readonly layout: Layout;
  readonly root: number;
  /** The first page, and how many: they are used all the time, in turn. */
  readonly first: number;
  readonly pages: number;
  /**
   * Words: 0 holds everyone at the start, 1 asks to stop, 2 counts invalidations that are asked for, 3 those that were
   * done.
   */
  readonly control: SharedArrayBuffer;
  /** For every page: how often its accessed bit was set, then how often its dirty bit; then the same of large pages. */
  readonly log: SharedArrayBuffer;
}

const { control, first, layout, log, pages, ram, root } = workerData as Job;
const entries = new BigUint64Array(ram);
const words = new Int32Array(control);
const counts = new Int32Array(log);

/** The entry that decides about a page, as a walk from the root finds it now: -1 without one. */
function walk(vpn: number): { readonly at: number; readonly level: number } {
  let table = root;
  for (let level = layout.levels - 1; ; level--) {
    const at = table * 512 + (Math.floor(vpn / 512 ** level) % 512);
    const entry = Atomics.load(entries, at);
    if ((entry & layout.present) === 0n) return { at: -1, level };
    if (level === 0 || (entry & layout.leafMask) === layout.leaf) return { at, level };
    table = Number((entry & layout.frameMask) >> BigInt(layout.frameShift));
  }
}

/** One access: sets what is to be set by compare-and-exchange, and counts what it set. */
function use(vpn: number, write: boolean): void {
  const { at, level } = walk(vpn);
  if (at < 0) return;
  const entry = Atomics.load(entries, at);
  if ((entry & layout.present) === 0n) return;
  let next = entry | layout.accessed;
  const dirties =
    write &&
    (entry & layout.writable) === layout.writable &&
    (entry & layout.dirtyMask) === layout.clean;
  if (dirties) next = (next & ~layout.dirtyMask) | layout.dirty;
  if (next === entry || Atomics.compareExchange(entries, at, entry, next) !== entry) return;
  const place = level === 0 ? 2 * (vpn - first) : 2 * (pages + Math.floor((vpn - first) / 512));
  if ((entry & layout.accessed) === 0n) Atomics.add(counts, place, 1);
  if (dirties) Atomics.add(counts, place + 1, 1);
}

parentPort?.postMessage('ready');
Atomics.wait(words, 0, 0);
let turn = 0;
while (Atomics.load(words, 1) === 0) {
  // Between two accesses nothing is remembered, so that whatever was to be forgotten is.
  Atomics.store(words, 3, Atomics.load(words, 2));
  turn = (turn * 5 + 3) % (4 * pages);
  use(first + (turn % pages), turn % 3 !== 0);
}
Atomics.store(words, 3, 2 ** 30);
parentPort?.postMessage('done');
