import { checkInteger, checkVersion, VmError } from '../core/index.js';
import type { InlineRule } from './inline-rule.js';
import type { PolicyKind, PolicySnapshot, ReplacementPolicy } from './policy.js';

/** More slots than any cache or exercise has; a mistake is found before memory is. */
export const MAX_SLOTS: number = 2 ** 24;

/** A page number that is none: the slot is free. */
export const FREE = -1;

/** What a policy saves beside the pages. */
export type PolicyState = Readonly<Record<string, readonly number[]>>;

/**
 * What all policies share: which page is in which slot, and the refusal of events that cannot be. A policy says what a
 * fill, a hit and a removal mean to it, and which slot goes.
 *
 * @internal
 */
export abstract class SlotPolicy implements ReplacementPolicy {
  abstract readonly name: string;
  readonly slots: number;
  /** The page in each slot, or `FREE`. */
  protected readonly pages: Float64Array;
  /** Slots in use. */
  protected used = 0;

  constructor(slots: number) {
    this.slots = checkInteger('slots', slots, 1, MAX_SLOTS);
    this.pages = new Float64Array(slots).fill(FREE);
  }

  onFill(slot: number, page: number, write = false): void {
    if (typeof slot !== 'number' || this.pages[slot] !== FREE) throw this.notA('free slot', slot);
    checkInteger('page', page, 0, Number.MAX_SAFE_INTEGER);
    this.pages[slot] = page;
    this.used++;
    this.filled(slot, page, write);
  }

  onHit(slot: number, write = false): void {
    if (typeof slot !== 'number' || !(this.pages[slot]! >= 0)) throw this.notA('slot in use', slot);
    this.touched(slot, write);
  }

  victim(page: number): number {
    if (this.used < this.slots) {
      const expected = `no free slot: ${this.slots - this.used} of ${this.slots} are free`;
      throw new VmError('bad-argument', { argument: 'page', value: page, expected });
    }
    checkInteger('page', page, 0, Number.MAX_SAFE_INTEGER);
    const slot = this.choose(page);
    this.pages[slot] = FREE;
    this.used--;
    return slot;
  }

  onRemove(slot: number): void {
    if (typeof slot !== 'number' || !(this.pages[slot]! >= 0)) throw this.notA('slot in use', slot);
    this.removed(slot);
    this.pages[slot] = FREE;
    this.used--;
  }

  onTick(): void {}

  onClean(slot: number): void {
    if (typeof slot !== 'number' || !(this.pages[slot]! >= 0)) throw this.notA('slot in use', slot);
    this.cleaned(slot);
  }

  checkInvariants(): void {
    const used = this.pages.reduce((count, page) => count + Number(page !== FREE), 0);
    if (used !== this.used) throw new Error(`${used} slots are in use, not ${this.used}`);
    this.checkState();
  }

  snapshot(): PolicySnapshot {
    const { name } = this;
    const pages = [...this.pages];
    return { v: 1, type: 'replacement-policy', name, pages, state: this.save() };
  }

  /** Takes over a snapshot; of a policy that is then thrown away when the snapshot is bad. */
  load(snapshot: PolicySnapshot): this {
    checkVersion(snapshot, 1, 'replacement-policy');
    const { name, pages, state } = snapshot;
    if (name !== this.name) throw damaged('name', name, this.name);
    // `from` because `every` passes over the holes of a list.
    const sound = Array.from(pages).every((page) => Number.isSafeInteger(page) && page >= FREE);
    if (!sound) throw damaged('pages', pages, 'page numbers, or -1');
    this.pages.set(pages);
    this.used = pages.filter((page) => page !== FREE).length;
    this.restoreState(state);
    try {
      this.checkInvariants();
    } catch (error) {
      throw damaged('state', state, `a state that holds together: ${String(error)}`);
    }
    const known = Object.keys(this.save());
    const unknown = Object.keys(state ?? {}).find((key) => !known.includes(key));
    if (unknown !== undefined) throw damaged(`state.${unknown}`, state[unknown], 'nothing');
    return this;
  }

  /** A page is in a slot that was free. */
  protected abstract filled(slot: number, page: number, write: boolean): void;
  /** The page in a slot is used. */
  protected abstract touched(slot: number, write: boolean): void;
  /** Every slot is in use: the one that goes. What the policy knows of it must be gone afterwards. */
  protected abstract choose(page: number): number;
  /** The page in a slot goes. */
  protected abstract removed(slot: number): void;
  /** The page in a slot was written back. */
  protected cleaned(_slot: number): void {}

  /** Throws an `Error` where the state is not what it should be. */
  protected abstract checkState(): void;
  /** Everything beside `pages`. */
  protected abstract save(): PolicyState;
  /** The reverse, into a new policy whose `pages` are set; `checkState` follows. */
  protected abstract restoreState(state: PolicyState): void;

  private notA(expected: string, slot: number): VmError {
    checkInteger('slot', slot, 0, this.slots - 1);
    return new VmError('bad-argument', {
      argument: 'slot',
      value: slot,
      expected: `a ${expected}`,
    });
  }
}

/** The refusal of a snapshot. */
export function damaged(part: string, value: unknown, expected: string): VmError {
  return new VmError('bad-image', { argument: `snapshot.${part}`, value, expected });
}

/** A list of a saved state, of integers in a range. */
export function savedNumbers(
  state: PolicyState,
  name: string,
  low: number,
  high: number,
): readonly number[] {
  const list: unknown = state?.[name];
  const sound = (item: unknown): boolean =>
    typeof item === 'number' && Number.isInteger(item) && item >= low && item <= high;
  // `from` because `every` passes over the holes of a list.
  if (Array.isArray(list) && Array.from(list).every(sound)) return list;
  throw damaged(`state.${name}`, list, `integers from ${low} to ${high}`);
}

/** The same with so many integers: one for each slot, say. */
export function savedVector(
  state: PolicyState,
  name: string,
  length: number,
  high: number,
  low = 0,
): readonly number[] {
  const list = savedNumbers(state, name, low, high);
  if (list.length === length) return list;
  throw damaged(`state.${name}`, list, `${length} integers`);
}

/** One saved integer. */
export function savedNumber(state: PolicyState, name: string, high: number): number {
  return savedVector(state, name, 1, high)[0]!;
}

/** A saved list of slots. One that is named twice would tie a knot into a linked list. */
export function savedSlots(state: PolicyState, name: string, slots: number): readonly number[] {
  const list = savedNumbers(state, name, 0, slots - 1);
  if (new Set(list).size === list.length) return list;
  throw damaged(`state.${name}`, list, 'each slot once');
}

/** Checks what tells the number of slots, so that a policy can be made and the rest be loaded. */
export function checkSnapshot(snapshot: PolicySnapshot): PolicySnapshot {
  checkVersion(snapshot, 1, 'replacement-policy');
  const { pages } = snapshot;
  if (Array.isArray(pages) && pages.length >= 1 && pages.length <= MAX_SLOTS) return snapshot;
  throw damaged('pages', pages, `1 to ${MAX_SLOTS} pages`);
}

/** The kind of a policy that needs nothing but the slots. */
export function policyKind(
  name: string,
  create: (slots: number) => SlotPolicy,
  inline?: (ways: number) => InlineRule | null,
): PolicyKind {
  return {
    name,
    create,
    restore: (snapshot) => ofSavedSize(snapshot, create).load(snapshot),
    ...(inline && {
      inline: (ways: number) => inline(checkInteger('ways', ways, 1, MAX_SLOTS)),
    }),
  };
}

/** A new policy with as many slots as the saved one; that it can't have so many is the snapshot's fault. */
function ofSavedSize(snapshot: PolicySnapshot, create: (slots: number) => SlotPolicy): SlotPolicy {
  const { pages } = checkSnapshot(snapshot);
  try {
    return create(pages.length);
  } catch (error) {
    throw damaged('pages', pages, `a number of slots that can be: ${String(error)}`);
  }
}
