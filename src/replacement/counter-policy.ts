import { FREE, type PolicyState, SlotPolicy, savedVector } from './slot-policy.js';

/** What a tick makes of a counter and the page's R bit. */
export interface CounterRule {
  readonly name: string;
  /** The greatest counter. */
  readonly maximum: number;
  next(counter: number, referenced: number): number;
}

/** A counter for each page, from R bits that the clock interrupt collects and clears; the lowest counter goes. */
export class CounterPolicy extends SlotPolicy {
  readonly name: string;
  private readonly rule: CounterRule;
  private readonly counters: Float64Array;
  private readonly referenced: Uint8Array;

  constructor(slots: number, rule: CounterRule) {
    super(slots);
    this.name = rule.name;
    this.rule = rule;
    this.counters = new Float64Array(slots);
    this.referenced = new Uint8Array(slots);
  }

  override onTick(): void {
    // Free slots have 0 and 0, of which nothing else can come.
    for (let slot = 0; slot < this.slots; slot++) {
      this.counters[slot] = this.rule.next(this.counters[slot]!, this.referenced[slot]!);
      this.referenced[slot] = 0;
    }
  }

  protected filled(slot: number): void {
    this.referenced[slot] = 1;
  }

  protected touched(slot: number): void {
    this.referenced[slot] = 1;
  }

  protected choose(): number {
    let least = 0;
    for (let slot = 1; slot < this.slots; slot++) {
      if (this.counters[slot]! < this.counters[least]!) least = slot;
    }
    this.removed(least);
    return least;
  }

  protected removed(slot: number): void {
    this.counters[slot] = 0;
    this.referenced[slot] = 0;
  }

  protected checkState(): void {
    for (const [slot, counter] of this.counters.entries()) {
      const used = this.pages[slot] !== FREE;
      const most = used ? this.rule.maximum : 0;
      if (!(Number.isInteger(counter) && counter >= 0 && counter <= most)) {
        throw new Error(`slot ${slot} has counter ${counter}`);
      }
      if (this.referenced[slot]! > Number(used)) throw new Error(`slot ${slot} is referenced`);
    }
  }

  protected save(): PolicyState {
    return { counters: [...this.counters], referenced: [...this.referenced] };
  }

  protected restoreState(state: PolicyState): void {
    this.counters.set(savedVector(state, 'counters', this.slots, this.rule.maximum));
    this.referenced.set(savedVector(state, 'referenced', this.slots, 1));
  }
}
