import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { Access } from 'pagewright/core';
import { describe, expect, it } from 'vitest';
import { referenceRiscvTwoStage } from '../../src/reference/riscv-two-stage.js';

const KINDS = {
  load: Access.Read,
  store: Access.Write,
  fetch: Access.Fetch,
  hlv: Access.Read,
  hsv: Access.Write,
  hlvx: Access.Read | Access.Hlvx,
} as const;

interface RecordedAccess {
  readonly va: string;
  readonly access: keyof typeof KINDS;
  readonly priv: 'VU' | 'VS';
  readonly sum: number;
  readonly mxr: number;
  readonly hmxr: number;
  readonly result: Readonly<Record<string, string | number>>;
  readonly after?: Readonly<Record<string, string>>;
}

interface RecordedImage {
  readonly xlen: 64;
  readonly svnapot: number;
  readonly svrsw60t59b: number;
  readonly pbmte: number;
  readonly adue: number;
  readonly vpbmte: number;
  readonly vadue: number;
  readonly vsatp: string;
  readonly hgatp: string;
  readonly ram: readonly (readonly [string, string])[];
  readonly mem: Readonly<Record<string, string>>;
  readonly accesses: readonly RecordedAccess[];
}

const hex = (text: string): bigint => BigInt(`0x${text}`);

/** Words by address in ranges of RAM, with what was written kept apart. */
class Words {
  readonly written = new Map<bigint, bigint>();
  private readonly image: RecordedImage;
  private readonly words: ReadonlyMap<bigint, bigint>;

  constructor(image: RecordedImage) {
    this.image = image;
    this.words = new Map(Object.entries(image.mem).map(([at, word]) => [hex(at), hex(word)]));
  }

  has(pa: bigint): boolean {
    return this.image.ram.some(([base, bytes]) => pa >= hex(base) && pa < hex(base) + hex(bytes));
  }

  read(pa: bigint): bigint | null {
    return this.has(pa) ? (this.written.get(pa) ?? this.words.get(pa) ?? 0n) : null;
  }

  write(pa: bigint, _bytes: number, value: bigint): void {
    this.written.set(pa, value);
  }
}

/** What the reference makes of a recorded access, and what was recorded, as text. */
function answers(image: RecordedImage, recorded: RecordedAccess): readonly [string, string] {
  const memory = new Words(image);
  const va = hex(recorded.va);
  const kind = KINDS[recorded.access];
  const hart = { svnapot: image.svnapot === 1, svrsw60t59b: image.svrsw60t59b === 1 };
  const outcome = referenceRiscvTwoStage({
    memory,
    guest: {
      ...{ xlen: 64, satp: hex(image.vsatp), sum: recorded.sum === 1, mxr: recorded.mxr === 1 },
      ...{ adue: image.vadue === 1, pbmte: image.vpbmte === 1, ...hart },
    },
    host: {
      ...{ xlen: 64, hgatp: hex(image.hgatp), mxr: recorded.hmxr === 1 },
      ...{ adue: image.adue === 1, pbmte: image.pbmte === 1, ...hart },
    },
    ...{ va, access: kind | (recorded.priv === 'VU' ? Access.User : 0) },
    bytes: kind === Access.Fetch ? 2 : 4,
  });
  // The walk may give an address where there is no memory: the access itself then faults.
  const missing = outcome.kind === 'page' && !memory.has(outcome.pa);
  const accessFault = kind === Access.Fetch ? 1 : kind === Access.Write ? 7 : 5;
  const found =
    outcome.kind === 'page' && !missing
      ? `pa ${outcome.pa.toString(16)}`
      : outcome.kind === 'page'
        ? `cause ${accessFault} 0 0`
        : `cause ${outcome.cause} ${outcome.htval.toString(16)} ${outcome.tinst.toString(16)}`;
  const { cause, htval, pa, tinst } = recorded.result;
  const wanted = pa === undefined ? `cause ${cause} ${htval} ${tinst}` : `pa ${pa}`;
  const after = [...memory.written].map(([at, word]) => [at.toString(16), word.toString(16)]);
  const changed = Object.entries(recorded.after ?? {}).sort();
  return [`${found} ${JSON.stringify(after.sort())}`, `${wanted} ${JSON.stringify(changed)}`];
}

describe('the reference of both RISC-V stages', () => {
  it('agrees with the recorded two-stage accesses', () => {
    const file = new URL('../fixtures/riscv/two-stage.ndjson.gz', import.meta.url);
    const lines = gunzipSync(readFileSync(file)).toString('utf8').trim().split('\n');
    let count = 0;
    for (const line of lines) {
      const image: RecordedImage = JSON.parse(line);
      for (const recorded of image.accesses) {
        const [found, wanted] = answers(image, recorded);
        if (found !== wanted) expect(found, `${line.slice(0, 40)} ${recorded.va}`).toBe(wanted);
        count++;
      }
    }
    expect(count).toBe(11_200);
  });
});
