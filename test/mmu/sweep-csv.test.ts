import { describe, expect, it } from 'vitest';
import { type SweepResult, sweep } from '../../src/mmu/sweep.js';
import { grid, type SweepConfiguration } from '../../src/mmu/sweep-configuration.js';
import { sweepCsv } from '../../src/mmu/sweep-csv.js';
import { codeOf } from '../tlb/code-of.js';
import { counter } from './subjects.js';

/** A result with one row. */
function resultOf(
  ...configurations: readonly SweepConfiguration[]
): SweepResult<SweepConfiguration> {
  return sweep({ configurations, make: () => counter(), stream: { vpns: [1, 2, 3] } });
}

/** The fields of RFC 4180 text, read one character at a time. */
function parse(text: string): readonly (readonly string[])[] {
  const rows: string[][] = [[]];
  let field = '';
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const here = text[at]!;
    if (quoted && here === '"' && text[at + 1] === '"') {
      field += here;
      at++;
    } else if (here === '"') quoted = !quoted;
    else if (!quoted && (here === ',' || here === '\r')) {
      rows.at(-1)!.push(field);
      field = '';
      if (here === '\r') rows.push([]);
    } else if (quoted || here !== '\n') field += here;
  }
  return rows.slice(0, -1);
}

describe('the CSV of a sweep', () => {
  it('has a header, a line for each row, and CR LF at the end of each', () => {
    const result = sweep({
      configurations: grid({ entries: [16, 64], name: ['a'] }),
      make: () => counter(),
      stream: { vpns: [1, 2, 1, 3, 1, 2], accesses: [0, 0, 0, 0, 0, 0] },
      seed: 7,
      warmUp: 1,
      interval: 3,
    });
    expect(sweepCsv(result).split('\r\n')).toEqual([
      'configuration.entries,configuration.name,seed,streamHash,interval,first,references,counts.references,counts.writes',
      '16,a,7,c9cb6645427c3df5,0,1,3,3,0',
      '16,a,7,c9cb6645427c3df5,1,4,2,2,0',
      '64,a,7,c9cb6645427c3df5,0,1,3,3,0',
      '64,a,7,c9cb6645427c3df5,1,4,2,2,0',
      '',
    ]);
  });

  it('quotes commas, quotes and line ends, in names as well', () => {
    const [header, row] = parse(
      sweepCsv(resultOf({ 'a,b': 'x,y', 'say "hi"': '"', lines: '1\r\n2', cr: '\r', lf: '\n' })),
    );
    expect(header!.slice(0, 5)).toEqual([
      'configuration.a,b',
      'configuration.say "hi"',
      'configuration.lines',
      'configuration.cr',
      'configuration.lf',
    ]);
    expect(row!.slice(0, 5)).toEqual(['x,y', '"', '1\r\n2', '\r', '\n']);
    expect(sweepCsv(resultOf({ plain: 'a b' }))).toContain('\r\na b,0,');
    expect(sweepCsv(resultOf({ quoted: 'a"b' }))).toContain('\r\n"a""b",0,');
  });

  it('writes what is no string as JSON', () => {
    const [, row] = parse(
      sweepCsv(
        resultOf({ list: [1, 'b'], nested: { ways: 4 }, flag: true, none: null, half: 0.5 }),
      ),
    );
    expect(row!.slice(0, 5)).toEqual(['[1,"b"]', '{"ways":4}', 'true', 'null', '0.5']);
  });

  it('leaves cells empty where configurations or counts have other names', () => {
    const result = sweep<SweepConfiguration>({
      configurations: [{ a: 1 }, { b: 2 }],
      make: ({ a }) => {
        return { reference() {}, counts: () => (a === 1 ? { hits: 0, x: 1 } : { hits: 0, y: 2 }) };
      },
      stream: { vpns: [1] },
    });
    const [header, one, two] = parse(sweepCsv(result));
    const shown = [0, 1, 7, 8, 9];
    expect(shown.map((at) => header![at])).toEqual([
      'configuration.a',
      'configuration.b',
      'counts.hits',
      'counts.x',
      'counts.y',
    ]);
    expect(shown.map((at) => one![at])).toEqual(['1', '', '0', '0', '']);
    expect(shown.map((at) => two![at])).toEqual(['', '2', '0', '', '0']);
  });

  it('takes a result that comes back from JSON', () => {
    const result = resultOf({ entries: 16 }, { entries: 64, policy: 'lru' });
    expect(sweepCsv(JSON.parse(JSON.stringify(result)))).toBe(sweepCsv(result));
  });

  it('knows nothing of names that only a prototype has', () => {
    const [, one, two] = parse(sweepCsv(resultOf({ constructor: 'mine' }, {})));
    expect([one![0], two![0]]).toEqual(['mine', '']);
  });

  it.each<[string, object | null | undefined, string]>([
    ['nothing', undefined, 'bad-argument'],
    ['null', null, 'bad-argument'],
    ['rows alone', [], 'bad-argument'],
    ['something else', { v: 1, kind: 'simulation', rows: [] }, 'bad-argument'],
    ['a sweep without rows', { v: 1, kind: 'sweep' }, 'bad-argument'],
    ['another version', { v: 2, kind: 'sweep', rows: [] }, 'unsupported'],
  ])('is not made of %s', (_name, result, code) => {
    expect(codeOf(() => Reflect.apply(sweepCsv, undefined, [result]))).toBe(code);
  });
});
