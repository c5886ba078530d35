import { definePteFormat, type PteFormatDescription } from 'pagewright/pte';
import { FormatWalker } from 'pagewright/walk';
import { referenceFormatWalk } from '../../src/reference/format-walk.js';
import { type Draw, once, pattern } from '../walk/agreement/draw.js';
import {
  drawFormatCase,
  drawPolicy,
  FORMAT_RAM_BYTES,
  type FormatCase,
} from '../walk/agreement/format-case.js';
import { tryDescriptions } from './descriptions.js';
import { drawQuery } from './question.js';
import type { Judge, Kind, Subject } from './subject.js';

/** The lowest bit of a frame number, and how many there are. */
function frameOf({ bits }: PteFormatDescription): readonly [low: number, width: number] {
  if (typeof bits.frame === 'number') return [bits.frame, 1];
  const [high, low] = bits.frame;
  return [low, high - low + 1];
}

/** Noise in most entries; in three of four the valid bit, and a frame near the root. */
function fillWithGarbage(draw: Draw, { bytes, description, root }: FormatCase): void {
  const { bits, entryBytes, pageBytes } = description;
  const [low, width] = frameOf(description);
  const frames = 2n ** BigInt(width);
  for (let at = 0; at < bytes.length; at += entryBytes) {
    let entry = pattern(draw, 64);
    if (!once(draw, 4)) {
      const near = BigInt(root + draw(FORMAT_RAM_BYTES / pageBytes)) % frames;
      entry &= ~((frames - 1n) << BigInt(low));
      entry |= (near << BigInt(low)) | (1n << BigInt(bits.valid));
    }
    for (let i = 0; i < entryBytes; i++) bytes[at + i] = Number((entry >> BigInt(8 * i)) & 0xffn);
  }
}

function judgeOf({ description, root }: FormatCase): Judge {
  const shift = BigInt(Math.log2(description.pageBytes));
  return {
    ask: ({ access, offset, vpn }, ram, walker) => {
      const { policy } = walker instanceof FormatWalker ? walker : never();
      const va = (BigInt(vpn) << shift) + BigInt(offset);
      const read = (pa: bigint, bytes: number): bigint | null => ram.read(pa, bytes);
      const tables = { read, format: description, root: BigInt(root) << shift };
      const expected = referenceFormatWalk({ ...tables, policy, va, access });
      for (const { pa, value } of expected.writes) ram.write(pa, description.entryBytes, value);
      return expected.kind === 'fault' ? expected.reason : `frame ${expected.pa >> shift}`;
    },
    spell: (_, outcome) => (outcome.kind === 'fault' ? outcome.reason : `frame ${outcome.pfn}`),
  };
}

function never(): never {
  throw new Error('not a walker of this format');
}

/** One format that nobody has thought of, after some that should be refused. */
function drawSubject(draw: Draw): Subject {
  const subject = drawFormatCase(draw, 0);
  const { base, bytes, description, policy, root } = subject;
  tryDescriptions(draw, description);
  fillWithGarbage(draw, subject);
  const format = definePteFormat(description);
  const { accessed, dirty } = format.roles ?? never();
  return {
    base,
    bytes,
    make: (memory) => {
      const walker = new FormatWalker({ memory, format, root, ...policy });
      return { walker, change: (draw) => walker.setPolicy(drawPolicy(draw)) };
    },
    query: (draw, walker) => drawQuery(draw, walker, []),
    settable: [accessed | dirty],
    frameEnd: 2 ** frameOf(description)[1],
    judge: judgeOf(subject),
  };
}

/** Formats of your own. */
export const OWN_FORMAT: Kind = { name: 'a format of your own', draw: drawSubject };
