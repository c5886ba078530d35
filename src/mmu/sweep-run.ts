import { checkMethods, VmError } from '../core/index.js';
import type { SweepPlan, SweepRow, SweepSubject } from './sweep.js';
import { copyConfiguration, type SweepConfiguration } from './sweep-configuration.js';

/** By name, what a subject has counted. */
type Counts = ReadonlyMap<string, number>;

/** One configuration on its way through the stream. Whatever its subject does wrong leaves under its name. */
export class SweepRun<Configuration extends SweepConfiguration> {
  private readonly plan: SweepPlan<Configuration>;
  private readonly argument: string;
  private readonly configuration: Configuration;
  private readonly subject: SweepSubject;
  private counted: Counts;
  /** References done. */
  private done = 0;

  /**
   * @param plan - The sweep.
   * @param index - Which of its configurations.
   * @param subjects - Those of earlier configurations; this one's is added.
   */
  constructor(plan: SweepPlan<Configuration>, index: number, subjects: WeakSet<SweepSubject>) {
    this.plan = plan;
    this.argument = `configurations[${index}]`;
    this.configuration = plan.configurations[index]!;
    this.subject = this.attempt(() => this.made());
    if (subjects.has(this.subject)) {
      throw this.refusal('make a new subject, and not one that was made before');
    }
    subjects.add(this.subject);
    this.counted = this.count();
  }

  /** Does all references, and reports those after the warm-up. */
  rows(): readonly SweepRow<Configuration>[] {
    const { interval, seed, stream, streamHash, warmUp } = this.plan;
    const { configuration } = this;
    const rows: SweepRow<Configuration>[] = [];
    this.goOn(warmUp);
    while (this.done < stream.vpns.length) {
      const first = this.done;
      const counts = this.goOn(Math.min(first + interval, stream.vpns.length));
      const references = this.done - first;
      const which = { configuration, seed, streamHash, interval: rows.length };
      rows.push({ ...which, first, references, counts });
    }
    return rows;
  }

  /** Does references as far as `end`, and returns what was counted meanwhile. */
  private goOn(end: number): Readonly<Record<string, number>> {
    this.attempt(() => this.reference(end));
    const before = this.counted;
    this.counted = this.count();
    const names = [...before.keys()];
    if (names.length !== this.counted.size || !names.every((name) => this.counted.has(name))) {
      const now = [...this.counted.keys()].join(', ');
      throw this.refusal(`count by the same names each time: ${names.join(', ')}, and now ${now}`);
    }
    const differences = [...this.counted].map(([name, now]): [string, number] => {
      const then = before.get(name)!;
      if (now >= then) return [name, now - then];
      throw this.refusal(`count what never goes down: ${name} was ${then}, and now ${now}`);
    });
    return Object.fromEntries(differences);
  }

  private reference(end: number): void {
    const { subject } = this;
    const { accesses, vpns } = this.plan.stream;
    for (; this.done < end; this.done++) {
      subject.reference(vpns[this.done]!, accesses[this.done]!);
    }
  }

  private made(): SweepSubject {
    const { make, seed } = this.plan;
    const subject = make(copyConfiguration(this.argument, this.configuration), seed);
    checkMethods('make()', subject, ['reference', 'counts']);
    return subject;
  }

  private count(): Counts {
    const counts = this.attempt(() => new Map(Object.entries(this.subject.counts())));
    for (const [name, value] of counts) {
      if (Number.isFinite(value)) continue;
      throw this.refusal(`count in finite numbers: ${name} is ${String(value)}`);
    }
    return counts;
  }

  /** Does something of the caller's; what it throws becomes the cause of a refusal. */
  private attempt<Result>(action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      const thrown =
        error instanceof Error ? error.message : 'something was thrown that is no Error';
      const refusal = this.refusal(`run, but after ${this.done} references: ${thrown}`);
      refusal.cause = error;
      throw refusal;
    }
  }

  private refusal(expected: string): VmError {
    const { argument, configuration } = this;
    const shown = JSON.stringify(configuration).slice(0, 200);
    const details = { argument, value: configuration, expected: `${shown} to ${expected}` };
    return new VmError('bad-argument', details);
  }
}
