// npm run -s conformance -- FILE_OR_FOLDER...
//
// Replays recorded facts against the library. Exit code 1 when a case failed or none was found, 2 without arguments.
import { type FileReport, runConformance } from './runner.js';

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function printFile(report: FileReport): void {
  const { cases, disagreements, failed, format, milliseconds, path } = report;
  const { information, notJudged } = report;
  print(`${path} (${format}): ${cases} cases, ${failed} failed, ${Math.round(milliseconds)} ms`);
  if (notJudged > 0) print(`  and ${notJudged} cases that have no judge yet`);
  if (information !== '') print(`  ${information}`);
  for (const disagreement of disagreements) print(disagreement.replaceAll(/^/gm, '  '));
  const more = failed - disagreements.length;
  if (more > 0 && disagreements.length > 0) print(`  ... and ${more} more`);
}

const paths = process.argv.slice(2);
if (paths.length === 0) {
  process.stderr.write('usage: npm run -s conformance -- FILE_OR_FOLDER...\n');
  process.exitCode = 2;
} else {
  const { failed, ok, passed, skipped } = runConformance(paths, printFile);
  for (const path of skipped) print(`${path}: no cases of its own`);
  if (passed + failed === 0) print(ok ? 'nothing is judged' : 'no case was found');
  print(`${passed} passed, ${failed} failed`);
  process.exitCode = ok ? 0 : 1;
}
