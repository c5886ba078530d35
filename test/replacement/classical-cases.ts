import {
  aging,
  clock,
  fifo,
  lfu,
  lru,
  mru,
  nfu,
  nru,
  opt,
  random,
  secondChance,
  treePlru,
  unopt,
} from 'pagewright/replacement';
import {
  ReferenceBitNru,
  ReferenceClock,
  ReferenceNru,
  ReferenceSecondChance,
  ReferenceTreePlru,
} from '../../src/reference/replacement-bits.js';
import { ReferenceAging, ReferenceNfu } from '../../src/reference/replacement-counters.js';
import {
  ReferenceFifo,
  ReferenceLfu,
  ReferenceLru,
  ReferenceMru,
  ReferenceOpt,
  ReferenceRandom,
  ReferenceUnopt,
} from '../../src/reference/replacement-order.js';
import type { PolicyCase } from './policy-property.js';

const POWERS = [1, 2, 4, 8, 16];

/** The classical policies, with the options that change what they do. */
export const CLASSICAL: readonly PolicyCase[] = [
  { name: 'LRU', kind: lru(), reference: (slots) => new ReferenceLru(slots) },
  { name: 'FIFO', kind: fifo(), reference: (slots) => new ReferenceFifo(slots) },
  { name: 'MRU', kind: mru(), reference: (slots) => new ReferenceMru(slots) },
  { name: 'LFU', kind: lfu(), reference: (slots) => new ReferenceLfu(slots) },
  {
    name: 'tree-PLRU',
    kind: treePlru(),
    reference: (slots) => new ReferenceTreePlru(slots),
    slots: POWERS,
  },
  { name: 'NRU', kind: nru(), reference: (slots) => new ReferenceNru(slots) },
  {
    name: 'NRU with one bit',
    kind: nru({ reset: 'when-all-referenced' }),
    reference: (slots) => new ReferenceBitNru(slots),
  },
  {
    name: 'random',
    kind: random({ seed: 5 }),
    reference: (slots) => new ReferenceRandom(slots, 5),
  },
  { name: 'CLOCK', kind: clock(), reference: (slots) => new ReferenceClock(slots) },
  {
    name: 'CLOCK, pages come unreferenced',
    kind: clock({ initial: 0 }),
    reference: (slots) => new ReferenceClock(slots, 0),
  },
  {
    name: 'CLOCK that counts to 5',
    kind: clock({ maximum: 5, initial: 2 }),
    reference: (slots) => new ReferenceClock(slots, 2, 5),
  },
  {
    name: 'second chance',
    kind: secondChance(),
    reference: (slots) => new ReferenceSecondChance(slots),
  },
  { name: 'NFU', kind: nfu(), reference: (slots) => new ReferenceNfu(slots) },
  { name: 'aging', kind: aging(), reference: (slots) => new ReferenceAging(slots, 8) },
  {
    name: 'aging in one bit',
    kind: aging({ counterBits: 1 }),
    reference: (slots) => new ReferenceAging(slots, 1),
  },
  {
    name: 'aging in 32 bits',
    kind: aging({ counterBits: 32 }),
    reference: (slots) => new ReferenceAging(slots, 32),
  },
  ...(['earliest-loaded', 'latest-loaded'] as const).flatMap((ties): PolicyCase[] => [
    {
      name: `OPT, ${ties}`,
      kind: opt({ ties }),
      reference: (slots, future) => new ReferenceOpt(slots, future, ties),
    },
    {
      name: `UNOPT, ${ties}`,
      kind: unopt({ ties }),
      reference: (slots, future) => new ReferenceUnopt(slots, future, ties),
    },
  ]),
];
