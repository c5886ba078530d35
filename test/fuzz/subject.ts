import type { PhysicalMemory } from 'pagewright/memory';
import type { RadixWalker, Translation } from 'pagewright/walk';
import type { Draw } from '../walk/agreement/draw.js';
import type { Ram } from '../walk/agreement/ram.js';
import type { Query } from './question.js';

/** A walker over one memory, and what else can be done to it. Machines that draw the same numbers do the same. */
export interface Machine {
  readonly walker: RadixWalker;
  /** Writes registers, sound ones or not. */
  readonly change?: (draw: Draw) => void;
  /** Executes whatever else walks, and says what came of it. */
  readonly execute?: (draw: Draw) => string;
}

/** A reference model of a walker. */
export interface Judge {
  /** What the model answers, which also changes RAM; `undefined` for a question that it does not know. */
  readonly ask: (query: Query, ram: Ram, walker: RadixWalker) => string | undefined;
  /** The walker's answer in the same words. */
  readonly spell: (walker: RadixWalker, outcome: Translation) => string;
}

/** Everything about a round: RAM full of garbage, the walker over it, what to ask, and what must hold. */
export interface Subject {
  /** Where RAM begins, and what it holds. */
  readonly base: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly make: (memory: PhysicalMemory) => Machine;
  readonly query: (draw: Draw, walker: RadixWalker) => Query;
  /** Bits of a low word that a walk may change, for each stage. */
  readonly settable: readonly number[];
  /** The first frame that is beyond all answers. */
  readonly frameEnd: number;
  /** The reference's answers to any question about the garbage, where there is a model of this walker. */
  readonly judge?: Judge;
  /** Compares plausible tables with the reference. */
  readonly compare?: (draw: Draw) => void;
}

/** A sort of subject. */
export interface Kind {
  readonly name: string;
  readonly draw: (draw: Draw) => Subject;
}
