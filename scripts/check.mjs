// node scripts/check.mjs [--skip STEP]...
//
// Everything that must be green at a landing, each step one npm script; goes on after a failure and names them all.
import { spawnSync } from 'node:child_process';

const STEPS = ['lint', 'build', 'typecheck', 'coverage', 'docs', 'api', 'size', 'package', 'smoke'];

const args = process.argv.slice(2);
const skipped = args.filter((_, i) => args[i - 1] === '--skip');
const failed = [];
for (const step of STEPS.filter((name) => !skipped.includes(name))) {
  console.log(`\n== ${step}`);
  const start = performance.now();
  const { status } = spawnSync(`npm run -s ${step}`, { stdio: 'inherit', shell: true });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`== ${step}: ${status === 0 ? 'ok' : 'FAILED'} (${seconds} s)`);
  if (status !== 0) failed.push(step);
}

console.log(failed.length === 0 ? '\ncheck: all green' : `\ncheck: failed: ${failed.join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);
