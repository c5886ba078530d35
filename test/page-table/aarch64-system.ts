import type { EntryStep, LeafFlags, PageTable } from 'pagewright/page-table';
import { aarch64, type PteFormat } from 'pagewright/pte';
import { AArch64Walker } from 'pagewright/walk';
import { makeSystem, RWU, type System, type SystemOptions } from './system.js';

export const FORMAT: PteFormat = aarch64();
/** T0SZ 16, TTBR1 off, 48 physical bits, access flag by hardware. */
export const TCR = 16n | (1n << 23n) | (5n << 32n) | (1n << 39n);

export const flagsOf = ({ table }: { readonly table: PageTable }): LeafFlags =>
  table.flags({ prot: RWU });

/** A 2 MiB block at page 0x200, frames from 0x400, and a page beside it. */
export function withBlock(options: SystemOptions = {}, format: PteFormat = FORMAT): System {
  const system = makeSystem(format, options);
  const { owed, table } = system;
  table.map(0x200, 0x400, flagsOf(system), owed, 512);
  table.map(0x400, 0x77, flagsOf(system), owed);
  return system;
}

/** Pages at 0x200 to 0x3ff, frames from 0x400. */
export function withPages(options: SystemOptions = {}, format: PteFormat = FORMAT): System {
  const system = makeSystem(format, options);
  const range = { vpn: 0x200, pfn: 0x400, pages: 512, pageSize: 1, flags: flagsOf(system) };
  system.table.mapRange(range, system.owed);
  return system;
}

/** A contiguous group at page 0x210, frames from 0x410. */
export function withGroup(options: SystemOptions = {}, format: PteFormat = FORMAT): System {
  const system = makeSystem(format, options);
  system.table.map(0x210, 0x410, flagsOf(system), system.owed, 16);
  return system;
}

export const walkerOf = ({ memory, table }: System): AArch64Walker =>
  new AArch64Walker({ memory, tcr: TCR, ttbr0: BigInt(table.root) << 12n, mair: 0xffn });

export const kinds = ({ owed }: System): readonly string[] => owed.steps().map(({ kind }) => kind);
export const steps = ({ owed }: System, kind: 'break' | 'make'): readonly EntryStep[] =>
  owed.steps().flatMap((step) => (step.kind !== 'invalidate' && step.kind === kind ? [step] : []));
