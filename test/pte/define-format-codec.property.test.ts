import fc from 'fast-check';
import { highWord, lowWord, splitAddress, VmError } from 'pagewright/core';
import {
  definePteFormat,
  type EntryKind,
  type PteFormat,
  type PteFormatDescription,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { drawDescription } from '../walk/agreement/format-case.js';

/** Descriptions drawn from a tape of numbers. */
const descriptions: fc.Arbitrary<PteFormatDescription> = fc
  .uint32Array({ minLength: 40, maxLength: 80, size: 'max' })
  .map((tape) => {
    let next = 0;
    return drawDescription((below) => (tape[next++] ?? 0) % below);
  });

const words = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

const wordOf = (format: PteFormat, pattern: bigint): bigint =>
  BigInt.asUintN(8 * format.entryBytes, pattern);

/** The kinds of entry that a level has, with what the description says of its leaves. */
function kindsAt(description: PteFormatDescription, level: number): readonly EntryKind[] {
  const { bits, levels } = description;
  const { huge = false } = levels[levels.length - 1 - level]!;
  const leaf = level === 0 || huge;
  const pointer = level > 0 || bits.leaf === 'rights';
  return [
    'not-present',
    ...(pointer ? ['pointer' as const] : []),
    ...(leaf ? ['leaf' as const] : []),
  ];
}

describe('a format that was drawn', () => {
  it('gives back every bit of any word at every level after decode and encode', () => {
    fc.assert(
      fc.property(descriptions, words, (description, pattern) => {
        const format = definePteFormat(description);
        for (let level = 0; level < format.levels; level++) {
          const word = wordOf(format, pattern);
          const entry = format.decode(word, level);
          expect(kindsAt(description, level)).toContain(entry.kind);
          expect(entry.kind).toBe(format.kindOf(lowWord(word), highWord(word), level));
          expect(format.encode(entry)).toBe(word);
        }
      }),
    );
  });

  it('builds the leaves and pointers that it decodes, with the frame asked for', () => {
    fc.assert(
      fc.property(descriptions, words, (description, pattern) => {
        const format = definePteFormat(description);
        const frames = 2 ** format.frameBits;
        for (let level = 0; level < format.levels; level++) {
          for (const kind of kindsAt(description, level)) {
            if (kind === 'not-present') continue;
            const pages = kind === 'leaf' ? format.levelPages[level]! : 1;
            const any = Number(pattern & 0xf_ffff_ffff_ffffn) % frames;
            const pfn = any - (any % pages);
            const fields: Record<string, number> = {};
            // Where rights make the leaf, one of them must be given.
            const right = format.fieldsOf(kind, level).find(({ name }) => 'RWX'.includes(name));
            if (kind === 'leaf' && description.bits.leaf === 'rights') fields[right!.name] = 1;
            const word = format.build({ kind, level, pfn, fields });
            expect(format.decode(word, level)).toMatchObject({ kind, pfn });
          }
        }
      }),
    );
  });

  it('cuts addresses into the indexes of its levels', () => {
    fc.assert(
      fc.property(descriptions, words, (description, va) => {
        const format = definePteFormat(description);
        const { indexes, offset } = splitAddress(format, va);
        let rest = va;
        const cut = (bits: number): number => {
          const part = Number(rest % 2n ** BigInt(bits));
          rest >>= BigInt(bits);
          return part;
        };
        expect(offset).toBe(cut(Math.log2(description.pageBytes)));
        const levels = description.levels.map(({ bits }) => bits).reverse();
        expect(indexes.map(({ index }) => index).reverse()).toEqual(levels.map(cut));
      }),
    );
  });

  it('is the same when it is made of its own description again', () => {
    fc.assert(
      fc.property(descriptions, (description) => {
        const format = definePteFormat(description);
        const again = definePteFormat(JSON.parse(JSON.stringify(format.roles?.description)));
        expect(again.roles).toEqual(format.roles);
        expect(again.leafMask).toEqual(format.leafMask);
      }),
    );
  });
});

describe('anything at all in place of a description', () => {
  const GOOD: PteFormatDescription = {
    name: 'good',
    pageBytes: 256,
    entryBytes: 2,
    levels: [{ bits: 4, huge: true }, { bits: 4 }],
    bits: { valid: 0, write: 1, execute: { not: 2 }, leaf: 4, frame: [15, 8] },
  };
  /** Every field by its path. */
  const PATHS = [
    ...['name', 'pageBytes', 'entryBytes', 'levels', 'bits', 'pointers', 'reserved', 'misaligned'],
    ...['signExtended', 'virtualBits', 'physicalBits', 'writeOnly', 'source'],
  ];

  /** Fields that a change of another may put in the wrong. */
  const PARTNERS: Readonly<Record<string, readonly string[]>> = {
    pageBytes: ['levels', 'bits', 'signExtended'],
    entryBytes: ['bits', 'levels'],
    levels: ['bits'],
    physicalBits: ['bits'],
  };

  it('is a VmError that names the field, or makes a format', () => {
    fc.assert(
      fc.property(fc.constantFrom(...PATHS), fc.anything(), (path, value) => {
        // As a caller without types would.
        const description: PteFormatDescription = Object.assign({ ...GOOD }, { [path]: value });
        try {
          expect(definePteFormat(description).name).toBe(description.name);
        } catch (error) {
          if (!(error instanceof VmError)) throw error;
          // A field may be at fault for another that does not fit it.
          const { argument } = error.details;
          const top = argument.split(/[.[]/)[0]!;
          expect([path, ...(PARTNERS[path] ?? [])], argument).toContain(top);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it.each(['null', '7', '"sv39"', '[]', '{}'])('is refused: %s', (text) => {
    const description: PteFormatDescription = JSON.parse(text);
    expect(() => definePteFormat(description)).toThrow(VmError);
  });
});
