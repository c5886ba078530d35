import { describe, expect, it, vi } from 'vitest';
import {
  AFTER,
  both,
  type Corruption,
  changes,
  expectNoticed,
  flag,
  flipResult,
  has,
  inResult,
  lacks,
  ONE_OF_AFTER,
  setResult,
  someImageNotices,
} from './corruption.js';
import {
  type Edit,
  edit,
  flip,
  images,
  type LooseAccess,
  put,
  remove,
  replayFiles,
} from './workbench.js';

// Some search whole files.
vi.setConfig({ testTimeout: 120_000 });

const NAME = 'riscv/two-stage.ndjson.gz';

/** A fault of the G stage: it has a guest-physical address. */
const guestFault = ({ result }: LooseAccess): boolean => Number(result['cause']) >= 20;

describe('a corrupted RISC-V case of two stages is noticed', () => {
  it.each<Corruption>([
    ['physical address', has('pa'), flipResult('pa', 12)],
    ['physical offset', has('pa'), flipResult('pa', 0)],
    [
      'a fault instead of a page',
      has('pa'),
      setResult({ cause: 21, tval: '0', htval: '0', tinst: '0', gva: 1 }),
    ],
    ['a page instead of a fault', has('cause'), setResult({ pa: '80000000' })],
    ['cause', has('cause'), inResult(edit('cause', (cause) => Number(cause) ^ 2))],
    ['the cause of the other stage', guestFault, inResult(edit('cause', (c) => Number(c) - 8))],
    ['tval', has('tval'), flipResult('tval', 0)],
    ['tval above 32 bits', has('tval'), flipResult('tval', 63)],
    ['htval', guestFault, flipResult('htval', 10)],
    [
      'htval where there is none',
      both(has('cause'), (a) => !guestFault(a)),
      flipResult('htval', 0),
    ],
    ['tinst', ({ result }) => result['tinst'] === '3000', inResult(put('tinst', '3020'))],
    ['tinst of an update', ({ result }) => result['tinst'] === '3020', inResult(put('tinst', '0'))],
    ['gva', has('gva'), inResult(flag('gva'))],
    ...['cause', 'tval', 'htval', 'tinst', 'gva'].map(
      (key): Corruption => [`missing ${key}`, has('cause'), inResult(remove(key))],
    ),
    ['address without memory', has('xpa'), flipResult('xpa', 40)],
    ['address without memory, missing', has('xpa'), inResult(remove('xpa'))],
    [
      'address without memory, invented',
      both(has('cause'), lacks('xpa')),
      inResult(put('xpa', '0')),
    ],
    ['an unknown kind of access', has('pa'), put('access', 'hlvb')],
    ['an unknown privilege', has('pa'), put('priv', 'U')],
    ['a missing hmxr', has('pa'), remove('hmxr')],
    ...AFTER,
    ONE_OF_AFTER,
  ])('%s', (_what, wanted, change) => {
    expectNoticed(NAME, wanted, change);
  });
});

describe('a changed RISC-V image of two stages is noticed', () => {
  it.each<[string, Edit]>([
    ...['svnapot', 'svrsw60t59b', 'pbmte', 'adue', 'vpbmte', 'vadue'].map((key): [string, Edit] => [
      key,
      flag(key),
    ]),
    ...['vsatp', 'hgatp', 'root', 'hroot'].map((key): [string, Edit] => [
      key,
      edit(key, (value) => flip(value, 2)),
    ]),
    ['mode', put('mode', 'sv64')],
    ['gmode', put('gmode', 'sv32x4')],
    ['xlen', put('xlen', 32)],
    ['isa', put('isa', 'rv128')],
    ['ptesize', put('ptesize', 4)],
    ['ram', put('ram', [['80000000', '1000']])],
    ['a missing key', remove('vadue')],
    ['a key that nobody reads', put('satp', '0')],
  ])('%s', (_key, change) => {
    expect(someImageNotices(NAME, change)).toBe(true);
  });

  it('an entry that an access changes', () => {
    const image = images(NAME, 40).find(({ accesses }) => accesses.some(changes))!;
    const address = Object.keys(image.accesses.find(changes)!.after!)[0]!;
    image.mem[address] = flip(image.mem[address]);
    expect(replayFiles({ 'cases.ndjson': JSON.stringify(image) }).failed).toBeGreaterThan(0);
  });
});
