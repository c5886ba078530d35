import type { CaseFormat } from '../case-format.js';
import { casesIn } from '../image-line.js';
import type { RecordedFile } from '../recorded-file.js';
import type { Tally } from '../tally.js';

/** A file that no format claims: as many cases as it seems to hold, all failed, for none of them was judged. */
export const unknownFormat: CaseFormat = {
  name: 'unknown format',
  recognises: () => true,
  replay(file: RecordedFile, tally: Tally): void {
    const values = jsonValues(file);
    const cases = values.reduce<number>((sum, value) => sum + casesIn(value), 0);
    const why = file.bytes.length === 0 ? 'the file is empty' : 'no judge yet for this format';
    tally.refuse(file.name, Math.max(1, cases), `  ${why}`);
  },
};

/** The objects in a file of JSON: one, or one a line; none when it is no JSON at all. */
function jsonValues(file: RecordedFile): unknown[] {
  const whole = objectIn(file.text);
  if (whole !== null) return [whole];
  return [...file.lines()].map(({ line }) => objectIn(line)).filter((value) => value !== null);
}

function objectIn(text: string): object | null {
  if (!text.startsWith('{')) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}
