import { Access } from 'pagewright/core';
import type { PhysicalMemory } from 'pagewright/memory';
import { Pmp, RiscvGStage, RiscvWalker } from 'pagewright/walk';
import { type Draw, once, pattern, pick } from '../walk/agreement/draw.js';
import { drawTable } from '../walk/agreement/image.js';
import { drawPmp } from '../walk/agreement/riscv-case.js';
import { attempt } from './attempt.js';
import { STYLES } from './garbage.js';
import { NESTED_JUDGE } from './nested-judge.js';
import { drawQuery } from './question.js';
import { drawRam, STAGE_PAGES, type Tree } from './ram.js';
import type { Kind, Machine, Subject } from './subject.js';

/** A mode of satp, and of hgatp. */
interface Mode {
  readonly xlen: 32 | 64;
  readonly levels: number;
  /** The MODE field in place. */
  readonly register: bigint;
}

const MODES: Readonly<Record<string, Mode>> = {
  bare64: { xlen: 64, levels: 3, register: 0n },
  sv39: { xlen: 64, levels: 3, register: 8n << 60n },
  sv48: { xlen: 64, levels: 4, register: 9n << 60n },
  sv57: { xlen: 64, levels: 5, register: 10n << 60n },
  bare32: { xlen: 32, levels: 2, register: 0n },
  sv32: { xlen: 32, levels: 2, register: 1n << 31n },
};

/** The greatest base lies beyond 31 bits of frame number. */
const BASES = {
  32: [0x8000_0000n, 0n, 0x3_4000_0000n],
  64: [0x8000_0000n, 0n, 0xff_ffff_c000_0000n],
} as const;

/** Tables of a stage, which lie at a page of RAM. */
interface Stage {
  readonly mode: Mode;
  readonly tree: Tree;
  readonly tables: bigint;
}

function stageOf(name: string, number: 1 | 2, base: bigint): Stage {
  const mode = MODES[name]!;
  const narrow = mode.xlen === 32;
  const styles = narrow ? [STYLES.riscv4, STYLES.riscvG4] : [STYLES.riscv8, STYLES.riscvG8];
  const tree = {
    style: styles[number - 1]!,
    levels: mode.levels,
    rootPages: number === 1 ? 1 : 4,
    frameBits: narrow ? 22 : 44,
  } as const;
  return { mode, tree, tables: number === 1 ? base + BigInt(4096 * STAGE_PAGES) : base };
}

/** satp or hgatp: of a stage's mode, with a root that is mostly the first of its tables. */
function drawRoot(draw: Draw, { mode, tables, tree }: Stage): bigint {
  if (once(draw, 40)) return pattern(draw, mode.xlen);
  const identifier = mode.xlen === 32 ? 0n : pattern(draw, 14) << 44n;
  return mode.register | identifier | drawTable(draw, tables, tree.frameBits, 0);
}

/** Switches that both stages have. */
type Switches = Readonly<Record<'adue' | 'pbmte' | 'svnapot' | 'svrsw60t59b', boolean>>;

/** Drawn below those of a second stage, of which two are masters of the guest's. */
function drawSwitches(draw: Draw, host?: Switches): Switches {
  return {
    adue: (host?.adue ?? true) && once(draw, 2),
    pbmte: (host?.pbmte ?? true) && once(draw, 2),
    svnapot: once(draw, 2),
    svrsw60t59b: once(draw, 2),
  };
}

function changePmp(draw: Draw, pmp: Pmp, base: bigint): void {
  const [{ address, config }] = drawPmp(draw, pmp.xlen, base) as [
    { address: bigint; config: number },
  ];
  const entry = draw(4);
  pmp.setAddress(entry, address);
  pmp.setConfig(entry, config & 0x7f);
}

function changeHost(draw: Draw, stage: RiscvGStage, own: Stage): void {
  const { adue, pbmte } = drawSwitches(draw);
  Object.assign(stage, { adue, pbmte, mxr: once(draw, 2) });
  attempt(() => stage.setHgatp(drawRoot(draw, own)));
  if (stage.pmp !== null) changePmp(draw, stage.pmp, own.tables);
}

function changeGuest(draw: Draw, walker: RiscvWalker, own: Stage): void {
  const { adue, pbmte } = drawSwitches(draw);
  Object.assign(walker, { mxr: once(draw, 2), sum: once(draw, 2) });
  attempt(() => Object.assign(walker, { adue, pbmte }));
  attempt(() => walker.setSatp(drawRoot(draw, own)));
}

function makeHost(
  draw: Draw,
  own: Stage,
  switches: Switches,
): (memory: PhysicalMemory) => RiscvGStage {
  const { xlen } = own.mode;
  const options = { xlen, hgatp: drawRoot(draw, own), ...switches };
  const mxr = once(draw, 2);
  const entries = once(draw, 3) ? drawPmp(draw, xlen, own.tables) : null;
  return (memory) => {
    const pmp = entries === null ? null : new Pmp({ xlen });
    entries?.forEach(({ address, config }, entry) => {
      pmp?.setAddress(entry, address);
      pmp?.setConfig(entry, config);
    });
    return Object.assign(new RiscvGStage({ memory, ...options, ...(pmp && { pmp }) }), { mxr });
  };
}

/** A G stage alone. */
function drawHost(draw: Draw, hostMode: string): Subject {
  const base = pick(draw, BASES[MODES[hostMode]!.xlen]);
  const host = stageOf(hostMode, 2, base);
  const make = makeHost(draw, host, drawSwitches(draw));
  return {
    base,
    bytes: drawRam(draw, base, host.tree, null),
    make: (memory) => {
      const walker = make(memory);
      return { walker, change: (draw) => changeHost(draw, walker, host) };
    },
    query: (draw, walker) => drawQuery(draw, walker, [Access.Hlvx, Access.ImplicitSupervisor]),
    settable: [0xc0],
    frameEnd: 2 ** (host.mode.xlen === 32 ? 22 : 52),
  };
}

/** A guest above a G stage of any mode. */
function drawGuest(draw: Draw, guestMode: string): Subject {
  const { xlen } = MODES[guestMode]!;
  const modes = Object.keys(MODES).filter((name) => MODES[name]!.xlen === xlen);
  const base = pick(draw, BASES[xlen]);
  const guest = stageOf(guestMode, 1, base);
  const host = stageOf(pick(draw, modes), 2, base);
  const switches = drawSwitches(draw);
  const hostOf = makeHost(draw, host, switches);
  const options = { xlen, satp: drawRoot(draw, guest), ...drawSwitches(draw, switches) };
  const state = { sum: once(draw, 2), mxr: once(draw, 2) };
  const make = (memory: PhysicalMemory): Machine => {
    const secondStage = hostOf(memory);
    const walker = Object.assign(new RiscvWalker({ memory, ...options, secondStage }), state);
    const change = (draw: Draw): void => {
      if (once(draw, 2)) changeHost(draw, secondStage, host);
      else changeGuest(draw, walker, guest);
    };
    return { walker, change };
  };
  return {
    base,
    bytes: drawRam(draw, base, host.tree, guest.tree),
    make,
    query: (draw, walker) => drawQuery(draw, walker, [Access.Hlvx]),
    settable: [0xc0],
    frameEnd: 2 ** (xlen === 32 ? 22 : 52),
    judge: NESTED_JUDGE,
  };
}

/** Each G stage alone, and each guest. */
export const RISCV_HYPERVISOR: readonly Kind[] = [
  ...['sv32', 'sv39', 'sv48', 'sv57'].map((mode) => ({
    name: `${mode}x4`,
    draw: (draw: Draw) => drawHost(draw, mode),
  })),
  ...Object.keys(MODES).map((mode) => ({
    name: `${mode} over a G stage`,
    draw: (draw: Draw) => drawGuest(draw, mode),
  })),
];
