import { checkBits, VmError } from '../core/index.js';
import type { PhysicalMemory } from '../memory/index.js';
import type { RadixWalker } from '../walk/index.js';
import type { GuestOptions } from './guest-options.js';
import type { Registers } from './image.js';

/** A kind of guest: an architecture, a second stage alone, or what courses have. */
export interface GuestKind {
  /** As messages call its tables. */
  readonly title: string;
  /** The options that are its own. */
  readonly options: readonly (keyof GuestOptions)[];
  /** Those of them that hold a root; `--root` stands for the first one's. */
  readonly roots: readonly (keyof GuestOptions)[];
  /**
   * Settles the registers.
   *
   * @param found - Those of the image, or `null`: then `options.mode` is of this kind, or a root register tells it.
   * @param options - The ones wanted; none is of another kind.
   * @param image - Whether there is an image.
   * @throws VmError naming the option that is wrong.
   */
  prepare(found: Registers | null, options: GuestOptions, image: boolean): PreparedGuest;
}

/** A guest whose registers are settled. */
export interface PreparedGuest {
  /** Bytes in an entry. */
  readonly entryBytes: 1 | 4 | 8;
  /** Bytes in an entry of its second stage, where they are more. */
  readonly hostEntryBytes?: 8;
  /** Makes the walker, once the entries are in memory. */
  makeWalker(memory: PhysicalMemory): RadixWalker;
}

/** Checks a root's address. */
export function checkRoot(root: bigint, bits: number, alignment: number): bigint {
  checkBits('--root', root, bits);
  if (root % BigInt(alignment) === 0n) return root;
  const expected = `a multiple of ${alignment}`;
  throw new VmError('misaligned', { argument: '--root', value: root, expected });
}

/** Refuses an option beside another one. */
export function refuseBeside(
  options: GuestOptions,
  name: keyof GuestOptions,
  other: keyof GuestOptions,
): void {
  if (options[name] === undefined || options[other] === undefined) return;
  const expected = `no such option beside --${other}`;
  throw new VmError('bad-argument', { argument: `--${name}`, expected });
}
