import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { output } from './command.js';

/** Names that stand for a file of the reader's. */
const PLACEHOLDER = /IMAGE|host\.bin/;

describe.each(['README.md', 'docs/guide/teaching.md'])('%s', (name) => {
  const text = readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8');
  const lines = [...text.matchAll(/^npx pagewright (.*)$/gm)].map(([, line]) => line!);
  const typed = lines.filter((line) => !PLACEHOLDER.test(line));

  it('has command lines that work as typed', () => {
    expect(typed.length).toBeGreaterThan(2);
    for (const line of typed) expect(output(line)).not.toBe('');
  });

  it('shows of a second stage what the command prints', () => {
    const [, shown] = /^```text\n(.*(?:\n(?!```).*)*second stage(?:.*\n)*?)```$/m.exec(text) ?? [];
    const nested = typed.filter((line) => line.includes('--hgatp'));
    expect(nested.map(output)).toEqual(shown === undefined ? [] : [shown]);
  });
});
