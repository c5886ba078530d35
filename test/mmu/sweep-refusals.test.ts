import { Access, VmError } from 'pagewright/core';
import { Tlb } from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';
import { type SweepSubject, sweep } from '../../src/mmu/sweep.js';
import { grid } from '../../src/mmu/sweep-configuration.js';
import { tlbSubject } from '../../src/mmu/sweep-subjects.js';
import { codeOf } from '../tlb/code-of.js';
import { counter, lruOf } from './subjects.js';

const { Read } = Access;
const TEN = { vpns: Array.from({ length: 10 }, (_, index) => index) };

/** The error that something throws. */
function errorOf(action: () => unknown): VmError {
  try {
    action();
  } catch (error) {
    if (error instanceof VmError) return error;
  }
  throw new Error('no VmError was thrown');
}

describe('what is refused', () => {
  const good = { configurations: [{ entries: 4 }], make: lruOf, stream: TEN };
  const refuse = (options: unknown): string =>
    codeOf(() => Reflect.apply(sweep, undefined, [options]));

  it.each<[string, object, string]>([
    ['a misspelt option', { warmup: 3 }, 'bad-argument'],
    ['no list of configurations', { configurations: { entries: 4 } }, 'bad-argument'],
    ['no configuration at all', { configurations: [] }, 'out-of-range'],
    ['a configuration that is no object', { configurations: [4] }, 'bad-argument'],
    ['a configuration that is a list', { configurations: [[4]] }, 'bad-argument'],
    ['a configuration of a class', { configurations: [new Map()] }, 'bad-argument'],
    ['a function in a configuration', { configurations: [{ policy: () => 1 }] }, 'bad-argument'],
    ['a bigint in it', { configurations: [{ size: 4n }] }, 'bad-argument'],
    ['NaN in it', { configurations: [{ entries: Number.NaN }] }, 'bad-argument'],
    ['undefined in it', { configurations: [{ entries: undefined }] }, 'bad-argument'],
    ['a class deep in it', { configurations: [{ a: [{ b: new Date(0) }] }] }, 'bad-argument'],
    ['no make', { make: undefined }, 'bad-argument'],
    ['no stream', { stream: undefined }, 'bad-argument'],
    ['an empty stream', { stream: { vpns: [] } }, 'out-of-range'],
    ['a warm-up as long as the stream', { warmUp: 10 }, 'out-of-range'],
    ['a negative warm-up', { warmUp: -1 }, 'out-of-range'],
    ['half a warm-up', { warmUp: 0.5 }, 'bad-argument'],
    ['no references in an interval', { interval: 0 }, 'out-of-range'],
    ['half an interval', { interval: 1.5 }, 'bad-argument'],
    ['a seed above 32 bits', { seed: 2 ** 32 }, 'out-of-range'],
    ['a seed that is text', { seed: '1' }, 'bad-argument'],
  ])('%s', (_name, change, code) => {
    expect(refuse({ ...good, ...change })).toBe(code);
  });

  it('no options, or a configuration that holds itself', () => {
    for (const options of [undefined, null, 3, []]) expect(refuse(options)).toBe('bad-argument');
    const circle: Record<string, unknown> = {};
    circle['again'] = [circle];
    expect(refuse({ ...good, configurations: [circle] })).toBe('bad-argument');
  });

  it('anything, before the first subject is made', () => {
    let made = 0;
    const make = (): SweepSubject => {
      made++;
      return counter();
    };
    refuse({ ...good, make, configurations: [{}, { bad: undefined }] });
    refuse({ ...good, make, stream: { vpns: [0, -1] } });
    refuse({ ...good, make, warmUp: 10 });
    expect(made).toBe(0);
  });
});

describe('a configuration that fails', () => {
  const second = (subject: () => SweepSubject): (() => unknown) => {
    const make = ({ n }: { readonly n: number }): SweepSubject => (n === 2 ? subject() : counter());
    return () => sweep({ configurations: [{ n: 1 }, { n: 2 }], make, stream: TEN, interval: 4 });
  };
  const counting = (counts: (done: number) => Readonly<Record<string, number>>) => {
    let done = 0;
    return (): SweepSubject => ({ reference: () => void done++, counts: () => counts(done) });
  };

  it('is named, and what make or a subject threw is the cause', () => {
    const thrown = new TypeError('no such policy');
    const fail = (): never => {
      throw thrown;
    };
    for (const subject of [
      fail,
      () => ({ ...counter(), reference: fail }),
      () => ({ ...counter(), counts: fail }),
    ]) {
      const error = errorOf(second(subject));
      expect(error.code).toBe('bad-argument');
      expect(error.details.argument).toBe('configurations[1]');
      expect(error.details.value).toEqual({ n: 2 });
      expect(error.message).toContain('{"n":2}');
      expect(error.message).toContain('no such policy');
      expect(error.cause).toBe(thrown);
    }
  });

  it('is named with the reference at which it was', () => {
    const subject = counter();
    const error = errorOf(
      second(() => ({
        counts: () => subject.counts(),
        reference(vpn) {
          if (vpn === 6) throw new Error('cannot');
          subject.reference(vpn, Read);
        },
      })),
    );
    expect(error.message).toContain('after 6 references: cannot');
  });

  it('is named when what was thrown is no error', () => {
    const error = errorOf(
      second(() => {
        throw 'text';
      }),
    );
    expect(error.cause).toBe('text');
    expect(error.message).toContain('no Error');
  });

  it('keeps a VmError as the cause, whatever its code', () => {
    const options = grid({ entries: [8], ways: [4, 16] });
    const make = (each: (typeof options)[number]): SweepSubject => tlbSubject(new Tlb(each));
    const error = errorOf(() => sweep({ configurations: options, make, stream: TEN }));
    expect([error.code, error.details.value]).toEqual(['bad-argument', { entries: 8, ways: 16 }]);
    expect(error.cause).toMatchObject({ code: 'out-of-range', details: { argument: 'ways' } });
  });

  it.each<[string, () => SweepSubject, string]>([
    ['goes down', counting((done) => ({ left: 10 - done })), 'left was 10, and now 6'],
    ['is NaN', counting(() => ({ rate: 0 / 0 })), 'rate is NaN'],
    ['becomes infinite', counting((done) => ({ rate: done > 4 ? 1 / 0 : 0 })), 'rate is Infinity'],
    ['comes late', counting((done) => (done > 4 ? { a: 1, b: 0 } : { a: 1 })), 'a, and now a, b'],
    ['goes away', counting((done) => (done > 4 ? { a: 1 } : { a: 1, b: 0 })), 'a, b, and now a'],
    ['changes its name', counting((done) => (done > 4 ? { a: 1 } : { b: 1 })), 'b, and now a'],
  ])('is named when a count %s', (_name, subject, message) => {
    const error = errorOf(second(subject));
    expect(error.details.argument).toBe('configurations[1]');
    expect(error.message).toContain(message);
  });

  it('is named when it makes no subject, a promise of one, or counts what is none', () => {
    for (const subject of [undefined, null, {}, Promise.resolve(counter())]) {
      const make = (): unknown => subject;
      const options = { configurations: [{}], make, stream: TEN };
      expect(codeOf(() => Reflect.apply(sweep, undefined, [options]))).toBe('bad-argument');
    }
    for (const counts of [() => null, () => ({ hits: '3' }), () => ({ hits: 3n })]) {
      const make = (): unknown => ({ reference() {}, counts });
      const options = { configurations: [{}], make, stream: TEN };
      expect(codeOf(() => Reflect.apply(sweep, undefined, [options]))).toBe('bad-argument');
    }
  });

  it('is named when it makes the subject of another one', () => {
    const subject = counter();
    const configurations = [{ n: 1 }, { n: 2 }];
    const error = errorOf(() => sweep({ configurations, make: () => subject, stream: TEN }));
    expect(error.details.argument).toBe('configurations[1]');
    expect(error.message).toContain('a new subject');
  });
});
