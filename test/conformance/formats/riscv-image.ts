import { Access } from 'pagewright/core';
import { RiscvWalker } from 'pagewright/walk';
import type { CaseFormat } from '../case-format.js';
import { Fields, hex, list, Malformed } from '../fields.js';
import { entries, replayImages } from '../image-line.js';
import type { RecordedFile } from '../recorded-file.js';
import { NOTHING, RecordedImage, WatchedMemory } from '../recorded-image.js';
import { type RecordedAccess, replayAccess } from '../replay-access.js';
import type { Tally } from '../tally.js';
import { faultText, riscvAccessSpelling } from './riscv-spelling.js';

const MODES = ['bare32', 'bare64', 'sv32', 'sv39', 'sv48', 'sv57'] as const;

const IMAGE_KEYS = [
  ...['id', 'mode', 'xlen', 'isa', 'svnapot', 'svrsw60t59b', 'pbmte', 'adue', 'satp', 'root'],
  ...['ptesize', 'ram', 'mem', 'accesses'],
];
const ACCESS_KEYS = ['va', 'access', 'priv', 'sum', 'mxr', 'result'];

const KINDS = { load: Access.Read, store: Access.Write, fetch: Access.Fetch } as const;
const PRIVILEGES = { U: Access.User, S: 0, M: Access.Machine } as const;
const MPP = { U: 0, S: 1, M: 3 } as const;

/** RAM up to this size is flat, as in a simulator; more of it is sparse. */
const FLAT_BYTES = 2 ** 24;

/** Walks of a RISC-V hart, recorded on Spike: one image a line, each with many accesses. */
export const riscvImage: CaseFormat = {
  name: 'riscv accesses',
  recognises: (file) => file.hasLineWith('satp', 'accesses'),
  replay: replayFile,
};

function replayFile(file: RecordedFile, tally: Tally): void {
  replayImages(file, tally, (image, line) => {
    image.only(IMAGE_KEYS);
    const label = `${line}, image ${image.integer('id', 0, Number.MAX_SAFE_INTEGER)}`;
    const hart = makeHart(image);
    image.list('accesses').forEach((access, index) => {
      const title = (): string => `${label}, access ${index}: ${JSON.stringify(access)}`;
      tally.judge(title, () => replayOne(hart, access));
    });
  });
}

interface Hart {
  readonly walker: RiscvWalker;
  readonly image: RecordedImage;
}

/** The walker and the memory of an image; throws when it is not one that this walker can be. */
function makeHart(image: Fields): Hart {
  const mode = image.oneOf('mode', MODES);
  const xlen = image.oneOf('xlen', [32, 64]);
  if (!image.text('isa').startsWith(`rv${xlen}`)) throw new Malformed(`isa is not rv${xlen}`);
  const memory = ramOf(image);
  const entryBytes = image.oneOf('ptesize', [4, 8]);
  const recorded = new RecordedImage(memory, entries(image.value('mem'), 'mem'), entryBytes);
  const walker = new RiscvWalker({
    memory,
    xlen,
    adue: image.flag('adue'),
    pbmte: image.flag('pbmte'),
    svnapot: image.flag('svnapot'),
    svrsw60t59b: image.flag('svrsw60t59b'),
  });
  const { kind } = walker.setSatp(image.hex('satp'));
  const name = walker.format?.name ?? `bare${xlen}`;
  if (kind !== 'written' || name !== mode) {
    throw new Malformed(`satp ${image.text('satp')} selects ${kind} ${name}, not ${mode}`);
  }
  if (walker.format !== null) checkRoot(image, walker);
  return { walker, image: recorded };
}

/** What the image says twice must agree. */
function checkRoot(image: Fields, walker: RiscvWalker): void {
  if (image.hex('root') !== BigInt(walker.rootAt(0))) {
    throw new Malformed('root is not the PPN of satp');
  }
  if (image.value('ptesize') !== walker.format?.entryBytes) {
    throw new Malformed('ptesize does not fit the mode');
  }
}

/** The memory of an image: all zero. */
export function ramOf(image: Fields): WatchedMemory {
  const memory = new WatchedMemory();
  for (const region of image.list('ram')) {
    const [base, bytes, ...rest] = list(region, 'a region of ram').map((n) => hex(n, 'ram'));
    if (base === undefined || bytes === undefined || rest.length > 0) {
      throw new Malformed('a region of ram should be a base and a size');
    }
    if (bytes <= FLAT_BYTES) memory.addRam({ base, bytes: Number(bytes) });
    else memory.addSparse({ base, bytes: Number(bytes) });
  }
  return memory;
}

function replayOne({ image, walker }: Hart, value: unknown): string | null {
  const recorded = new Fields(value, 'the access').only(ACCESS_KEYS, ['mprv', 'mpp', 'after']);
  const kind = KINDS[recorded.oneOf('access', ['load', 'store', 'fetch'])];
  const privilege = recorded.oneOf('priv', ['U', 'S', 'M']);
  if (privilege === 'M') {
    walker.mprv = recorded.flag('mprv');
    walker.mpp = MPP[recorded.oneOf('mpp', ['U', 'S', 'M'])];
  } else if (recorded.has('mprv') || recorded.has('mpp')) {
    throw new Malformed('mprv and mpp belong to M-mode');
  }
  walker.sum = recorded.flag('sum');
  walker.mxr = recorded.flag('mxr');
  const va = recorded.hex('va');
  const access = kind | PRIVILEGES[privilege];
  const bytes = kind === Access.Fetch ? 2 : 4;
  const asked: RecordedAccess = {
    va,
    access,
    bytes,
    result: resultText(recorded.object('result')),
    after: recorded.has('after') ? entries(recorded.value('after'), 'after') : NOTHING,
  };
  return replayAccess(walker, image, riscvAccessSpelling(walker, va, access, bytes), asked);
}

/** The recorded result, spelled as the walker's answers are. */
function resultText(result: Fields): string {
  if (result.has('pa')) return `pa ${result.only(['pa']).hex('pa').toString(16)}`;
  result.only(['cause', 'tval'], ['xpa']);
  const xpa = result.has('xpa') ? result.hex('xpa') : null;
  return faultText(result.integer('cause', 0, 63), result.hex('tval'), xpa);
}
