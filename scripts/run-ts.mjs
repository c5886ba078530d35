// node scripts/run-ts.mjs [--dist] FILE.ts ARGS...
//
// Runs a TypeScript program, which Node 20 cannot: bundles it and imports the bundle into this process. `pagewright/*`
// means src; with --dist it means the built package, found through its own exports as a user would (and built first
// when it is missing).
import { execSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const fromRoot = (path) => resolve(root, path);

const args = process.argv.slice(2);
const useDist = args[0] === '--dist';
if (useDist) args.shift();
const file = args.shift();
if (file === undefined || !existsSync(file)) {
  console.error(file === undefined ? 'which file?' : `${file}: no such file`);
  process.exit(2);
}
if (useDist && !existsSync(fromRoot('dist/index.js'))) {
  execSync('npm run -s build', { cwd: root, stdio: ['ignore', 2, 2] });
}

const program = {
  name: 'program',
  setup(esbuild) {
    esbuild.onResolve({ filter: /^pagewright(\/|$)/ }, ({ path }) => {
      if (useDist) return { path: import.meta.resolve(path), external: true };
      return { path: fromRoot(`src/${path.slice('pagewright/'.length)}/index.ts`) };
    });
    // Modules find files beside themselves, wherever the bundle lies.
    esbuild.onLoad({ filter: /\.ts$/ }, ({ path }) => ({
      loader: 'ts',
      contents: readFileSync(path, 'utf8').replaceAll(
        /\bimport\.meta\.url\b/g,
        JSON.stringify(pathToFileURL(path).href),
      ),
    }));
  },
};

const cache = fromRoot('node_modules/.cache/pagewright');
const bundle = resolve(cache, `${basename(file, '.ts')}-${process.pid}.mjs`);
mkdirSync(cache, { recursive: true });
process.on('exit', () => rmSync(bundle, { force: true }));
try {
  await build({
    entryPoints: [file],
    outfile: bundle,
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'inline',
    plugins: [program],
  });
} catch {
  process.exit(2); // esbuild has printed what is wrong
}

process.setSourceMapsEnabled(true);
process.argv = [process.argv[0], resolve(file), ...args];
await import(pathToFileURL(bundle).href);
