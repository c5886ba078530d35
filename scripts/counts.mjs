// node scripts/counts.mjs REPORT.json
//
// Prints `N passed, M failed` of vitest's JSON report. A file that failed before its first test counts as one failure,
// and so does a run that left no report.
import { existsSync, readFileSync } from 'node:fs';

const file = process.argv[2];
let passed = 0;
let failed = 0;
if (existsSync(file)) {
  const report = JSON.parse(readFileSync(file, 'utf8'));
  const broken = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  passed = report.numPassedTests;
  failed = report.numFailedTests + broken.length;
} else {
  failed = 1;
}
console.log(`${passed} passed, ${failed} failed`);
