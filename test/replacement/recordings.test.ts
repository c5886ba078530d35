import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import {
  aging,
  clock,
  countMisses,
  fifo,
  lfu,
  lru,
  mru,
  opt,
  type PolicyKind,
  simulate,
} from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';

interface Run {
  readonly faults: number;
  readonly hits: number;
  readonly victims: readonly (number | null)[];
  readonly hit: readonly boolean[];
}

interface Problem {
  readonly id: string;
  readonly family: string;
  readonly input: { readonly refs: readonly number[]; readonly rBitsPerTick: readonly string[] };
  readonly expected: {
    readonly [frames: string]: Readonly<Record<string, Run>>;
  } & { readonly faults: Readonly<Record<string, Readonly<Record<string, number>>>> } & {
    readonly countersAfterTick: readonly (readonly string[])[];
    readonly victimAfterLastTick: number;
  };
}

const path = new URL('../fixtures/textbook/textbook.json.gz', import.meta.url);
const { cases }: { cases: readonly Problem[] } = JSON.parse(String(gunzipSync(readFileSync(path))));
const of = (family: string): readonly Problem[] => cases.filter((item) => item.family === family);

/** The defaults are what the recordings say. */
const KINDS: Readonly<Record<string, PolicyKind>> = {
  FIFO: fifo(),
  LRU: lru(),
  MRU: mru(),
  OPT: opt(),
  CLOCK: clock(),
  LFU: lfu(),
};

const kindOf = (name: string): PolicyKind => {
  const kind = KINDS[name];
  if (kind === undefined) throw new Error(`no policy ${name}`);
  return kind;
};

describe('problems of textbooks', () => {
  for (const { id, input, expected } of of('replacement')) {
    it(`${id}: every reference of every policy, in every size`, () => {
      for (const [frames, policies] of Object.entries(expected)) {
        for (const [name, run] of Object.entries(policies)) {
          const { hits, misses, steps } = simulate(kindOf(name), Number(frames), input.refs);
          const victims = steps.map(({ victim }) => victim);
          const hit = steps.map((step) => step.hit);
          expect({ frames, name, faults: misses, hits, victims, hit }).toEqual({
            ...{ frames, name },
            ...run,
          });
        }
      }
    });
  }

  for (const { id, expected } of of('replacement-curve')) {
    it(`${id}: the misses of every size`, () => {
      const loops = Array.from({ length: 1000 }, (_, index) => index % 50);
      for (const [frames, misses] of Object.entries(expected.faults)) {
        for (const [name, count] of Object.entries(misses)) {
          const counted = countMisses(kindOf(name), Number(frames), loops);
          expect([frames, name, counted]).toEqual([frames, name, count]);
        }
      }
    });
  }

  for (const { id, input, expected } of of('aging')) {
    it(`${id}: the counters after every tick, and the victim`, () => {
      const policy = aging({ counterBits: 8 }).create(6);
      for (let slot = 0; slot < 6; slot++) policy.onFill(slot, slot);
      // The pages of the figure have been there for long: coming was no reference of the first interval.
      const snapshot = policy.snapshot();
      const idle = { ...snapshot.state, referenced: [0, 0, 0, 0, 0, 0] };
      const restored = aging({ counterBits: 8 }).restore({ ...snapshot, state: idle });
      for (const [tick, bits] of input.rBitsPerTick.entries()) {
        for (const slot of [...bits].keys()) if (bits[slot] === '1') restored.onHit(slot);
        restored.onTick();
        const counters = restored.snapshot().state['counters'] ?? [];
        const written = counters.map((counter) => counter.toString(2).padStart(8, '0'));
        expect(written).toEqual(expected.countersAfterTick[tick]);
      }
      expect(restored.victim(6)).toBe(expected.victimAfterLastTick);
    });
  }

  it('has cases of each of these families', () => {
    const families = ['replacement', 'replacement-curve', 'aging'];
    expect(families.map((family) => of(family).length)).toEqual([12, 1, 1]);
  });
});
