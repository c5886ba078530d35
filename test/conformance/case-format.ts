import type { RecordedFile } from './recorded-file.js';
import type { Tally } from './tally.js';

/**
 * One recorded format. A further format is one more file in `formats/` and one more line in `formats/index.ts`.
 *
 * `replay` judges every case through the tally. Where cases are steps of a sequence, those after the first wrong one
 * count as failed (`Tally.refuse`), for they start from a state that is wrong already.
 */
export interface CaseFormat {
  /** As reports show it. */
  readonly name: string;
  /** Whether a file is of this format, by its contents; some damaged lines do not change that. */
  recognises(file: RecordedFile): boolean;
  /** Names, without `.gz`, of the files beside it that are replayed with it. */
  companions?(file: RecordedFile): readonly string[];
  /** For a file that only informs: what it says, in a line. Nothing in it is judged. */
  informs?(file: RecordedFile): string;
  /** Judges every case. May throw when the file as a whole is unusable. */
  replay(file: RecordedFile, tally: Tally): void;
}
