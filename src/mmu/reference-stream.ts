import {
  Access,
  checkInteger,
  checkOptions,
  isAccess,
  type OptionNames,
  PAGE_NUMBER_END,
  VmError,
} from '../core/index.js';
import { Fnv1a64 } from './fnv-1a.js';

/**
 * What a program did to memory, reference by reference.
 *
 * @public
 */
export interface ReferenceStream {
  /** Page numbers, in base pages, 0 to 2^52 - 1. */
  readonly vpns: ArrayLike<number>;
  /** `Access` bits of each reference, as many as there are pages. @defaultValue `Access.Read` for all */
  readonly accesses?: ArrayLike<number>;
}

/** A stream that was checked, in arrays that nobody else has. */
export interface CheckedStream {
  readonly vpns: Float64Array;
  readonly accesses: Uint8Array;
}

const STREAM: OptionNames<ReferenceStream> = { vpns: true, accesses: true };

/** Checks a stream and copies it: what happens to the original does not matter any more. O(references). */
export function checkStream(argument: string, stream: ReferenceStream): CheckedStream {
  checkOptions(argument, stream, STREAM);
  const vpns = pagesOf(`${argument}.vpns`, stream.vpns);
  return { vpns, accesses: accessesOf(`${argument}.accesses`, stream.accesses, vpns.length) };
}

function pagesOf(argument: string, list: ArrayLike<number>): Float64Array {
  checkLength(argument, list, 0, 2 ** 32);
  const pages = new Float64Array(list.length);
  for (let index = 0; index < pages.length; index++) {
    const vpn = list[index]!;
    if (!(Number.isInteger(vpn) && vpn >= 0 && vpn < PAGE_NUMBER_END)) {
      checkInteger(`${argument}[${index}]`, vpn, 0, PAGE_NUMBER_END - 1);
    }
    pages[index] = vpn;
  }
  return pages;
}

function accessesOf(
  argument: string,
  list: ArrayLike<number> | undefined,
  length: number,
): Uint8Array {
  const accesses = new Uint8Array(length).fill(Access.Read);
  if (list === undefined) return accesses;
  checkLength(argument, list, length, length);
  for (let index = 0; index < length; index++) {
    const access = list[index]!;
    if (!isAccess(access)) {
      const expected = 'Access bits with one kind';
      throw new VmError('bad-argument', {
        argument: `${argument}[${index}]`,
        value: access,
        expected,
      });
    }
    accesses[index] = access;
  }
  return accesses;
}

function checkLength(argument: string, list: ArrayLike<number>, low: number, high: number): void {
  if (typeof list !== 'object' || list === null) {
    throw new VmError('bad-argument', { argument, value: list, expected: 'a list of numbers' });
  }
  checkInteger(`${argument}.length`, list.length, low, high);
}

/** The hash of a stream that was checked. */
export function hashOf(stream: CheckedStream): string {
  const { accesses, vpns } = stream;
  const hash = new Fnv1a64();
  for (let index = 0; index < vpns.length; index++) {
    const vpn = vpns[index]!;
    hash.word(vpn >>> 0);
    hash.word(Math.floor(vpn / 2 ** 32));
    hash.byte(accesses[index]!);
  }
  return hash.digits;
}

/**
 * A name for a stream by what is in it: the same on every machine, and another one for another stream, unless somebody
 * looks for one that has the same (it is FNV-1a of 64 bits, which keeps nobody from that). Of each reference it takes in nine
 * bytes: the page number in eight, the lowest first, and the access.
 *
 * @param stream - The stream; without accesses it is the same as with one `Access.Read` for each page.
 * @returns 16 hexadecimal digits. O(references).
 * @throws `VmError` for what is no stream, page number or access.
 *
 * @example
 * ```ts
 * import { streamHash } from 'pagewright/mmu';
 *
 * streamHash({ vpns: [1, 2] }); // => 'cebe2e4bfd8809ea'
 * streamHash({ vpns: [1, 2], accesses: [0, 0] }); // => 'cebe2e4bfd8809ea'
 * ```
 * @public
 */
export function streamHash(stream: ReferenceStream): string {
  return hashOf(checkStream('stream', stream));
}
