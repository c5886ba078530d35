import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Packs what is built into a folder: the tarball's path and the files inside. */
export function pack(folder) {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const answer = execFileSync('npm', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const parsed = JSON.parse(answer);
  const [{ filename, files }] = Array.isArray(parsed) ? parsed : Object.values(parsed);
  return { tarball: join(folder, filename), files: files.map(({ path }) => path) };
}
