import { Random, type VmEvent } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { definePteFormat, type PteRoles } from 'pagewright/pte';
import { FormatWalker } from 'pagewright/walk';
import {
  type ReferenceFormatOutcome,
  referenceFormatWalk,
} from '../../src/reference/format-walk.js';
import {
  drawFormatCase,
  FORMAT_RAM_BYTES,
  type FormatCase,
} from '../walk/agreement/format-case.js';

/** One walk of this many is compared with the reference. */
const COMPARED = 63;

/**
 * One format that nobody has thought of, an image of garbage in it, and walks over it. The seed says everything.
 *
 * @throws An error that says what was wrong, and of which walk.
 */
export class FormatRound {
  private readonly random: Random;
  private readonly subject: FormatCase;
  private readonly roles: PteRoles;
  private readonly walker: FormatWalker;
  /** The memory's own bytes, and as they should be. */
  private readonly bytes: Uint8Array;
  private readonly shadow: Uint8Array;
  /** Offsets of the entries that the last walk read. */
  private readonly reads: number[] = [];

  constructor(seed: number) {
    this.random = new Random(seed);
    this.subject = drawFormatCase((below) => this.random.below(below), 0);
    const { base, bytes, description, policy, root } = this.subject;
    this.bytes = bytes;
    this.fillWithGarbage();
    this.shadow = bytes.slice();
    const format = definePteFormat(description);
    const memory = PhysicalMemory.wrap(bytes, { base });
    this.walker = new FormatWalker({ memory, format, root, ...policy });
    this.roles = this.walker.format.roles!;
    this.walker.observer = (event) => this.note(event);
  }

  /** Walks `count` times. */
  run(count: number): void {
    for (let i = 0; i < count; i++) {
      const va = this.randomAddress();
      const kind = this.random.below(3);
      const access = kind | (this.random.below(2) === 0 ? 0 : 4);
      try {
        this.ask(va, access, i % COMPARED === 0, i % 8 === 0);
      } catch (error) {
        const what = error instanceof Error ? error.message : String(error);
        const format = JSON.stringify(this.subject.description);
        const question = `va 0x${va.toString(16)}, access ${access}`;
        throw new Error(`${format}, walk ${i} (${question}): ${what}`, { cause: error });
      }
    }
  }

  /** Noise in most entries; in three of four the valid bit, and a frame near the root. */
  private fillWithGarbage(): void {
    const { bytes, description, root } = this.subject;
    const { bits, entryBytes, pageBytes } = description;
    const [high, low] = typeof bits.frame === 'number' ? [bits.frame, bits.frame] : bits.frame;
    const frames = 2n ** BigInt(high - low + 1);
    for (let at = 0; at < bytes.length; at += entryBytes) {
      const noise = (BigInt(this.random.word() >>> 0) << 32n) | BigInt(this.random.word() >>> 0);
      let entry = noise;
      if ((noise >> 60n) % 4n !== 0n) {
        const near = BigInt(root + this.random.below(FORMAT_RAM_BYTES / pageBytes)) % frames;
        entry &= ~((frames - 1n) << BigInt(low));
        entry |= (near << BigInt(low)) | (1n << BigInt(bits.valid));
      }
      for (let i = 0; i < entryBytes; i++) bytes[at + i] = Number((entry >> BigInt(8 * i)) & 0xffn);
    }
  }

  /** An address of the format; one of 16 is any of those that page numbers reach. */
  private randomAddress(): bigint {
    const { pageShift, signExtended, virtualBits } = this.walker.format;
    const any = (BigInt(this.random.word() >>> 0) << 32n) | BigInt(this.random.word() >>> 0);
    if (this.random.below(16) === 0) return BigInt.asUintN(Math.min(64, pageShift + 52), any);
    if (!signExtended) return BigInt.asUintN(virtualBits, any);
    return BigInt.asUintN(64, BigInt.asIntN(virtualBits, any));
  }

  private ask(va: bigint, access: number, compared: boolean, probing: boolean): void {
    const { shadow, walker } = this;
    const expected = compared ? this.reference(va, access) : null;
    const { pageShift } = walker;
    const vpn = Number(va >> BigInt(pageShift));
    this.reads.length = 0;
    const result = probing ? walker.probe(vpn, access) : walker.walk(vpn, access);
    const { levels } = walker.format;
    expect(this.reads.length <= levels, `${this.reads.length} reads of ${levels} levels`);
    this.checkChanges(probing);
    if (expected !== null) {
      const found = result < 0 ? walker.fault.reason : String(result);
      const wanted =
        expected.kind === 'fault' ? expected.reason : String(expected.pa >> BigInt(pageShift));
      expect(found === wanted, `${found}, but the reference says ${wanted}`);
    }
    if (probing) return;
    shadow.set(this.bytes);
    expect(walker.walk(vpn, access) === result, 'another answer the second time');
    expect(Buffer.compare(this.bytes, shadow) === 0, 'the second walk found bits to set');
  }

  /** Nothing but accessed and dirty bits of entries that were read may have been set. */
  private checkChanges(probing: boolean): void {
    if (Buffer.compare(this.bytes, this.shadow) === 0) return;
    expect(!probing, 'a probe changed memory');
    const settable = this.roles.accessed | this.roles.dirty;
    const { entryBytes } = this.subject.description;
    for (const at of this.reads) {
      for (let i = 0; i < Math.min(4, entryBytes); i++) {
        const set = this.bytes[at + i]! & (settable >>> (8 * i));
        this.shadow[at + i] = this.shadow[at + i]! | set;
      }
    }
    expect(Buffer.compare(this.bytes, this.shadow) === 0, 'a change that is no update of A or D');
  }

  private note(event: VmEvent): void {
    if (event.type !== 'entry-read') return;
    const { base, description } = this.subject;
    const { entryBytes, pageBytes } = description;
    const first = Number(base / BigInt(pageBytes));
    this.reads.push((event.tablePfn - first) * pageBytes + event.index * entryBytes);
  }

  private reference(va: bigint, access: number): ReferenceFormatOutcome {
    const { base, description, policy, root } = this.subject;
    return referenceFormatWalk({
      read: (pa, bytes) => {
        const at = Number(pa - base);
        if (at < 0 || at + bytes > FORMAT_RAM_BYTES) return null;
        let value = 0n;
        for (let i = bytes - 1; i >= 0; i--) value = value * 256n + BigInt(this.shadow[at + i]!);
        return value;
      },
      format: description,
      policy,
      root: BigInt(root) * BigInt(description.pageBytes),
      va,
      access,
    });
  }
}

function expect(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
