import { arc, s3Fifo, sieve, srrip, twoQ, wsClock } from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';
import { Cache } from './cache.js';

// Twenty references for each policy, worked by hand with the paper's rules. A row is the reference (`w`: it writes), what it
// led to (`hit`; `free`: a free slot; otherwise the page that goes), the state after it, and the rule that decided.

type Row = readonly [
  reference: number | `${number}w`,
  outcome: 'hit' | 'free' | number,
  state: string,
];

/** Runs the references and shows a table of what came of them. */
function run(cache: Cache, rows: readonly Row[], show: (cache: Cache) => string): Row[] {
  return rows.map(([reference]) => {
    const page = Number.parseInt(String(reference), 10);
    const { hit, victim } = cache.access(page, String(reference).endsWith('w'));
    return [reference, hit ? 'hit' : (victim ?? 'free'), show(cache)];
  });
}

/** A part of the state. */
function part(cache: Cache, name: string): readonly number[] {
  return cache.policy.snapshot().state[name] ?? [];
}

/** The pages in the slots of a list. */
function pagesOf(cache: Cache, name: string): number[] {
  return part(cache, name).map((slot) => cache.slots[slot] ?? -1);
}

describe('worked by hand', () => {
  // 4 slots: Kin = 1, Kout = 2. Lists have the head on the left.
  it('2Q', () => {
    const rows: readonly Row[] = [
      [1, 'free', 'A1in 1; Am; A1out'],
      [2, 'free', 'A1in 2 1; Am; A1out'],
      [3, 'free', 'A1in 3 2 1; Am; A1out'],
      [4, 'free', 'A1in 4 3 2 1; Am; A1out'],
      [2, 'hit', 'A1in 4 3 2 1; Am; A1out'], // in A1in: nothing is done
      [5, 1, 'A1in 5 4 3 2; Am; A1out 1'], // 4 > Kin: A1in's tail goes, and is remembered
      [6, 2, 'A1in 6 5 4 3; Am; A1out 2 1'],
      [1, 3, 'A1in 6 5 4; Am 1; A1out 3 2'], // in A1out, from which 3 drives it: it was there when it mattered
      [2, 4, 'A1in 6 5; Am 2 1; A1out 4 3'], // the same
      [1, 'hit', 'A1in 6 5; Am 1 2; A1out 4 3'], // in Am: to its head
      [4, 5, 'A1in 6; Am 4 1 2; A1out 5'], // 5 drives 3 out, and 4 is there now
      [7, 2, 'A1in 7 6; Am 4 1; A1out 5'], // 1 is not > Kin: Am's tail goes, and is not remembered
      [2, 6, 'A1in 2 7; Am 4 1; A1out 6 5'], // so this is a new page
      [7, 'hit', 'A1in 2 7; Am 4 1; A1out 6 5'],
      [8, 7, 'A1in 8 2; Am 4 1; A1out 7 6'], // in spite of that use
      [1, 'hit', 'A1in 8 2; Am 1 4; A1out 7 6'],
      [6, 2, 'A1in 8; Am 6 1 4; A1out 2 7'],
      [9, 4, 'A1in 9 8; Am 6 1; A1out 2 7'],
      [4, 8, 'A1in 4 9; Am 6 1; A1out 8 2'],
      [6, 'hit', 'A1in 4 9; Am 6 1; A1out 8 2'],
    ];
    const show = (cache: Cache): string => {
      const lists = [pagesOf(cache, 'a1in'), pagesOf(cache, 'am'), part(cache, 'a1out')];
      return lists.map((list, i) => [['A1in', 'Am', 'A1out'][i], ...list].join(' ')).join('; ');
    };
    expect(run(new Cache(twoQ(), 4), rows, show)).toEqual(rows);
  });

  // c = 3. Lists have the most recently used page on the left.
  it('ARC', () => {
    const rows: readonly Row[] = [
      [1, 'free', 'p 0; T1 1; T2; B1; B2'], // IV B, |L1| + |L2| < c
      [2, 'free', 'p 0; T1 2 1; T2; B1; B2'],
      [1, 'hit', 'p 0; T1 2; T2 1; B1; B2'], // I
      [3, 'free', 'p 0; T1 3 2; T2 1; B1; B2'],
      [4, 2, 'p 0; T1 4 3; T2 1; B1 2; B2'], // IV B, REPLACE: |T1| = 2 > p
      [2, 3, 'p 1; T1 4; T2 2 1; B1 3; B2'], // II: d1 = 1; |T1| = 2 > 1
      [5, 1, 'p 1; T1 5 4; T2 2; B1 3; B2 1'], // IV B: |T1| = 1 is not > p, so T2 gives
      [1, 4, 'p 0; T1 5; T2 1 2; B1 4 3; B2'], // III: d2 = 1; |T1| = 2 > 0
      [6, 5, 'p 0; T1 6; T2 1 2; B1 5 4; B2'], // IV A, |T1| < c: 3 leaves B1; |T1| = 1 > 0
      [4, 2, 'p 1; T1 6; T2 4 1; B1 5; B2 2'], // II; |T1| = 1 is not > 1
      [5, 1, 'p 2; T1 6; T2 5 4; B1; B2 1 2'], // II
      [2, 6, 'p 1; T1; T2 2 5 4; B1 6; B2 1'], // III; |T1| = p, and 2 is in B2: T1 gives
      [7, 4, 'p 1; T1 7; T2 2 5; B1 6; B2 4 1'], // IV B; T1 is empty
      [6, 5, 'p 3; T1 7; T2 6 2; B1; B2 5 4 1'], // II: d1 = |B2| / |B1| = 2
      [8, 2, 'p 3; T1 8 7; T2 6; B1; B2 2 5 4'], // IV B, |L1| + |L2| = 2c: 1 leaves B2
      [8, 'hit', 'p 3; T1 7; T2 8 6; B1; B2 2 5 4'], // I
      [9, 6, 'p 3; T1 9 7; T2 8; B1; B2 6 2 5'],
      [10, 8, 'p 3; T1 10 9 7; T2; B1; B2 8 6 2'],
      [11, 7, 'p 3; T1 11 10 9; T2; B1; B2 8 6 2'], // IV A, |T1| = c: 7 leaves no ghost
      [6, 9, 'p 2; T1 11 10; T2 6; B1 9; B2 8 2'], // III; |T1| = 3 > 2
    ];
    const show = (cache: Cache): string => {
      const lists = ['t1', 't2'].map((name) => pagesOf(cache, name));
      const ghosts = ['b1', 'b2'].map((name) => part(cache, name));
      const all = [part(cache, 'p'), ...lists, ...ghosts];
      return all.map((list, i) => [['p', 'T1', 'T2', 'B1', 'B2'][i], ...list].join(' ')).join('; ');
    };
    expect(run(new Cache(arc(), 3), rows, show)).toEqual(rows);
  });

  // 4 slots. The queue has its head on the left; * is visited, < is the hand; without one it is NULL.
  it('SIEVE', () => {
    const rows: readonly Row[] = [
      [1, 'free', '1'],
      [2, 'free', '2 1'],
      [3, 'free', '3 2 1'],
      [4, 'free', '4 3 2 1'],
      [1, 'hit', '4 3 2 1*'],
      [3, 'hit', '4 3* 2 1*'],
      [5, 2, '5 4 3*< 1'], // from the tail: 1 stays where it is and loses its bit, 2 goes
      [6, 4, '6 5< 3 1'], // from the hand: 3 stays, 4 goes
      [5, 'hit', '6 5*< 3 1'],
      [6, 'hit', '6* 5*< 3 1'],
      [7, 1, '7 6 5 3<'], // 5 and 6 stay, the head is passed, 1 at the tail goes
      [3, 'hit', '7 6 5 3*<'],
      [8, 5, '8 7 6< 3'],
      [1, 6, '1 8 7< 3'],
      [2, 7, '2 1 8< 3'], // pages that are not used go soon, 3 is far behind the hand
      [8, 'hit', '2 1 8*< 3'],
      [1, 'hit', '2 1* 8*< 3'],
      [9, 2, '9 1 8 3'], // the head goes, and before it is nothing
      [3, 'hit', '9 1 8 3*'],
      [10, 8, '10 9 1< 3'], // from the tail again
    ];
    const show = (cache: Cache): string => {
      const visited = part(cache, 'visited');
      const [hand] = part(cache, 'hand');
      const name = (slot: number): string =>
        `${cache.slots[slot]}${visited[slot] === 1 ? '*' : ''}${slot === hand ? '<' : ''}`;
      return part(cache, 'queue').map(name).join(' ');
    };
    expect(run(new Cache(sieve(), 4), rows, show)).toEqual(rows);
  });

  // 4 slots: 1 for S, 3 for M, and 3 pages in G. Queues have the head on the left; page:freq.
  it('S3-FIFO', () => {
    const rows: readonly Row[] = [
      [1, 'free', 'S 1:0; M; G'],
      [2, 'free', 'S 2:0 1:0; M; G'],
      [1, 'hit', 'S 2:0 1:1; M; G'],
      [1, 'hit', 'S 2:0 1:2; M; G'],
      [3, 'free', 'S 3:0 2:0 1:2; M; G'],
      [4, 'free', 'S 4:0 3:0 2:0 1:2; M; G'],
      [5, 2, 'S 5:0 4:0 3:0; M 1:0; G 2'], // EVICTS: 1 moves to M, 2 goes to G
      [2, 3, 'S 5:0 4:0; M 2:0 1:0; G 3'], // in G, so it comes into M
      [4, 'hit', 'S 5:0 4:1; M 2:0 1:0; G 3'],
      [6, 4, 'S 6:0 5:0; M 2:0 1:0; G 4 3'], // one use is not enough
      [1, 'hit', 'S 6:0 5:0; M 2:0 1:1; G 4 3'],
      [5, 'hit', 'S 6:0 5:1; M 2:0 1:1; G 4 3'],
      [5, 'hit', 'S 6:0 5:2; M 2:0 1:1; G 4 3'],
      [7, 2, 'S 7:0 6:0; M 1:0 5:0; G 4 3'], // 5 moves to M, which is full: 1 goes round, 2 goes, not to G
      [3, 6, 'S 7:0; M 3:0 1:0 5:0; G 6 4'],
      [8, 7, 'S 8:0; M 3:0 1:0 5:0; G 7 6 4'],
      [9, 8, 'S 9:0; M 3:0 1:0 5:0; G 8 7 6'], // 4 is forgotten
      [6, 9, 'S 6:0; M 3:0 1:0 5:0; G 9 8 7'], // 9 drives 6 out of G before G is looked at
      [8, 6, 'S; M 8:0 3:0 1:0 5:0; G 6 9'],
      [2, 5, 'S 2:0; M 8:0 3:0 1:0; G 6 9'], // S is below its part: EVICTM
    ];
    const show = (cache: Cache): string => {
      const frequencies = part(cache, 'frequencies');
      const counted = (name: string): string[] =>
        part(cache, name).map((slot) => `${cache.slots[slot]}:${frequencies[slot]}`);
      const ghosts = part(cache, 'ghosts').map(String);
      const queues = [
        ['S', ...counted('small')],
        ['M', ...counted('main')],
        ['G', ...ghosts],
      ];
      return queues.map((queue) => queue.join(' ')).join('; ');
    };
    expect(run(new Cache(s3Fifo(), 4), rows, show)).toEqual(rows);
  });

  // 4 slots, M = 2 bits: pages come with 2, and 3 is distant. page:RRPV from the left.
  it('SRRIP', () => {
    const rows: readonly Row[] = [
      [1, 'free', '1:2'],
      [2, 'free', '1:2 2:2'],
      [3, 'free', '1:2 2:2 3:2'],
      [1, 'hit', '1:0 2:2 3:2'],
      [4, 'free', '1:0 2:2 3:2 4:2'],
      [5, 2, '1:1 5:2 3:3 4:3'], // no 3: all + 1, then the leftmost one
      [6, 3, '1:1 5:2 6:2 4:3'],
      [4, 'hit', '1:1 5:2 6:2 4:0'], // just in time
      [7, 5, '1:2 7:2 6:3 4:1'], // + 1
      [1, 'hit', '1:0 7:2 6:3 4:1'],
      [2, 6, '1:0 7:2 2:2 4:1'],
      [7, 'hit', '1:0 7:0 2:2 4:1'],
      [2, 'hit', '1:0 7:0 2:0 4:1'],
      [3, 4, '1:2 7:2 2:2 3:2'], // + 1, and again
      [8, 1, '8:2 7:3 2:3 3:3'], // + 1, and all are distant
      [7, 'hit', '8:2 7:0 2:3 3:3'],
      [9, 2, '8:2 7:0 9:2 3:3'],
      [3, 'hit', '8:2 7:0 9:2 3:0'],
      [8, 'hit', '8:0 7:0 9:2 3:0'],
      [1, 9, '8:1 7:1 1:2 3:1'], // + 1
    ];
    const show = (cache: Cache): string =>
      cache.pages.map((page, slot) => `${page}:${part(cache, 'values')[slot]}`).join(' ');
    expect(run(new Cache(srrip(), 4), rows, show)).toEqual(rows);
  });

  // 3 slots, window 3: page, R, M, time of last use; < is the hand. Virtual time after a row is its number; during
  // a search it is one less. A page that was sent to be written back is clean from then on.
  it('WSClock', () => {
    const rows: readonly Row[] = [
      ['1w', 'free', '1 RM 1 <'],
      [2, 'free', '1 RM 1 <; 2 R 2'],
      ['3w', 'free', '1 RM 1 <; 2 R 2; 3 RM 3'],
      [4, 2, '1 M 3; 4 R 4; 3 M 3 <'], // a full revolution clears R; no write: any clean page, 2
      [4, 'hit', '1 M 3; 4 R 4; 3 M 3 <'],
      [4, 'hit', '1 M 3; 4 R 4; 3 M 3 <'],
      [4, 'hit', '1 M 3; 4 R 4; 3 M 3 <'],
      [5, 3, '1  3 <; 4  7; 5 R 8'], // 3 and 1 are 4 old and dirty: both are sent; 3 is clean when the hand is back
      ['1w', 'hit', '1 RM 3 <; 4  7; 5 R 8'],
      [6, 4, '1 M 9; 6 R 10; 5  9 <'], // the write of 1 is done, but 1 is dirty again; 4 is 2 old; any clean page, 4
      ['5w', 'hit', '1 M 9; 6 R 10; 5 RM 9 <'],
      ['6w', 'hit', '1 M 9; 6 RM 10; 5 RM 9 <'],
      ['7w', 5, '1 M 9 <; 6 M 12; 7 RM 13'], // 1 is 3 old, which is not more than 3; no clean page: the one at the hand
      [6, 'hit', '1 M 9 <; 6 RM 12; 7 RM 13'],
      [8, 1, '8 R 15; 6 M 14 <; 7 M 14'], // 1 is sent, and the first clean page after a revolution
      [8, 'hit', '8 R 15; 6 M 14 <; 7 M 14'],
      [8, 'hit', '8 R 15; 6 M 14 <; 7 M 14'],
      [8, 'hit', '8 R 15; 6 M 14 <; 7 M 14'],
      [9, 6, '8  18; 9 R 19; 7  14 <'], // 6 and 7 are sent; 6 is clean when the hand is back
      [10, 7, '8  18 <; 9 R 19; 10 R 20'], // the write of 7 is done: old and clean
    ];
    const written: number[] = [];
    const kind = wsClock({ window: 3, onWriteback: (_slot, page) => written.push(page) });
    const show = (cache: Cache): string => {
      const flags = ['referenced', 'modified'].map((name) => part(cache, name));
      const times = part(cache, 'lastUses');
      const bits = (slot: number): string =>
        flags.map((list, bit) => (list[slot] === 1 ? 'RM'.charAt(bit) : '')).join('');
      const [hand] = part(cache, 'hand');
      const pages = cache.pages.map((page, slot) => `${page} ${bits(slot)} ${times[slot]}`);
      return pages.map((text, slot) => (slot === hand ? `${text} <` : text)).join('; ');
    };
    expect(run(new Cache(kind, 3), rows, show)).toEqual(rows);
    expect(written).toEqual([3, 1, 5, 1, 6, 7]);
  });
});
