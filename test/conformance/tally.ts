/** Explanations kept of one file. */
const SHOWN = 3;

/** Counts the cases of one file, and keeps the first disagreements. */
export class Tally {
  cases = 0;
  failed = 0;
  /** Cases that nothing in the library answers yet: neither passed nor failed. */
  notJudged = 0;
  readonly disagreements: string[] = [];

  /**
   * Judges one case.
   *
   * @param label - Names the case: the line, what was accessed.
   * @param verdict - Returns `null` when the library agrees with the recording, otherwise how it disagrees. Whatever it
   * throws is a disagreement too: no case can stop the others.
   */
  judge(label: string | (() => string), verdict: () => string | null): void {
    this.cases++;
    try {
      const disagreement = verdict();
      if (disagreement !== null) this.note(label, disagreement);
    } catch (error) {
      this.note(label, reasonOf(error));
    }
  }

  /** Counts cases that are known and have no judge yet. */
  setAside(cases: number): void {
    this.notJudged += cases;
  }

  /** Counts cases that cannot be judged: they have failed. */
  refuse(label: string, cases: number, why: string): void {
    if (cases < 1) return;
    this.cases += cases;
    this.failed += cases - 1;
    this.note(label, cases === 1 ? why : `${why} (all its ${cases} cases)`);
  }

  private note(label: string | (() => string), disagreement: string): void {
    this.failed++;
    if (this.disagreements.length >= SHOWN) return;
    this.disagreements.push(`${typeof label === 'string' ? label : label()}\n${disagreement}`);
  }
}

/** What went wrong, as one line. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
