import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Bundles a TypeScript program over src, so that a worker or a child process can run it.
 *
 * @param entry - The program's path.
 * @returns The path of an ESM file that Node runs.
 */
export async function bundle(entry: string): Promise<string> {
  const name = `${basename(entry, '.ts')}-${process.pid}.mjs`;
  const outfile = resolve(root, 'node_modules/.cache/pagewright', name);
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'inline',
    // CommonJS packages in the bundle may require Node's modules.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    plugins: [
      {
        name: 'rooms',
        setup(esbuild) {
          esbuild.onResolve({ filter: /^pagewright(\/|$)/ }, ({ path }) => ({
            path: resolve(root, 'src', path.slice('pagewright/'.length), 'index.ts'),
          }));
        },
      },
    ],
  });
  return outfile;
}
