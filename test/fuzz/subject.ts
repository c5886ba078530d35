import type { PhysicalMemory } from 'pagewright/memory';
import type { RadixWalker } from 'pagewright/walk';
import type { Draw } from '../walk/agreement/draw.js';
import type { Query } from './question.js';

/** A walker over one memory, and what else can be done to it. Machines that draw the same numbers do the same. */
export interface Machine {
  readonly walker: RadixWalker;
  /** Writes registers, sound ones or not. */
  readonly change?: (draw: Draw) => void;
  /** Executes whatever else walks, and says what came of it. */
  readonly execute?: (draw: Draw) => string;
}

/** A little-endian value in RAM, or `null` where there is none. */
export type ReadRam = (pa: bigint, bytes: number) => bigint | null;

/** What the reference model answers to a question. */
export interface Judgement {
  /** In the words of {@link Judge.spell}. */
  readonly answer: string;
  /** The entries that a walk changes. */
  readonly writes: readonly { readonly pa: bigint; readonly value: bigint }[];
}

/** A reference model of one stage. */
export interface Judge {
  /** `undefined` for a question that the model does not know. */
  readonly ask: (query: Query, read: ReadRam, walker: RadixWalker) => Judgement | undefined;
  readonly spell: (walker: RadixWalker, result: number) => string;
  readonly entryBytes: number;
}

/** Everything about a round: RAM full of garbage, the walker over it, what to ask, and what must hold. */
export interface Subject {
  /** Where RAM begins, and what it holds. */
  readonly base: bigint;
  readonly bytes: Uint8Array;
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
