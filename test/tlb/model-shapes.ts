import { Random } from 'pagewright/core';
import {
  arc,
  clock,
  fifo,
  lfu,
  lru,
  nru,
  type PolicyKind,
  random,
  s3Fifo,
  secondChance,
  sieve,
  srrip,
  treePlru,
  twoQ,
} from 'pagewright/replacement';
import type { ReferencePolicy } from '../../src/reference/replacement.js';
import { ReferenceArc } from '../../src/reference/replacement-arc.js';
import {
  ReferenceBitNru,
  ReferenceClock,
  ReferenceSecondChance,
  ReferenceTreePlru,
} from '../../src/reference/replacement-bits.js';
import { ReferenceMemory, type ReferencePage } from '../../src/reference/replacement-memory.js';
import {
  ReferenceFifo,
  ReferenceLfu,
  ReferenceLru,
} from '../../src/reference/replacement-order.js';
import {
  Reference2Q,
  ReferenceS3Fifo,
  ReferenceSieve,
} from '../../src/reference/replacement-queues.js';
import { ReferenceSrrip } from '../../src/reference/replacement-ring.js';

/** A TLB that is compared with its obvious version. */
export interface Shape {
  readonly name: string;
  readonly entries: number;
  readonly ways: number;
  /** Left out: a plain Tlb. */
  readonly coalesce?: number;
  /** Left out: the LRU that is built in. */
  readonly kind?: PolicyKind;
  /** A policy for each of the sets of one TLB. */
  readonly reference: () => (ways: number) => ReferencePolicy;
  /** Contexts known at a time. */
  readonly limit?: number;
}

/** Any page goes; the sets of a TLB share the generator, and draw in the order of their victims. */
class SharedRandom extends ReferenceMemory {
  private readonly generator: Random;

  constructor(frames: number, generator: Random) {
    super(frames);
    this.generator = generator;
  }

  protected choose(): ReferencePage {
    return this.pages[this.generator.below(this.frames)]!;
  }
}

function shape(
  name: string,
  entries: number,
  ways: number,
  more: Omit<Shape, 'entries' | 'name' | 'reference' | 'ways'> = {},
  reference: (ways: number) => ReferencePolicy = (slots) => new ReferenceLru(slots),
): Shape {
  return { name, entries, ways, reference: () => reference, ...more };
}

const bitNru = nru({ reset: 'when-all-referenced' });
const nruOf = (ways: number): ReferencePolicy => new ReferenceBitNru(ways);
const treeOf = (ways: number): ReferencePolicy => new ReferenceTreePlru(ways);
const fifoOf = (ways: number): ReferencePolicy => new ReferenceFifo(ways);

const randomly: Shape = {
  ...shape('random, one generator for three sets', 6, 2, { kind: random({ seed: 9 }) }),
  reference: () => {
    const generator = new Random(9);
    return (ways) => new SharedRandom(ways, generator);
  },
};

export const SHAPES: readonly Shape[] = [
  shape('one entry', 1, 1),
  shape('direct-mapped', 4, 1),
  shape('2 sets of 2', 4, 2),
  shape('3 sets of 5', 15, 5),
  shape('6 sets of 2', 12, 2),
  shape('fully associative, 4', 4, 4),
  shape('fully associative, 16: the last that is scanned', 16, 16),
  shape('fully associative, 17: found through chains', 17, 17),
  shape('fully associative, 64', 64, 64),
  shape('1,536 entries in 12 ways', 1536, 12),
  shape('few contexts', 15, 5, { limit: 4 }),
  shape('few contexts, through chains', 18, 18, { limit: 5 }),
  shape('few contexts, CLOCK', 6, 2, { limit: 6, kind: clock() }, (n) => new ReferenceClock(n)),
  shape('LRU told', 6, 3, { kind: lru() }),
  shape('FIFO', 6, 3, { kind: fifo() }, fifoOf),
  shape('FIFO of 18', 18, 18, { kind: fifo() }, fifoOf),
  shape('tree-PLRU', 8, 4, { kind: treePlru() }, treeOf),
  shape('tree-PLRU of 64, by objects', 64, 64, { kind: treePlru() }, treeOf),
  shape('NRU', 6, 3, { kind: bitNru }, nruOf),
  shape('NRU of 33, by objects', 33, 33, { kind: bitNru }, nruOf),
  randomly,
  shape('CLOCK', 6, 3, { kind: clock() }, (n) => new ReferenceClock(n)),
  shape('second chance', 6, 3, { kind: secondChance() }, (n) => new ReferenceSecondChance(n)),
  shape('LFU', 6, 3, { kind: lfu() }, (n) => new ReferenceLfu(n)),
  shape('2Q', 8, 4, { kind: twoQ() }, (n) => new Reference2Q(n)),
  shape('ARC', 8, 4, { kind: arc() }, (n) => new ReferenceArc(n)),
  shape('S3-FIFO', 8, 4, { kind: s3Fifo() }, (n) => new ReferenceS3Fifo(n)),
  shape('SIEVE', 6, 3, { kind: sieve() }, (n) => new ReferenceSieve(n)),
  shape('SRRIP', 8, 4, { kind: srrip() }, (n) => new ReferenceSrrip(n)),
  shape('pairs coalesced', 4, 2, { coalesce: 2 }),
  shape('groups of 4 in 3 sets of 3', 9, 3, { coalesce: 4, limit: 5 }),
  shape('groups of 8', 6, 3, { coalesce: 8 }),
  shape('groups of 8, FIFO', 6, 3, { coalesce: 8, kind: fifo() }, fifoOf),
  shape('groups of 16, tree-PLRU', 4, 4, { coalesce: 16, kind: treePlru() }, treeOf),
  shape('groups of 32, through chains', 20, 20, { coalesce: 32 }),
];
