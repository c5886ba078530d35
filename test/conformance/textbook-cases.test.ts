import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { textbook } from './formats/textbook.js';
import { RecordedFile } from './recorded-file.js';
import { Tally } from './tally.js';

// Cases of known families that the recorded file does not have: other sizes, other widths, other frames.

const folder = mkdtempSync(join(tmpdir(), 'pagewright-'));
const file = join(folder, 'textbook.json');
afterAll(() => rmSync(folder, { recursive: true }));

/** The runner's disagreement about one case, or nothing. */
function disagreement(family: string, input: object, expected: unknown): string {
  const problem = { id: 'new', family, source: {}, verified: 'by hand', input, expected };
  writeFileSync(file, JSON.stringify({ schema: 'vm-textbook/1', cases: [problem] }));
  const tally = new Tally();
  textbook.replay(new RecordedFile(file), tally);
  expect(tally.cases).toBe(1);
  return tally.failed === 0 ? '' : tally.disagreements.join();
}

/** What it is about, the family, the problem, the answer. */
type Case = [string, string, object, unknown];

const VALID = 2 ** 31;
const linear = (rest: object): object => ({
  ...{ physicalSize: 2 ** 25, pteFormat: 'bit31=valid, low bits=PFN', ...rest },
});
const segments = {
  seg0: { base: 0, limit: 20, grows: 'up' },
  seg1: { base: 512, limit: 20, grows: 'down' },
};
const small = { vaBits: 14, pageSize: 64, pteBytes: 4, levels: [4, 4] };
const costs = { linearTableBytes: 1024, multiLevelBytes: 128 };
const hit = { pdeIndex: 0, pteIndex: 1, offset: 0, pfn: 23, pa: 23 * 64 };
describe('new cases of known families are judged', () => {
  it.each<Case>([
    ...['1g', '4K', '2M'].map(
      (addressSpaceSize): Case => [
        `segments of ${addressSpaceSize}`,
        'ostep.segmentation',
        { addressSpaceSize, ...segments, addresses: [5] },
        [{ pa: 5, segment: 0 }],
      ],
    ),
    [
      'pages of 2 MiB',
      'ostep.paging-linear',
      linear({
        addressSpaceSize: 2 ** 23,
        pageSize: 2 ** 21,
        pageTable: [VALID + 3, 0, 0, VALID + 5],
        addresses: [100, 2 ** 21],
      }),
      [
        { pa: 3 * 2 ** 21 + 100, vpn: 0 },
        { fault: 'not-valid', vpn: 1 },
      ],
    ],
    [
      'one page',
      'ostep.paging-linear',
      linear({ addressSpaceSize: 4096, pageSize: 4096, pageTable: [VALID + 3], addresses: [100] }),
      [{ pa: 3 * 4096 + 100, vpn: 0 }],
    ],
    [
      'a high frame',
      'translation',
      { pageSize: 4096, vaBits: 16, pageTable: { 0: 200 }, addresses: [5] },
      { results: [{ pa: 200 * 4096 + 5 }] },
    ],
    [
      'pages of four bytes in a space of 16',
      'translation',
      { pageSize: 4, vaBits: 4, pageTable: [5, 6, 1, 2], addresses: [13] },
      { pa: [9] },
    ],
    [
      'page 1,000,000 of a 32-bit space',
      'translation',
      { pageSize: 4096, vaBits: 32, pageTable: { 1000000: 5 }, addresses: [4096000000, 0] },
      { pa: [5 * 4096, null] },
    ],
    [
      'a space of one page',
      'translation',
      { pageSize: 4096, vaBits: 12, pageTable: [3], addresses: [7] },
      { pa: [3 * 4096 + 7] },
    ],
    [
      'a sparse table without width',
      'translation',
      { pageSize: 4096, pageTable: { 0: 2, 9: 5 }, addresses: [36864, 4096] },
      { results: [{ pa: 5 * 4096 }, { fault: 'not-present', page: 1 }] },
    ],
    [
      'the end of a list without width',
      'translation',
      { pageSize: 4, pageTable: [5, 6], addresses: [13] },
      { results: [{ fault: 'limit', page: 3 }] },
    ],
    [
      'a frame that OSTEP has no bits for',
      'translation',
      { vaBits: 6, pageSize: 16, pageTable: [30, 7, 5, 2], addresses: [1] },
      { pa: [481] },
    ],
    [
      'sv57',
      'va-decomposition',
      { mode: 'sv57', levels: 5, bitsPerLevel: 9, addresses: ['0x1002'] },
      { indicesThenOffset: [[0, 0, 0, 0, 1, 2]] },
    ],
    [
      'sv32',
      'va-decomposition',
      { mode: 'sv32', levels: 2, bitsPerLevel: 10, addresses: ['0x401002'] },
      { indicesThenOffset: [[1, 1, 2]] },
    ],
    [
      'PAE',
      'va-decomposition',
      { mode: 'x86-pae', levels: 3, bitsPerLevel: [2, 9, 9], addresses: ['0xc0201002'] },
      { indicesThenOffset: [[3, 1, 1, 2]] },
    ],
    ...[1, 100, 2000].map(
      (frame): Case => [
        `a table in frame ${frame}`,
        'multilevel',
        {
          ...small,
          pageDirectory: { 0: frame },
          pageTables: { [frame]: { 0: 10, 1: 23 } },
          addresses: [64],
        },
        { results: [hit], ...costs },
      ],
    ),
    [
      'two directory entries with one table',
      'multilevel',
      {
        ...small,
        pageDirectory: { 0: 100, 1: 100 },
        pageTables: { 100: { 1: 23 } },
        addresses: [64],
      },
      { results: [hit], ...costs },
    ],
    ...[4, 8].map(
      (pteBytes): Case => [
        `10/10/12 bits, entries of ${pteBytes} bytes`,
        'multilevel',
        {
          ...{ vaBits: 30 + (pteBytes === 4 ? 2 : 0), pageSize: 4096, pteBytes },
          levels: pteBytes === 4 ? [10, 10] : [9, 9],
          ...{ pageDirectory: { 0: 100 }, pageTables: { 100: { 1: 23 } }, addresses: [4100] },
        },
        {
          results: [{ pdeIndex: 0, pteIndex: 1, offset: 4, pfn: 23, pa: 23 * 4096 + 4 }],
          linearTableBytes: pteBytes === 4 ? 4194304 : 2097152,
          multiLevelBytes: 8192,
        },
      ],
    ),
    [
      'entries of one byte',
      'multilevel',
      {
        vaBits: 8,
        pageSize: 16,
        pteBytes: 1,
        levels: [2, 2],
        pageDirectory: { 0: 100 },
        pageTables: { 100: { 1: 23 } },
        addresses: [16],
      },
      {
        results: [{ pdeIndex: 0, pteIndex: 1, offset: 0, pfn: 23, pa: 368 }],
        linearTableBytes: 16,
        multiLevelBytes: 8,
      },
    ],
  ])('%s', (_, family, input, expected) => {
    expect(disagreement(family, input, expected)).toBe('');
  });
});

describe('what makes no case is refused', () => {
  const sv39 = { root: '0x87f6b000', mode: 'Sv39' };
  const entry = { path: [0], pte: '0x21fd9c01', pa: '0x87f67000', flags: 'V', leaf: false };

  it.each<[string, string, object, unknown, string]>([
    ['no entries', 'sv39', sv39, { entries: [] }, 'no entries'],
    ['an entry twice', 'sv39', sv39, { entries: [entry, entry] }, 'out of order'],
    ['a path without table', 'sv39', sv39, { entries: [{ ...entry, path: [1, 0] }] }, 'no table'],
    ['a path too long', 'sv39', sv39, { entries: [{ ...entry, path: [0, 0, 0, 0] }] }, 'no table'],
    ['a path of no index', 'sv39', sv39, { entries: [{ ...entry, path: [512] }] }, 'out of order'],
    [
      'a frame without room',
      'multilevel',
      {
        ...small,
        pteBytes: 1,
        levels: [4, 4],
        pageDirectory: { 0: 128 },
        pageTables: { 128: {} },
        addresses: [],
      },
      {},
      'no entry has room for frame 128',
    ],
    [
      'a page that there is not',
      'translation',
      { pageSize: 4096, vaBits: 14, pageTable: { 4: 1 }, addresses: [0] },
      { pa: [null] },
      'there is no page 4',
    ],
    [
      'levels of another format',
      'va-decomposition',
      { mode: 'x86-pae', levels: 3, bitsPerLevel: 9, addresses: [] },
      { indicesThenOffset: [] },
      'not those of the format',
    ],
  ])('%s', (_, family, input, expected, why) => {
    expect(disagreement(family, input, expected)).toContain(why);
  });
});
