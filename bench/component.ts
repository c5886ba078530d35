// What a benchmark is made of. A component is one file in components/ and one line in components/index.ts.

/**
 * Does units `start` to `end` (exclusive) of the work and returns the checksum of their answers: an integer that every
 * contestant must agree on.
 */
export type Run = (start: number, end: number) => number;

/** A contestant in JavaScript. It gets a process of its own, so that nobody else's types reach its optimised code. */
export interface Work {
  /** How many units there are. A slice begins where the last one ended, and after the last unit with the first. */
  readonly units: number;
  /** Operations in a unit; times are given per operation. 1 unless told. */
  readonly opsPerUnit?: number;
  readonly run: Run;
  /** Brings everything to where the first unit begins. Called before each first unit, and not timed. */
  readonly rewind?: () => void;
}

/** A contestant in C: bench/c/SOURCE, which serves the protocol of bench/c/bench.h. */
export interface CWork {
  readonly source: string;
  readonly units: number;
  readonly opsPerUnit?: number;
  /** Arguments of its command line; the names of the files with `inputs` follow them. */
  readonly args: readonly (string | number)[];
  readonly inputs: readonly ArrayBufferView[];
}

export interface Case {
  readonly name: string;
  /** What it does, for the documentation. */
  readonly what: string;
  readonly ours: () => Work;
  /** The same in C. */
  readonly c?: () => CWork;
  /** The textbook version. */
  readonly naive?: () => Work;
  /** Anything else worth a comparison, by name. */
  readonly peers?: Readonly<Record<string, () => Work>>;
  /** Slices at most, for work of which one takes seconds. */
  readonly rounds?: number;
  /**
   * Whether all contestants have the same units in every slice, as many as fill one of ours: for work whose units differ.
   * Slices are ten times as long then.
   * @defaultValue false
   */
  readonly lockstep?: boolean;
}

/** A promise about some cases; without a limit, just a figure to watch. */
export interface Target {
  readonly text: string;
  readonly cases: readonly string[];
  /** `c`, `naive`, the name of a peer, or `clock` for a limit in nanoseconds. */
  readonly against: string;
  /** Our time for an operation, in nanoseconds, against the clock: a promise about machines as slow as this one. */
  readonly nsAtMost?: number;
  /** Our time is at most this many times theirs: the geometric mean of the cases, and no case above 1.5 times it. */
  readonly atMost?: number;
  /** The same for a limit that is wished for, not promised. */
  readonly stretch?: number;
  /** Their time is at least this many times ours, in the geometric mean. */
  readonly atLeast?: number;
}

export interface Component {
  readonly name: string;
  readonly cases: readonly Case[];
  readonly targets: readonly Target[];
}
