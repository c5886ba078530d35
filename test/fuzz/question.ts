import { Access, type Random } from 'pagewright/core';
import type { WalkCase } from '../walk/agreement/machine.js';

/** Width of the page numbers of a case, and whether bits above repeat its top bit. */
export interface AddressSpace {
  readonly bits: number;
  readonly signExtended: boolean;
}

/** The address space of a case. */
export function addressSpace(subject: WalkCase): AddressSpace {
  const { registers } = subject;
  if ('satp' in registers) {
    if (registers.xlen === 32) return { bits: 20, signExtended: false };
    const mode = Number(registers.satp >> 60n);
    return mode === 0
      ? { bits: 52, signExtended: false }
      : { bits: 9 * (mode - 5), signExtended: true };
  }
  const long = registers.cr0 >> 31n !== 0n && (registers.efer & 0x400n) !== 0n;
  if (!long) return { bits: 20, signExtended: false };
  return { bits: registers.cr4 & 0x1000n ? 45 : 36, signExtended: true };
}

/** Any page number of the space; one of 32 is any of 52 bits, where wider ones exist. */
export function randomVpn(random: Random, { bits, signExtended }: AddressSpace): number {
  const any = (random.word() >>> 6) * 2 ** 26 + (random.word() >>> 6);
  if (!signExtended) return any % 2 ** bits;
  if ((random.word() & 31) === 0) return any;
  const vpn = any % 2 ** bits;
  return vpn >= 2 ** (bits - 1) ? vpn + 2 ** 52 - 2 ** bits : vpn;
}

/** Any access that the architecture has. */
export function randomAccess(random: Random, riscv: boolean): number {
  const dice = random.word() >>> 0;
  const kind = dice % 3;
  const user = dice & 0x100 ? Access.User : 0;
  const write = kind !== Access.Fetch && (dice & 0xe00) === 0 ? Access.ReadModifyWrite : 0;
  const rare = riscv ? Access.Machine : Access.ImplicitSupervisor;
  return kind | user | write | ((dice & 0x7000) === 0 ? rare : 0);
}
