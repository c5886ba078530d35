import { Access } from 'pagewright/core';
import {
  type Pmp,
  type RadixWalker,
  RiscvGStage,
  RiscvWalker,
  type Translation,
  X86Ept,
  X86Npt,
  X86Walker,
} from 'pagewright/walk';
import { type ReferencePmpEntry, referencePmp } from '../../../src/reference/riscv-pmp.js';
import { referenceRiscvTwoStage } from '../../../src/reference/riscv-two-stage.js';
import { referenceNestedX86 } from '../../../src/reference/x86-nested-walk.js';
import type { Ram } from './ram.js';

/** What both the walker and the reference answer, in the same words. */
export type Spelled = Readonly<Record<string, unknown>>;

/** The reference's answer to an access of a guest. */
export function nestedReference(
  walker: RadixWalker,
  memory: Ram,
  va: bigint,
  access: number,
): Spelled {
  if (walker instanceof RiscvWalker) return riscvReference(walker, memory, va, access);
  if (walker instanceof X86Walker) return x86Reference(walker, memory, va, access);
  throw new Error('there is no reference for this walker');
}

function riscvReference(walker: RiscvWalker, memory: Ram, va: bigint, access: number): Spelled {
  const { secondStage: host } = walker;
  if (!(host instanceof RiscvGStage)) throw new Error('no G stage');
  const { pmp } = host;
  const outcome = referenceRiscvTwoStage({
    ...{ memory, va, access, bytes: 1 },
    guest: { ...walker.snapshot(), satp: walker.satp },
    host: { ...host.snapshot(), hgatp: host.hgatp },
    ...(pmp === null ? {} : { protect: referencePmp(entriesOf(pmp)) }),
  });
  return { ...outcome };
}

function entriesOf(pmp: Pmp): readonly ReferencePmpEntry[] {
  return Array.from({ length: pmp.entries }, (_, entry) => ({
    config: pmp.configOf(entry),
    address: pmp.address(entry),
  }));
}

function x86Reference(walker: X86Walker, memory: Ram, va: bigint, access: number): Spelled {
  const { cr0, cr3, cr4, efer, loadedPdptes: pdptes, pkrs, pkru, secondStage } = walker;
  const registers = { cr0, cr3, cr4, efer, pdptes, pkru: BigInt(pkru), pkrs: BigInt(pkrs) };
  const outcome = referenceNestedX86({
    ...{ memory, va, access },
    guest: { ...walker.snapshot(), ...registers },
    host: hostOf(secondStage),
  });
  return { ...outcome };
}

function hostOf(host: RadixWalker | null): Parameters<typeof referenceNestedX86>[0]['host'] {
  if (host instanceof X86Ept) return { kind: 'ept', registers: host };
  if (!(host instanceof X86Npt)) throw new Error('no second stage');
  const { cr0, cr3, cr4, efer, loadedPdptes: pdptes } = host;
  return { kind: 'npt', registers: { ...host.snapshot(), cr0, cr3, cr4, efer, pdptes } };
}

/** The walker's last answer in the reference's words. */
export function nestedAnswer(walker: RadixWalker, outcome: Translation): Spelled {
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
  if (exit.linear !== outcome.va) throw new Error('the exit has another linear address');
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
