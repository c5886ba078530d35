import { aging, nru, type ReplacementPolicy } from 'pagewright/replacement';
import { Fields, Malformed, text } from '../fields.js';

// Tanenbaum & Bos: what is made of R and M bits. Pages are in the slots of the same numbers.

/** Counters after every tick, and who goes then. */
export function agingCounters(input: Fields): unknown {
  input.only(['pages', 'counterBits', 'rBitsPerTick']);
  const pages = input.integer('pages', 1, 2 ** 16);
  const counterBits = input.integer('counterBits', 1, 32);
  const policy = aging({ counterBits }).create(pages);
  fill(policy, pages, () => false);
  // The pages came so long ago that their counters have forgotten it.
  for (let tick = 0; tick <= counterBits; tick++) policy.onTick();
  const countersAfterTick = input.list('rBitsPerTick').map((value) => {
    const bits = text(value, 'R bits');
    if (bits.length !== pages || /[^01]/.test(bits)) throw new Malformed(`${bits}: no R bits`);
    for (let page = 0; page < pages; page++) if (bits[page] === '1') policy.onHit(page);
    policy.onTick();
    return saved(policy, 'counters').map((count) => count.toString(2).padStart(counterBits, '0'));
  });
  return { countersAfterTick, victimAfterLastTick: policy.victim(pages) };
}

/** The class of each page, and whether the lowest one that has a page loses it. */
export function nruClasses(input: Fields): unknown {
  input.only(['pages']);
  const pages = input.list('pages').map((value) => {
    const page = new Fields(value, 'a page').only(['R', 'M']);
    return { referenced: page.flag('R'), modified: page.flag('M') };
  });
  if (pages.length === 0) throw new Malformed('there are no pages');
  const policy = nru().create(pages.length);
  fill(policy, pages.length, (page) => pages[page]!.modified);
  policy.onTick();
  for (const [page, { referenced }] of pages.entries()) if (referenced) policy.onHit(page);
  const modified = saved(policy, 'modified');
  const classes = saved(policy, 'referenced').map((bit, page) => 2 * bit + modified[page]!);
  const lowest = classes.reduce((least, each) => Math.min(least, each));
  return { classes, evictLowestNonEmptyClass: classes[policy.victim(pages.length)] === lowest };
}

function fill(policy: ReplacementPolicy, pages: number, write: (page: number) => boolean): void {
  for (let page = 0; page < pages; page++) policy.onFill(page, page, write(page));
}

function saved(policy: ReplacementPolicy, name: string): readonly number[] {
  const list = policy.snapshot().state[name];
  if (list === undefined) throw new Error(`the policy has no ${name}`);
  return list;
}
