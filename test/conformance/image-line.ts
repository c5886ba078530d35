import { Fields, hex, Malformed, parseJson } from './fields.js';
import type { RecordedFile } from './recorded-file.js';
import type { Entries } from './recorded-image.js';
import { reasonOf, type Tally } from './tally.js';

/** Addresses and values as recordings write them, as a map. */
export function entries(value: unknown, what: string): Entries {
  const map = new Map<bigint, bigint>();
  for (const [address, entry] of new Fields(value, what).entries) {
    const key = hex(address, `an address in ${what}`);
    if (map.has(key)) throw new Malformed(`${what} has ${address} twice`);
    map.set(key, hex(entry, `${what} ${address}`));
  }
  return map;
}

/**
 * Replays a file with an image and its accesses in each line. A line that makes no sense costs its own accesses, or
 * counts as one failed case when even these cannot be counted; the other lines go on.
 *
 * @param file - Lines of JSON.
 * @param tally - Judges.
 * @param replay - Sets one image up and judges its accesses; throws before the first one when it cannot.
 */
export function replayImages(
  file: RecordedFile,
  tally: Tally,
  replay: (image: Fields, label: string) => void,
): void {
  for (const { line, number } of file.lines()) {
    const label = `line ${number}`;
    const before = tally.cases;
    let expected = 1;
    try {
      const parsed = parseJson(line, label);
      expected = casesIn(parsed);
      const image = new Fields(parsed, label);
      if (image.list('accesses').length === 0) throw new Malformed('there are no accesses');
      replay(image, label);
    } catch (error) {
      tally.refuse(label, expected - (tally.cases - before), `  ${reasonOf(error)}`);
    }
  }
}

/** Keys under which a line or file holds its cases. */
const CASE_KEYS = ['accesses', 'steps', 'cases', 'translations'];

/** How many cases a line of any format holds: its accesses, steps or problems; itself when it has none of these. */
export function casesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 1;
  const fields = new Fields(value, 'the line');
  const cases = CASE_KEYS.map((key) => fields.value(key)).find(Array.isArray);
  return Math.max(1, cases?.length ?? 1);
}
