import { describe, expect, it, vi } from 'vitest';
import {
  AFTER,
  both,
  bump,
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
  type Wanted,
} from './corruption.js';
import { type Edit, edit, flip, images, put, remove, replayFiles } from './workbench.js';

// Some search whole files.
vi.setConfig({ testTimeout: 120_000 });

const STAGE1 = 'aarch64/stage1.ndjson.gz';
const STAGE2 = 'aarch64/stage2.ndjson.gz';

const at: Wanted = ({ how }) => how === 'at' || how === 's12';
const plain: Wanted = both(at, has('fsc'), lacks('exc'));
const xor = (key: string): ReturnType<typeof inResult> =>
  inResult(edit(key, (value) => Number(value) ^ 1));

/** What both recordings have. */
const BOTH: readonly Corruption[] = [
  ['physical address', has('pa'), flipResult('pa', 12)],
  ['physical offset', has('pa'), flipResult('pa', 0)],
  ['attributes', has('attr'), xor('attr')],
  ['shareability', has('sh'), xor('sh')],
  ['missing attributes', has('attr'), inResult(remove('attr'))],
  ['missing shareability', has('sh'), inResult(remove('sh'))],
  ['a fault instead of a page', both(at, has('pa')), setResult({ fsc: 5, level: 1 })],
  ['a page instead of a fault', both(at, has('fsc')), setResult({ pa: '0', attr: 0, sh: 2 })],
  ['fault status code', has('fsc'), bump('fsc', 1)],
  ['level', has('level'), bump('level', -1)],
  ['missing level', has('level'), inResult(remove('level'))],
  ['an exception that was none', plain, inResult(put('exc', 2))],
  ['an ESR where there is none', plain, inResult(put('esr', '0'))],
  ['the other kind of access', both(at, has('attr')), put('kind', 'x')],
];

describe('a corrupted AArch64 case is noticed', () => {
  it.each<Corruption>([
    ...BOTH,
    ['the PC of a fetch', has('pc'), flipResult('pc', 60)],
    ['the PC of a fetch, missing', has('pc'), inResult(remove('pc'))],
    ['ESR', both(has('esr'), lacks('exc')), flipResult('esr', 6)],
    ['ESR, missing', both(has('esr'), lacks('exc')), inResult(remove('esr'))],
    ['ESR of an AT instruction', has('exc'), flipResult('esr', 8)],
    ['the exception of an AT instruction', has('exc'), inResult(remove('exc'))],
    ['FAR', has('far'), flipResult('far', 63)],
    ['FAR, missing', has('far'), inResult(remove('far'))],
    ['FAR, invented', both(has('esr'), lacks('far')), inResult(put('far', '0'))],
    ['a fault of stage 2', plain, inResult(put('s2', 1))],
    ['a fault of a table walk', plain, inResult(put('ptw', 1))],
    ...AFTER,
  ])('%s', (_what, wanted, change) => {
    expectNoticed(STAGE1, wanted, change);
  });

  it.each<Corruption>([
    ...BOTH,
    ['the stage', has('s2'), inResult(remove('s2'))],
    ['the stage as 0', has('s2'), inResult(put('s2', 0))],
    ['the purpose', has('ptw'), inResult(remove('ptw'))],
    ['the purpose, invented', both(plain, lacks('ptw')), inResult(put('ptw', 1))],
    ['a PC', has('pa'), inResult(put('pc', '0'))],
    ['the instruction', both(has('s2'), ({ how }) => how === 's12'), put('how', 'at')],
    ...AFTER,
    ONE_OF_AFTER,
  ])('of two stages: %s', (_what, wanted, change) => {
    expectNoticed(STAGE2, wanted, change);
  });
});

describe('a changed AArch64 image is noticed', () => {
  const bit = (key: string, at: number): Edit => edit(key, (value) => flip(value, at));

  it.each<[string, Edit]>([
    ['T0SZ', bit('tcr', 0)],
    ['TG1', bit('tcr', 30)],
    ['HA', bit('tcr', 39)],
    ['DS', bit('tcr', 59)],
    ['WXN', bit('sctlr', 19)],
    ['EPAN', bit('sctlr', 57)],
    ['M', bit('sctlr', 0)],
    ['TTBR0', bit('ttbr0', 16)],
    ['TTBR1', bit('ttbr1', 16)],
    ['MAIR', bit('mair', 3)],
    ['PAN', flag('pan')],
    ['mode', put('mode', '8k')],
    ['the mode of another granule', edit('mode', (mode) => (mode === '4k' ? '16k' : '4k'))],
    ['a missing register', remove('mair')],
    ['a register that it has not', put('hcr', '0')],
  ])('%s', (_what, change) => {
    expect(someImageNotices(STAGE1, change)).toBe(true);
  });

  it.each<[string, Edit]>([
    ['VM', bit('hcr', 0)],
    ['PTW', bit('hcr', 2)],
    ['DC', bit('hcr', 12)],
    ['CD', bit('hcr', 32)],
    ['FWB', bit('hcr', 46)],
    ['T0SZ', bit('vtcr', 0)],
    ['SL0', bit('vtcr', 6)],
    ['TG0', bit('vtcr', 14)],
    ['PS', bit('vtcr', 16)],
    ['HD', bit('vtcr', 22)],
    ['VTTBR', bit('vttbr', 16)],
    ['the mode of another granule', edit('mode', () => 's2-64k')],
    ['the mode of other stages', edit('mode', (mode) => String(mode).replace('s2', 's1s2'))],
    ['a missing register', remove('vtcr')],
  ])('of two stages: %s', (_what, change) => {
    expect(someImageNotices(STAGE2, change)).toBe(true);
  });

  it.each([STAGE1, STAGE2])('a descriptor of %s that an access changes', (name) => {
    const image = images(name, 40).find(({ accesses }) => accesses.some(changes))!;
    const address = Object.keys(image.accesses.find(changes)!.after!)[0]!;
    image.mem[address] = flip(image.mem[address]);
    expect(replayFiles({ 'cases.ndjson': JSON.stringify(image) }).failed).toBeGreaterThan(0);
  });
});

describe('what only informs', () => {
  const informs: Edit = (access) => Object.assign(access, { arm: { pa: '0' }, why: 'a reason' });

  it('is all of a file or none of it', () => {
    const [image] = images(STAGE1, 1);
    const { length } = image!.accesses;
    informs(image!.accesses[0]!);
    const report = replayFiles({ 'cases.ndjson': JSON.stringify(image) });
    expect(report).toMatchObject({ passed: length - 1, failed: 1 });
    for (const access of image!.accesses) informs(access);
    const all = replayFiles({ 'cases.ndjson': JSON.stringify(image) });
    expect(all).toMatchObject({ passed: 0, failed: 0, ok: true });
    expect(all.files[0]!.information).toBe(`a reason ${length}`);
  });

  it('is no image without accesses', () => {
    const [image] = images(STAGE1, 1);
    image!.accesses = [];
    expect(replayFiles({ 'c.ndjson': JSON.stringify(image) })).toMatchObject({ failed: 1 });
  });
});
