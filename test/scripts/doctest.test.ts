import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Runs the script on a project with one page of documentation for each of these; all in one run, for it is slow. */
function doctest(pages: readonly string[]): {
  readonly status: number | null;
  readonly text: string;
} {
  const project = mkdtempSync(join(tmpdir(), 'pagewright-'));
  try {
    for (const folder of ['docs', 'scripts']) mkdirSync(join(project, folder));
    const script = join(project, 'scripts/doctest.mjs'); // it works on the project that it lies in
    cpSync(join(root, 'scripts/doctest.mjs'), script);
    symlinkSync(join(root, 'node_modules'), join(project, 'node_modules'), 'dir');
    pages.forEach((page, i) => {
      writeFileSync(join(project, `docs/${i}.md`), page);
    });
    const { status, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
    if (status !== 0) return { status, text: stderr };
    const made = pages.map((_, i) => join(project, `test/generated/docs-${i}-md.test.ts`));
    return { status, text: made.map((path) => readFileSync(path, 'utf8')).join('\n') };
  } finally {
    rmSync(project, { recursive: true });
  }
}

const fenced = (code: string, tag = 'ts'): string => `# Title\n\`\`\`${tag}\n${code}\n\`\`\`\n`;

it('examples become tests and their markers assertions', () => {
  const examples = [
    ['one(); // => 5', 'vitest.expect(one()).toEqual(5);'],
    ['await two(); //=> [1, 2]', 'vitest.expect(await two()).toEqual([1, 2]);'],
    ['three();\n// => { a: 1 }', 'vitest.expect(three()).toEqual({ a: 1 });'],
    ['console.log(four()); // => 5', 'vitest.expect(four()).toEqual(5);'],
    ["import { five } from 'pagewright';\nfive();", "import { five } from 'pagewright';"],
  ] as const;
  const { status, text } = doctest(examples.map(([code]) => fenced(code)));
  expect(status).toBe(0);
  for (const [, line] of examples) expect(text.split('\n')).toContain(line);
  expect(text).toContain('the example at docs/4.md:2');
});

it('a marker that is no assertion, and an example that nothing would run, stop the run', () => {
  const examples = [
    [fenced('const five = 5; // => 5'), 3, 'this marker is no assertion'],
    [fenced('if (true) { one(); } // => 5'), 3, 'this marker is no assertion'],
    [fenced('one(1, // => 2\n2);'), 3, 'this marker is no assertion'],
    [fenced('// => 5'), 3, 'this marker is no assertion'],
    [fenced('one(); // => 5, 6'), 3, 'this marker is no assertion'],
    [fenced('one(); // => throws an error'), 3, 'this marker is no assertion'],
    [fenced('one(); // => 5', 'text'), 2, 'a marker outside ts'],
    [fenced('one(); // => 5', ''), 2, 'a marker outside ts'],
    [fenced('one();', 'js'), 2, 'tag it ts, not js'],
    [fenced('one();', 'ts title="x"'), 2, 'tag it ts, not ts title="x"'],
    [fenced('one('), 3, "')' expected"],
    ['```ts\none();', 1, 'a fence that is never closed'],
  ] as const;
  const { status, text } = doctest(examples.map(([page]) => page));
  expect(status).toBe(1);
  examples.forEach(([, line, problem], i) => {
    expect(text).toContain(`docs/${i}.md:${line}: ${problem}`);
  });
});
