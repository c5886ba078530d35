import { Access } from 'pagewright/core';
import type { PhysicalMemory } from 'pagewright/memory';
import { X86Ept, X86Npt, type X86SecondStage, X86Walker } from 'pagewright/walk';
import { type Draw, once, pattern, pick } from '../walk/agreement/draw.js';
import { drawTable } from '../walk/agreement/image.js';
import { drawX86Registers, X86_MODES } from '../walk/agreement/x86-case.js';
import { attempt } from './attempt.js';
import { STYLES } from './garbage.js';
import { NESTED_JUDGE } from './nested-judge.js';
import { drawQuery } from './question.js';
import { drawRam, STAGE_PAGES, type Tree } from './ram.js';
import type { Kind, Machine, Subject } from './subject.js';

/** A second stage, as it is drawn. */
interface Host {
  readonly tree: Tree;
  readonly make: (memory: PhysicalMemory) => {
    readonly stage: X86SecondStage;
    readonly change: (draw: Draw) => void;
  };
  readonly settable: number;
  readonly frameEnd: number;
}

const drawWidth = (draw: Draw): number => pick(draw, [52, 40, 36, 32 + draw(21)]);
const drawBase = (draw: Draw, maxPhyAddr: number): bigint =>
  pick(draw, [
    0n,
    0x8000_0000n,
    0n,
    maxPhyAddr > 33 ? 2n ** BigInt(maxPhyAddr) - 0x4000_0000n : 0n,
  ]);

/** Flags of CR0, CR4 and EFER that decide about walks, as changes to be made. */
const FLAGS = {
  cr0: 0x8001_0001n,
  cr4: 0x0170_10b0n,
  efer: 0xd00n,
} as const;

/** One of the bits of a mask, or none. */
const flip = (draw: Draw, mask: bigint): bigint => mask & (1n << BigInt(draw(32)));

/** Writes control registers as the instructions do; most values are refused or change the mode. */
function changeRegisters(draw: Draw, walker: X86Walker, tables: bigint): void {
  const root = drawTable(draw, tables, 40, 0) << 12n;
  const writes = [
    () => walker.writeCr0(walker.cr0 ^ flip(draw, FLAGS.cr0)),
    () => walker.writeCr4(walker.cr4 ^ flip(draw, FLAGS.cr4)),
    () => walker.writeEfer(walker.efer ^ flip(draw, FLAGS.efer)),
    () => walker.loadCr3(once(draw, 4) ? pattern(draw, 64) : root),
    () => Object.assign(walker, { ac: once(draw, 2), pkru: draw(2 ** 32), pkrs: draw(2 ** 32) }),
  ];
  for (let i = 0; i < 3; i++) attempt(pick(draw, writes));
}

/** The tables of a mode; of PAE with PDPTEs or without. */
function treeOf(mode: string, maxPhyAddr: number, pdptes = false): Tree {
  if (mode === 'pae' && pdptes) {
    return { style: STYLES.pae, levels: 3, frameBits: maxPhyAddr - 12 };
  }
  const long = mode === '4-level' || mode === '5-level';
  const levels = mode === '4-level' ? 4 : mode === '5-level' ? 5 : 2;
  const wide = long || mode === 'pae';
  return {
    style: wide ? STYLES.x86 : STYLES.x86short,
    levels,
    frameBits: wide ? maxPhyAddr - 12 : 20,
  };
}

/** Registers of a mode, as options and as what is set afterwards; keys forbid nothing, mostly. */
function drawRegisters(draw: Draw, mode: string, maxPhyAddr: number, tables: bigint) {
  const { ac, pkrs, pkru, ...options } = drawX86Registers(draw, mode, maxPhyAddr, tables);
  const keys = once(draw, 4) ? { pkru: Number(pkru), pkrs: Number(pkrs) } : {};
  return { options, state: { ac, ...keys } };
}

function drawEpt(draw: Draw, levels: 4 | 5, maxPhyAddr: number, base: bigint): Host {
  const pointer = (): bigint => {
    const root = drawTable(draw, base, maxPhyAddr - 12, 0) << 12n;
    return root | pick(draw, [6n, 6n, 0n]) | BigInt((levels - 1) << 3) | BigInt(draw(2) << 6);
  };
  const options = {
    eptp: pointer(),
    executeOnly: !once(draw, 3),
    gigabytePages: !once(draw, 6),
    modeBasedExecute: once(draw, 2),
    maxPhyAddr,
  };
  const make: Host['make'] = (memory) => {
    const stage = new X86Ept({ memory, ...options });
    // Most patterns are no EPTP.
    const change = (draw: Draw): void =>
      attempt(() =>
        stage.setEptp(once(draw, 4) ? pattern(draw, 64) : stage.eptp ^ (1n << BigInt(draw(15)))),
      );
    return { stage, change };
  };
  const tree = { style: STYLES.ept, levels, frameBits: maxPhyAddr - 12 };
  return { tree, make, settable: 0x300, frameEnd: 2 ** (maxPhyAddr - 12) };
}

function drawNpt(draw: Draw, maxPhyAddr: number, base: bigint): Host {
  const modes = X86_MODES.filter((mode) => mode !== 'none');
  const mode = pick(draw, ['4-level', '4-level', ...modes]);
  const { options } = drawRegisters(draw, mode, maxPhyAddr, base);
  const make: Host['make'] = (memory) => {
    const stage = new X86Npt({ memory, ...options });
    const change = (draw: Draw): void => {
      const root = drawTable(draw, base, maxPhyAddr - 12, 0) << 12n;
      attempt(() => stage.setNcr3(once(draw, 4) ? pattern(draw, 64) : root));
    };
    return { stage, change };
  };
  const tree = treeOf(mode, maxPhyAddr);
  return { tree, make, settable: 0x60, frameEnd: 2 ** (maxPhyAddr - 12) };
}

/** EPT alone. */
function drawHost(draw: Draw, levels: 4 | 5): Subject {
  const maxPhyAddr = drawWidth(draw);
  const base = drawBase(draw, maxPhyAddr);
  const { frameEnd, make, settable, tree } = drawEpt(draw, levels, maxPhyAddr, base);
  return {
    base,
    bytes: drawRam(draw, base, tree, null),
    make: (memory) => {
      const { change, stage } = make(memory);
      return { walker: stage, change };
    },
    query: (draw, walker) => drawQuery(draw, walker, [Access.ImplicitSupervisor]),
    settable: [settable],
    frameEnd,
  };
}

/** A guest above a second stage. */
function drawGuest(draw: Draw, mode: string, vendor: 'intel' | 'amd'): Subject {
  const maxPhyAddr = drawWidth(draw);
  const base = drawBase(draw, maxPhyAddr);
  const host =
    vendor === 'intel'
      ? drawEpt(draw, pick(draw, [4, 5] as const), maxPhyAddr, base)
      : drawNpt(draw, maxPhyAddr, base);
  const width = once(draw, 4) ? drawWidth(draw) : maxPhyAddr;
  const tables = (base % 2n ** BigInt(width)) + BigInt(4096 * STAGE_PAGES);
  const { options, state } = drawRegisters(draw, mode, width, tables);
  const make = (memory: PhysicalMemory): Machine => {
    const { change, stage } = host.make(memory);
    const walker = Object.assign(new X86Walker({ memory, ...options, secondStage: stage }), state);
    const changeOne = (draw: Draw): void => {
      if (once(draw, 2)) change(draw);
      else changeRegisters(draw, walker, tables);
    };
    return { walker, change: changeOne };
  };
  return {
    base,
    bytes: drawRam(draw, base, host.tree, treeOf(mode, width, vendor === 'amd')),
    make,
    query: (draw, walker) => drawQuery(draw, walker, [Access.ImplicitSupervisor]),
    settable: [0x60, host.settable],
    frameEnd: host.frameEnd,
    judge: NESTED_JUDGE,
  };
}

/** EPT alone, and each guest above EPT and above nested paging. */
export const X86_VIRTUALIZATION: readonly Kind[] = [
  ...([4, 5] as const).map((levels) => ({
    name: `EPT of ${levels} levels`,
    draw: (draw: Draw) => drawHost(draw, levels),
  })),
  ...X86_MODES.flatMap((mode) => [
    { name: `${mode} over EPT`, draw: (draw: Draw) => drawGuest(draw, mode, 'intel') },
    { name: `${mode} over nested paging`, draw: (draw: Draw) => drawGuest(draw, mode, 'amd') },
  ]),
];
