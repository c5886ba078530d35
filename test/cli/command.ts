import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { run } from '../../src/cli/run.js';

/** The path of a fixture. */
export function fixture(path: string): string {
  return fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));
}

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line; words are separated by single spaces. */
function pagewright(line: string): Result {
  let out = '';
  let err = '';
  const code = run(line === '' ? [] : line.split(' '), {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}

/** What a command line that succeeds prints. */
export function output(line: string): string {
  const { code, err, out } = pagewright(line);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return out;
}

/** The message of a command line that fails: one line, nothing on the standard output, exit code 2. */
export function mistake(line: string): string {
  const { code, err, out } = pagewright(line);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(/^pagewright: .*\n$/);
  return err.slice('pagewright: '.length, -1);
}

/** The plain data that a command line prints. */
export function data(line: string): Record<string, unknown> {
  return JSON.parse(output(line));
}
