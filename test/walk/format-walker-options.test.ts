import { Access, type VmEvent } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { csapp14, definePteFormat, ostep6, ostep15, textbook32 } from 'pagewright/pte';
import {
  FormatWalker,
  type FormatWalkerSnapshot,
  formatWalk,
  RiscvGStage,
  RiscvWalker,
  X86Ept,
  X86Npt,
  X86Walker,
} from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';

const memory = PhysicalMemory.allocate(0x4000, { base: 0 });
const options = { memory, format: ostep15, root: 0 };

describe('the options of a FormatWalker', () => {
  it.each([undefined, null, 7, []])('are an object: %s', (value) => {
    expectError(() => new FormatWalker(value as never), 'bad-argument', 'options');
    const walker = new FormatWalker(options);
    expectError(() => walker.setPolicy(value as never), 'bad-argument', 'changes');
  });

  it('have names that there are', () => {
    const misspelt = { ...options, uptades: 'software' };
    expectError(() => new FormatWalker(misspelt), 'bad-argument', 'uptades');
    const walker = new FormatWalker(options);
    const changes = { updates: 'hardware', accesedOnFault: true } as const;
    expectError(() => walker.setPolicy(changes), 'bad-argument', 'accesedOnFault');
    const root = { updates: 'software', root: 3 } as const;
    expectError(() => walker.setPolicy(root), 'bad-argument', 'root');
    expect(walker.policy.updates).toBe('hardware');
  });

  it('may have an observer', () => {
    const seen: VmEvent[] = [];
    const walker = new FormatWalker({ ...options, observer: (event) => seen.push(event) });
    walker.walk(0, Access.Read);
    expect(seen.map(({ type }) => type)).toEqual(['walk-begin', 'entry-read', 'walk-end']);
    expect(walker.observer).not.toBeNull();
    const restored = FormatWalker.restore(walker.snapshot(), { memory });
    expect(restored.observer).toBeNull();
  });
});

describe('a snapshot of another walker', () => {
  it('is refused, whatever else it says', () => {
    const saved = new FormatWalker(options).snapshot();
    const x86 = new X86Walker({ memory }).snapshot();
    const npt = new X86Npt({ memory }).snapshot();
    const others: readonly (() => unknown)[] = [
      () =>
        FormatWalker.restore({ ...saved, ...x86 } as unknown as FormatWalkerSnapshot, { memory }),
      () => X86Walker.restore({ ...x86, type: 'x86-npt' as 'x86-walker' }, { memory }),
      () => X86Npt.restore({ ...npt, type: 'x86-walker' as 'x86-npt' }, { memory }),
      () =>
        X86Ept.restore(
          { ...new X86Ept({ memory, eptp: 0x101e }).snapshot(), type: 'x' as 'x86-ept' },
          { memory },
        ),
      () => RiscvWalker.restore(new RiscvGStage({ memory }).snapshot() as never, { memory }),
      () => RiscvGStage.restore(new RiscvWalker({ memory }).snapshot() as never, { memory }),
    ];
    for (const restore of others) expectError(restore, 'bad-image', 'snapshot.type');
  });
});

describe('an access that is none', () => {
  const walkers = [
    new FormatWalker(options),
    new X86Walker({ memory }),
    new X86Npt({ memory }),
    new X86Ept({ memory, eptp: 0x101e }),
    new RiscvWalker({ memory }),
    new RiscvGStage({ memory }),
  ];
  it.each([1n, '1', null, undefined, {}, Number.NaN, 0.5, 3, 256, -1])(
    'is refused: %s',
    (access) => {
      for (const walker of walkers) {
        for (const door of ['translate', 'explain'] as const) {
          expectError(() => walker[door](0, access as never), 'bad-argument', 'access');
        }
      }
    },
  );

  it('of a format of your own is a fetch that also stores', () => {
    const walker = new FormatWalker(options);
    const both = Access.Fetch | Access.ReadModifyWrite;
    expectError(() => walker.walk(0, both), 'bad-argument', 'access');
    for (const bit of [Access.Machine, Access.Hlvx, Access.Unprivileged]) {
      expectError(() => walker.walk(0, bit), 'bad-argument', 'access');
    }
    expect(walker.walk(0, Access.Read | Access.ReadModifyWrite)).toBeLessThan(0);
  });
});

describe('a report', () => {
  it('says where the format is described', () => {
    const description = { ...ostep15.roles!.description, source: 'Chapter 20, page 7' };
    const walker = new FormatWalker({ ...options, format: definePteFormat(description) });
    const report = walker.explain(0, Access.Read);
    expect(report.rule.source).toBe('Chapter 20, page 7');
    expect(formatWalk(report)).toContain('[Chapter 20, page 7]');
    const { source, ...unsaid } = description;
    const other = new FormatWalker({ ...options, format: definePteFormat(unsaid) });
    expect(other.explain(0, Access.Read).rule.source).toBe('the definition of ostep15');
    expect(source).not.toBe('');
  });
});

describe('the presets', () => {
  const bitsOf = (format: typeof ostep6): unknown => {
    const { bits, pointers } = format.roles!.description;
    return { bits, ...(pointers === undefined ? {} : { pointers }) };
  };

  it('have their bits where their documentation says', () => {
    expect(bitsOf(csapp14)).toEqual({ bits: { valid: 7, frame: [5, 0] } });
    expect(bitsOf(ostep15)).toEqual({ bits: { valid: 7, frame: [6, 0] } });
    expect(bitsOf(ostep6)).toEqual({ bits: { valid: 7, frame: [2, 0] } });
    const bits = { valid: 0, write: 1, user: 2, accessed: 5, dirty: 6, frame: [31, 12] };
    expect(bitsOf(textbook32)).toEqual({ bits, pointers: { rights: true, accessed: true } });
  });

  it('of 32 bits walk as x86 does without large pages', () => {
    const [own, theirs] = [0, 1].map(() => PhysicalMemory.allocate(0x3000, { base: 0 }));
    const walker = new FormatWalker({ memory: own!, format: textbook32, root: 0 });
    const x86 = new X86Walker({ memory: theirs!, cr0: 0x8001_0001, cr3: 0, cr4: 0, efer: 0 });
    const accesses = [Access.Read, Access.Write, Access.Fetch];
    for (let pde = 0; pde < 8; pde++) {
      for (let pte = 0; pte < 8; pte++) {
        for (const access of accesses.flatMap((kind) => [kind, kind | Access.User])) {
          for (const one of [own!, theirs!]) {
            one.write(0, 4, 0x1000 | pde);
            one.write(0x1014, 4, 0x7000 | pte);
          }
          const wanted = x86.translate(0x5123, access);
          const found = walker.translate(0x5123, access);
          const answer = ({ kind, ...rest }: typeof wanted): unknown =>
            kind === 'page' && 'pa' in rest
              ? [rest.pa, rest.prot]
              : 'reason' in rest && rest.reason;
          expect(answer(found)).toEqual(answer(wanted));
          expect([own!.read32(0, 0), own!.read32(1, 0x14)]).toEqual([
            theirs!.read32(0, 0),
            theirs!.read32(1, 0x14),
          ]);
        }
      }
    }
  });

  it('name the field at fault as one bit or several', () => {
    const { message } = errorOf(() =>
      definePteFormat({ ...ostep6.roles!.description, bits: { valid: 7 } } as never),
    );
    expect(message).toBe(
      'bits.frame: expected a bit, or a highest and a lowest bit (got undefined)',
    );
    const { bits, ...rest } = ostep6.roles!.description;
    const both = errorOf(() => definePteFormat({ ...rest, bits: { ...bits, read: 7 } }));
    expect(both.message).toBe(
      'bits.read: expected no bit that bits.valid has in a leaf (got "bit 7")',
    );
  });
});
