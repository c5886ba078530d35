import type { PhysicalMemory } from 'pagewright/memory';
import { Pmp, RiscvWalker, X86Walker } from 'pagewright/walk';
import { referencePmp } from '../../../src/reference/riscv-pmp.js';
import {
  type ReferenceRiscvOutcome,
  referenceRiscvWalk,
} from '../../../src/reference/riscv-walk.js';
import { type ReferenceX86Outcome, referenceX86Walk } from '../../../src/reference/x86-walk.js';
import { IMAGE_BYTES, type Image, type Question } from './image.js';
import { Ram } from './ram.js';
import type { RiscvCase } from './riscv-case.js';
import type { X86Case } from './x86-case.js';

/** A case of either architecture. */
export type WalkCase = RiscvCase | X86Case;

/** What the reference answers. */
export type Outcome = ReferenceRiscvOutcome | ReferenceX86Outcome;

/** RAM with the entries of an image. */
export function ramOf({ base, entries, entryBytes }: Image): Ram {
  const ram = new Ram(base, new Uint8Array(IMAGE_BYTES));
  for (const [offset, value] of entries) ram.write(base + BigInt(offset), entryBytes, value);
  return ram;
}

/** The walker of a case, with its registers. */
export function walkerFor(subject: WalkCase, memory: PhysicalMemory): RiscvWalker | X86Walker {
  return subject.arch === 'riscv' ? riscvWalker(subject, memory) : x86Walker(subject, memory);
}

/** What the reference answers to a question about a case. */
export function referenceAnswer(
  subject: WalkCase,
  ram: Pick<Ram, 'read'>,
  question: Question,
): Outcome {
  const { va, access, bytes } = question;
  const read = (pa: bigint, width: number) => ram.read(pa, width);
  if (subject.arch === 'x86') {
    return referenceX86Walk({ read, registers: subject.registers, va, access });
  }
  const input = { read, registers: subject.registers, va, access, bytes };
  if (subject.pmp === null) return referenceRiscvWalk(input);
  // All 16 entries exist; those that the case does not name are off.
  const off = Array.from({ length: 16 - subject.pmp.length }, () => ({ config: 0, address: 0n }));
  return referenceRiscvWalk({ ...input, protect: referencePmp([...subject.pmp, ...off]) });
}

function riscvWalker(subject: RiscvCase, memory: PhysicalMemory): RiscvWalker {
  const { xlen, satp, adue, pbmte, svnapot, svrsw60t59b, ...privilege } = subject.registers;
  const pmp = subject.pmp === null ? undefined : new Pmp({ xlen });
  subject.pmp?.forEach(({ address }, entry) => {
    pmp?.setAddress(entry, address);
  });
  const options = { memory, xlen, svnapot, svrsw60t59b, ...(pmp && { pmp }) };
  const walker = subject.late
    ? new RiscvWalker({ ...options, adue: !adue, pbmte: !pbmte })
    : new RiscvWalker({ ...options, satp, adue, pbmte });
  if (subject.late) {
    walker.setSatp(satp);
    walker.adue = adue;
    walker.pbmte = pbmte;
  }
  subject.pmp?.forEach(({ config }, entry) => {
    pmp?.setConfig(entry, config);
  });
  walker.sum = privilege.sum;
  walker.mxr = privilege.mxr;
  walker.mprv = privilege.mprv;
  walker.mpp = ({ user: 0, supervisor: 1, machine: 3 } as const)[privilege.mpp];
  return walker;
}

function x86Walker(subject: X86Case, memory: PhysicalMemory): X86Walker {
  const { ac, pkru, pkrs, ...options } = subject.registers;
  const { cr0, cr3, cr4, efer } = options;
  let walker: X86Walker;
  if (subject.late) {
    // Other flags first, of those that do not reload PAE's registers: WP; SMAP, PKE, PKS; NXE.
    const other = { cr0: cr0 ^ 0x1_0000n, cr4: cr4 ^ 0x160_0000n, efer: efer ^ 0x800n };
    walker = new X86Walker({ memory, ...options, ...other });
    walker.writeCr0(cr0);
    walker.writeCr4(cr4);
    walker.writeEfer(efer);
    if (walker.mode !== 'pae') walker.loadCr3(cr3);
  } else {
    walker = new X86Walker({ memory, ...options });
  }
  if (ac) walker.ac = ac;
  walker.pkru = Number(pkru);
  walker.pkrs = Number(pkrs);
  return walker;
}
