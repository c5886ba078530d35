import { Access, type FaultReason } from '../core/index.js';

/** A bit, or the highest and the lowest bit of several. */
type Bits = number | readonly [number, number];

/** A bit that grants when set, or when clear. */
type Right = number | { readonly not: number };

type Reserved =
  | readonly Bits[]
  | { readonly pointers?: readonly Bits[]; readonly leaves?: readonly Bits[] };

/** A page table format as the reader of its description knows it; what is not said is as `definePteFormat` has it. */
export interface ReferenceFormat {
  readonly pageBytes: number;
  readonly entryBytes: number;
  /** From the root down. */
  readonly levels: readonly {
    readonly bits: number;
    readonly huge?: boolean;
    readonly leaf?: number;
    readonly reserved?: Reserved;
  }[];
  readonly bits: {
    readonly valid: number;
    readonly frame: Bits;
    readonly read?: Right;
    readonly write?: Right;
    readonly execute?: Right;
    readonly user?: Right;
    readonly accessed?: number;
    readonly global?: number;
    readonly dirty?: number;
    readonly leaf?: Right | 'rights';
  };
  readonly pointers?: { readonly rights?: boolean; readonly accessed?: boolean };
  readonly reserved?: Reserved;
  readonly misaligned?: 'fault' | 'ignored';
  readonly writeOnly?: 'allowed' | 'reserved';
  readonly signExtended?: boolean;
}

/** What the machine does where the format leaves it open. */
export interface ReferencePolicy {
  readonly updates: 'hardware' | 'software';
  readonly accessedOnFault: boolean;
  /** `Prot` bits: 1 read, 2 write, 4 execute. */
  readonly supervisorOnUserPages: number;
  readonly supervisorIgnoresWrite: boolean;
  readonly executableIsReadable: boolean;
}

/** One access, and everything that its answer depends on. */
export interface ReferenceFormatInput {
  /** A little-endian value, or `null` where there is no memory. */
  readonly read: (pa: bigint, bytes: number) => bigint | null;
  readonly format: ReferenceFormat;
  readonly policy: ReferencePolicy;
  /** The physical address of the root table. */
  readonly root: bigint;
  readonly va: bigint;
  /** `Access` bits. */
  readonly access: number;
}

/** An entry that the walk changed. */
export interface ReferenceFormatWrite {
  readonly pa: bigint;
  readonly value: bigint;
}

/** The answer to an access. */
export type ReferenceFormatOutcome =
  | {
      readonly kind: 'page';
      readonly pa: bigint;
      readonly pageBytes: bigint;
      /** `Prot` bits. */
      readonly prot: number;
      readonly global: boolean;
      readonly writes: readonly ReferenceFormatWrite[];
    }
  | {
      readonly kind: 'fault';
      readonly reason: FaultReason;
      readonly writes: readonly ReferenceFormatWrite[];
    };

/** Bits `high` to `low` of a value. */
const field = (value: bigint, bits: Bits): bigint => {
  const [high, low] = typeof bits === 'number' ? [bits, bits] : bits;
  return (value >> BigInt(low)) % 2n ** BigInt(high - low + 1);
};

/** Whether an entry grants a right: rights without a bit are granted. */
const grants = (entry: bigint, right: Right | undefined): boolean => {
  if (right === undefined) return true;
  return typeof right === 'number' ? field(entry, right) === 1n : field(entry, right.not) === 0n;
};

/** The rights of an entry as `Prot` bits. */
function rightsOf(entry: bigint, { execute, read, user, write }: ReferenceFormat['bits']): number {
  return (
    (grants(entry, read) ? 1 : 0) +
    (grants(entry, write) ? 2 : 0) +
    (grants(entry, execute) ? 4 : 0) +
    (grants(entry, user) ? 8 : 0)
  );
}

/** Whether one of the reserved bits is set. */
function violates(entry: bigint, reserved: Reserved | undefined, leaf: boolean): boolean {
  if (reserved === undefined) return false;
  const list = 'length' in reserved ? reserved : leaf ? reserved.leaves : reserved.pointers;
  return (list ?? []).some((bits) => field(entry, bits) !== 0n);
}

/** What an entry has to do with the rights to read, write and execute, where these make a leaf. */
const hasRight = (entry: bigint, { execute, read, write }: ReferenceFormat['bits']): boolean =>
  [read, write, execute].some((right) => right !== undefined && grants(entry, right));

/** Whether a valid entry maps a page. */
function mapsPage(entry: bigint, depth: number, format: ReferenceFormat): boolean {
  const { bits, levels } = format;
  const last = depth === levels.length - 1;
  const { huge = false, leaf = bits.leaf } = levels[depth]!;
  if (leaf === 'rights') return (last || huge) && hasRight(entry, bits);
  return last || (huge && leaf !== undefined && grants(entry, leaf));
}

const isStore = (access: number): boolean =>
  (access & 3) !== Access.Fetch && (access & (Access.Write | Access.ReadModifyWrite)) !== 0;

/** The reason for which rights refuse an access, or `null`. */
function refusal(prot: number, input: ReferenceFormatInput): FaultReason | null {
  const { access, format, policy } = input;
  const user = (access & Access.User) !== 0;
  const fetch = (access & 3) === Access.Fetch;
  const store = isStore(access);
  const wanted = fetch ? 4 : store ? 2 : 1;
  const userPage = (prot & 8) !== 0;
  if (user && !userPage) return 'supervisor-page';
  const belongs = format.bits.user !== undefined && userPage;
  if (!user && belongs && (policy.supervisorOnUserPages & wanted) === 0) return 'user-page';
  if ((prot & wanted) !== 0) return null;
  if (fetch) return 'not-executable';
  if (store) return !user && policy.supervisorIgnoresWrite ? null : 'not-writable';
  return policy.executableIsReadable && (prot & 4) !== 0 ? null : 'not-readable';
}

/** An entry that the walk passed, and the bits that it should have. */
interface Passed {
  readonly pa: bigint;
  readonly entry: bigint;
  readonly due: bigint;
}

/** What memory holds after the due bits are set; one entry may have been passed more than once. */
function writesOf(passed: readonly Passed[]): readonly ReferenceFormatWrite[] {
  const words = new Map<bigint, { readonly before: bigint; after: bigint }>();
  for (const { due, entry, pa } of passed) {
    const word = words.get(pa) ?? { before: entry, after: entry };
    word.after |= due;
    words.set(pa, word);
  }
  return [...words]
    .filter(([, { after, before }]) => after !== before)
    .map(([pa, { after }]) => ({ pa, value: after }));
}

/** Whether the upper bits of an address are 0, or repeat the top one. */
function isInside(va: bigint, size: bigint, signExtended = false): boolean {
  if (!signExtended) return va < size;
  return va < size / 2n || va >= 2n ** 64n - size / 2n;
}

const one = (bit: number | undefined): bigint => (bit === undefined ? 0n : 1n << BigInt(bit));

/** What is wrong with a valid entry by itself, whoever asks; `covered` are the bytes that it maps. */
function mistake(
  entry: bigint,
  depth: number,
  covered: bigint,
  format: ReferenceFormat,
): FaultReason | null {
  const { bits, levels } = format;
  const leaf = mapsPage(entry, depth, format);
  if (violates(entry, format.reserved, leaf) || violates(entry, levels[depth]!.reserved, leaf)) {
    return 'reserved-bits';
  }
  if (!leaf) {
    // Where rights make a leaf, an entry that has some and may be none is reserved.
    if (bits.leaf === 'rights' && hasRight(entry, bits)) return 'reserved-bits';
    return depth === levels.length - 1 ? 'no-leaf' : null;
  }
  if (format.writeOnly === 'reserved' && (rightsOf(entry, bits) & 3) === 2) return 'reserved-bits';
  const frame = field(entry, bits.frame) * BigInt(format.pageBytes);
  return frame % covered !== 0n && format.misaligned !== 'ignored' ? 'misaligned-leaf' : null;
}

/** A walk in a format of one's own, as the description's words have it. */
export function referenceFormatWalk(input: ReferenceFormatInput): ReferenceFormatOutcome {
  const { format, policy, read, root, va } = input;
  const { bits, entryBytes, levels, pageBytes, pointers = {} } = format;
  const passed: Passed[] = [];
  const fault = (reason: FaultReason): ReferenceFormatOutcome => {
    const marks = policy.accessedOnFault && policy.updates === 'hardware';
    return { kind: 'fault', reason, writes: marks ? writesOf(passed) : [] };
  };
  const indexBits = levels.reduce((sum, level) => sum + level.bits, 0);
  const size = BigInt(pageBytes) * 2n ** BigInt(indexBits);
  if (!isInside(va, size, format.signExtended)) return fault('non-canonical');

  let table = root;
  let prot = 15;
  let covered = size;
  for (let depth = 0; ; depth++) {
    const entries = 2n ** BigInt(levels[depth]!.bits);
    covered /= entries;
    const pa = table + ((va / covered) % entries) * BigInt(entryBytes);
    const entry = read(pa, entryBytes);
    if (entry === null) return fault('bus-error');
    if (field(entry, bits.valid) === 0n) return fault('not-present');
    const wrong = mistake(entry, depth, covered, format);
    if (wrong !== null) return fault(wrong);
    const leaf = mapsPage(entry, depth, format);
    if (leaf || pointers.rights === true) prot &= rightsOf(entry, bits);
    if (!leaf) {
      passed.push({ pa, entry, due: pointers.accessed === true ? one(bits.accessed) : 0n });
      table = field(entry, bits.frame) * BigInt(pageBytes);
      continue;
    }
    const due = one(bits.accessed) | (isStore(input.access) ? one(bits.dirty) : 0n);
    const all = [...passed, { pa, entry, due }];
    const refused = refusal(prot, input) ?? leftToSoftware(all, input);
    return refused === null ? pageOf(input, all, covered, prot) : fault(refused);
  }
}

/** The bit for which an access faults when software sets accessed and dirty bits, or `null`. */
function leftToSoftware(
  passed: readonly Passed[],
  { format, policy }: ReferenceFormatInput,
): FaultReason | null {
  if (policy.updates === 'hardware') return null;
  const first = passed.find(({ due, entry }) => (due & ~entry) !== 0n);
  if (first === undefined) return null;
  const accessed = first.due & ~first.entry & one(format.bits.accessed);
  return accessed !== 0n ? 'accessed-clear' : 'dirty-clear';
}

/** The page that the last entry passed maps; `covered` are its bytes. */
function pageOf(
  { format: { bits, pageBytes }, policy, va }: ReferenceFormatInput,
  passed: readonly Passed[],
  covered: bigint,
  prot: number,
): ReferenceFormatOutcome {
  const { entry } = passed.at(-1)!;
  const frame = field(entry, bits.frame) * BigInt(pageBytes);
  return {
    kind: 'page',
    pa: frame - (frame % covered) + (va % covered),
    pageBytes: covered,
    prot,
    global: bits.global !== undefined && field(entry, bits.global) === 1n,
    writes: policy.updates === 'hardware' ? writesOf(passed) : [],
  };
}
