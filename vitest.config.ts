import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const src = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^pagewright$/, replacement: src('index.ts') },
      { find: /^pagewright\/(.+)$/, replacement: src('$1/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // Of two cores the runner would leave one idle.
    maxWorkers: 2,
    // Nothing in the library has state of its own, so test files may share its modules: a third of the time is saved.
    isolate: false,
    // Replaying recordings and starting processes is slow on a small machine under coverage.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: [
        'src/**/index.ts', // lists of exports, without a statement of their own
        'src/cli/pagewright.ts', // the three lines that start the process; the rest is tested in process
      ],
      reporter: ['text', 'json-summary', 'lcov'],
      thresholds: { lines: 97, branches: 95 },
    },
  },
});
