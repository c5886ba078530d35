import { Access } from 'pagewright/core';
import { X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { x86Spelling } from './formats/x86-spelling.js';
import { NOTHING, RecordedImage, WatchedMemory } from './recorded-image.js';
import { type RecordedAccess, replayAccess } from './replay-access.js';

/** A 32-bit page directory with one 4 MiB page at 0, not yet accessed; and an unused word. */
const PAGE = new Map([
  [0x1000n, 0x87n],
  [0x1ff0n, 0n],
]);

const LOAD: RecordedAccess = {
  va: 0x123n,
  access: Access.Read,
  bytes: 1,
  result: 'pa 123',
  after: new Map([[0x1000n, 0xa7n]]),
};

type Options = ConstructorParameters<typeof X86Walker>[0];

/** What the replay says of a walker. */
function replay(
  Walker: new (options: Options) => X86Walker,
  recorded: RecordedAccess = LOAD,
): string | null {
  const memory = new WatchedMemory();
  memory.addRam({ base: 0, bytes: 0x10000 });
  const image = new RecordedImage(memory, PAGE, 4);
  const walker = new Walker({ memory, cr3: 0x1000, cr4: 0x10, efer: 0 });
  const said = replayAccess(walker, image, x86Spelling(walker), recorded);
  expect(image.changes()).toEqual(NOTHING); // whatever happened, the image is fresh again
  return said;
}

describe('the replay of one access', () => {
  it('agrees with an honest walker', () => {
    expect(replay(X86Walker)).toBeNull();
  });

  it('shows the walk when it disagrees', () => {
    const said = replay(X86Walker, { ...LOAD, result: 'pa 124' });
    expect(said).toContain('walk: pa 123; recorded: pa 124');
    expect(said).toContain('@0x1000 = 0x87');
  });

  it('notices a probe that changes memory', () => {
    class Writing extends X86Walker {
      override probe(vpn: number, access: number, offset?: number, bytes?: number): number {
        return super.walk(vpn, access, offset, bytes);
      }
    }
    expect(replay(Writing)).toContain('probe and explain changed: 1000 = a7; recorded: nothing');
  });

  it('notices a probe that answers otherwise', () => {
    class Deaf extends X86Walker {
      override probe(vpn: number, access: number, offset?: number, bytes?: number): number {
        return super.probe(vpn + 1, access, offset, bytes);
      }
    }
    expect(replay(Deaf)).toContain('probe: pa 1123; recorded: pa 123');
  });

  it('notices an explanation that answers otherwise, or foretells other changes', () => {
    class Lying extends X86Walker {
      override explain(): ReturnType<X86Walker['explain']> {
        return super.explain(0x1124, Access.Write);
      }
    }
    const said = replay(Lying);
    expect(said).toContain('explain: pa 1124; recorded: pa 123');
    expect(said).toContain('explain foretells changes of: 1000 = e7; recorded: 1000 = a7');
  });

  it('notices a write to a word that the image does not have', () => {
    class Scribbling extends X86Walker {
      override walk(vpn: number, access: number, offset?: number, bytes?: number): number {
        this.memory.write8(5, 7, 0x5a);
        return super.walk(vpn, access, offset, bytes);
      }
    }
    const said = replay(Scribbling);
    expect(said).toContain('walk changed: 1000 = a7, 5004 = 5a000000; recorded: 1000 = a7');
  });

  it('notices a write that bypasses the memory, in a word of the image', () => {
    class Bypassing extends X86Walker {
      override walk(vpn: number, access: number, offset?: number, bytes?: number): number {
        this.memory.ramWindow(1)!.words[0x1ff0 / 4] = 1;
        return super.walk(vpn, access, offset, bytes);
      }
    }
    expect(replay(Bypassing)).toContain('walk changed: 1000 = a7, 1ff0 = 1; recorded: 1000 = a7');
  });

  it('notices a second answer that is another one', () => {
    class Forgetful extends X86Walker {
      private walks = 0;

      override walk(vpn: number, access: number, offset?: number, bytes?: number): number {
        return super.walk(vpn + this.walks++, access, offset, bytes);
      }
    }
    expect(replay(Forgetful)).toContain('the same walk again: pa 1123; recorded: pa 123');
  });

  it('leaves the image fresh when the walker throws', () => {
    class Throwing extends X86Walker {
      override explain(): never {
        this.memory.write32(1, 0, 0);
        throw new RangeError('broken');
      }
    }
    expect(() => replay(Throwing)).toThrow('broken');
  });
});
