import { Access } from '../core/index.js';
import {
  type ReferencePmpRight,
  type ReferencePrivilege,
  type ReferenceRiscvRegisters,
  referenceRiscvWalk,
  usesReserved,
} from './riscv-walk.js';

/** What the G stage depends on: hgatp, HS-level sstatus.MXR, menvcfg and the extensions. */
export interface ReferenceGStageRegisters {
  readonly xlen: 32 | 64;
  readonly hgatp: bigint;
  readonly mxr: boolean;
  readonly adue: boolean;
  readonly pbmte: boolean;
  readonly svnapot: boolean;
  readonly svrsw60t59b: boolean;
}

/** Memory that the walk changes as it goes: an entry of one stage may stand in a table of the other. */
export interface ReferenceTwoStageMemory {
  /** A little-endian value, or `null` where there is no memory. */
  read(pa: bigint, bytes: number): bigint | null;
  write(pa: bigint, bytes: number, value: bigint): void;
}

/** One access of VS-mode or VU-mode, and everything that its answer depends on. */
export interface ReferenceTwoStageInput {
  readonly memory: ReferenceTwoStageMemory;
  /** vsatp, vsstatus.SUM and MXR, henvcfg. */
  readonly guest: Omit<ReferenceRiscvRegisters, 'mprv' | 'mpp'>;
  readonly host: ReferenceGStageRegisters;
  readonly va: bigint;
  /** `Access` bits: `User` for VU-mode, `Hlvx` for HLVX. */
  readonly access: number;
  readonly bytes: number;
  /** Physical memory protection. */
  readonly protect?: (
    pa: bigint,
    bytes: number,
    right: ReferencePmpRight,
    privilege: ReferencePrivilege,
  ) => boolean;
}

/** The answer to an access: a physical address, or what the trap's registers say. */
export type ReferenceTwoStageOutcome =
  | { readonly kind: 'page'; readonly pa: bigint; readonly gpa: bigint; readonly pbmt: number }
  | {
      readonly kind: 'fault';
      readonly cause: number;
      readonly tval: bigint;
      readonly htval: bigint;
      readonly tinst: bigint;
    };

/** Bits `high` to `low` of a value. */
const field = (value: bigint, high: number, low: number): bigint =>
  (value >> BigInt(low)) % 2n ** BigInt(high - low + 1);

/** Whether a bit of a value is set. */
const bit = (value: bigint, at: number): boolean => field(value, at, at) === 1n;

/** Why the G stage refused. */
class Refusal extends Error {
  readonly kind: 'access fault' | 'guest-page fault';

  constructor(kind: 'access fault' | 'guest-page fault') {
    super(kind);
    this.kind = kind;
  }
}

/** What an access is to the G stage. */
interface GAccess {
  readonly kind: 'load' | 'store' | 'fetch';
  readonly hlvx: boolean;
  /** To a VS-stage table: MXR does not concern it. */
  readonly implicit: boolean;
}

/** What the G stage makes of an address. */
interface GPage {
  readonly pa: bigint;
  readonly pbmt: number;
}

/**
 * 21.5.1 "Guest Physical Address Translation": the process of 12.3.2 with hgatp, a root of four times the size, and every
 * access as a user's.
 */
function throughGStage(
  input: ReferenceTwoStageInput,
  gpa: bigint,
  bytes: number,
  access: GAccess,
): GPage {
  const { host, memory } = input;
  const protect = input.protect ?? (() => true);
  const finish = (pa: bigint, pbmt: number): GPage => {
    const right = { load: 'read', store: 'write', fetch: 'execute' } as const;
    const rights: ReferencePmpRight[] = access.hlvx ? ['read', 'execute'] : [right[access.kind]];
    if (!rights.every((one) => protect(pa, bytes, one, 'supervisor'))) {
      throw new Refusal('access fault');
    }
    return { pa, pbmt };
  };

  const wide = host.xlen === 64;
  const mode = wide ? Number(field(host.hgatp, 63, 60)) : Number(field(host.hgatp, 31, 31));
  if (mode === 0) return finish(gpa, 0);
  const [levels, indexBits, pteSize, ppnBits] = wide ? [mode - 5, 9, 8, 44] : [2, 10, 4, 22];
  const top = 12 + levels * indexBits + 2;
  if (field(gpa, 63, top) !== 0n) throw new Refusal('guest-page fault');

  let table = field(host.hgatp, ppnBits - 1, 2) * 4n * 4096n;
  for (let level = levels - 1; ; level--) {
    const low = 12 + level * indexBits;
    const high = low + indexBits - 1 + (level === levels - 1 ? 2 : 0);
    const address = table + field(gpa, high, low) * BigInt(pteSize);
    if (!protect(address, pteSize, 'read', 'supervisor')) throw new Refusal('access fault');
    const pte = memory.read(address, pteSize);
    if (pte === null) throw new Refusal('access fault');

    const [readable, writable, executable] = [bit(pte, 1), bit(pte, 2), bit(pte, 3)];
    const leaf = readable || executable;
    if (!bit(pte, 0) || (writable && !readable)) throw new Refusal('guest-page fault');
    const shape = { levels, indexBits, pteSize, ppnBits };
    if (usesReserved(pte, leaf, level, shape, host)) throw new Refusal('guest-page fault');
    const ppn = field(pte, ppnBits + 9, 10);
    if (!leaf) {
      if (level === 0) throw new Refusal('guest-page fault');
      table = ppn * 4096n;
      continue;
    }
    const pages = 2n ** BigInt(level * indexBits);
    if (ppn % pages !== 0n) throw new Refusal('guest-page fault');
    if (!bit(pte, 4)) throw new Refusal('guest-page fault');
    const mayLoad = readable || (host.mxr && !access.implicit && executable);
    const allowed = access.hlvx
      ? executable
      : { load: mayLoad, store: writable, fetch: executable }[access.kind];
    if (!allowed) throw new Refusal('guest-page fault');

    const store = access.kind === 'store';
    if (!bit(pte, 6) || (store && !bit(pte, 7))) {
      if (!host.adue) throw new Refusal('guest-page fault');
      if (!protect(address, pteSize, 'write', 'supervisor')) throw new Refusal('access fault');
      memory.write(address, pteSize, pte | (store ? 0xc0n : 0x40n));
    }
    const group = bit(pte, 63) ? 16n : pages;
    const page = gpa / 4096n;
    const frame = ppn - (ppn % group) + (page % group);
    return finish(frame * 4096n + (gpa % 4096n), wide ? Number(field(pte, 62, 61)) : 0);
  }
}

/**
 * An access through both stages: RISC-V Privileged, 21.5 "Two-Stage Address Translation". VS-stage tables are read and
 * updated through the G stage, implicitly; 21.6.3 says what htinst holds then.
 */
export function referenceRiscvTwoStage(input: ReferenceTwoStageInput): ReferenceTwoStageOutcome {
  const { access, guest, host, memory, va } = input;
  const fetch = (access & 3) === Access.Fetch;
  const store = !fetch && (access & (Access.Write | Access.ReadModifyWrite)) !== 0;
  const kind = fetch ? 'fetch' : store ? 'store' : 'load';
  const pteSize = guest.xlen === 64 ? 8 : 4;
  // What was asked of the G stage last: it goes into htval and htinst when that refuses.
  let asked = { gpa: 0n, tinst: 0n };
  const through = (gpa: bigint, bytes: number, how: GAccess, tinst: bigint): GPage => {
    asked = { gpa, tinst };
    return throughGStage(input, gpa, bytes, how);
  };
  const pseudo = (write: boolean): bigint =>
    (guest.xlen === 64 ? 0x3000n : 0x2000n) | (write ? 0x20n : 0n);
  const implicit = (how: 'load' | 'store'): GAccess => ({ kind: how, hlvx: false, implicit: true });
  try {
    const outcome = referenceRiscvWalk({
      registers: { ...guest, mxr: guest.mxr || host.mxr, mprv: false, mpp: 'machine' },
      read: (gpa) =>
        memory.read(through(gpa, pteSize, implicit('load'), pseudo(false)).pa, pteSize),
      update: (gpa, value) => {
        memory.write(through(gpa, pteSize, implicit('store'), pseudo(true)).pa, pteSize, value);
      },
      ...{ va, access, bytes: input.bytes },
    });
    if (outcome.kind === 'fault') {
      return { kind: 'fault', cause: outcome.cause, tval: va, htval: 0n, tinst: 0n };
    }
    const hlvx = (access & Access.Hlvx) !== 0;
    const page = through(outcome.pa, input.bytes, { kind, hlvx, implicit: false }, 0n);
    // 12.8: the G stage's PBMT overrides the PMA, the VS stage's overrides that.
    const pbmt = outcome.pbmt === 0 ? page.pbmt : outcome.pbmt;
    return { kind: 'page', pa: page.pa, gpa: outcome.pa, pbmt };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.kind === 'access fault') {
      const cause = { load: 5, store: 7, fetch: 1 }[kind];
      return { kind: 'fault', cause, tval: va, htval: 0n, tinst: 0n };
    }
    const cause = { load: 21, store: 23, fetch: 20 }[kind];
    return { kind: 'fault', cause, tval: va, htval: asked.gpa >> 2n, tinst: asked.tinst };
  }
}
