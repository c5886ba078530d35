import { FramePool, type FrameSource } from 'pagewright/memory';
import { EVERY_CONTEXT, Invalidations } from 'pagewright/page-table';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';

const pool = (): FramePool => new FramePool({ first: 0, frames: 256 });
const make = (capacity?: number): Invalidations =>
  new Invalidations({ frames: pool(), ...(capacity === undefined ? {} : { capacity }) });

/** The records as short tuples: first page, pages, stride, context. */
const records = (owed: Invalidations): readonly (readonly number[])[] =>
  owed.invalidations().map((i) => [i.vpn, i.pages, i.stride, i.context]);

describe('stretches of an accumulator', () => {
  it('join when one continues the last in pages of the same size and context', () => {
    const owed = make();
    owed.add(0x400, 1, 1, 7);
    owed.add(0x401, 3, 1, 7);
    owed.add(0x404, 1, 1, 7);
    expect(records(owed)).toEqual([[0x400, 5, 1, 7]]);
    expect(owed.count).toBe(1);
  });

  it.each([
    ['a gap', 0x402, 1, 7],
    ['the page before', 0x3ff, 1, 7],
    ['the same page once more', 0x400, 1, 7],
    ['pages of another size', 0x401, 512, 7],
    ['another context', 0x401, 1, 8],
  ])('stay apart for %s', (_, vpn, stride, context) => {
    const owed = make();
    owed.add(0x400, 1, 1, 7);
    owed.add(vpn, stride, stride, context);
    expect(records(owed)).toEqual([
      [0x400, 1, 1, 7],
      [vpn, stride, stride, context],
    ]);
  });

  it('reach to the last page of a space of 64 bits', () => {
    const owed = make();
    owed.add(2 ** 52 - 2, 1, 1, 0);
    owed.add(2 ** 52 - 1, 1, 1, 0);
    expect(records(owed)).toEqual([[2 ** 52 - 2, 2, 1, 0]]);
  });

  it('say that intermediate entries or global pages are concerned when any of those joined says so', () => {
    const owed = make();
    owed.add(0, 1, 1, 0);
    expect(owed.invalidations()[0]).toMatchObject({ intermediate: false, global: false });
    owed.add(1, 1, 1, 0, 2);
    expect(owed.invalidations()[0]).toMatchObject({ intermediate: false, global: true });
    owed.add(2, 1, 1, 0, 1);
    expect(owed.invalidations()[0]).toMatchObject({ intermediate: true, global: true, pages: 3 });
  });

  it('are plain data', () => {
    const owed = make();
    owed.add(0x400, 1, 1, 7, 3);
    const expected = {
      kind: 'invalidate',
      vpn: 0x400,
      pages: 1,
      stride: 1,
      context: 7,
      intermediate: true,
      global: true,
    };
    expect(structuredClone(owed.invalidations())).toEqual([expected]);
    expect(JSON.parse(JSON.stringify(owed.steps()))).toEqual([expected]);
  });

  it('are recorded without allocation', () => {
    const frames: FrameSource = { allocateFrame: () => -1, releaseFrame: () => {} };
    const owed = new Invalidations({ frames, capacity: 4096 });
    const fill = (rounds: number): void => {
      for (let round = 0; round < rounds; round++) {
        for (let i = 0; i < 1024; i++) {
          owed.add(2 * i, 1, 1, i & 7, i & 2);
          owed.addIntermediate(512 * i, 512, i & 7);
          owed.release(i);
        }
        owed.complete();
      }
    };
    fill(400); // compiled by then, and the list of frames has its size
    const before = process.memoryUsage().heapUsed;
    fill(400);
    // One small object for each record would be more than 10 MB.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(2_000_000);
  });
});

describe('a change of intermediate entries', () => {
  it('is taken on by the last stretch if that has a page below them', () => {
    const owed = make();
    owed.add(0x400, 1, 1, 7);
    owed.addIntermediate(0x400, 512, 7);
    expect(records(owed)).toEqual([[0x400, 1, 1, 7]]);
    expect(owed.invalidations()[0]?.intermediate).toBe(true);
  });

  it.each([
    ['the pages before', 0x200, 7],
    ['the pages after', 0x401, 7],
    ['another context', 0x400, 8],
  ])('is a record of its own for %s', (_, vpn, context) => {
    const owed = make();
    owed.add(0x400, 1, 1, 7);
    owed.addIntermediate(vpn, 512, context);
    expect(owed.invalidations().map((i) => i.intermediate)).toEqual([false, true]);
    expect(records(owed)[1]).toEqual([vpn, 512, 512, context]);
  });

  it('stands by itself where nothing else is owed', () => {
    const owed = make();
    owed.addIntermediate(0, 2 ** 18, 3);
    expect(records(owed)).toEqual([[0, 2 ** 18, 2 ** 18, 3]]);
  });
});

describe('an accumulator with more stretches than it keeps apart', () => {
  const overflow = (contexts: readonly number[], flags: readonly number[] = []): Invalidations => {
    const owed = make(contexts.length - 1);
    contexts.forEach((context, i) => {
      owed.add(16 * i, 1, 1, context, flags[i] ?? 0);
    });
    return owed;
  };

  it('keeps the capacity apart', () => {
    const owed = overflow([5, 5, 5, 5]);
    const full = make(3);
    for (let i = 0; i < 3; i++) full.add(16 * i, 1, 1, 5);
    expect(full.count).toBe(3);
    expect(owed.count).toBe(1);
  });

  it('owes the whole context when all are of one', () => {
    expect(overflow([5, 5, 5]).invalidations()).toEqual([
      {
        kind: 'invalidate',
        vpn: 0,
        pages: 2 ** 53,
        stride: 0,
        context: 5,
        intermediate: false,
        global: false,
      },
    ]);
  });

  it.each([
    ['the further one', [5, 5, 6]],
    ['an earlier one', [6, 5, 5]],
  ])('owes every context when %s is of another', (_, contexts) => {
    expect(records(overflow(contexts))).toEqual([[0, 2 ** 53, 0, EVERY_CONTEXT]]);
  });

  it.each([
    [[1, 0, 0], { intermediate: true, global: false }],
    [[0, 2, 0], { intermediate: false, global: true }],
    [[0, 1, 2], { intermediate: true, global: true }],
  ])('remembers what any of them said (%j)', (flags, expected) => {
    expect(overflow([5, 5, 5], flags).invalidations()[0]).toMatchObject(expected);
  });

  it('takes nothing more of that context, but for what it says', () => {
    const owed = overflow([5, 5, 5]);
    owed.add(0x1000, 1, 1, 5, 2);
    owed.addIntermediate(0x2000, 512, 5);
    expect(records(owed)).toEqual([[0, 2 ** 53, 0, 5]]);
    expect(owed.invalidations()[0]).toMatchObject({ intermediate: true, global: true });
  });

  it('keeps other contexts apart again, until there are too many of them', () => {
    const owed = overflow([5, 5, 5]);
    owed.add(0x1000, 1, 1, 6);
    expect(records(owed)).toEqual([
      [0, 2 ** 53, 0, 5],
      [0x1000, 1, 1, 6],
    ]);
    owed.add(0x1000, 1, 1, 7);
    owed.add(0x9000, 1, 1, 8);
    expect(records(owed)).toEqual([[0, 2 ** 53, 0, EVERY_CONTEXT]]);
  });

  it('may keep but one', () => {
    const owed = make(1);
    owed.add(0, 1, 1, 4);
    owed.add(9, 1, 1, 4);
    owed.add(12, 1, 1, 4);
    expect(records(owed)).toEqual([[0, 2 ** 53, 0, 4]]);
    owed.add(12, 1, 1, 3);
    expect(records(owed)).toEqual([[0, 2 ** 53, 0, EVERY_CONTEXT]]);
  });

  it('keeps apart again after it was completed', () => {
    const owed = overflow([5, 5, 6]);
    owed.complete();
    owed.add(0, 1, 1, 5);
    owed.add(9, 1, 1, 5);
    expect(owed.count).toBe(2);
  });
});

describe('frames that travel with an accumulator', () => {
  /** A source that notes what comes back. */
  const noting = (): { readonly source: FrameSource; readonly back: string[] } => {
    const back: string[] = [];
    const source: FrameSource = {
      allocateFrame: () => -1,
      releaseFrame: (pfn) => void back.push(`${pfn}`),
      allocateBlock: () => -1,
      releaseBlock: (pfn, order) => void back.push(`${pfn}/${order}`),
    };
    return { source, back };
  };

  it('go back when it is completed, in the order in which they came, and once', () => {
    const { back, source } = noting();
    const owed = new Invalidations({ frames: source });
    owed.release(9);
    owed.release(512, 9);
    owed.release(3);
    expect(owed.released()).toEqual([9, 512, 3]);
    expect(owed.releasedCount).toBe(3);
    expect(back).toEqual([]);
    owed.complete();
    expect(back).toEqual(['9', '512/9', '3']);
    expect([owed.releasedCount, owed.released()]).toEqual([0, []]);
    owed.complete();
    expect(back).toHaveLength(3);
  });

  it('may be any number: the list grows', () => {
    const { back, source } = noting();
    const owed = new Invalidations({ frames: source });
    const all = Array.from({ length: 1000 }, (_, i) => 2 ** 40 + i);
    all.forEach((pfn, i) => {
      owed.release(pfn, i % 3 === 0 ? 4 : 0);
    });
    expect(owed.released()).toEqual(all);
    owed.complete();
    expect(back).toEqual(all.map((pfn, i) => (i % 3 === 0 ? `${pfn}/4` : `${pfn}`)));
  });

  it('go back one by one to a source that has no blocks', () => {
    const back: number[] = [];
    const frames: FrameSource = {
      allocateFrame: () => -1,
      releaseFrame: (pfn) => void back.push(pfn),
    };
    const owed = new Invalidations({ frames });
    owed.release(8, 2);
    owed.complete();
    expect(back).toEqual([8, 9, 10, 11]);
  });

  it('are something owed even where no page is', () => {
    const owed = make();
    expect(owed.isEmpty).toBe(true);
    owed.frames.allocateFrame();
    owed.release(0);
    expect([owed.isEmpty, owed.count]).toEqual([false, 0]);
    owed.complete();
    expect(owed.isEmpty).toBe(true);
    owed.add(0, 1, 1, 0);
    expect(owed.isEmpty).toBe(false);
  });
});

describe('bad options of an accumulator', () => {
  const frames = pool();

  it.each([0, -1, 2 ** 24 + 1])('capacity %s is out of range', (capacity) => {
    expectError(() => new Invalidations({ frames, capacity }), 'out-of-range', 'capacity');
  });

  it.each([1.5, Number.NaN, '8'])('capacity %s is no integer', (capacity) => {
    const options = { frames, capacity: capacity as number }; // what the compiler would refuse
    expectError(() => new Invalidations(options), 'bad-argument', 'capacity');
  });

  it.each([undefined, null, 5, {}, { releaseFrame: 1 }])('frames %s are no source', (bad) => {
    const options = { frames: bad as unknown as FrameSource }; // what the compiler would refuse
    expectError(() => new Invalidations(options), 'bad-argument', 'frames');
  });

  it.each([undefined, null, 5, []])('%s is no object', (bad) => {
    const options = bad as unknown as { frames: FrameSource }; // what the compiler would refuse
    expectError(() => new Invalidations(options), 'bad-argument', 'options');
  });

  it('a misspelt name is refused', () => {
    const options = { frames, size: 3 };
    expectError(() => new Invalidations(options), 'bad-argument', 'size');
  });
});
