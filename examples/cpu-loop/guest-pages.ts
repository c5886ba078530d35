/** The page is no RAM; its frame waits in `pfn`. */
export const HOST_DEVICE = -1;
/** The access faults; the cause waits in `fault.cause`. */
export const HOST_FAULT = -2;

/** What the interpreter asks of an MMU: where in its own RAM a page of the guest is. */
export interface GuestPages {
  /** Byte offset of the page in RAM for a load, or {@link HOST_DEVICE}, or {@link HOST_FAULT}. */
  read(vpn: number, access: number): number;
  /** The same for a store. */
  write(vpn: number, access: number): number;
  /** The same for an instruction fetch. */
  fetch(vpn: number, access: number): number;
  /** Forgets all that was remembered: SFENCE.VMA. */
  flush(): void;
  /** The frame of the last answer that was {@link HOST_DEVICE}. */
  readonly pfn: number;
  /** The exception code of the last answer that was {@link HOST_FAULT}. */
  readonly fault: { readonly cause: number };
}
