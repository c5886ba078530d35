import { checkBits, VmError } from '../core/index.js';
import { PhysicalMemory } from '../memory/index.js';
import type { RadixWalker } from '../walk/index.js';
import { aarch64Guest, aarch64Stage2 } from './aarch64-guest.js';
import type { InlineEntry } from './arguments.js';
import { type GuestKind, type PreparedGuest, refuseBeside } from './guest-kind.js';
import type { GuestOptions } from './guest-options.js';
import { type Guest, openImage, type Registers } from './image.js';
import { type GuestKindName, kindOfMode, type Mode, modeOf } from './modes.js';
import { riscvGStage, riscvGuest } from './riscv-guest.js';
import { textbookGuest } from './textbook-guest.js';
import { eptGuest, nptGuest, x86Guest } from './x86-guest.js';

const KINDS: Readonly<Record<GuestKindName, GuestKind>> = {
  x86: x86Guest,
  ept: eptGuest,
  npt: nptGuest,
  riscv: riscvGuest,
  'riscv-g': riscvGStage,
  aarch64: aarch64Guest,
  'aarch64-s2': aarch64Stage2,
  textbook: textbookGuest,
};

/** The options that belong to some kinds of guests only. */
const OWN_OPTIONS = Object.values(KINDS).flatMap(({ options }) => options);

/** A guest that can be walked. */
export interface OpenGuest {
  readonly walker: RadixWalker;
  /** The mode that its registers select, or `null` while nothing is translated. */
  readonly mode: Mode | null;
}

/**
 * Makes the walker that the options ask for.
 *
 * @param path - The image, or `undefined`: then memory reads 0 but for the entries.
 * @param entries - Written over the image, in memory.
 * @param options - Registers, where the image has none or others are wanted.
 * @throws VmError naming the option that is missing or wrong.
 */
export function openGuest(
  path: string | undefined,
  entries: readonly InlineEntry[],
  options: GuestOptions,
): OpenGuest {
  const { memory, registers } = path === undefined ? emptyGuest(options) : openImage(path, options);
  const { found, name } = chooseKind(registers, options);
  const kind = KINDS[name];
  checkOptions(kind, options);
  const prepared = kind.prepare(found, options, path !== undefined);
  writeEntries(memory, entries, prepared);
  const walker = prepared.makeWalker(memory);
  const mode = walker.format === null ? null : modeOf(name, walker.format);
  if (options.mode !== undefined && options.mode !== mode) {
    const expected = `registers that select ${options.mode}`;
    const value = mode ?? 'no translation';
    throw new VmError('bad-argument', { argument: '--mode', value, expected });
  }
  return { walker, mode };
}

/** Memory that reads 0 wherever any architecture can have some: 2^56 bytes, in regions as large as they may be. */
function emptyGuest({ base, cpu }: GuestOptions): Guest {
  const needless = base !== undefined ? '--base' : cpu !== undefined ? '--cpu' : null;
  if (needless !== null) {
    const expected = 'no such option without an image';
    throw new VmError('bad-argument', { argument: needless, expected });
  }
  const memory = new PhysicalMemory();
  for (let at = 0n; at < 16n; at++) memory.addSparse({ base: at << 52n, bytes: 2 ** 52 });
  return { memory, registers: null };
}

/** The kind that the image's registers are of; that of a mode when a root is given with it, and then none are found. */
function chooseKind(
  registers: Registers | null,
  options: GuestOptions,
): { readonly name: GuestKindName; readonly found: Registers | null } {
  const { mode, root, satp, tcr } = options;
  const name =
    mode !== undefined
      ? kindOfMode(mode)
      : satp !== undefined
        ? 'riscv'
        : tcr === undefined
          ? null
          : 'aarch64';
  const roots = name === null ? [] : KINDS[name].roots;
  const rooted = root !== undefined || roots.some((register) => options[register] !== undefined);
  if (registers !== null && (mode === undefined || !rooted)) {
    return { name: registers.architecture, found: registers };
  }
  if (name === null) {
    const expected = 'a mode such as sv39, for no registers are given that tell it';
    throw new VmError('bad-argument', { argument: '--mode', expected });
  }
  if (!rooted) {
    const instead = roots.length === 0 ? '' : ` (or ${roots.map((one) => `--${one}`).join(', ')})`;
    const expected = `the address of the root table${instead}`;
    throw new VmError('bad-argument', { argument: '--root', expected });
  }
  return { name, found: null };
}

/** Refuses what does not fit the kind of guest: it would be passed over in silence. */
function checkOptions({ options: own, roots, title }: GuestKind, options: GuestOptions): void {
  const foreign = OWN_OPTIONS.find((name) => options[name] !== undefined && !own.includes(name));
  if (foreign !== undefined) {
    const expected = `no such option with ${title} tables`;
    throw new VmError('bad-argument', { argument: `--${foreign}`, expected });
  }
  const [whole] = roots;
  if (whole !== undefined) refuseBeside(options, 'root', whole);
}

function writeEntries(
  memory: PhysicalMemory,
  entries: readonly InlineEntry[],
  { entryBytes, hostEntryBytes }: PreparedGuest,
): void {
  for (const { address, value } of entries) {
    // Which stage reads an entry nobody says; into memory that is 0, a short one may be written as either.
    const bytes =
      value >> BigInt(8 * entryBytes) === 0n ? entryBytes : (hostEntryBytes ?? entryBytes);
    checkBits('--entry', value, 8 * bytes);
    const aligned = address % BigInt(bytes) === 0n;
    if (aligned && memory.write(address, bytes, value).kind === 'ok') continue;
    const expected = `an address in memory, a multiple of ${bytes}`;
    throw new VmError('out-of-range', { argument: '--entry', value: address, expected });
  }
}
