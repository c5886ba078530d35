// Compiles a C contestant on the spot.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCES = fileURLToPath(new URL('./c', import.meta.url));
export const CACHE: string = fileURLToPath(
  new URL('../node_modules/.cache/pagewright-bench', import.meta.url),
);

const FLAGS = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror'];
const compiler = process.env['CC'] ?? 'cc';

/** The C compiler's first words about itself, or `null` when there is none. */
export const compilerVersion: string | null = (() => {
  const { status, stdout } = spawnSync(compiler, ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.split('\n')[0]! : null;
})();

/** The program made of a file in bench/c, compiled unless it has been. */
export function compile(source: string): string {
  const headers = readdirSync(SOURCES).filter((name) => name.endsWith('.h'));
  const text = [...headers.sort(), source].map((name) => readFileSync(join(SOURCES, name), 'utf8'));
  const recipe = [compiler, compilerVersion, ...FLAGS, ...text].join('\0');
  const program = join(
    CACHE,
    `${source}-${createHash('sha256').update(recipe).digest('hex').slice(0, 16)}`,
  );
  if (existsSync(program)) return program;
  mkdirSync(CACHE, { recursive: true });
  const fresh = `${program}-${process.pid}`;
  const { status, stderr } = spawnSync(compiler, [...FLAGS, '-o', fresh, join(SOURCES, source)], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${compiler} ${source} failed:\n${stderr}`);
  renameSync(fresh, program);
  return program;
}
