import { readFileSync } from 'node:fs';
import { defineConfig } from 'tsup';

const commanderLicence = readFileSync('node_modules/commander/LICENSE', 'utf8').trim();

export default defineConfig([
  {
    // One output file a source file: bundling renames classes that mention themselves and defeats tree shaking.
    entry: ['src/**/*.ts', '!src/cli/**', '!src/reference/**'],
    bundle: false,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    tsconfig: 'tsconfig.build.json',
    sourcemap: true,
    esbuildOptions(options) {
      options.sourcesContent = false; // src is in the package
    },
    silent: true,
  },
  {
    // The command is one file with commander inside, which is CommonJS and asks for Node's modules by `require`.
    entry: { 'cli/pagewright': 'src/cli/pagewright.ts' },
    bundle: true,
    splitting: false,
    format: 'esm',
    target: 'node20',
    platform: 'node',
    silent: true,
    tsconfig: 'tsconfig.json',
    banner: {
      js: [
        '#!/usr/bin/env node',
        `/*! Contains commander:\n${commanderLicence}\n*/`,
        "import { createRequire as requireFrom } from 'node:module';",
        'const require = requireFrom(import.meta.url);',
      ].join('\n'),
    },
  },
]);
