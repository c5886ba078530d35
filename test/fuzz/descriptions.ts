import { Access, VmError } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { definePteFormat, type PteFormat, type PteFormatDescription } from 'pagewright/pte';
import { FormatWalker, mergedMappings } from 'pagewright/walk';
import { type Draw, once, pattern, pick } from '../walk/agreement/draw.js';
import { expect } from './expect.js';

/** Descriptions made of one. */
const TRIES = 8;

/** What may stand anywhere in a description that a hostile caller makes. */
const HOSTILE: readonly (() => unknown)[] = [
  ...[undefined, null, true, false, '', 'rights', 'x'.repeat(1e5), Symbol.iterator, 1n, -1n],
  ...[0, -0, 1, -1, 0.5, 2, 3, 5, 7, 8, 16, 31, 32, 52, 53, 63, 64, 4096, 2 ** 31, 2 ** 32],
  ...[2 ** 53, 1e300, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
].map((value) => () => value);
const HOSTILE_OBJECTS: readonly (() => unknown)[] = [
  () => ({}),
  () => [],
  () => [0],
  () => [5, 0],
  () => [63, 0],
  () => [1, 2, 3],
  () => [[0]],
  () => new Array(1e6),
  () => Object.assign([], { length: 2 ** 32 - 1 }),
  () => ({ not: 0 }),
  () => ({ not: {} }),
  () => ({ length: 1 }),
  () => new Map(),
  () => new Date(0),
  () => new Uint8Array(8),
  () => new Proxy([], {}),
  () => () => 0,
  () => Object.assign([{ bits: 4 }], { toJSON: () => null }),
  () => Object.create({ bits: 4, huge: false }),
  () => Object.create(null),
];

/** Something with parts. */
type Parts = Record<string | number, unknown>;

const isParts = (value: unknown): value is Parts =>
  typeof value === 'object' && value !== null && !ArrayBuffer.isView(value);

/** All places in a description where something stands, and one where nothing does. */
function placesOf(root: Parts): readonly (readonly [Parts, string])[] {
  const places: [Parts, string][] = [[root, 'nobody knows this']];
  const visit = (parts: Parts): void => {
    for (const name of Object.keys(parts)) {
      places.push([parts, name]);
      const part = parts[name];
      if (isParts(part)) visit(part);
    }
  };
  visit(root);
  return places;
}

/** A description with a few places spoilt. */
function spoilt(draw: Draw, description: PteFormatDescription): unknown {
  const copy: Parts = structuredClone(description) as unknown as Parts;
  const values = once(draw, 3) ? HOSTILE_OBJECTS : HOSTILE;
  if (once(draw, 30)) return pick(draw, values)();
  // As an object of a class has its parts.
  if (once(draw, 30)) return Object.create(copy);
  for (let i = draw(3); i >= 0; i--) {
    const [parts, name] = pick(draw, placesOf(copy));
    parts[name] = pick(draw, values)();
  }
  return copy;
}

/**
 * Tries descriptions that are nearly right: each gives a format that works, or a `VmError` that names a field.
 *
 * @throws An error that says which one does neither.
 */
export function tryDescriptions(draw: Draw, description: PteFormatDescription): void {
  for (let i = 0; i < TRIES; i++) {
    const hostile = spoilt(draw, description);
    const format = formatOf(hostile);
    if (format !== null) exercise(draw, format);
  }
}

/** The format, or `null` where a field is refused. */
function formatOf(hostile: unknown): PteFormat | null {
  try {
    // The types forbid it; it comes from JavaScript.
    return definePteFormat(hostile as PteFormatDescription);
  } catch (error) {
    expect(error instanceof VmError, `a description throws ${error}`);
    const { argument, expected } = error.details;
    expect(argument.length > 0 && expected.length > 0, `a refusal without a field: ${error}`);
    return null;
  }
}

/** A format that was accepted can do what formats can. */
function exercise(draw: Draw, format: PteFormat): void {
  const word = BigInt.asUintN(8 * format.entryBytes, pattern(draw, 64));
  const level = draw(format.levels);
  const back = format.encode(format.decode(word, level));
  expect(back === word, `0x${word.toString(16)} comes back as 0x${back.toString(16)}`);
  const memory = PhysicalMemory.allocate(0x1000, { base: 0 });
  for (let at = 0; at < 0x1000; at += 4) memory.write32(0, at, draw(2 ** 32));
  const walker = new FormatWalker({ memory, format, root: 0 });
  const copy = FormatWalker.restore(JSON.parse(JSON.stringify(walker.snapshot())), { memory });
  for (let i = 0; i < 4; i++) {
    const vpn = draw(2 ** Math.min(52, format.virtualBits - format.pageShift));
    expect(walker.probe(vpn, Access.Read) === copy.probe(vpn, Access.Read), 'another copy');
  }
  mergedMappings(walker, { visitLimit: 2, rangeLimit: 100 });
}
