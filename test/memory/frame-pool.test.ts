import fc from 'fast-check';
import { FramePool, type FramePoolSnapshot, type FrameSource } from 'pagewright/memory';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';

const FIRST = 0x8000_0003; // beyond an int32, and aligned to nothing
const FRAMES = 61;

/** Something that a pool handed out; order -1 is a single frame. */
interface Piece {
  readonly pfn: number;
  readonly order: number;
}

const framesOf = ({ pfn, order }: Piece): readonly number[] =>
  Array.from({ length: order < 0 ? 1 : 2 ** order }, (_, i) => pfn + i);

function take(pool: FramePool, order: number): Piece {
  return { pfn: order < 0 ? pool.allocateFrame() : pool.allocateBlock(order), order };
}

function giveBack(pool: FramePool, { pfn, order }: Piece): void {
  if (order < 0) pool.releaseFrame(pfn);
  else pool.releaseBlock(pfn, order);
}

/** One step: allocate with an order, or release one of those that are out. */
const steps = fc.array(
  fc.oneof(
    fc.record({ take: fc.integer({ min: -1, max: 3 }) }),
    fc.record({ release: fc.nat({ max: 99 }) }),
  ),
  { maxLength: 80 },
);

/** A pool after some steps, with what is out. */
const used = steps.map((list) => {
  const pool = new FramePool({ first: FIRST, frames: FRAMES });
  const out: Piece[] = [];
  for (const step of list) {
    if ('take' in step) {
      const piece = take(pool, step.take);
      if (piece.pfn >= 0) out.push(piece);
    } else if (out.length > 0) {
      giveBack(pool, out.splice(step.release % out.length, 1)[0]!);
    }
  }
  return { pool, out };
});

const orders = fc.array(fc.integer({ min: -1, max: 3 }), { maxLength: 40 });

describe('FramePool', () => {
  it('hands out frames from below and blocks from above, until they meet', () => {
    const pool = new FramePool({ first: 0x101, frames: 15 });
    expect(pool.free).toBe(15);
    expect([pool.allocateFrame(), pool.allocateFrame()]).toEqual([0x101, 0x102]);
    expect([pool.allocateBlock(0), pool.allocateBlock(2)]).toEqual([0x10f, 0x108]);
    expect(pool.free).toBe(5); // 0x10c to 0x10e were skipped
    expect([pool.allocateBlock(2), pool.free]).toEqual([0x104, 1]);
    expect([pool.allocateBlock(0), pool.allocateBlock(0), pool.allocateFrame()]).toEqual([
      0x103, -1, -1,
    ]);
    expect(pool.free).toBe(0);
    pool.checkInvariants();
  });

  it('is a source of frames', () => {
    const source: FrameSource = new FramePool({ first: 0, frames: 1 });
    expect([source.allocateFrame(), source.allocateFrame()]).toEqual([0, -1]);
    source.releaseFrame(0);
    expect([source.allocateBlock?.(0), source.allocateFrame()]).toEqual([0, -1]);
    source.releaseBlock?.(0, 0);
    expect(source.allocateFrame()).toBe(0);
  });

  it('hands out first what was released last', () => {
    const pool = new FramePool({ first: 0, frames: 64 });
    for (let i = 0; i < 4; i++) pool.allocateFrame();
    for (const pfn of [1, 3, 0]) pool.releaseFrame(pfn);
    const next = [0, 1, 2, 3].map(() => pool.allocateFrame());
    expect(next).toEqual([0, 3, 1, 4]);
    for (let i = 0; i < 4; i++) pool.allocateBlock(2);
    for (const pfn of [60, 52]) pool.releaseBlock(pfn, 2);
    expect([pool.allocateBlock(1), pool.allocateBlock(2), pool.allocateBlock(2)]).toEqual([
      46, 52, 60,
    ]);
  });

  it('joins the lowest block with the rest, and the free ones above it', () => {
    const pool = new FramePool({ first: 0, frames: 64 });
    const fresh = pool.snapshot();
    for (const order of [3, 0, 2, 1]) pool.allocateBlock(order);
    for (const [pfn, order] of [
      [55, 0],
      [56, 3],
      [48, 2],
    ] as const) {
      pool.releaseBlock(pfn, order);
      pool.checkInvariants();
    }
    expect(pool.snapshot().freeBlocks).toEqual([55, 48, 56]);
    pool.releaseBlock(46, 1);
    expect(pool.snapshot()).toEqual(fresh);
    expect(pool.allocateBlock(6)).toBe(0);
  });

  it('has frame numbers of 52 bits', () => {
    const pool = new FramePool({ first: 2 ** 52 - 2 ** 32, frames: 2 ** 32 });
    expect(pool.allocateFrame()).toBe(2 ** 52 - 2 ** 32);
    expect([pool.allocateBlock(32), pool.allocateBlock(31)]).toEqual([-1, 2 ** 52 - 2 ** 31]);
    expect(pool.isOut(2 ** 52 - 1)).toBe(true);
    expect([pool.isOut(0), pool.isOut(2 ** 52 - 2 ** 31 - 1)]).toEqual([false, false]);
    pool.checkInvariants();
  });

  it('never hands out what is out, and knows what is', () => {
    fc.assert(
      fc.property(used, ({ pool, out }) => {
        pool.checkInvariants();
        const frames = out.flatMap(framesOf);
        expect(new Set(frames).size).toBe(frames.length);
        for (const { pfn, order } of out) expect(pfn % (order < 0 ? 1 : 2 ** order)).toBe(0);
        const all = Array.from({ length: FRAMES + 2 }, (_, i) => FIRST - 1 + i);
        expect(all.filter((pfn) => pool.isOut(pfn))).toEqual([...frames].sort((a, b) => a - b));
        const { free } = pool;
        expect(free).toBeLessThanOrEqual(FRAMES - frames.length); // some may be skipped
        let taken = 0;
        while (pool.allocateFrame() >= 0) taken++;
        expect(pool.free).toBe(free - taken);
        for (let order = 3; order >= 0; order--) {
          while (pool.allocateBlock(order) >= 0) taken += 2 ** order;
        }
        expect([taken, pool.free]).toEqual([free, 0]);
      }),
    );
  });

  it('is exactly as before when everything is released in reverse order', () => {
    fc.assert(
      fc.property(used, orders, ({ pool }, wanted) => {
        const before = pool.snapshot();
        const states: FramePoolSnapshot[] = [];
        const taken: Piece[] = [];
        for (const order of wanted) {
          const state = pool.snapshot();
          const piece = take(pool, order);
          if (piece.pfn < 0) {
            expect(pool.snapshot()).toEqual(state); // nothing changed
          } else {
            taken.push(piece);
            states.push(state);
          }
        }
        for (const piece of taken.reverse()) {
          giveBack(pool, piece);
          expect(pool.snapshot()).toEqual(states.pop());
        }
        expect(pool.snapshot()).toEqual(before);
        pool.checkInvariants();
      }),
    );
  });

  it('does the same after it was saved and restored', () => {
    fc.assert(
      fc.property(used, orders, ({ pool, out }, wanted) => {
        const saved = pool.snapshot();
        const restored = FramePool.restore(JSON.parse(JSON.stringify(saved)));
        restored.checkInvariants();
        expect(restored.snapshot()).toEqual(saved);
        expect(wanted.map((order) => take(restored, order))).toEqual(
          wanted.map((order) => take(pool, order)),
        );
        for (const piece of out) {
          giveBack(pool, piece);
          giveBack(restored, piece);
        }
        expect(restored.snapshot()).toEqual(pool.snapshot());
        expect(pool.free).toBe(restored.free);
      }),
    );
  });

  it('grows to thousands of frames', () => {
    const pool = new FramePool({ first: 5, frames: 5001 });
    const fresh = pool.snapshot();
    const frames = Array.from({ length: 5001 }, () => pool.allocateFrame());
    expect([frames.at(-1), pool.allocateFrame()]).toEqual([5005, -1]);
    pool.checkInvariants();
    FramePool.restore(pool.snapshot()).checkInvariants();
    for (const pfn of frames.reverse()) pool.releaseFrame(pfn);
    expect(pool.snapshot()).toEqual(fresh);
  });
});

describe('a pool refuses', () => {
  function example(): FramePool {
    const pool = new FramePool({ first: 16, frames: 48 });
    for (let i = 0; i < 3; i++) pool.allocateFrame();
    for (const order of [2, 3, 1]) pool.allocateBlock(order); // 60, 48, 46
    pool.releaseFrame(17);
    pool.releaseBlock(60, 2);
    return pool;
  }

  it.each<[string, (pool: FramePool) => unknown, Parameters<typeof expectError>[1], string]>([
    ['a frame that is free', (p) => p.releaseFrame(17), 'bad-argument', 'pfn'],
    ['a frame never handed out', (p) => p.releaseFrame(19), 'bad-argument', 'pfn'],
    ['a frame of a block', (p) => p.releaseFrame(48), 'bad-argument', 'pfn'],
    ['a frame of another pool', (p) => p.releaseFrame(15), 'out-of-range', 'pfn'],
    ['a frame beyond the end', (p) => p.releaseFrame(64), 'out-of-range', 'pfn'],
    ['half a frame', (p) => p.releaseFrame(16.5), 'bad-argument', 'pfn'],
    ['a single frame as a block', (p) => p.releaseBlock(16, 0), 'bad-argument', 'pfn'],
    ['a block that is free', (p) => p.releaseBlock(60, 2), 'bad-argument', 'pfn'],
    ['the middle of a block', (p) => p.releaseBlock(50, 1), 'bad-argument', 'pfn'],
    ['a block never handed out', (p) => p.releaseBlock(40, 2), 'bad-argument', 'pfn'],
    ['skipped frames', (p) => p.releaseBlock(56, 2), 'bad-argument', 'pfn'],
    ['another order', (p) => p.releaseBlock(48, 2), 'bad-argument', 'order'],
    ['an order of none', (p) => p.releaseBlock(48, -1), 'out-of-range', 'order'],
    ['a block elsewhere', (p) => p.releaseBlock(64, 0), 'out-of-range', 'pfn'],
    ['half an order', (p) => p.allocateBlock(0.5), 'bad-argument', 'order'],
    ['a huge order', (p) => p.allocateBlock(33), 'out-of-range', 'order'],
    ['to know of no frame', (p) => p.isOut(-1), 'out-of-range', 'pfn'],
  ])('%s, and changes nothing', (_, run, code, argument) => {
    const pool = example();
    const before = pool.snapshot();
    expectError(() => run(pool), code, argument);
    expect(pool.snapshot()).toEqual(before);
    pool.checkInvariants();
  });

  it('frames that are none', () => {
    const make = (options: unknown) => () => new FramePool(options as { first: 0; frames: 1 });
    expectError(make(undefined), 'bad-argument', 'options');
    expectError(make({ first: 0, frames: 1, last: 0 }), 'bad-argument', 'last');
    expectError(make({ first: -1, frames: 1 }), 'out-of-range', 'first');
    expectError(make({ first: 0, frames: 0 }), 'out-of-range', 'frames');
    expectError(make({ first: 0, frames: 2 ** 32 + 1 }), 'out-of-range', 'frames');
    expectError(make({ first: 2 ** 52 - 1, frames: 2 }), 'out-of-range', 'frames');
    expectError(make({ first: 0, frames: Number.NaN }), 'bad-argument', 'frames');
  });

  it.each<[string, object]>([
    ['unsupported', { v: 2 }],
    ['bad-image', { type: 'slab' }],
    ['out-of-range', { first: -1 }],
    ['bad-argument', { frames: '48' }],
    ['bad-image', { bumped: 49 }],
    ['bad-image', { bumped: 31 }], // into the blocks
    ['bad-image', { bumped: null }],
    ['bad-image', { bumped: 2, freeFrames: [17] }], // the highest one would not be there
    ['bad-image', { freeFrames: {} }],
    ['bad-image', { freeFrames: [17, 17] }],
    ['bad-image', { freeFrames: [19] }],
    ['bad-image', { freeFrames: [15] }],
    ['bad-image', { freeFrames: ['17'] }],
    ['bad-image', { blocks: null }],
    ['bad-image', { blocks: [null] }],
    ['bad-image', { blocks: [{ pfn: 60, order: 33 }] }],
    ['bad-image', { blocks: [{ pfn: 64, order: 0 }] }],
    ['bad-image', { blocks: [{ pfn: 61, order: 1 }], freeBlocks: [] }], // misaligned
    ['bad-image', { blocks: [{ pfn: 56, order: 2 }], freeBlocks: [] }], // not right below
    ['bad-image', { blocks: [{ pfn: 60, order: 2 }], freeBlocks: [60] }], // the lowest is free
    ['bad-image', { blocks: [], freeBlocks: [60] }],
    ['bad-image', { freeBlocks: [60, 60] }],
    ['bad-image', { freeBlocks: [61] }],
    ['bad-image', { freeBlocks: 60 }],
  ])('%s: a snapshot with %o', (code, change) => {
    const saved: FramePoolSnapshot = { ...example().snapshot(), ...change };
    expect(errorOf(() => FramePool.restore(saved)).code).toBe(code);
  });

  it('an absent snapshot', () => {
    const restore = (saved: unknown) => () => FramePool.restore(saved as FramePoolSnapshot);
    expectError(restore(null), 'unsupported', 'snapshot.v');
    expectError(restore(undefined), 'unsupported', 'snapshot.v');
  });

  it('itself when a bug reached into it', () => {
    const broken = (change: (inside: Inside) => void): (() => void) => {
      const pool = example();
      change(pool as unknown as Inside);
      return () => pool.checkInvariants();
    };
    expectError(
      broken((pool) => pool.bumped++),
      'bad-image',
      'freeFrames',
    ); // a bit is missing
    expectError(
      broken((pool) => pool.freeFrames.push(40)),
      'bad-image',
      'freeFrames',
    );
    expectError(
      broken((pool) => pool.freeFrames.pop()),
      'bad-image',
      'freeFrames',
    );
    expectError(
      broken((pool) => pool.blocks.freed[2]!.pop()),
      'bad-image',
      'freeBlocks',
    );
    expectError(
      broken(({ blocks }) => blocks.freed[1]!.push(blocks.freed[2]!.pop())),
      'bad-image',
      'freeBlocks',
    );
  });
});

/** Private parts, for a test that damages them. */
interface Inside {
  bumped: number;
  readonly freeFrames: number[];
  readonly blocks: { readonly freed: readonly unknown[][] };
}
