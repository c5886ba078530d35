import type { PolicyKind, PolicySnapshot, ReplacementPolicy } from 'pagewright/replacement';
import type { PythonRandom } from './python-random.js';

/**
 * The two policies of OSTEP's paging-policy.py that draw at random: each picks from the pages in the order in which they
 * came. They are policies of somebody's own, as `simulate` takes them.
 */
abstract class DrawingPolicy implements ReplacementPolicy {
  abstract readonly name: string;
  readonly slots: number;
  /** Slots, in the order in which their pages came. */
  protected readonly order: number[] = [];
  private readonly generator: PythonRandom;

  constructor(slots: number, generator: PythonRandom) {
    this.slots = slots;
    this.generator = generator;
  }

  onFill(slot: number): void {
    this.order.push(slot);
  }

  victim(): number {
    const slot = this.choose();
    this.onRemove(slot);
    return slot;
  }

  onRemove(slot: number): void {
    this.order.splice(this.order.indexOf(slot), 1);
  }

  onHit(_slot: number): void {}
  onTick(): void {}
  onClean(): void {}

  checkInvariants(): void {
    if (new Set(this.order).size < this.order.length) throw new Error('a slot is listed twice');
  }

  snapshot(): PolicySnapshot {
    throw notSaved();
  }

  protected abstract choose(): number;

  /** `memory[int(random.random() * count)]`. */
  protected draw(): number {
    return this.order[Math.floor(this.generator.random() * this.order.length)]!;
  }
}

class Rand extends DrawingPolicy {
  readonly name = 'RAND';

  protected choose(): number {
    return this.draw();
  }
}

/** There is no hand: slots are probed at random, and each probe takes one from a count of uses, until one has none left. */
class RandomClock extends DrawingPolicy {
  readonly name = 'CLOCK';
  private readonly greatest: number;
  private readonly counts: Map<number, number> = new Map();

  constructor(slots: number, generator: PythonRandom, greatest: number) {
    super(slots, generator);
    this.greatest = greatest;
  }

  /** Coming counts as a use, even when none is to be counted. */
  override onFill(slot: number): void {
    super.onFill(slot);
    this.counts.set(slot, 1);
  }

  override onHit(slot: number): void {
    this.counts.set(slot, Math.min(this.countOf(slot) + 1, this.greatest));
  }

  protected choose(): number {
    for (;;) {
      const slot = this.draw();
      const count = this.countOf(slot);
      if (count === 0) return slot;
      this.counts.set(slot, count - 1);
    }
  }

  private countOf(slot: number): number {
    return this.counts.get(slot) ?? 0;
  }
}

/** OSTEP's RAND. */
export function ostepRand(generator: PythonRandom): PolicyKind {
  return kindOf('RAND', (slots) => new Rand(slots, generator));
}

/** OSTEP's CLOCK, whose `clockbits` is the greatest count. */
export function ostepClock(generator: PythonRandom, clockbits: number): PolicyKind {
  return kindOf('CLOCK', (slots) => new RandomClock(slots, generator, clockbits));
}

function kindOf(name: string, create: (slots: number) => ReplacementPolicy): PolicyKind {
  const restore = (): never => {
    throw notSaved();
  };
  return { name, create, restore };
}

function notSaved(): Error {
  return new Error('a simulation from beginning to end saves nothing');
}
