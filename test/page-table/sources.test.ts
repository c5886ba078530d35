import { type FrameSource, PhysicalMemory } from 'pagewright/memory';
import { Invalidations, OUT_OF_FRAMES, PageTable } from 'pagewright/page-table';
import { type PteFormat, sv39x4, sv57, x86Long4 } from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { contentsOf, makeSystem, RW } from './system.js';

/** What a source answers next; it throws where that is an error. */
type Answer = number | string | undefined | null | Error;

/** Hands out what it is told, and notes what comes back. */
class Script implements FrameSource {
  readonly back: number[] = [];
  private readonly answers: Answer[];

  constructor(answers: Answer[]) {
    this.answers = answers;
  }

  allocateFrame(): number {
    const answer = this.answers.shift();
    if (answer instanceof Error) throw answer;
    // A source without types may return anything.
    return answer as number;
  }

  releaseFrame(pfn: number): void {
    this.back.push(pfn);
  }

  allocateBlock(): number {
    return this.allocateFrame();
  }

  releaseBlock(pfn: number): void {
    this.back.push(pfn);
  }
}

/** A page table whose root is frame 2, over a source that then answers what it is told. */
function tableOver(answers: Answer[], format: PteFormat = x86Long4) {
  const memory = PhysicalMemory.allocate(64 * 4096, { base: 0 });
  memory.addDevice({ base: 64 * 4096, bytes: 4096, read: () => 0, write: () => 0 });
  const frames = new Script([2, ...answers]);
  const table = new PageTable({ format, memory, frames });
  const owed = new Invalidations({ frames });
  return { memory, frames, table, owed };
}

describe('a source that hands out what can not be a table', () => {
  it.each<readonly [string, Answer[], readonly number[]]>([
    ['the same frame twice', [3, 4, 4], [4, 3]],
    ['a table of the page table itself', [3, 2], [3]],
    ['NaN', [3, Number.NaN], [3]],
    ['a fraction', [3, 4.5], [3]],
    ['a text', [3, '4'], [3]],
    ['null', [3, null], [3]],
    ['nothing', [3, undefined], [3]],
  ])('is refused, and gets nothing back that was not its to give: %s', (_, answers, back) => {
    const { frames, memory, owed, table } = tableOver(answers);
    const before = [contentsOf(memory), table.snapshot(), table.statistics()];
    const map = (): number => table.map(0x10, 5, table.flags({ prot: RW }), owed);
    expect(map).toThrow(expect.objectContaining({ code: 'out-of-range' }));
    expect([contentsOf(memory), table.snapshot(), table.statistics()]).toEqual(before);
    expect(frames.back).toEqual(back);
    table.checkInvariants();
  });

  it.each([
    ['outside memory', 1000],
    ['in a device', 64],
    ['beyond the format’s physical addresses', 2 ** 40],
  ])('gets a frame back that is %s', (_, frame) => {
    const { frames, owed, table } = tableOver([3, frame]);
    const map = (): number => table.map(0x10, 5, table.flags({ prot: RW }), owed);
    expect(map).toThrow(expect.objectContaining({ code: 'out-of-range' }));
    expect(frames.back).toEqual([frame, 3]);
  });

  it.each([-5, -1])('has no frame when it says %s', (nothing) => {
    const { frames, owed, table } = tableOver([3, nothing]);
    expect(table.map(0x10, 5, table.flags({ prot: RW }), owed)).toBe(OUT_OF_FRAMES);
    expect(frames.back).toEqual([3]);
    expect(table.statistics().tables).toEqual([0, 0, 0, 1]);
  });

  it('is refused with its own error when it throws, and everything is as before', () => {
    const mine = new Error('mine');
    const { frames, owed, table } = tableOver([3, mine, 4, 5, 6]);
    const flags = table.flags({ prot: RW });
    expect(() => table.map(0x10, 5, flags, owed)).toThrow(mine);
    expect(frames.back).toEqual([3]);
    expect(table.map(0x10, 5, flags, owed)).toBe(0);
    table.checkInvariants();
  });

  it('does not get the original’s tables into a copy', () => {
    const { frames, memory, owed, table } = tableOver([3, 4, 5, 20, 21, 3]);
    table.map(0x10, 7, table.flags({ prot: RW }), owed);
    const before = contentsOf(memory);
    expect(() => table.clone({}, owed)).toThrow(expect.objectContaining({ code: 'out-of-range' }));
    expect(contentsOf(memory)).toBe(before);
    expect(frames.back).toEqual([21, 20]);
    expect(owed.isEmpty).toBe(true);
  });
});

describe('a root of several frames', () => {
  const memory = PhysicalMemory.allocate(64 * 4096, { base: 0 });

  it('is refused where the source’s block is not aligned, and the block goes back', () => {
    const frames = new Script([33]);
    const make = (): unknown => new PageTable({ format: sv39x4, memory, frames });
    expect(make).toThrow(expect.objectContaining({ code: 'out-of-range' }));
    expect(frames.back).toEqual([33]);
  });

  it('is refused where it is adopted from an odd place', () => {
    const make = (): unknown =>
      new PageTable({ format: sv39x4, memory, frames: new Script([]), root: 9 });
    expect(make).toThrow(expect.objectContaining({ code: 'misaligned' }));
  });

  it('is no table again in its further frames', () => {
    const frames = new Script([4, 6]);
    const table = new PageTable({ format: sv39x4, memory, frames });
    const owed = new Invalidations({ frames });
    const map = (): number => table.map(0x10, 5, table.flags({ prot: RW }), owed);
    expect(map).toThrow(expect.objectContaining({ code: 'out-of-range' }));
    // A guest's root that points into itself.
    memory.write(0x20_000, 8, (0x21n << 10n) | 1n);
    const guest = new PageTable({ format: sv39x4, memory, frames, root: 0x20 });
    expect(guest.foreignRanges).toMatchObject([{ kind: 'unsound', vpn: 0 }]);
    expect(guest.snapshot().tables).toHaveLength(1);
  });
});

describe('Invalidations.complete', () => {
  it('releases the rest when the source refuses a frame, and then says so', () => {
    const { frames, owed, table } = makeSystem(x86Long4);
    table.map(0x10, 5, table.flags({ prot: RW }), owed);
    owed.release(200); // which was never handed out
    table.unmap(0x10, owed);
    expect(() => owed.complete()).toThrow(expect.objectContaining({ code: 'bad-argument' }));
    expect(frames.free).toBe(254);
    expect(owed.isEmpty).toBe(true);
  });
});

describe('a stretch as long as half of the address space', () => {
  it.each([
    ['in large pages', 0, 0],
    ['in base pages, for whose tables there are no frames', 1, OUT_OF_FRAMES],
  ])('is answered with as much work as there are frames: %s', (_, pfn, expected) => {
    let asked = 0;
    let next = 2;
    const memory = PhysicalMemory.allocate(64 * 4096, { base: 0 });
    const back: number[] = [];
    const frames: FrameSource = {
      allocateFrame: () => {
        asked++;
        return next < 64 ? next++ : -1;
      },
      releaseFrame: (frame) => back.push(frame),
    };
    const table = new PageTable({ format: sv57, memory, frames });
    const owed = new Invalidations({ frames });
    const flags = table.flags({ prot: RW });
    expect(table.mapRange({ vpn: 0, pfn, pages: 2 ** 44 - pfn, flags }, owed)).toBe(expected);
    expect(asked).toBe(expected === 0 ? 1 : 63);
    expect(back).toHaveLength(expected === 0 ? 0 : 61);
  });
});
