import { arc, s3Fifo, sieve, srrip, twoQ, wsClock } from 'pagewright/replacement';
import { ReferenceArc } from '../../src/reference/replacement-arc.js';
import {
  Reference2Q,
  ReferenceS3Fifo,
  ReferenceSieve,
} from '../../src/reference/replacement-queues.js';
import { ReferenceSrrip, ReferenceWsClock } from '../../src/reference/replacement-ring.js';
import type { PolicyCase } from './policy-property.js';

const SMALL_AND_LARGE = [1, 2, 3, 4, 5, 8, 12, 20];

/** The policies of the papers, with the options that change what they do. */
export const ADAPTIVE: readonly PolicyCase[] = [
  {
    name: '2Q',
    kind: twoQ(),
    reference: (slots) => new Reference2Q(slots),
    slots: SMALL_AND_LARGE,
  },
  {
    name: '2Q that remembers no page',
    kind: twoQ({ outFraction: 0 }),
    reference: (slots) => new Reference2Q(slots, undefined, 0),
  },
  {
    name: '2Q with a long A1in and a long A1out',
    kind: twoQ({ inFraction: 1, outFraction: 2 }),
    reference: (slots) => new Reference2Q(slots, slots, 2 * slots),
  },
  {
    name: 'ARC',
    kind: arc(),
    reference: (slots) => new ReferenceArc(slots),
    slots: SMALL_AND_LARGE,
  },
  { name: 'SIEVE', kind: sieve(), reference: (slots) => new ReferenceSieve(slots) },
  {
    name: 'S3-FIFO',
    kind: s3Fifo(),
    reference: (slots) => new ReferenceS3Fifo(slots),
    slots: SMALL_AND_LARGE,
  },
  {
    name: 'S3-FIFO with half the slots in S',
    kind: s3Fifo({ smallFraction: 0.5, ghostFraction: 2 }),
    reference: (slots) => new ReferenceS3Fifo(slots, Math.ceil(slots / 2), 2 * slots),
  },
  {
    name: 'S3-FIFO without M and G',
    kind: s3Fifo({ smallFraction: 1, ghostFraction: 0 }),
    reference: (slots) => new ReferenceS3Fifo(slots, slots, 0),
  },
  { name: 'SRRIP', kind: srrip(), reference: (slots) => new ReferenceSrrip(slots) },
  {
    name: 'SRRIP with frequency priority',
    kind: srrip({ bits: 3, promotion: 'frequency' }),
    reference: (slots) => new ReferenceSrrip(slots, 3, undefined, 'frequency'),
  },
  {
    name: 'SRRIP with one bit',
    kind: srrip({ bits: 1 }),
    reference: (slots) => new ReferenceSrrip(slots, 1),
  },
  {
    name: 'SRRIP, pages come as distant ones',
    kind: srrip({ insertion: 3 }),
    reference: (slots) => new ReferenceSrrip(slots, 2, 3),
  },
  ...[0, 3, 20].flatMap((window) =>
    [undefined, 0, 1].map(
      (writeLimit): PolicyCase => ({
        name: `WSClock, window ${window}, ${writeLimit ?? 'all'} writes`,
        kind: wsClock(writeLimit === undefined ? { window } : { window, writeLimit }),
        reference: (slots) => new ReferenceWsClock(slots, window, writeLimit),
      }),
    ),
  ),
];
