import { Prot } from 'pagewright/core';
import { FramePool } from 'pagewright/memory';
import { Invalidations, leafFlags, PageTable } from 'pagewright/page-table';
import { aarch64, type PteFormat, sv39, x86Long4 } from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { errorOf } from '../core/errors.js';
import { makeSystem, RWU, type System, stateOf } from './system.js';

/** What an argument is to be. */
type Kind = 'number' | 'bound' | 'boolean' | 'address' | 'options' | 'owed' | 'flags' | 'owner';

/** One argument, or one option: what it is to be, and a value that would do. */
interface Place {
  readonly kind: Kind;
  readonly good: unknown;
  /** Whether it may be left out. */
  readonly optional: boolean;
  /** What is in an object of options. */
  readonly inner: Readonly<Record<string, Place>>;
}

const place = (kind: Kind, good: unknown, inner: Place['inner'] = {}): Place => {
  return { kind, good, optional: false, inner };
};
const number = (good: number): Place => place('number', good);
const boolean = (good: boolean): Place => optional(place('boolean', good));
const optional = (of: Place): Place => ({ ...of, optional: true });
const options = (inner: Place['inner']): Place => place('options', null, inner);

const OWED = place('owed', null);
const FLAGS = place('flags', null);
const VPN = number(0x10);
const RANGE = { vpn: VPN, pages: number(4) };
const ROOT_RANGE = options({ vpn: number(2 ** 27), pages: number(2 ** 27) });
const CURSOR = optional(
  options({
    from: optional(place('bound', 0)),
    end: optional(place('bound', 9)),
    shared: boolean(true),
  }),
);

/** Every method, with what it takes. */
const CALLS: readonly (readonly [method: string, ...places: readonly Place[]])[] = [
  ['map', number(0x40), number(9), FLAGS, OWED, optional(number(1))],
  ['map', number(0x600), number(0x200), FLAGS, OWED, optional(number(512))],
  ['unmap', VPN, OWED],
  ['protect', VPN, number(Prot.Read), OWED],
  ['lookup', VPN],
  ['remap', VPN, number(9), OWED, optional(FLAGS)],
  ['testAccessed', VPN],
  ['testDirty', VPN],
  ['setAccessed', VPN, place('boolean', false), OWED],
  ['setDirty', VPN, place('boolean', false), OWED],
  ['testAndClearAccessed', VPN, OWED],
  ['testAndClearDirty', VPN, OWED],
  ['setSwap', VPN, options({ type: number(1), offset: number(5) }), OWED],
  ['swapAt', VPN],
  ['swapIn', number(0x30), number(9), FLAGS, OWED],
  [
    'mapRange',
    options({ vpn: number(0x40), pages: number(4), pfn: number(9), flags: FLAGS }),
    OWED,
  ],
  ['unmapRange', options({ ...RANGE, release: boolean(true) }), OWED],
  ['protectRange', options({ ...RANGE, prot: number(Prot.Read) }), OWED],
  ['split', number(0x200), OWED],
  ['collapse', number(0x200), number(512), OWED],
  ['freeEmptyTables', options(RANGE), OWED],
  ['share', place('owner', null), ROOT_RANGE, OWED],
  ['unshare', ROOT_RANGE, OWED],
  ['mapRecursive', number(301), OWED],
  ['unmapRecursive', number(300), OWED],
  ['recursiveAddress', number(300), VPN, optional(number(0))],
  ['clone', options({ copyOnWrite: boolean(true), context: optional(number(1)) }), OWED],
  ['destroy', OWED, optional(options({ release: boolean(true) }))],
  ['describe', place('address', 0x10_000n)],
  ['entries', CURSOR],
  ['tablePages', CURSOR],
  ['flags', options({ prot: number(RWU), dirty: boolean(true), global: boolean(false) })],
];

/** Pages in use, one in swap, a large page, a recursive entry; and another page table beside it. */
function busy(format: PteFormat): System & { readonly other: PageTable } {
  const system = makeSystem(format, { pages: 32 });
  const { frames, memory, owed, table } = system;
  const flags = table.flags({ prot: RWU });
  table.mapRange({ vpn: 0x10, pfn: 0x20, pages: 4, flags }, owed);
  table.map(0x200, 0x200, flags, owed, 512);
  table.setSwap(0x30, { type: 1, offset: 7 }, owed);
  table.mapRecursive(300, owed);
  owed.complete();
  return { ...system, other: new PageTable({ format, memory, frames }) };
}

const NO_ADDRESSES = [Number.NaN, Number.POSITIVE_INFINITY, 0.5, -1, 1e300, '16', Symbol(), {}];
const NO_BOUNDS = [...NO_ADDRESSES, 16.5, 16n, [16]];
const NO_NUMBERS = [...NO_BOUNDS, 2 ** 52, 2 ** 53];
const NO_BOOLEANS = [0, 1, 'false', 1n, Symbol(), {}];
const NO_OPTIONS = [5, 5n, 'vpn', Symbol(), [], { misspelt: 1 }];

/** What a caller without types may put there instead; accumulators and flags that only look like some are among them. */
function bad({ kind, optional: may }: Place, { frames, table }: System): readonly unknown[] {
  const missing = may ? [] : [undefined, null];
  if (kind === 'number') return [...NO_NUMBERS, ...missing];
  if (kind === 'bound') return [...NO_BOUNDS, ...missing];
  if (kind === 'boolean') return [...NO_BOOLEANS, ...missing];
  if (kind === 'address') return [...NO_ADDRESSES, ...missing];
  if (kind === 'options') return [...NO_OPTIONS, ...missing];
  if (kind === 'owner') return [...NO_NUMBERS, ...missing, table, makeSystem(table.format).table];
  if (kind === 'flags') {
    const { format, high, low, prot } = table.flags({ prot: RWU });
    return [...NO_NUMBERS, ...missing, { format, high, low, prot }, leafFlags(sv39, { prot })];
  }
  const nothing = (): void => {};
  const forged = { frames, count: 0, add: nothing, addIntermediate: nothing, release: nothing };
  const others = new Invalidations({ frames: new FramePool({ first: 0, frames: 1 }) });
  return [...NO_NUMBERS, ...missing, forged, others];
}

function good({ good: value, inner, kind }: Place, system: ReturnType<typeof busy>): unknown {
  if (kind === 'owed') return system.owed;
  if (kind === 'flags') return system.table.flags({ prot: RWU });
  if (kind === 'owner') return system.other;
  if (kind !== 'options') return value;
  return Object.fromEntries(Object.entries(inner).map(([name, of]) => [name, good(of, system)]));
}

/** Calls a method by its name, with arguments that no type would allow. */
function call(table: PageTable, method: string, args: readonly unknown[]): unknown {
  const run: unknown = Reflect.get(table, method);
  if (typeof run !== 'function') throw new Error(`no method ${method}`);
  return Reflect.apply(run, table, args);
}

const ROWS = CALLS.map(([method, ...all]) => ({ method, all }));
const FORMATS = [x86Long4, aarch64({ granule: 4096 })];

describe.each(FORMATS)('a caller without types ($name)', (format) => {
  it.each(ROWS)('is refused by $method what is none, and nothing changes', ({ all, method }) => {
    const system = busy(format);
    const before = stateOf(system);
    const args = all.map((of) => good(of, system));
    const isRefused = (at: number, value: unknown): void => {
      const wrong = args.map((arg, index) => (index === at ? value : arg));
      errorOf(() => call(system.table, method, wrong));
    };
    for (const [at, of] of all.entries()) {
      for (const value of bad(of, system)) isRefused(at, value);
      for (const [name, option] of Object.entries(of.inner)) {
        const object = Object(args[at]);
        for (const value of bad(option, system)) isRefused(at, { ...object, [name]: value });
      }
    }
    expect(stateOf(system)).toEqual(before);
    system.table.checkInvariants();
    expect(() => call(system.table, method, args)).not.toThrow();
  });

  it('is refused everything but statistics of a page table that was destroyed', () => {
    for (const { all, method } of ROWS) {
      if (['entries', 'tablePages', 'flags', 'recursiveAddress'].includes(method)) continue;
      const system = busy(format);
      const args = all.map((of) => good(of, system));
      system.table.destroy(system.owed);
      const before = stateOf(system);
      const error = errorOf(() => call(system.table, method, args));
      expect([method, error.code, error.details.argument]).toEqual([
        method,
        'bad-argument',
        'this',
      ]);
      expect(stateOf(system)).toEqual(before);
    }
  });
});
