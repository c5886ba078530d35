import { fileURLToPath } from 'node:url';
import { Access, Prot } from 'pagewright/core';
import {
  definePteFormat,
  riscvAccessFaultCause,
  riscvPageFaultCause,
  X86_PAGE_FAULT,
} from 'pagewright/pte';
import { FormatWalker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { Fields } from '../conformance/fields.js';
import { ramOf } from '../conformance/formats/riscv-image.js';
import { faultText, PHYSICAL_FRAMES, pageText } from '../conformance/formats/riscv-spelling.js';
import { pageFaultText } from '../conformance/formats/x86-spelling.js';
import { entries, replayImages } from '../conformance/image-line.js';
import { RecordedFile } from '../conformance/recorded-file.js';
import {
  type Entries,
  NOTHING,
  RecordedImage,
  WatchedMemory,
} from '../conformance/recorded-image.js';
import { replayAccess, type Spelling } from '../conformance/replay-access.js';
import { Tally } from '../conformance/tally.js';
import { sv39AsData, x86Long4AsData } from './redefined-formats.js';

// Sv39 and x86 four-level paging, defined again as data, against what hardware's models answered. What a description
// cannot say is left out by the feature's name, from the recording alone.

function recorded(name: string): RecordedFile {
  return new RecordedFile(fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url)));
}

/** Accesses replayed, and accesses left out by feature. */
class Count {
  readonly tally: Tally = new Tally();
  readonly left = new Map<string, number>();

  leaveOut(feature: string): void {
    this.left.set(feature, (this.left.get(feature) ?? 0) + 1);
  }
}

/** The valid entries that an address leads through, from the root down: nine bits of index a level. */
function entriesOnPath(
  mem: Entries,
  root: bigint,
  va: bigint,
  levels: number,
  isLeaf: (entry: bigint, level: number) => boolean,
  frame: (entry: bigint) => bigint,
): readonly bigint[] {
  const path: bigint[] = [];
  let table = root;
  for (let level = levels - 1; level >= 0; level--) {
    const index = (va >> BigInt(12 + 9 * level)) & 511n;
    const entry = mem.get(table + 8n * index) ?? 0n;
    if ((entry & 1n) === 0n) return path;
    path.push(entry);
    if (isLeaf(entry, level)) return path;
    table = frame(entry);
  }
  return path;
}

const PRIVILEGES = { U: Access.User, S: 0, M: null } as const;
const RISCV_KINDS = { load: Access.Read, store: Access.Write, fetch: Access.Fetch } as const;

/** The privilege that an access is translated for, `null` for M-mode's, which nothing translates. */
function privilegeOf(access: Fields, kind: number): number | null {
  const own = access.oneOf('priv', ['U', 'S', 'M']);
  if (own !== 'M') return PRIVILEGES[own];
  const lent = access.flag('mprv') && kind !== Access.Fetch;
  return lent ? PRIVILEGES[access.oneOf('mpp', ['U', 'S', 'M'])] : null;
}

/** The feature of Sv39 that no description can say and an access depends on, or `null`. */
function sv39Feature(image: Fields, mem: Entries, va: bigint): string | null {
  const leaf = (entry: bigint): boolean => (entry & 0xen) !== 0n;
  const frame = (entry: bigint): bigint => ((entry >> 10n) & ((1n << 44n) - 1n)) << 12n;
  const path = entriesOnPath(mem, image.hex('root') << 12n, va, 3, leaf, frame);
  const last = path.at(-1) ?? 0n;
  if (!leaf(last)) return null;
  if (image.flag('svnapot') && path.length === 3 && last >> 63n === 1n) return 'Svnapot groups';
  return image.flag('pbmte') && ((last >> 61n) & 3n) === 3n ? 'the reserved value of PBMT' : null;
}

function riscvSpelling(walker: FormatWalker, va: bigint, access: number, bytes: number): Spelling {
  const fault = (reason: string): string => {
    const cause = reason === 'bus-error' ? riscvAccessFaultCause : riscvPageFaultCause;
    return faultText(cause(access), va, null);
  };
  return {
    page(pfn, offset) {
      if (walker.memory.contains(pfn, offset, bytes)) return pageText(pfn, offset);
      const xpa = pfn < PHYSICAL_FRAMES ? (BigInt(pfn) << 12n) + BigInt(offset) : null;
      return faultText(riscvAccessFaultCause(access), va, xpa);
    },
    fault: () => fault(walker.fault.reason),
    reported: ({ reason }) => fault(reason),
    bits: { A: 0x40n, D: 0x80n },
  };
}

function replaySv39(count: Count): void {
  replayImages(recorded('riscv/stage1.ndjson.gz'), count.tally, (image, label) => {
    if (image.text('mode') !== 'sv39') return;
    const memory = ramOf(image);
    const mem = entries(image.value('mem'), 'mem');
    const recordedImage = new RecordedImage(memory, mem, 8);
    const walker = new FormatWalker({
      memory,
      format: definePteFormat(
        sv39AsData({
          svrsw60t59b: image.flag('svrsw60t59b'),
          pbmte: image.flag('pbmte'),
          svnapot: image.flag('svnapot'),
        }),
      ),
      root: Number(image.hex('root')),
      updates: image.flag('adue') ? 'hardware' : 'software',
    });
    image.list('accesses').forEach((value, index) => {
      const given = new Fields(value, 'the access');
      const kind = RISCV_KINDS[given.oneOf('access', ['load', 'store', 'fetch'])];
      const privilege = privilegeOf(given, kind);
      const va = given.hex('va');
      if (privilege === null) {
        count.leaveOut('accesses that are not translated');
        return;
      }
      const feature = sv39Feature(image, mem, va);
      if (feature !== null) {
        count.leaveOut(feature);
        return;
      }
      walker.setPolicy({
        supervisorOnUserPages: given.flag('sum') ? Prot.Read | Prot.Write : 0,
        executableIsReadable: given.flag('mxr'),
      });
      const access = kind | privilege;
      const bytes = kind === Access.Fetch ? 2 : 4;
      const result = given.object('result');
      const xpa = result.has('xpa') ? result.hex('xpa') : null;
      const expected = result.has('pa')
        ? `pa ${result.hex('pa').toString(16)}`
        : faultText(result.integer('cause', 0, 63), result.hex('tval'), xpa);
      const after = given.has('after') ? entries(given.value('after'), 'after') : NOTHING;
      count.tally.judge(`${label}, access ${index}`, () =>
        replayAccess(walker, recordedImage, riscvSpelling(walker, va, access, bytes), {
          ...{ va, access, bytes, result: expected, after },
        }),
      );
    });
  });
}

const X86_KINDS = { r: Access.Read, w: Access.Write, x: Access.Fetch } as const;

/** Whether PKRU forbids an access to a user page: protection keys no description can say. */
function keyForbids(image: Fields, mem: Entries, access: Fields, va: bigint): boolean {
  const kind = access.text('kind');
  if (!image.flag('pke') || kind === 'x') return false;
  const frame = (entry: bigint): bigint => entry & 0xffffffffff000n;
  const isLeaf = (entry: bigint, level: number): boolean =>
    level === 0 || (level < 3 && (entry & 0x80n) !== 0n);
  const path = entriesOnPath(mem, image.hex('cr3') & ~0xfffn, va, 4, isLeaf, frame);
  const leaf = path.at(-1) ?? 0n;
  const userPage = path.every((entry) => (entry & 4n) !== 0n);
  if (!userPage || !isLeaf(leaf, 4 - path.length)) return false;
  const disabled = access.hex('pkru') >> (2n * ((leaf >> 59n) & 15n));
  return (disabled & (kind === 'w' ? 3n : 1n)) !== 0n;
}

function x86Spelling(image: Fields, walker: FormatWalker, va: bigint, access: number): Spelling {
  const fault = (reason: string): string => {
    if (reason === 'non-canonical') return '#GP';
    const { I, P, RSVD, U, W } = X86_PAGE_FAULT;
    const fetch = (access & 3) === Access.Fetch && (image.flag('smep') || image.flag('nxe'));
    const code =
      (reason === 'not-present' ? 0 : P) |
      (reason === 'reserved-bits' ? RSVD : 0) |
      ((access & 3) === Access.Write ? W : 0) |
      (access & Access.User ? U : 0) |
      (fetch ? I : 0);
    return pageFaultText(code, va);
  };
  return {
    page: pageText,
    fault: () => fault(walker.fault.reason),
    reported: ({ reason }) => fault(reason),
    bits: { A: 0x20n, D: 0x40n },
  };
}

function replayLong4(name: string, count: Count): void {
  replayImages(recorded(name), count.tally, (image, label) => {
    const memory = new WatchedMemory();
    memory.addSparse({ base: 0, bytes: 2 ** image.integer('maxphyaddr', 32, 51) });
    const mem = entries(image.value('mem'), 'mem');
    const recordedImage = new RecordedImage(memory, mem, 8);
    const walker = new FormatWalker({
      memory,
      format: definePteFormat(
        x86Long4AsData({ width: image.integer('maxphyaddr', 32, 51), nxe: image.flag('nxe') }),
      ),
      root: Number((image.hex('cr3') >> 12n) & 0xffffffffffn),
      accessedOnFault: image.flag('accessedOnFault'),
      supervisorIgnoresWrite: !image.flag('cr0wp'),
    });
    image.list('accesses').forEach((value, index) => {
      const given = new Fields(value, 'the access');
      const va = given.hex('va');
      if (keyForbids(image, mem, given, va)) {
        count.leaveOut('protection keys');
        return;
      }
      const data = image.flag('smap') && !given.flag('ac') ? 0 : Prot.Read | Prot.Write;
      const execute = image.flag('smep') ? 0 : Prot.Execute;
      walker.setPolicy({ supervisorOnUserPages: data | execute });
      const kind = X86_KINDS[given.oneOf('kind', ['r', 'w', 'x'])];
      const access = kind | (given.flag('user') ? Access.User : 0);
      const answer = given.object('result');
      const result = answer.has('pa')
        ? `pa ${answer.hex('pa').toString(16)}`
        : answer.has('gp')
          ? '#GP'
          : pageFaultText(answer.integer('pf', 0, 0xffff), va);
      const after = given.has('after') ? entries(given.value('after'), 'after') : NOTHING;
      count.tally.judge(`${label}, access ${index}`, () =>
        replayAccess(walker, recordedImage, x86Spelling(image, walker, va, access), {
          ...{ va, access, bytes: 1, result, after },
        }),
      );
    });
  });
}

describe('a format defined as data answers as the recorded hardware', () => {
  it('Sv39, but for Svnapot groups and the reserved value of PBMT', () => {
    const count = new Count();
    replaySv39(count);
    expect(count.tally.disagreements).toEqual([]);
    expect(count.tally.failed).toBe(0);
    expect(count.tally.cases).toBe(7997);
    expect(Object.fromEntries(count.left)).toEqual({
      'accesses that are not translated': 276,
      'Svnapot groups': 658,
      'the reserved value of PBMT': 61,
    });
  }, 120_000);

  it.each([
    ['x86-64-4.ndjson.gz', 18039, { 'protection keys': 1082 }],
    ['x86-64-4.bochs.ndjson.gz', 6370, {}],
  ])(
    'four-level x86 paging of %s, but for protection keys',
    (name, replayed, leftOut) => {
      const count = new Count();
      replayLong4(`x86/${name}`, count);
      expect(count.tally.disagreements).toEqual([]);
      expect(count.tally.failed).toBe(0);
      expect([count.tally.cases, Object.fromEntries(count.left)]).toEqual([replayed, leftOut]);
    },
    120_000,
  );
});
