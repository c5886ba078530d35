import { describe, expect, it } from 'vitest';
import {
  type Edit,
  fixtureLines,
  flip,
  type LooseAccess,
  type LooseImage,
  replayFiles,
} from './workbench.js';

// Whatever part of a recorded answer is changed, its case fails. Few images, but everything in them.

/** How many images of each recording, spread over it. */
const IMAGES = 3;

/** Bits to flip of a number in hexadecimal: the ends, the page and what lies around. */
const BITS = [0, 2, 7, 12, 31, 47, 63];

/** Every key that some result has. */
const RESULT_KEYS = [
  ...['pa', 'attr', 'sh', 'pc', 'fsc', 'level', 'esr', 'far', 'exc', 's2', 'ptw'],
  ...['cause', 'tval', 'htval', 'tinst', 'gva', 'xpa', 'pf', 'gp'],
];

/** All that can be done to a value of a result or to a changed entry. */
function spoilt(value: unknown): readonly unknown[] {
  const others = [null, [], {}, typeof value === 'number' ? String(value) : 7];
  if (typeof value !== 'number') return [...BITS.map((bit) => flip(value, bit)), 'x', ...others];
  return [value + 1, value - 1, value + 0.5, -1 - value, ...others];
}

/** Everything that can go wrong with an access. */
function corruptions(access: LooseAccess, { mem }: LooseImage): readonly Edit[] {
  const inside =
    (key: 'result' | 'after', change: Edit): Edit =>
    (target) => {
      const part = { ...access[key] };
      change(part);
      target[key] = part;
    };
  const set = (key: 'result' | 'after', name: string, value: unknown): Edit =>
    inside(key, (part) => Object.assign(part, { [name]: value }));
  const without = (key: 'result' | 'after', name: string): Edit =>
    inside(key, (part) => Reflect.deleteProperty(part, name));
  const unused = Object.entries(mem).find(([address]) => access.after?.[address] === undefined)!;
  return [
    ...Object.entries(access.result).flatMap(([name, value]) => [
      ...spoilt(value).map((other) => set('result', name, other)),
      without('result', name),
    ]),
    ...[...RESULT_KEYS, 'other']
      .filter((name) => !Object.hasOwn(access.result, name))
      .flatMap((name) => [set('result', name, 1), set('result', name, '0')]),
    ...Object.entries(access.after ?? {}).flatMap(([name, value]) => [
      ...spoilt(value).map((other) => set('after', name, other)),
      without('after', name),
    ]),
    set('after', unused[0], unused[1]),
    set('after', unused[0], flip(unused[1], 9)),
    set('after', '50000ff8', '1'),
    ...['result', 'after', 'other'].map(
      (name): Edit =>
        (target) =>
          Object.assign(target, { [name]: null }),
    ),
  ];
}

/** Changes every access of an image in its n-th way; as many must fail as were changed. */
function unnoticed(image: LooseImage, ways: readonly (readonly Edit[])[], n: number): number {
  const accesses = image.accesses.map((access) => ({ ...access }));
  accesses.forEach((access, index) => {
    ways[index]![n]?.(access);
  });
  const changed = ways.filter((edits) => n < edits.length).length;
  const { failed } = replayFiles({ 'c.ndjson': JSON.stringify({ ...image, accesses }) });
  return changed - failed;
}

describe('whatever is changed of what an access answers', () => {
  it.each([
    'aarch64/stage1.ndjson.gz',
    'aarch64/stage2.ndjson.gz',
    'riscv/stage1.ndjson.gz',
    'riscv/two-stage.ndjson.gz',
    'x86/pae.ndjson.gz',
    'x86/x86-64-5.ndjson.gz',
  ])('in %s is noticed', (name) => {
    const lines = fixtureLines(name);
    const step = Math.floor(lines.length / IMAGES);
    for (let at = 0; at < lines.length; at += step) {
      const image: LooseImage = JSON.parse(lines[at]!); // the fixture is known to have this shape
      const ways = image.accesses.map((access) => corruptions(access, image));
      const most = Math.max(...ways.map((edits) => edits.length));
      const missed = Array.from({ length: most }, (_, n) => unnoticed(image, ways, n));
      expect({ line: at + 1, missed }).toEqual({ line: at + 1, missed: missed.map(() => 0) });
    }
  });
});
