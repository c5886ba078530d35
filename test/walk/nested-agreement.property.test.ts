import fc from 'fast-check';
import { addressFromVpn } from 'pagewright/core';
import { AArch64Walker, RiscvGStage, RiscvWalker, X86Npt, X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import {
  accessesOf,
  nestedAnswer,
  nestedReference,
  type Spelled,
} from './agreement/nested-reference.js';
import { Ram } from './agreement/ram.js';
import { FRAMES, type Machine, NESTED, nestedMachine } from './nested-machines.js';

// A PAE guest under nested paging reads its PDPTEs in the walk, which the reference of x86 walks does not.
const KINDS = NESTED.filter(({ name, make }) => {
  const { walker } = nestedMachine({ ...NESTED.find((kind) => kind.name === name)!, make });
  const onDemand = walker.secondStage instanceof X86Npt && walker.rootCount === 4;
  return !(walker instanceof AArch64Walker) && !onDemand;
});

/** Bits of one entry that a case turns over. */
interface Flip {
  readonly host: boolean;
  readonly entry: number;
  readonly bits: readonly number[];
}

const flips = fc.array(
  fc.record({
    host: fc.boolean(),
    entry: fc.nat(),
    // Rights, flags and types more often than frames.
    bits: fc.array(
      fc.oneof(
        { weight: 4, arbitrary: fc.integer({ min: 0, max: 11 }) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 63 }) },
      ),
      { minLength: 1, maxLength: 3 },
    ),
  }),
  { maxLength: 8 },
);

/** What a guest may have set otherwise. */
const state = fc.record({
  sum: fc.boolean(),
  mxr: fc.boolean(),
  hostMxr: fc.boolean(),
  /** Svadu in neither stage, in the G stage alone, in both. */
  adue: fc.nat({ max: 2 }),
});

const questions = fc.array(fc.tuple(fc.nat({ max: 5 }), fc.nat(), fc.nat({ max: 511 })), {
  minLength: 1,
  maxLength: 10,
});

/** Turns bits of an entry over: of the guest's, or of those of the host through which the guest's lie. */
function flip(machine: Machine, { bits, entry, host }: Flip): void {
  const { memory } = machine;
  const { style, written } = host ? machine.host : machine.guest;
  const width = style.format.entryBytes === 4 ? 4 : 8;
  const address = written[entry % Math.min(written.length, 48)]!;
  const found = memory.read(address, width);
  if (found.kind !== 'value') throw new Error('no memory');
  const mask = bits.reduce((all, bit) => all ^ (1n << BigInt(bit % (8 * width))), 0n);
  memory.write(address, width, found.value ^ mask);
}

describe.each(KINDS.map((kind) => [kind.name, kind] as const))('%s', (_, kind) => {
  it.each(['flat', 'sparse'])(
    'agrees with the reference in all it answers and changes (%s RAM)',
    (place) => {
      fc.assert(
        fc.property(flips, state, questions, (changes, { adue, hostMxr, mxr, sum }, asked) => {
          const machine = nestedMachine(kind, place === 'flat');
          const { memory, vpns, walker } = machine;
          for (const change of changes) flip(machine, change);
          if (walker instanceof RiscvWalker && walker.secondStage instanceof RiscvGStage) {
            Object.assign(walker, { sum, mxr, adue: adue === 2 });
            walker.secondStage.adue = adue > 0;
            walker.secondStage.mxr = hostMxr;
          }
          const ram = new Ram(BigInt(kind.base) * 4096n, new Uint8Array(FRAMES * 4096));
          memory.readBytes(kind.base, 0, ram.bytes);
          const now = new Uint8Array(ram.bytes.length);
          const accesses = accessesOf(walker);
          for (const [page, which, word] of asked) {
            const access = accesses[which % accesses.length]!;
            const va = addressFromVpn(
              (vpns[page % vpns.length] ?? 0) + (page > 3 ? page : 0),
              word * 8,
            );
            const wanted: Spelled = nestedReference(walker, ram, va, access);
            expect(nestedAnswer(walker, walker.translate(va, access))).toEqual(wanted);
            memory.readBytes(kind.base, 0, now);
            expect(Buffer.compare(now, ram.bytes), 'accessed and dirty bits').toBe(0);
          }
        }),
        { numRuns: walkerRuns(place) },
      );
    },
  );
});

/** Sparse RAM takes the complete form each time. */
function walkerRuns(place: string): number {
  return place === 'flat' ? 40 : 20;
}

it('is of both architectures', () => {
  const made = KINDS.map((kind) => nestedMachine(kind).walker);
  expect(made.some((walker) => walker instanceof RiscvWalker)).toBe(true);
  expect(made.some((walker) => walker instanceof X86Walker)).toBe(true);
});
