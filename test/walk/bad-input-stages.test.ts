import { createHash } from 'node:crypto';
import { Access, type Address, pageAndOffset, VmError, type VmErrorCode } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { definePteFormat } from 'pagewright/pte';
import {
  AArch64Stage2,
  AArch64Walker,
  FormatWalker,
  type RadixWalker,
  RiscvGStage,
  RiscvWalker,
} from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import { Frames, NESTED, type NestedKind, nestedMachine, ram, Tree } from './nested-machines.js';

// As in bad-input.test.ts, for second stages, guests above them, AArch64 and formats of your own: whatever a caller does
// wrong is a VmError that names the argument, on every path, and nothing has changed.

/** A walker with a page that may be read. */
interface Subject {
  readonly walker: RadixWalker;
  readonly vpn: number;
  readonly access: number;
}

const NO_INTEGERS = [0.5, -0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
/** What no argument accepts, although the types forbid it already. */
const NO_NUMBERS = ['0', null, {}, [0]].map((value) => value as unknown as number);

const READ = Access.Read | Access.User;

/** A guest of each kind, its second stage by itself, and AArch64's stage 1 by itself. */
function subjectsOf(kind: NestedKind, flat: boolean): readonly (readonly [string, Subject])[] {
  const { vpns, walker } = nestedMachine(kind, flat);
  const { secondStage } = walker;
  if (secondStage === null) throw new Error('there is no second stage');
  const guest = { walker, vpn: vpns[0]!, access: READ };
  const host = { walker: secondStage, vpn: kind.base, access: READ };
  const both = [
    [kind.name, guest],
    [`the second stage of ${kind.name}`, host],
  ] as const;
  if (!(walker instanceof AArch64Walker)) return both;
  const memory = ram(kind.base, flat);
  const tree = new Tree(memory, new Frames(kind.base), kind.guest);
  tree.map(0, kind.base + 256);
  const { mair, tcr } = walker;
  const alone = new AArch64Walker({ memory, tcr, mair, ttbr0: BigInt(tree.root) << 12n });
  return [...both, [`stage 1 of ${kind.name}`, { walker: alone, vpn: 0, access: READ }]];
}

/** Two levels of pages of 32 bytes; page 0 is mapped. */
function formatSubject(): readonly [string, Subject] {
  const memory = PhysicalMemory.allocate(0x1000, { base: 0 });
  memory.write(0x20, 1, 0x82n);
  memory.write(0x40, 1, 0x83n);
  const format = definePteFormat({
    name: 'two levels of 32-byte pages',
    pageBytes: 32,
    entryBytes: 1,
    levels: [{ bits: 5 }, { bits: 5 }],
    bits: { valid: 7, frame: [6, 0] },
  });
  const walker = new FormatWalker({ memory, format, root: 1 });
  return ['a format of your own', { walker, vpn: 0, access: READ }];
}

/** One of each architecture, where every walk is complete; all on the fast path. */
const IN_FULL = ['sv39 over sv39x4', 'x86Long4 over ept4', 'x86Pae over nested paging', '4K, 39'];
const SUBJECTS = [
  ...NESTED.flatMap((kind) => subjectsOf(kind, true)),
  ...NESTED.filter(({ name }) => IN_FULL.some((part) => name.includes(part)))
    .flatMap((kind) => subjectsOf(kind, false))
    .map(([name, subject]) => [`${name}, in full`, subject] as const),
  formatSubject(),
];

/** The accesses that a walker has, as its documentation says. */
function isKnown(walker: RadixWalker, access: number): boolean {
  const { Fetch, Hlvx, ImplicitSupervisor, ReadModifyWrite, Unprivileged, User, Write } = Access;
  const stage1 = walker instanceof AArch64Walker;
  const implicit = !stage1 && !(walker instanceof RiscvWalker) && !(walker instanceof FormatWalker);
  const hlvx = walker instanceof RiscvGStage || walker instanceof RiscvWalker;
  const bits =
    3 |
    User |
    ReadModifyWrite |
    (implicit ? ImplicitSupervisor : 0) |
    (hlvx ? Hlvx : 0) |
    (stage1 ? Unprivileged : 0);
  const has = (bit: number): boolean => (access & bit) !== 0;
  const fetch = (access & 3) === Fetch;
  if ((access & ~bits) !== 0 || (access & 3) === 3 || (fetch && has(ReadModifyWrite))) return false;
  if (has(Hlvx) && (has(Write) || has(Fetch) || has(ReadModifyWrite))) return false;
  return !(has(Unprivileged) && (has(User) || fetch));
}

function digestOf(memory: PhysicalMemory): string {
  const digest = createHash('sha1');
  for (const { base, bytes } of memory.regions()) {
    const contents = new Uint8Array(bytes);
    const { vpn, offset } = pageAndOffset(base);
    memory.readBytes(vpn, offset, contents);
    digest.update(contents);
  }
  return digest.digest('hex');
}

describe.each(SUBJECTS)('%s', (_, { access, vpn, walker }) => {
  const { memory } = walker;
  const frame = walker.probe(vpn, access);
  const before = digestOf(memory);

  type Arguments = readonly [number, number, (number | undefined)?, (number | undefined)?];
  const refuses = (args: Arguments, code: VmErrorCode, argument: string): void => {
    expectError(() => walker.walk(...args), code, argument);
    expectError(() => walker.probe(...args), code, argument);
    expect(walker.probe(vpn, access)).toBe(frame);
  };

  it('maps the page', () => {
    expect(frame).toBeGreaterThanOrEqual(0);
    expect(walker.walk(vpn, access)).toBe(frame);
  });

  it('refuses a bad vpn', () => {
    for (const bad of [...NO_INTEGERS, ...NO_NUMBERS])
      refuses([bad, access], 'bad-argument', 'vpn');
    for (const bad of [-1, 2 ** 53, 1e300]) refuses([bad, access], 'out-of-range', 'vpn');
    if (walker.pageShift === 12) refuses([2 ** 52, access], 'out-of-range', 'vpn');
  });

  it('has the accesses of its architecture, and refuses all others', () => {
    for (let any = 0; any < 256; any++) {
      if (isKnown(walker, any)) {
        expect(Number.isInteger(walker.probe(vpn, any))).toBe(true);
      } else refuses([vpn, any], 'bad-argument', 'access');
    }
    const none = [-1, 256, 2 ** 32, 2 ** 32 + access, ...NO_INTEGERS, null, {}, undefined];
    for (const bad of none) refuses([vpn, bad as number], 'bad-argument', 'access');
  });

  it('refuses a bad offset and a bad size', () => {
    const page = 2 ** walker.pageShift;
    for (const bad of [...NO_INTEGERS, ...NO_NUMBERS]) {
      refuses([vpn, access, bad], 'bad-argument', 'offset');
      refuses([vpn, access, 0, bad], 'bad-argument', 'bytes');
    }
    for (const bad of [-1, page, 2 ** 32]) refuses([vpn, access, bad], 'out-of-range', 'offset');
    for (const bad of [-1, 0, page + 1]) refuses([vpn, access, 0, bad], 'out-of-range', 'bytes');
    refuses([vpn, access, page - 3, 4], 'out-of-range', 'bytes');
    expect(walker.probe(vpn, access, page - 4, 4)).toBe(frame);
    expect(walker.walk(vpn, access, 0, page)).toBe(frame);
  });

  it('refuses a bad address and a bad access of translate and explain', () => {
    const va = BigInt(vpn) << BigInt(walker.pageShift);
    const doors = [
      (at: Address, by: number): unknown => walker.translate(at, by),
      (at: Address, by: number): unknown => walker.explain(at, by),
      (at: Address, by: number): unknown => walker.explain(at, by, { update: true }),
    ];
    const argument = walker.pageShift === 12 ? 'address' : 'va';
    for (const door of doors) {
      for (const bad of [0.5, Number.NaN, '0', null, {}]) {
        expectError(() => door(bad as Address, access), 'bad-argument', argument);
      }
      for (const bad of [-1, -1n, 2n ** 64n, 2 ** 53]) {
        expectError(() => door(bad, access), 'out-of-range', argument);
      }
      for (const bad of [3, -1, 0.5, Number.NaN, 256, Access.Fetch | Access.ReadModifyWrite]) {
        expectError(() => door(va, bad), 'bad-argument', 'access');
      }
    }
  });

  it('has changed nothing', () => {
    expect(digestOf(memory)).toBe(before);
    walker.checkInvariants();
  });
});

describe('an observer that walks', () => {
  it.each(SUBJECTS)('is refused: %s', (_, { access, vpn, walker }) => {
    walker.observer = () => {
      walker.walk(vpn, access);
    };
    expect(() => walker.walk(vpn, access)).toThrow(VmError);
    walker.observer = null;
    expect(walker.walk(vpn, access)).toBeGreaterThanOrEqual(0);
    expectError(() => Reflect.set(walker, 'observer', 7), 'bad-argument', 'observer');
  });
});

describe('an AT instruction', () => {
  const walker = SUBJECTS.map(([, { walker }]) => walker).find(
    (one): one is AArch64Walker => one instanceof AArch64Walker,
  );

  it('that there is not is refused, and so is a bad address', () => {
    for (const bad of ['S1E2R', 's1e1r', '', 'toString', null, 3, {}]) {
      const at = (): unknown => Reflect.apply(AArch64Walker.prototype.at, walker, [bad, 0]);
      expectError(at, 'bad-argument', 'instruction');
    }
    for (const bad of [0.5, Number.NaN, '0', null]) {
      expectError(() => walker?.at('S1E1R', bad as Address), 'bad-argument', 'address');
    }
    for (const bad of [-1, 2n ** 64n]) {
      expectError(() => walker?.at('S1E1R', bad), 'out-of-range', 'address');
    }
    expect(walker?.secondStage).toBeInstanceOf(AArch64Stage2);
  });
});
