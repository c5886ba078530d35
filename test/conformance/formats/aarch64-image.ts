import { Access } from 'pagewright/core';
import { aarch64Granule, decodeTcr } from 'pagewright/pte';
import { AArch64Stage2, AArch64Walker } from 'pagewright/walk';
import type { CaseFormat } from '../case-format.js';
import { Fields, Malformed, parseJson } from '../fields.js';
import { entries, replayImages } from '../image-line.js';
import type { RecordedFile } from '../recorded-file.js';
import { type Entries, NOTHING, RecordedImage, WatchedMemory } from '../recorded-image.js';
import { replayAccess } from '../replay-access.js';
import type { Tally } from '../tally.js';
import { aarch64Spelling, replayAt, resultText } from './aarch64-spelling.js';

const STAGE1_MODES = ['4k', '16k', '64k'] as const;
const STAGE2_MODES = ['s2-4k', 's1s2-4k', 's2-16k', 's1s2-16k', 's2-64k', 's1s2-64k'] as const;

/** Bits of registers that the modes speak of: SCTLR_EL1.M, HCR_EL2.DC. */
const M = 1n;
const DC = 1n << 12n;

const IMAGE_KEYS = ['mode', 'tcr', 'sctlr', 'ttbr0', 'ttbr1', 'mair', 'pan', 'mem', 'accesses'];
const STAGE2_KEYS = ['hcr', 'vtcr', 'vttbr'];
const ACCESS_KEYS = ['va', 'kind', 'el', 'how', 'result'];
const KINDS = { r: Access.Read, w: Access.Write, x: Access.Fetch } as const;

/** What is memory; reads of anything else are external aborts. */
const RAM = { base: 0x4000_0000, end: 0x1_4000_0000 } as const;
/** Most tables of an image lie in one stretch of this size: flat memory there lets the fast path answer too. */
const FLAT_BYTES = 2 ** 22;

/** Walks of an AArch64 CPU, stage 1, stage 2 and both, recorded on QEMU: one image a line, each with many accesses. */
export const aarch64Image: CaseFormat = {
  name: 'aarch64 accesses',
  recognises: (file) => file.hasLineWith('ttbr1', 'accesses') && !isQuirks(file),
  replay: replayFile,
};

/** Where an emulator and the manual disagree: information, which nobody is judged by. */
export const aarch64Quirks: CaseFormat = {
  name: 'aarch64 quirks (information, not judged)',
  recognises: (file) => file.hasLineWith('ttbr1', 'accesses') && isQuirks(file),
  informs: summary,
  replay: () => undefined,
};

/** Whether every access says why it informs: one that does makes no information of the others, which are judged. */
function isQuirks(file: RecordedFile): boolean {
  for (const { line, number } of file.lines()) {
    try {
      const accesses = new Fields(parseJson(line, `line ${number}`), 'the image').list('accesses');
      const quirks = accesses.map((access) => new Fields(access, 'the access'));
      const all = quirks.every((access) => access.has('arm') && access.has('why'));
      if (quirks.length === 0 || !all) return false;
    } catch {
      return false;
    }
  }
  return true;
}

/** The kinds of disagreement, and how often each occurs. */
function summary(file: RecordedFile): string {
  const counts = new Map<string, number>();
  for (const { line } of file.lines()) {
    for (const [, why] of line.matchAll(/"why": ?"([^"]*)"/g)) {
      counts.set(why!, (counts.get(why!) ?? 0) + 1);
    }
  }
  return [...counts].map(([why, count]) => `${why} ${count}`).join(', ');
}

interface Cpu {
  readonly walker: AArch64Walker;
  readonly image: RecordedImage;
}

function replayFile(file: RecordedFile, tally: Tally): void {
  replayImages(file, tally, (image, label) => {
    const mode = image.oneOf('mode', [...STAGE1_MODES, ...STAGE2_MODES]);
    const twoStages = mode.startsWith('s');
    image.only(twoStages ? [...IMAGE_KEYS, ...STAGE2_KEYS] : IMAGE_KEYS);
    checkMode(image, mode);
    const cpu = makeCpu(image, twoStages);
    image.list('accesses').forEach((access, index) => {
      const title = (): string => `${label}, access ${index}: ${JSON.stringify(access)}`;
      tally.judge(title, () => replayOne(cpu, access, twoStages));
    });
  });
}

/** What the mode says must be what the registers say. Halves of stage 1 may differ in their granules. */
function checkMode(image: Fields, mode: string): void {
  const [stages, granule] = mode.includes('-') ? mode.split('-') : ['s1', mode];
  const found =
    stages === 's1'
      ? decodeTcr(image.hex('tcr')).granules
      : [aarch64Granule(0, Number((image.hex('vtcr') >> 14n) & 3n))];
  if (!found.includes(1024 * Number.parseInt(granule!, 10))) {
    throw new Malformed(`the registers select no granule of ${granule}`);
  }
  const translates =
    (image.hex('sctlr') & M) !== 0n && (stages === 's1' || (image.hex('hcr') & DC) === 0n);
  if (translates !== stages!.startsWith('s1')) {
    throw new Malformed(`stage 1 is ${translates ? 'on' : 'off'}, not as ${mode} says`);
  }
}

function makeCpu(image: Fields, twoStages: boolean): Cpu {
  const mem = entries(image.value('mem'), 'mem');
  const memory = ramOf(mem);
  const recorded = new RecordedImage(memory, mem, 8);
  const hcr = twoStages ? image.hex('hcr') : 0n;
  const secondStage = twoStages
    ? new AArch64Stage2({ memory, hcr, vtcr: image.hex('vtcr'), vttbr: image.hex('vttbr') })
    : null;
  const walker = new AArch64Walker({
    memory,
    hcr,
    tcr: image.hex('tcr'),
    sctlr: image.hex('sctlr'),
    ttbr0: image.hex('ttbr0'),
    ttbr1: image.hex('ttbr1'),
    mair: image.hex('mair'),
    pan: image.flag('pan'),
    ...(secondStage === null ? {} : { secondStage }),
  });
  return { walker, image: recorded };
}

/** All of RAM: flat where most of the entries are, sparse below and above. */
function ramOf(mem: Entries): WatchedMemory {
  const counts = new Map<number, number>();
  for (const address of mem.keys()) {
    const stretch = Math.floor(Number(address) / FLAT_BYTES);
    counts.set(stretch, (counts.get(stretch) ?? 0) + 1);
  }
  const [[stretch] = [RAM.base / FLAT_BYTES]] = [...counts].sort(([, a], [, b]) => b - a);
  const base = Math.min(Math.max(stretch * FLAT_BYTES, RAM.base), RAM.end - FLAT_BYTES);
  const end = base + FLAT_BYTES;
  const memory = new WatchedMemory();
  memory.addRam({ base, bytes: FLAT_BYTES });
  if (base > RAM.base) memory.addSparse({ base: RAM.base, bytes: base - RAM.base });
  if (end < RAM.end) memory.addSparse({ base: end, bytes: RAM.end - end });
  return memory;
}

function replayOne({ image, walker }: Cpu, value: unknown, twoStages: boolean): string | null {
  const recorded = new Fields(value, 'the access').only(ACCESS_KEYS, ['after', 'qemu']);
  // It says which version was recorded, and changes nothing.
  if (recorded.has('qemu')) recorded.text('qemu');
  const va = recorded.hex('va');
  const kind = recorded.oneOf('kind', ['r', 'w', 'x']);
  const el = recorded.integer('el', 0, 1);
  const how = recorded.oneOf('how', twoStages ? ['at', 's12'] : ['at', 'atp', 'real', 'ldtr']);
  const after = recorded.has('after') ? entries(recorded.value('after'), 'after') : NOTHING;
  const result = recorded.object('result');
  if (how === 'at' || how === 'atp' || how === 's12') {
    if (kind === 'x') throw new Malformed('there is no AT instruction for fetches');
    if (how === 'atp' && el !== 1) throw new Malformed('AT with PAN is for EL1');
    const letter = kind === 'r' ? 'R' : 'W';
    const instruction =
      how === 'atp'
        ? (`S1E1${letter}P` as const)
        : how === 's12'
          ? (`S12E${el === 0 ? 0 : 1}${letter}` as const)
          : (`S1E${el === 0 ? 0 : 1}${letter}` as const);
    return replayAt(walker, image, instruction, va, result, after);
  }
  if (how === 'ldtr' && (el !== 0 || kind === 'x'))
    throw new Malformed('LDTR accesses data as EL0');
  const user = how === 'ldtr' ? Access.Unprivileged : el === 0 ? Access.User : 0;
  const access = KINDS[kind] | user;
  return replayAccess(walker, image, aarch64Spelling(walker, va, access), {
    va,
    access,
    bytes: 1,
    result: resultText(result, va, access),
    after,
  });
}
