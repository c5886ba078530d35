import type { PhysicalMemory } from 'pagewright/memory';
import { HostPages, HostRam, Mmu } from 'pagewright/mmu';
import { Tlb } from 'pagewright/tlb';
import type { RiscvWalker } from 'pagewright/walk';
import type { GuestPages } from './guest-pages.js';

/**
 * The fast path: the library's host pages before its MMU. Privilege, SUM and MXR need no flush, and writes of satp are heard
 * of from the walker; so SFENCE.VMA alone is left to tell. `HostPage` has the values of `HOST_DEVICE` and `HOST_FAULT`.
 */
export class MmuPages implements GuestPages {
  readonly fault: { readonly cause: number };
  private readonly mmu: Mmu;
  private readonly host: HostPages;

  constructor(walker: RiscvWalker, memory: PhysicalMemory, firstFrame: number) {
    this.fault = walker.fault;
    this.mmu = new Mmu({ walker, tlb: new Tlb({ entries: 256, ways: 4, orders: [0, 9, 18] }) });
    const ram = new HostRam({ memory, pfn: firstFrame });
    this.host = new HostPages({ mmu: this.mmu, ram, entries: 1024 });
  }

  get pfn(): number {
    return this.host.pfn;
  }

  read(vpn: number, access: number): number {
    return this.host.read(vpn, access);
  }

  write(vpn: number, access: number): number {
    return this.host.write(vpn, access);
  }

  fetch(vpn: number, access: number): number {
    return this.host.fetch(vpn, access);
  }

  flush(): void {
    this.mmu.flush({ globals: true });
  }
}
