import { Access } from 'pagewright/core';
import type { PhysicalMemory } from 'pagewright/memory';
import {
  type RadixWalker,
  RiscvGStage,
  RiscvWalker,
  X86Ept,
  X86Npt,
  X86Walker,
} from 'pagewright/walk';
import { referenceRiscvTwoStage } from '../../../src/reference/riscv-two-stage.js';
import { referenceNestedX86 } from '../../../src/reference/x86-nested-walk.js';

/** RAM as the references see it: the walker's, copied when the trial begins, and changed by the references alone. */
export class NestedRam {
  readonly bytes: Uint8Array<ArrayBuffer>;
  private readonly view: DataView;
  private readonly base: bigint;

  constructor(memory: PhysicalMemory, basePfn: number, frames: number) {
    this.bytes = new Uint8Array(frames * 4096);
    memory.readBytes(basePfn, 0, this.bytes);
    this.view = new DataView(this.bytes.buffer);
    this.base = BigInt(basePfn) * 4096n;
  }

  read(pa: bigint, bytes: number): bigint | null {
    const at = pa - this.base;
    if (at < 0n || at + BigInt(bytes) > this.bytes.length) return null;
    return bytes === 8
      ? this.view.getBigUint64(Number(at), true)
      : BigInt(this.view.getUint32(Number(at), true));
  }

  write(pa: bigint, bytes: number, value: bigint): void {
    const at = Number(pa - this.base);
    if (bytes === 8) this.view.setBigUint64(at, value, true);
    else this.view.setUint32(at, Number(value), true);
  }
}

/** What both the walker and the reference answer, in the same words. */
export type Spelled = Readonly<Record<string, unknown>>;

/** The reference's answer to an access of a guest. */
export function nestedReference(
  walker: RadixWalker,
  memory: NestedRam,
  va: bigint,
  access: number,
): Spelled {
  if (walker instanceof RiscvWalker) return riscvReference(walker, memory, va, access);
  if (walker instanceof X86Walker) return x86Reference(walker, memory, va, access);
  throw new Error('there is no reference for this walker');
}

function riscvReference(
  walker: RiscvWalker,
  memory: NestedRam,
  va: bigint,
  access: number,
): Spelled {
  const { secondStage: host } = walker;
  if (!(host instanceof RiscvGStage)) throw new Error('no G stage');
  const extensions = { svnapot: true, svrsw60t59b: false };
  const { xlen } = walker;
  const { adue, mxr, pbmte, satp, sum } = walker;
  const outcome = referenceRiscvTwoStage({
    ...{ memory, va, access, bytes: 1 },
    guest: { xlen, satp, sum, mxr, adue, pbmte, ...extensions },
    host: {
      ...{ xlen, hgatp: host.hgatp, mxr: host.mxr, adue: host.adue, pbmte: host.pbmte },
      ...extensions,
    },
  });
  return { ...outcome };
}

function x86Reference(walker: X86Walker, memory: NestedRam, va: bigint, access: number): Spelled {
  const { ac, cr0, cr3, cr4, efer, loadedPdptes, maxPhyAddr, secondStage: host } = walker;
  const capabilities = { maxPhyAddr, gigabytePages: true };
  const outcome = referenceNestedX86({
    ...{ memory, va, access },
    guest: {
      ...{ cr0, cr3, cr4, efer, ac, pkru: BigInt(walker.pkru), pkrs: BigInt(walker.pkrs) },
      ...{ ...capabilities, pdptes: loadedPdptes, pse36: true, accessedOnFault: false },
    },
    host: hostOf(host, capabilities),
  });
  return { ...outcome };
}

function hostOf(
  host: RadixWalker | null,
  capabilities: { readonly maxPhyAddr: number; readonly gigabytePages: boolean },
): Parameters<typeof referenceNestedX86>[0]['host'] {
  if (host instanceof X86Ept) {
    const { eptp, executeOnly, modeBasedExecute } = host;
    return { kind: 'ept', registers: { eptp, executeOnly, modeBasedExecute, ...capabilities } };
  }
  if (!(host instanceof X86Npt)) throw new Error('no second stage');
  const { cr0, cr3, cr4, efer, loadedPdptes: pdptes } = host;
  return { kind: 'npt', registers: { cr0, cr3, cr4, efer, pdptes, ...capabilities } };
}

/** The walker's answer in the reference's words. */
export function nestedAnswer(walker: RadixWalker, va: bigint, access: number): Spelled {
  const outcome = walker.translate(va, access);
  if (outcome.kind === 'page') {
    if (walker instanceof X86Walker) return { kind: 'page', pa: outcome.pa };
    const { gpa, pa, riscv } = outcome;
    return { kind: 'page', pa, gpa, pbmt: riscv?.pbmt };
  }
  if (walker instanceof RiscvWalker) {
    const { cause, htval, tinst, tval } = walker.fault;
    return { kind: 'fault', cause, tval, htval, tinst: BigInt(tinst) };
  }
  const { x86 } = outcome;
  const exit = x86?.exit;
  if (exit === undefined) {
    return { kind: 'guest-fault', vector: x86?.vector, errorCode: x86?.errorCode };
  }
  if (exit.kind !== 'ept-violation') return { ...exit };
  if (exit.linear !== va) throw new Error('the exit has another linear address');
  const { gpa, kind, qualification } = exit;
  return { kind, qualification, gpa };
}

/** Accesses that the architecture of a guest has. */
export function accessesOf(walker: RadixWalker): readonly number[] {
  const { Fetch, Hlvx, Read, ReadModifyWrite, User, Write } = Access;
  const kinds = [Read, Write, Fetch, Read | ReadModifyWrite];
  const further = walker instanceof RiscvWalker ? [Read | Hlvx] : [];
  return [...kinds, ...further].flatMap((kind) => [kind, kind | User]);
}
