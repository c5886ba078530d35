/** The part of `WebAssembly.Memory` that is needed here; TypeScript has it only in its DOM library. */
export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
  grow(pages: number): number;
}

interface Host {
  readonly WebAssembly: {
    readonly Memory: new (descriptor: {
      initial: number;
      maximum: number;
      shared: boolean;
    }) => WasmMemory;
  };
}

/** A real WebAssembly memory of 64 KiB pages. */
export function wasmMemory(initial: number, maximum: number, shared = false): WasmMemory {
  const { WebAssembly } = globalThis as unknown as Host;
  return new WebAssembly.Memory({ initial, maximum, shared });
}
