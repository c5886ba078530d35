import { Access } from 'pagewright/core';
import { CR0, CR4, EFER } from 'pagewright/pte';
import { X86Walker } from 'pagewright/walk';
import type { CaseFormat } from '../case-format.js';
import { Fields, Malformed } from '../fields.js';
import { entries, replayImages } from '../image-line.js';
import type { RecordedFile } from '../recorded-file.js';
import { NOTHING, RecordedImage, WatchedMemory } from '../recorded-image.js';
import { type RecordedAccess, replayAccess } from '../replay-access.js';
import type { Tally } from '../tally.js';
import { pageFaultText, x86Spelling } from './x86-spelling.js';

const IMAGE_KEYS = [
  ...['emu', 'mode', 'cr0wp', 'smep', 'smap', 'pke', 'nxe', 'pse', 'pge', 'recursive'],
  ...['maxphyaddr', 'cr3', 'accessedOnFault', 'mem', 'accesses'],
];
const ACCESS_KEYS = ['va', 'kind', 'user', 'ac', 'pkru', 'result'];
const KINDS = { r: Access.Read, w: Access.Write, x: Access.Fetch } as const;

/** What the modes set in CR4 and EFER. */
const MODES = {
  'x86-32': { cr4: 0, efer: 0 },
  pae: { cr4: CR4.PAE, efer: 0 },
  'x86-64-4': { cr4: CR4.PAE, efer: EFER.LME | EFER.LMA },
  'x86-64-5': { cr4: CR4.PAE | CR4.LA57, efer: EFER.LME | EFER.LMA },
} as const;

/** Most tables of most images lie below 16 MiB: flat memory there lets the walker's fast path answer too. */
const FLAT_BYTES = 2 ** 24;

/** Walks of an x86 CPU, recorded on QEMU and Bochs: one image a line, each with many accesses. */
export const x86Image: CaseFormat = {
  name: 'x86 accesses',
  recognises: (file) => file.hasLineWith('cr3', 'accesses'),
  replay: replayFile,
};

function replayFile(file: RecordedFile, tally: Tally): void {
  // Zero between images, so that not every image costs 16 MiB.
  const lowMemory = new ArrayBuffer(FLAT_BYTES);
  replayImages(file, tally, (image, label) => {
    image.only(IMAGE_KEYS).text('emu');
    image.flag('recursive');
    const maxPhyAddr = image.integer('maxphyaddr', 32, 52);
    const memory = memoryOf(lowMemory, maxPhyAddr);
    const entryBytes = image.value('mode') === 'x86-32' ? 4 : 8;
    let recorded: RecordedImage | null = null;
    try {
      recorded = new RecordedImage(memory, entries(image.value('mem'), 'mem'), entryBytes);
      replayAccesses(makeCpu(image, memory, maxPhyAddr), recorded, image, label, tally);
    } finally {
      if (recorded === null) new Uint8Array(lowMemory).fill(0);
      else recorded.clear();
    }
  });
}

function replayAccesses(
  walker: X86Walker,
  recorded: RecordedImage,
  image: Fields,
  label: string,
  tally: Tally,
): void {
  image.list('accesses').forEach((access, index) => {
    const title = (): string => `${label}, access ${index}: ${JSON.stringify(access)}`;
    tally.judge(title, () => replayOne(walker, recorded, access));
  });
}

/** Everything below 2^maxphyaddr is memory. */
function memoryOf(lowMemory: ArrayBuffer, maxPhyAddr: number): WatchedMemory {
  const memory = new WatchedMemory();
  memory.addRam({ base: 0, source: lowMemory });
  memory.addSparse({ base: FLAT_BYTES, bytes: 2 ** maxPhyAddr - FLAT_BYTES });
  return memory;
}

function makeCpu(image: Fields, memory: WatchedMemory, maxPhyAddr: number): X86Walker {
  const mode = MODES[image.oneOf('mode', ['x86-32', 'pae', 'x86-64-4', 'x86-64-5'])];
  const bit = (key: string, mask: number): number => (image.flag(key) ? mask : 0);
  return new X86Walker({
    memory,
    cr0: 0x80000001 + bit('cr0wp', CR0.WP),
    cr3: image.hex('cr3'),
    cr4:
      mode.cr4 |
      bit('pse', CR4.PSE) |
      bit('pge', CR4.PGE) |
      bit('smep', CR4.SMEP) |
      bit('smap', CR4.SMAP) |
      bit('pke', CR4.PKE),
    efer: mode.efer | bit('nxe', EFER.NXE),
    maxPhyAddr,
    accessedOnFault: image.flag('accessedOnFault'),
  });
}

function replayOne(walker: X86Walker, image: RecordedImage, value: unknown): string | null {
  const recorded = new Fields(value, 'the access').only(ACCESS_KEYS, ['after']);
  const kind = KINDS[recorded.oneOf('kind', ['r', 'w', 'x'])];
  walker.ac = recorded.flag('ac');
  walker.pkru = Number(recorded.hex('pkru'));
  const va = recorded.hex('va');
  const asked: RecordedAccess = {
    va,
    access: kind | (recorded.flag('user') ? Access.User : 0),
    bytes: 1,
    result: resultText(recorded.object('result'), va),
    after: recorded.has('after') ? entries(recorded.value('after'), 'after') : NOTHING,
  };
  return replayAccess(walker, image, x86Spelling(walker), asked);
}

/** The recorded result, spelled as the walker's answers are. */
function resultText(result: Fields, va: bigint): string {
  if (result.only([], ['pa', 'pf', 'gp']).size !== 1) {
    throw new Malformed('the result should be one of pa pf gp');
  }
  if (result.has('pa')) return `pa ${result.hex('pa').toString(16)}`;
  if (result.has('pf')) return pageFaultText(result.integer('pf', 0, 0xffffffff), va);
  result.integer('gp', 1, 1);
  return '#GP';
}
