import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { CaseFormat } from './case-format.js';
import { formats } from './formats/index.js';
import { unknownFormat } from './formats/unknown.js';
import { RecordedFile } from './recorded-file.js';
import { reasonOf, Tally } from './tally.js';

/** Files that lie among recordings and hold no cases; in a folder they are passed over. */
const NOT_CASES = [/\.md$/, /^registers\.txt$/, /^LICENSE/, /^\./];

/** What became of one file. */
export interface FileReport {
  readonly path: string;
  readonly format: string;
  readonly cases: number;
  readonly failed: number;
  /** Cases that are known and have no judge yet: neither passed nor failed. */
  readonly notJudged: number;
  /** What a file that only informs says; otherwise empty. */
  readonly information: string;
  /** The first disagreements, as text. */
  readonly disagreements: readonly string[];
  readonly milliseconds: number;
}

/** What became of everything. */
export interface RunReport {
  readonly files: readonly FileReport[];
  /** Files of the given folders that hold no cases of their own. */
  readonly skipped: readonly string[];
  readonly passed: number;
  readonly failed: number;
  /** Whether there was something to judge, or to be informed by, and nothing failed. */
  readonly ok: boolean;
}

/**
 * Replays every case of files and folders.
 *
 * @param paths - Files, and folders that are searched with all their subfolders.
 * @param tell - Called for each file as soon as it is done.
 */
export function runConformance(
  paths: readonly string[],
  tell: (report: FileReport) => void = () => {},
): RunReport {
  const { jobs, skipped } = plan(paths);
  const files = jobs.map((job) => {
    const report = replayFile(job);
    tell(report);
    return report;
  });
  const failed = files.reduce((sum, file) => sum + file.failed, 0);
  const passed = files.reduce((sum, file) => sum + file.cases, 0) - failed;
  const informed = files.some(({ information }) => information !== '');
  return { files, skipped, passed, failed, ok: failed === 0 && (passed > 0 || informed) };
}

/** A file to replay, with the format that claims it. */
interface Job {
  readonly file: RecordedFile;
  readonly format: CaseFormat;
}

/** Finds out what each file is: to replay, replayed with another one, or without cases. */
function plan(paths: readonly string[]): { jobs: Job[]; skipped: string[] } {
  const jobs = new Map<string, Job>();
  const rest: { path: string; given: boolean }[] = [];
  const companions = new Set<string>();
  const claim = (path: string, given: boolean): void => {
    const file = new RecordedFile(path);
    const format = formatOf(file);
    if (format === null) {
      rest.push({ path, given });
      return;
    }
    jobs.set(resolve(path), { file, format });
    for (const name of format.companions?.(file) ?? []) {
      const companion = file.pathBeside(name);
      if (companion !== null) companions.add(resolve(companion));
    }
  };
  for (const path of paths) {
    const given = !existsSync(path) || !statSync(path).isDirectory();
    for (const found of given ? [path] : filesBelow(path)) claim(found, given);
  }
  // A companion that is given alone stands for the recording that it belongs to.
  for (const { path, given } of [...rest]) {
    if (!given || companions.has(resolve(path))) continue;
    for (const owner of ownersOf(path)) claim(owner, true);
  }
  const skipped: string[] = [];
  for (const { path, given } of rest) {
    const passedOver = !given && NOT_CASES.some((pattern) => pattern.test(basename(path)));
    if (companions.has(resolve(path)) || passedOver) skipped.push(path);
    else jobs.set(resolve(path), { file: new RecordedFile(path), format: unknownFormat });
  }
  return { jobs: [...jobs.values()], skipped };
}

/** The format that claims a file. A file that cannot even be read is claimed by none. */
function formatOf(file: RecordedFile): CaseFormat | null {
  try {
    return formats.find((format) => format.recognises(file)) ?? null;
  } catch {
    return null;
  }
}

/** The recordings in the same folder that a file belongs to. */
function ownersOf(path: string): string[] {
  const folder = dirname(path);
  if (!existsSync(path)) return [];
  return filesIn(folder).filter((sibling) => {
    const file = new RecordedFile(sibling);
    const names = formatOf(file)?.companions?.(file) ?? [];
    return names.includes(new RecordedFile(path).name);
  });
}

function filesBelow(folder: string): string[] {
  const inside = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => filesBelow(join(folder, entry.name)));
  return [...filesIn(folder), ...inside].sort();
}

/** All that is no folder: also links, so that nothing is passed over in silence. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(folder, entry.name));
}

function replayFile({ file, format }: Job): FileReport {
  const tally = new Tally();
  const begin = performance.now();
  try {
    format.replay(file, tally);
  } catch (error) {
    tally.refuse(file.name, 1, `  ${reasonOf(error)}`);
  }
  const { cases, disagreements, failed, notJudged } = tally;
  const information = format.informs?.(file) ?? '';
  const milliseconds = performance.now() - begin;
  const { path } = file;
  const counts = { cases, failed, notJudged, disagreements, milliseconds };
  return { path, format: format.name, information, ...counts };
}
