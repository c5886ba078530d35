import { describe, expect, it, vi } from 'vitest';
import {
  AFTER,
  type Change,
  type Corruption,
  changes,
  expectNoticed,
  flag,
  flipResult,
  has,
  inResult,
  ONE_OF_AFTER,
  setResult,
  someImageNotices,
} from './corruption.js';
import {
  type Edit,
  edit,
  flip,
  images,
  type LooseImage,
  put,
  remove,
  replayFiles,
} from './workbench.js';

// Some search whole files.
vi.setConfig({ testTimeout: 120_000 });

const flipErrorCode = (bit: number): Change => inResult(edit('pf', (code) => Number(code) ^ bit));

describe('a corrupted RISC-V case is noticed', () => {
  it.each<Corruption>([
    ['physical address', has('pa'), flipResult('pa', 12)],
    ['physical offset', has('pa'), flipResult('pa', 0)],
    ['a fault instead of a page', has('pa'), setResult({ cause: 13, tval: '0' })],
    ['a page instead of a fault', has('cause'), setResult({ pa: '80000000' })],
    ['cause', has('cause'), inResult(put('cause', 2))],
    ['tval', has('tval'), flipResult('tval', 0)],
    ['tval above 32 bits', has('tval'), flipResult('tval', 63)],
    ['address without memory', has('xpa'), flipResult('xpa', 40)],
    ['address without memory, missing', has('xpa'), inResult(remove('xpa'))],
    [
      'address without memory, invented',
      (access) => has('cause')(access) && !has('xpa')(access),
      inResult(put('xpa', '0')),
    ],
    ...AFTER,
  ])('%s', (_what, wanted, change) => {
    expectNoticed('riscv/stage1.ndjson.gz', wanted, change);
  });
});

describe('a corrupted x86 case is noticed', () => {
  it.each<Corruption>([
    ['physical address', has('pa'), flipResult('pa', 12)],
    ['physical offset', has('pa'), flipResult('pa', 0)],
    ['a fault instead of a page', has('pa'), setResult({ pf: 0 })],
    ['a page instead of a fault', has('pf'), setResult({ pa: '0' })],
    ['error code', has('pf'), flipErrorCode(1)],
    ['error code, I bit', has('pf'), flipErrorCode(16)],
    ['a page fault instead of #GP', has('gp'), setResult({ pf: 0 })],
    ['#GP instead of a page fault', has('pf'), setResult({ gp: 1 })],
    ...AFTER,
    ONE_OF_AFTER,
  ])('%s', (_what, wanted, change) => {
    expectNoticed('x86/x86-64-4.ndjson.gz', wanted, change);
  });
});

describe('a changed image is noticed', () => {
  it.each(['svnapot', 'svrsw60t59b', 'pbmte', 'adue'])('RISC-V %s', (key) => {
    expect(someImageNotices('riscv/stage1.ndjson.gz', flag(key))).toBe(true);
  });

  it.each([
    ['satp', edit('satp', (value) => flip(value))],
    ['ram', put('ram', [['80000000', '1000']])],
    ['mode', put('mode', 'sv64')],
    ['xlen', edit('xlen', (value) => 96 - Number(value))],
    ['isa', put('isa', 'rv128')],
    ['ptesize', edit('ptesize', (value) => 12 - Number(value))],
    ['root', edit('root', (value) => flip(value))],
  ])('RISC-V %s', (_key, change) => {
    expect(someImageNotices('riscv/stage1.ndjson.gz', change)).toBe(true);
  });

  it.each(['cr0wp', 'smep', 'smap', 'pke', 'nxe', 'accessedOnFault'])('x86 %s', (key) => {
    expect(someImageNotices('x86/x86-64-4.ndjson.gz', flag(key))).toBe(true);
  });

  it('x86 pse', () => {
    expect(someImageNotices('x86/x86-32.ndjson.gz', flag('pse'))).toBe(true);
  });

  it.each([
    ['cr3', edit('cr3', (value) => flip(value, 13))],
    ['maxphyaddr', put('maxphyaddr', 41)],
    ['mode', put('mode', 'x86-64-5')],
  ])('x86 %s', (_key, change) => {
    expect(someImageNotices('x86/x86-64-4.ndjson.gz', change)).toBe(true);
  });

  it.each(['riscv/stage1.ndjson.gz', 'x86/x86-64-4.ndjson.gz', 'x86/pae.ndjson.gz'])(
    'a word of memory of %s that an access changes',
    (name) => {
      const image = images(name, 40).find(({ accesses }) => accesses.some(changes))!;
      const address = Object.keys(image.accesses.find(changes)!.after!)[0]!;
      image.mem[address] = flip(image.mem[address]);
      expect(replayFiles({ 'cases.ndjson': JSON.stringify(image) }).failed).toBeGreaterThan(0);
    },
  );
});

describe('a case that makes no sense fails, and the others go on', () => {
  const riscv = (): LooseImage => images('riscv/stage1.ndjson.gz', 1)[0]!;
  const x86 = (): LooseImage => images('x86/x86-64-4.ndjson.gz', 1)[0]!;
  const arm = (): LooseImage => images('aarch64/stage1.ndjson.gz', 1)[0]!;

  it.each<[string, () => LooseImage, Change]>([
    ['no result', arm, remove('result')],
    ['an empty result', arm, setResult({})],
    ['a result of two kinds', arm, setResult({ pa: '0', attr: 0, sh: 2, fsc: 5, level: 1 })],
    ['an unknown kind of access', arm, put('kind', 'rw')],
    ['an unknown exception level', arm, put('el', 2)],
    ['an unknown way', arm, put('how', 's12')],
    ['AT of a fetch', arm, put('kind', 'x')],
    ['an exception to another level', arm, setResult({ fsc: 20, level: 0, exc: 1, esr: '0' })],
    ['a key that nobody reads', arm, put('asid', 1)],
    ['no result', riscv, remove('result')],
    ['an empty result', riscv, setResult({})],
    ['a result of two kinds', riscv, setResult({ pa: '0', cause: 13 })],
    ['a result with a key that nobody reads', riscv, setResult({ cause: 13, tval: '0', gva: 1 })],
    ['an unknown kind of access', riscv, put('access', 'hlvx')],
    ['an unknown privilege', riscv, put('priv', 'VS')],
    ['M-mode without mprv', riscv, put('priv', 'M')],
    ['mprv outside M-mode', riscv, put('mprv', 1)],
    ['a flag that is no bit', riscv, put('sum', 2)],
    ['a number for an address', riscv, put('va', 4096)],
    ['an address beyond 64 bits', riscv, put('va', 'f'.repeat(17))],
    ['a key that nobody reads', riscv, put('size', 8)],
    ['after that is no object', riscv, put('after', [])],
    ['after that is null', riscv, put('after', null)],
    ['no result', x86, remove('result')],
    ['an empty result', x86, setResult({})],
    ['a result of two kinds', x86, setResult({ pa: '0', pf: 1 })],
    ['an unknown kind of access', x86, put('kind', 'rw')],
    ['a missing privilege', x86, remove('user')],
    ['pkru beyond 32 bits', x86, put('pkru', '100000000')],
    ['a key that nobody reads', x86, put('implicit', 1)],
  ])('%s', (_what, make, change) => {
    const image = make();
    const victim = image.accesses.find((access) => access.priv !== 'M')!;
    change(victim, image);
    const report = replayFiles({ 'cases.ndjson': JSON.stringify(image) });
    expect(report).toMatchObject({ passed: image.accesses.length - 1, failed: 1 });
    expect(report.files[0]!.disagreements[0]).toContain(`access ${image.accesses.indexOf(victim)}`);
  });

  it('an access that is no object', () => {
    const image = riscv();
    const accesses = [null, 7, ...image.accesses];
    const line = JSON.stringify({ ...image, accesses });
    expect(replayFiles({ 'c.ndjson': line })).toMatchObject({ passed: 32, failed: 2 });
  });

  const inMemory =
    (change: Edit): ((image: LooseImage) => void) =>
    ({ mem }) =>
      change(mem);

  it.each<[string, (image: LooseImage) => void]>([
    ['memory that is no object', put('mem', 'none')],
    ['a misaligned entry', inMemory(put('80000001', '1'))],
    ['an entry outside memory', inMemory(put('8', '1'))],
    ['an address that is no number', inMemory(put('0x80000000', '1'))],
    ['an address twice', ({ mem }) => Object.assign(mem, { '80000ff8': '1', '080000ff8': '1' })],
    ['a key that nobody reads', put('vadue', 1)],
    ['a missing key', remove('adue')],
    [
      'memory that overlaps',
      put('ram', [
        ['0', '2000'],
        ['1000', '2000'],
      ]),
    ],
    ['memory of three numbers', put('ram', [['0', '1', '2']])],
  ])('an image: %s', (_what, change) => {
    const [good, bad] = images('riscv/stage1.ndjson.gz', 2);
    change(bad!);
    const lines = [good, bad, 'line'].map((line) => JSON.stringify(line)).join('\n');
    const report = replayFiles({ 'cases.ndjson': lines });
    expect(report).toMatchObject({ passed: 32, failed: 33 });
    expect(report.files[0]!.disagreements).toHaveLength(2);
  });

  it('lines that are no JSON, or no images', () => {
    const good = JSON.stringify(x86());
    const lines = [
      '{"cr3": "12',
      good,
      'garbage',
      '',
      '[]',
      '{"accesses": {}}',
      '{"accesses": []}',
    ];
    const report = replayFiles({ 'cases.ndjson': lines.join('\n') });
    expect(report).toMatchObject({ passed: x86().accesses.length, failed: 5 });
  });

  it('an x86 image that breaks leaves no trace in the next one', () => {
    const [broken, good] = [x86(), x86()];
    broken.mem['1'] = '1';
    const lines = [broken, good].map((line) => JSON.stringify(line)).join('\n');
    const count = good.accesses.length;
    expect(replayFiles({ 'c.ndjson': lines })).toMatchObject({ passed: count, failed: count });
  });
});
