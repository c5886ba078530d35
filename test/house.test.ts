import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** The floor of every room that there is; `docs/architecture.md` draws the house. */
const FLOORS: Readonly<Record<string, number>> = {
  core: 0,
  reference: 0.5,
  pte: 1,
  memory: 1,
  walk: 2,
  replacement: 2,
  'page-table': 3,
  tlb: 3,
  mmu: 4,
  textbook: 3,
  cli: 7,
};

interface Import {
  readonly file: string;
  readonly target: string;
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);

const imports: readonly Import[] = files.flatMap((file) => {
  const text = readFileSync(join(SRC, file), 'utf8');
  return [...text.matchAll(/^(?:import|export|\}) [^'\n]*?from '(\.[^']*)';/gm)].map((match) => ({
    file,
    target: relative(SRC, normalize(join(SRC, dirname(file), match[1] ?? ''))),
  }));
});

const roomOf = (path: string): string => path.split('/')[0] ?? '';
const crossing = imports.filter(
  ({ file, target }) => file.includes('/') && roomOf(file) !== roomOf(target),
);

describe('the house', () => {
  test('has a floor for every room', () => {
    const rooms = new Set(files.filter((file) => file.includes('/')).map(roomOf));
    expect([...rooms].filter((room) => FLOORS[room] === undefined)).toEqual([]);
    expect(crossing.length).toBeGreaterThan(20);
  });

  test('lets a room import only from floors below its own', () => {
    const upwards = crossing.filter(
      ({ file, target }) => (FLOORS[roomOf(target)] ?? 99) >= (FLOORS[roomOf(file)] ?? -1),
    );
    expect(upwards).toEqual([]);
  });

  test('lets nothing reach past the face of another room', () => {
    expect(crossing.filter(({ target }) => !target.endsWith('/index.js'))).toEqual([]);
  });

  test('keeps the reference models independent: they import core alone', () => {
    const foreign = crossing.filter(
      ({ file, target }) => roomOf(file) === 'reference' && roomOf(target) !== 'core',
    );
    expect(foreign).toEqual([]);
  });
});
