import type { RiscvWalker } from 'pagewright/walk';
import { type GuestPages, HOST_DEVICE, HOST_FAULT } from './guest-pages.js';

/** Every access is a page walk: the machine without a fast path, and without a TLB. */
export class SlowPages implements GuestPages {
  pfn = 0;
  readonly fault: { readonly cause: number };
  private readonly walker: RiscvWalker;
  private readonly firstFrame: number;
  private readonly frames: number;

  constructor(walker: RiscvWalker, firstFrame: number, frames: number) {
    this.walker = walker;
    this.fault = walker.fault;
    this.firstFrame = firstFrame;
    this.frames = frames;
  }

  read(vpn: number, access: number): number {
    return this.walk(vpn, access);
  }

  write(vpn: number, access: number): number {
    return this.walk(vpn, access);
  }

  fetch(vpn: number, access: number): number {
    return this.walk(vpn, access);
  }

  /** There is nothing to forget. */
  flush(): void {}

  private walk(vpn: number, access: number): number {
    const pfn = this.walker.walk(vpn, access);
    if (pfn < 0) return HOST_FAULT;
    const frame = pfn - this.firstFrame;
    if (frame >= 0 && frame < this.frames) return frame * 4096;
    this.pfn = pfn;
    return HOST_DEVICE;
  }
}
