// Packs once and has publint and attw look at the tarball.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pack } from './pack.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name, ...args) =>
  execFileSync('npx', ['--no-install', name, ...args], { cwd: root, stdio: 'inherit' });

const folder = mkdtempSync(join(tmpdir(), 'pagewright-package-'));
try {
  const { tarball } = pack(folder);
  bin('publint', 'run', '--strict', tarball);
  bin('attw', '--profile', 'esm-only', tarball);
} catch (error) {
  if (error.status === undefined) throw error;
  process.exitCode = 1; // the tool has said what is wrong
} finally {
  rmSync(folder, { recursive: true });
}
