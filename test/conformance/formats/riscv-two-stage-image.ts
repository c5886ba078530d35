import { Access, addressFromVpn } from 'pagewright/core';
import { riscvAccessFaultCause } from 'pagewright/pte';
import { RiscvGStage, RiscvWalker } from 'pagewright/walk';
import type { CaseFormat } from '../case-format.js';
import { Fields, Malformed } from '../fields.js';
import { entries, replayImages } from '../image-line.js';
import type { RecordedFile } from '../recorded-file.js';
import { NOTHING, RecordedImage } from '../recorded-image.js';
import { replayAccess, type Spelling } from '../replay-access.js';
import type { Tally } from '../tally.js';
import { ramOf } from './riscv-image.js';
import { PHYSICAL_FRAMES, pageText } from './riscv-spelling.js';

const IMAGE_KEYS = [
  ...['id', 'mode', 'gmode', 'xlen', 'isa', 'svnapot', 'svrsw60t59b', 'pbmte', 'adue', 'vpbmte'],
  ...['vadue', 'vsatp', 'hgatp', 'root', 'hroot', 'ptesize', 'ram', 'mem', 'accesses'],
];
const ACCESS_KEYS = ['va', 'access', 'priv', 'sum', 'mxr', 'hmxr', 'result'];

const ACCESSES = {
  load: Access.Read,
  store: Access.Write,
  fetch: Access.Fetch,
  hlv: Access.Read,
  hsv: Access.Write,
  hlvx: Access.Read | Access.Hlvx,
} as const;

/** Walks of a RISC-V guest through both stages, recorded on Spike: one image a line, each with many accesses. */
export const riscvTwoStageImage: CaseFormat = {
  name: 'riscv two-stage accesses',
  recognises: (file) => file.hasLineWith('vsatp', 'accesses'),
  replay: replayFile,
};

interface Guest {
  readonly walker: RiscvWalker;
  readonly secondStage: RiscvGStage;
  readonly image: RecordedImage;
}

function replayFile(file: RecordedFile, tally: Tally): void {
  replayImages(file, tally, (image, line) => {
    image.only(IMAGE_KEYS);
    const label = `${line}, image ${image.integer('id', 0, Number.MAX_SAFE_INTEGER)}`;
    const guest = makeGuest(image);
    image.list('accesses').forEach((access, index) => {
      const title = (): string => `${label}, access ${index}: ${JSON.stringify(access)}`;
      tally.judge(title, () => replayOne(guest, access));
    });
  });
}

/** Both stages and the memory of an image; throws when it is not one that these walkers can be. */
function makeGuest(image: Fields): Guest {
  const xlen = image.oneOf('xlen', [64]);
  if (!image.text('isa').startsWith(`rv${xlen}`)) throw new Malformed(`isa is not rv${xlen}`);
  const memory = ramOf(image);
  const entryBytes = image.oneOf('ptesize', [8]);
  const recorded = new RecordedImage(memory, entries(image.value('mem'), 'mem'), entryBytes);
  const hart = {
    memory,
    xlen,
    svnapot: image.flag('svnapot'),
    svrsw60t59b: image.flag('svrsw60t59b'),
  };
  const hostFlags = { adue: image.flag('adue'), pbmte: image.flag('pbmte') };
  const secondStage = new RiscvGStage({ ...hart, ...hostFlags, hgatp: image.hex('hgatp') });
  const guestFlags = { adue: image.flag('vadue'), pbmte: image.flag('vpbmte') };
  const walker = new RiscvWalker({
    ...hart,
    ...guestFlags,
    satp: image.hex('vsatp'),
    secondStage,
  });
  checkMode(image.text('mode'), walker.format?.name ?? 'bare', 'vsatp');
  checkMode(image.text('gmode'), secondStage.format?.name ?? 'bare', 'hgatp');
  if (walker.format !== null) checkRoot(image.hex('root'), walker.rootAt(0), 'root');
  if (secondStage.format !== null) checkRoot(image.hex('hroot'), secondStage.rootAt(0), 'hroot');
  return { walker, secondStage, image: recorded };
}

function checkMode(recorded: string, selected: string, register: string): void {
  if (recorded === selected) return;
  throw new Malformed(`${register} selects ${selected}, not ${recorded}`);
}

function checkRoot(recorded: bigint, root: number, key: string): void {
  if (recorded !== BigInt(root)) throw new Malformed(`${key} is not the PPN of its register`);
}

function replayOne({ image, secondStage, walker }: Guest, value: unknown): string | null {
  const recorded = new Fields(value, 'the access').only(ACCESS_KEYS, ['after']);
  const kind = ACCESSES[recorded.oneOf('access', ['load', 'store', 'fetch', 'hlv', 'hsv', 'hlvx'])];
  walker.sum = recorded.flag('sum');
  walker.mxr = recorded.flag('mxr');
  secondStage.mxr = recorded.flag('hmxr');
  const va = recorded.hex('va');
  const access = kind | (recorded.oneOf('priv', ['VU', 'VS']) === 'VU' ? Access.User : 0);
  const bytes = kind === Access.Fetch ? 2 : 4;
  return replayAccess(walker, image, spelling(walker, va, access, bytes), {
    va,
    access,
    bytes,
    result: resultText(recorded.object('result')),
    after: recorded.has('after') ? entries(recorded.value('after'), 'after') : NOTHING,
  });
}

/** Everything that the trap's registers say. */
interface Trap {
  readonly cause: number;
  readonly tval: bigint;
  readonly htval: bigint;
  readonly tinst: number;
  readonly gva: boolean;
  readonly xpa: bigint | null;
}

function trapText({ cause, gva, htval, tinst, tval, xpa }: Trap): string {
  const registers = [tval, htval, BigInt(tinst)].map((register) => register.toString(16)).join('/');
  const suffix = xpa === null ? '' : ` at physical ${xpa.toString(16)}`;
  return `cause ${cause}, tval/htval/tinst ${registers}, gva ${gva ? 1 : 0}${suffix}`;
}

/** The recorded result, spelled as the walker's answers are. */
function resultText(result: Fields): string {
  if (result.has('pa')) return `pa ${result.only(['pa']).hex('pa').toString(16)}`;
  result.only(['cause', 'tval', 'htval', 'tinst', 'gva'], ['xpa']);
  return trapText({
    cause: result.integer('cause', 0, 63),
    tval: result.hex('tval'),
    htval: result.hex('htval'),
    tinst: Number(result.hex('tinst')),
    gva: result.flag('gva'),
    xpa: result.has('xpa') ? result.hex('xpa') : null,
  });
}

function spelling(walker: RiscvWalker, va: bigint, access: number, bytes: number): Spelling {
  return {
    page(pfn, offset) {
      if (walker.memory.contains(pfn, offset, bytes)) return pageText(pfn, offset);
      const xpa = pfn < PHYSICAL_FRAMES ? addressFromVpn(pfn, offset) : null;
      const cause = riscvAccessFaultCause(access);
      return trapText({ cause, tval: va, htval: 0n, tinst: 0, gva: true, xpa });
    },
    fault: () => {
      const { cause, gva, htval, tinst, tval } = walker.fault;
      return trapText({ cause, gva, htval, tinst, tval, xpa: null });
    },
    reported({ riscv }) {
      if (riscv?.htval === undefined) return 'no two-stage RISC-V fault';
      const { cause, gva = false, htval, tinst = 0, tval } = riscv;
      return trapText({ cause, gva, htval, tinst, tval, xpa: null });
    },
    bits: { A: 0x40n, D: 0x80n },
  };
}
