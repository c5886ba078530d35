import { checkInteger, checkOptions, type OptionNames, VmError } from '../core/index.js';
import type { WordRule } from './inline-rule.js';
import type { PolicyKind } from './policy.js';
import {
  FREE,
  MAX_SLOTS,
  type PolicyState,
  policyKind,
  SlotPolicy,
  savedVector,
} from './slot-policy.js';

/**
 * Options of {@link nru}.
 *
 * @public
 */
export interface NruOptions {
  /**
   * When bits that say "used" are cleared.
   *
   * - `on-tick`: by the clock interrupt. There are a referenced and a modified bit for each page, and the victim is in the
   *   lowest class that has a page: neither; modified; referenced; both.
   * - `when-all-referenced`: a cache's form, with one bit for each way. When the last one would be set, the others are
   *   cleared; the victim's bit is clear. Writes and ticks mean nothing.
   *
   * @defaultValue 'on-tick'
   */
  readonly reset?: 'on-tick' | 'when-all-referenced';
}

const OPTIONS: OptionNames<NruOptions> = { reset: true };
const REFERENCED = 2;
const MODIFIED = 1;

/** R and M are two bits, and the two bits are the class. */
class ClassesPolicy extends SlotPolicy {
  readonly name = 'NRU';
  private readonly classes: Uint8Array;

  constructor(slots: number) {
    super(slots);
    this.classes = new Uint8Array(slots);
  }

  override onTick(): void {
    for (let slot = 0; slot < this.slots; slot++) this.classes[slot]! &= MODIFIED;
  }

  protected filled(slot: number, _page: number, write: boolean): void {
    this.touched(slot, write);
  }

  protected touched(slot: number, write: boolean): void {
    this.classes[slot]! |= write ? REFERENCED | MODIFIED : REFERENCED;
  }

  protected override cleaned(slot: number): void {
    this.classes[slot]! &= REFERENCED;
  }

  protected choose(): number {
    let least = 0;
    for (let slot = 1; slot < this.slots && this.classes[least]! > 0; slot++) {
      if (this.classes[slot]! < this.classes[least]!) least = slot;
    }
    this.classes[least] = 0;
    return least;
  }

  protected removed(slot: number): void {
    this.classes[slot] = 0;
  }

  protected checkState(): void {
    for (const [slot, number] of this.classes.entries()) {
      const most = this.pages[slot] === FREE ? 0 : REFERENCED | MODIFIED;
      if (number > most) throw new Error(`slot ${slot} is in class ${number}`);
    }
  }

  protected save(): PolicyState {
    const classes = [...this.classes];
    return { referenced: classes.map((c) => c >> 1), modified: classes.map((c) => c & MODIFIED) };
  }

  protected restoreState(state: PolicyState): void {
    const referenced = savedVector(state, 'referenced', this.slots, 1);
    const modified = savedVector(state, 'modified', this.slots, 1);
    this.classes.set(referenced.map((bit, slot) => 2 * bit + modified[slot]!));
  }
}

/** A bit for each way. It stays when a page goes, as in hardware. */
class BitPolicy extends SlotPolicy {
  readonly name = 'NRU';
  private readonly bits: Uint8Array;
  /** Bits that are set. */
  private set = 0;

  constructor(slots: number) {
    super(slots);
    this.bits = new Uint8Array(slots);
  }

  protected filled(slot: number): void {
    this.touched(slot);
  }

  protected touched(slot: number): void {
    if (this.bits[slot] === 1) return;
    if (this.set === this.slots - 1) {
      this.bits.fill(0);
      this.set = 0;
    }
    this.bits[slot] = 1;
    this.set++;
  }

  protected choose(): number {
    // The bit of a single way is always set.
    return Math.max(this.bits.indexOf(0), 0);
  }

  protected removed(): void {}

  protected checkState(): void {
    const set = this.bits.reduce((sum, bit) => sum + bit, 0);
    if (set !== this.set) throw new Error(`${set} bits are set, not ${this.set}`);
    if (set === this.slots && set > 1) throw new Error('every bit is set');
  }

  protected save(): PolicyState {
    return { referenced: [...this.bits] };
  }

  protected restoreState(state: PolicyState): void {
    this.bits.set(savedVector(state, 'referenced', this.slots, 1));
    this.set = this.bits.reduce((sum, bit) => sum + bit, 0);
  }
}

/**
 * Not recently used: with referenced and modified bits (Tanenbaum & Bos, Modern Operating Systems, 3.4.2), or the one bit of
 * hardware caches (Al-Zoubi, Milenkovic and Milenkovic, ACM-SE 2004, there PLRUm). Of the pages that could go, the one in
 * the lowest slot does. A victim is O(slots), as is a tick; a use is O(1), on average where bits clear each other. The form
 * with one bit has an inline form up to 32 ways.
 *
 * @param options - When bits are cleared.
 * @returns The policy.
 * @throws `VmError` for an option that there is not.
 *
 * @example
 * ```ts
 * import { nru, simulate } from 'pagewright/replacement';
 *
 * // Page 1 was written, page 2 only read: the clean one goes.
 * const run = simulate(nru(), 2, [1, 2, 3], { writes: [true, false, false], tickEvery: 2 });
 * run.steps[2]?.victim; // => 2
 * ```
 * @public
 */
export function nru(options: NruOptions = {}): PolicyKind {
  checkOptions('options', options, OPTIONS);
  const { reset = 'on-tick' } = options;
  if (reset === 'on-tick') return policyKind('NRU', (slots) => new ClassesPolicy(slots));
  if (reset === 'when-all-referenced') {
    return policyKind('NRU', (slots) => new BitPolicy(slots), bitRule);
  }
  const expected = "'on-tick' or 'when-all-referenced'";
  throw new VmError('bad-argument', { argument: 'options.reset', value: reset, expected });
}

/** The same bits in a word. */
function bitRule(ways: number): WordRule | null {
  if (checkInteger('ways', ways, 1, MAX_SLOTS) > 32) return null;
  const full = (-1 >>> (32 - ways)) | 0;
  const put = Int32Array.from({ length: ways }, (_, way) => 1 << way);
  const victim = (word: number): number => {
    const clear = ~word & full;
    return clear === 0 ? 0 : 31 - Math.clz32(clear & -clear);
  };
  return { kind: 'word', keep: new Int32Array(ways).fill(-1), put, full, victim };
}
