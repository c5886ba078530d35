// Loops over entries in flat RAM, with numbers only: what makes ranges cheaper than pages one by one. An entry is present
// when it has one of the bits `any` and all of `all`. Loops are rolled, and 8-byte entries have theirs apart.

/** What {@link clearRun} found, until its next call. */
export const cleared = { present: 0, grouped: 0, bits: 0, highBits: 0 };

/**
 * Clears a run of entries; notes in `cleared` how many were present, how many of these were in groups, and the or of
 * their bits.
 */
export function clearRun(
  words: Int32Array,
  from: number,
  to: number,
  wide: number,
  any: number,
  all: number,
  groupHigh: number,
): void {
  const step = 1 + wide;
  let present = 0;
  let grouped = 0;
  let bits = 0;
  let highBits = 0;
  for (let at = from; at < to; at += step) {
    const low = words[at]!;
    if ((low & any) === 0 || (low & all) !== all) continue;
    present++;
    bits |= low;
    if (wide === 0) continue;
    const high = words[at + 1]!;
    highBits |= high;
    if ((high & groupHigh) !== 0) grouped++;
  }
  words.fill(0, from, to);
  cleared.present = present;
  cleared.grouped = grouped;
  cleared.bits = bits;
  cleared.highBits = highBits;
}

/** What {@link replaceRun} did, until its next call. */
export const replaced = { changed: 0, bits: 0, highBits: 0 };

/**
 * Replaces bits in all present entries of a run: of each word those of `clear` by those of `set`. Notes in `replaced` how
 * many changed, and the or of the bits of all that are present; where no high word is looked at, all of its bits.
 */
export function replaceRun(
  words: Int32Array,
  from: number,
  to: number,
  wide: number,
  any: number,
  all: number,
  clearLow: number,
  setLow: number,
  clearHigh: number,
  setHigh: number,
): void {
  let changed = 0;
  let bits = 0;
  let highBits = 0;
  if (wide === 1 && (clearHigh | setHigh) !== 0) {
    for (let at = from; at < to; at += 2) {
      const low = words[at]!;
      if ((low & any) === 0 || (low & all) !== all) continue;
      const high = words[at + 1]!;
      const newLow = (low & ~clearLow) | setLow;
      const newHigh = (high & ~clearHigh) | setHigh;
      words[at] = newLow;
      words[at + 1] = newHigh;
      bits |= low;
      highBits |= high;
      if (((newLow ^ low) | (newHigh ^ high)) !== 0) changed++;
    }
  } else {
    const step = 1 + wide;
    highBits = -1;
    for (let at = from; at < to; at += step) {
      const low = words[at]!;
      if ((low & any) === 0 || (low & all) !== all) continue;
      const newLow = (low & ~clearLow) | setLow;
      words[at] = newLow;
      bits |= low;
      if (newLow !== low) changed++;
    }
  }
  replaced.changed = changed;
  replaced.bits = bits;
  replaced.highBits = highBits;
}

/** The first word of a run that is not 0, or -1. */
export function findUsed(words: Int32Array, from: number, to: number): number {
  for (let at = from; at < to; at++) if (words[at] !== 0) return at;
  return -1;
}

/**
 * Fills a run of entries with leaves of frames that follow one another, the first of which is (low, high). A frame adds
 * `unit` to the low word; the frame number's part in the high word is the same for the whole run, which the caller knows.
 */
export function fillRun(
  words: Int32Array,
  from: number,
  to: number,
  wide: number,
  low: number,
  high: number,
  unit: number,
): void {
  let entry = low;
  if (wide === 0) {
    for (let at = from; at < to; at++) {
      words[at] = entry;
      entry = (entry + unit) | 0;
    }
    return;
  }
  for (let at = from; at < to; at += 2) {
    words[at] = entry;
    words[at + 1] = high;
    entry = (entry + unit) | 0;
  }
}
