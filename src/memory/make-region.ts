import { type Address, checkBits, checkInteger, pageAndOffset, VmError } from '../core/index.js';
import type { Backing, BufferRegion } from './buffer-region.js';
import { type DeviceCallbacks, DeviceRegion } from './device-region.js';
import { FlatRegion } from './flat-region.js';
import { MAX_REGION_BYTES, type Region } from './region.js';
import { SharedRegion } from './shared-region.js';
import { SparseRegion } from './sparse-region.js';

/**
 * Host memory that can become RAM without a copy: a buffer, a view of one (its own offset and length count), or
 * anything with a `buffer`, such as a `WebAssembly.Memory`, whose buffer is asked for again after it grew.
 *
 * @public
 */
export type RamSource =
  | ArrayBufferLike
  | ArrayBufferView
  | {
      /** The buffer of the moment; asked for again when the old one is detached. */
      readonly buffer: ArrayBufferLike;
    };

/**
 * RAM in memory that you have already.
 *
 * @public
 */
export interface WrappedRamOptions {
  /** Physical address of the first byte; any alignment. */
  readonly base: Address;
  /** Where the bytes are. */
  readonly source: RamSource;
  /**
   * First byte within the source; any alignment.
   *
   * @defaultValue 0
   */
  readonly byteOffset?: number;
  /**
   * Bytes, at least 1. Without it the region has all the rest of the source, and follows a source that grows or
   * shrinks (a view does neither), up to the next region.
   */
  readonly byteLength?: number;
  /** Belongs to {@link FreshRamOptions}. */
  readonly bytes?: never;
}

/**
 * New RAM, all zero.
 *
 * @public
 */
export interface FreshRamOptions {
  /** Physical address of the first byte; any alignment. */
  readonly base: Address;
  /** Bytes, at least 1. */
  readonly bytes: number;
  /**
   * Whether to allocate a SharedArrayBuffer.
   *
   * @defaultValue false
   */
  readonly shared?: boolean;
  /** Belongs to {@link WrappedRamOptions}. */
  readonly source?: never;
}

/**
 * Flat RAM, wrapped or new.
 *
 * @public
 */
export type RamOptions = WrappedRamOptions | FreshRamOptions;

/**
 * RAM that costs host memory only where it was written.
 *
 * @public
 */
export interface SparseOptions {
  /** Physical address of the first byte; any alignment. */
  readonly base: Address;
  /** Bytes of address space, 1 to 2^52. */
  readonly bytes: number;
}

/**
 * A device: registers behind callbacks.
 *
 * @public
 */
export interface DeviceOptions extends DeviceCallbacks {
  /** Physical address of the first byte; any alignment. */
  readonly base: Address;
  /** Bytes of address space, 1 to 2^52. */
  readonly bytes: number;
  /**
   * Its name in lists and errors.
   *
   * @defaultValue `device at 0x...`
   */
  readonly name?: string;
}

/** @throws VmError for options that make no sense. */
export function ramRegion(options: RamOptions): BufferRegion {
  return options.source === undefined ? freshRegion(options) : wrappedRegion(options);
}

function freshRegion(options: FreshRamOptions): BufferRegion {
  const { vpn, offset } = pageAndOffset(checkBits('base', options.base));
  const bytes = checkInteger('bytes', options.bytes, 1, MAX_REGION_BYTES);
  return asHostAllows('bytes', bytes, () => {
    const buffer = options.shared === true ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
    const backing = { source: { buffer }, start: 0, length: bytes };
    return checkRoom(bufferRegion(vpn, offset, backing), bytes);
  });
}

/** Hosts limit buffers and views (4 GiB a view on Node 20), each in its own way, and say so by a RangeError. */
function asHostAllows<T>(argument: string, value: number, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const expected = 'no more than the host can hold in one buffer and view';
    throw new VmError('out-of-range', { argument, value, expected });
  }
}

function wrappedRegion(options: WrappedRamOptions): BufferRegion {
  const { vpn, offset } = pageAndOffset(checkBits('base', options.base));
  if (options.bytes !== undefined) {
    throw new VmError('bad-argument', {
      argument: 'bytes',
      value: options.bytes,
      expected: 'either source (with byteLength) or bytes',
    });
  }
  const whole = backingOf(options.source);
  const available = Math.min(whole.length, whole.source.buffer.byteLength - whole.start);
  const skipped = checkInteger('byteOffset', options.byteOffset ?? 0, 0, MAX_REGION_BYTES);
  const rest = available - skipped;
  if (rest < 1) {
    throw new VmError('out-of-range', {
      argument: options.byteOffset === undefined ? 'source' : 'byteOffset',
      value: options.byteOffset ?? options.source,
      expected: 'a source with at least one byte from byteOffset on',
    });
  }
  const bytes = checkInteger('byteLength', options.byteLength ?? rest, 1, rest);
  const fixed = options.byteLength !== undefined || whole.length !== Infinity;
  const backing = {
    source: whole.source,
    start: whole.start + skipped,
    length: fixed ? bytes : Infinity,
  };
  const make = (): BufferRegion => checkRoom(bufferRegion(vpn, offset, backing), bytes);
  return asHostAllows('byteLength', bytes, make);
}

/** All of a source. */
function backingOf(source: RamSource): Backing {
  if (ArrayBuffer.isView(source)) {
    const { buffer, byteOffset, byteLength } = source;
    return { source: { buffer }, start: byteOffset, length: byteLength };
  }
  if (isBuffer(source)) return { source: { buffer: source }, start: 0, length: Infinity };
  if (typeof source === 'object' && source !== null && isBuffer(source.buffer)) {
    return { source, start: 0, length: Infinity };
  }
  throw new VmError('bad-argument', {
    argument: 'source',
    value: source,
    expected: 'an ArrayBuffer, a SharedArrayBuffer, a view of one, or an object with a buffer',
  });
}

/** By tag, not `instanceof`: it works across realms, and where `SharedArrayBuffer` is not defined (some browsers). */
function isBuffer(value: unknown): value is ArrayBufferLike {
  const tag = tagOf(value);
  return tag === '[object ArrayBuffer]' || tag === '[object SharedArrayBuffer]';
}

function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value);
}

function bufferRegion(pfn: number, offset: number, backing: Backing): BufferRegion {
  return tagOf(backing.source.buffer) === '[object SharedArrayBuffer]'
    ? new SharedRegion(pfn, offset, backing)
    : new FlatRegion(pfn, offset, backing);
}

/** @throws VmError for options that make no sense. */
export function sparseRegion(options: SparseOptions): SparseRegion {
  const { vpn, offset } = pageAndOffset(checkBits('base', options.base));
  const bytes = checkInteger('bytes', options.bytes, 1, MAX_REGION_BYTES);
  return checkRoom(new SparseRegion(vpn, offset, bytes), bytes);
}

/** @throws VmError for options that make no sense. */
export function deviceRegion(options: DeviceOptions): DeviceRegion {
  const { vpn, offset } = pageAndOffset(checkBits('base', options.base));
  const bytes = checkInteger('bytes', options.bytes, 1, MAX_REGION_BYTES);
  for (const argument of ['read', 'write'] as const) {
    if (typeof options[argument] !== 'function') {
      const value = options[argument];
      throw new VmError('bad-argument', { argument, value, expected: 'a function' });
    }
  }
  return checkRoom(new DeviceRegion(vpn, offset, bytes, options, options.name), bytes);
}

/** A region must end at 2^64 at the latest. */
function checkRoom<T extends Region>(region: T, bytes: number): T {
  if (bytes > region.room) {
    throw new VmError('out-of-range', {
      argument: 'bytes',
      value: bytes,
      expected: `at most ${region.room} bytes, to the end of the 64-bit space`,
    });
  }
  return region;
}
