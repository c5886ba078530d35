// The one file of an architecture that would lie in `walk/`: its rules, and the walk that obeys them.
import { Access, Prot } from 'pagewright/core';
import { BUS_ERROR, type PhysicalMemory } from 'pagewright/memory';
import { LOCAL, RadixWalker, SKIP, UPDATE_ATTEMPTS, WalkFault, walkRule } from 'pagewright/walk';
import { srmmu } from './format.js';

const SOURCE = 'SPARC Architecture Manual Version 8, Appendix H';

/** Every rule that can decide a walk. */
export const SRMMU_RULES = {
  translated: walkRule('srmmu.translated', null, SOURCE, 'the translation succeeds'),
  outOfRange: walkRule('srmmu.out-of-range', 'non-canonical', SOURCE, 'an address has 32 bits'),
  tableMissing: walkRule('srmmu.table-missing', 'bus-error', SOURCE, 'no memory at the entry'),
  invalid: walkRule('srmmu.invalid', 'not-present', SOURCE, 'ET = 0: an invalid address'),
  reserved: walkRule('srmmu.reserved', 'reserved-bits', SOURCE, 'ET = 3: a translation error'),
  noLeaf: walkRule('srmmu.no-leaf', 'no-leaf', SOURCE, 'a pointer in a table of the last level'),
  privilege: walkRule('srmmu.privilege', 'supervisor-page', SOURCE, 'ACC = 6 or 7, for a user'),
  notReadable: walkRule('srmmu.not-readable', 'not-readable', SOURCE, 'ACC forbids loads'),
  notWritable: walkRule('srmmu.not-writable', 'not-writable', SOURCE, 'ACC forbids stores'),
  notExecutable: walkRule('srmmu.not-executable', 'not-executable', SOURCE, 'ACC forbids fetches'),
  contended: walkRule('srmmu.contended', 'contended', SOURCE, 'the entry changed at every attempt'),
} as const;

/** The rights by ACC, of a user and of the supervisor (H.3). */
const R = Prot.Read;
const W = Prot.Write;
const X = Prot.Execute;
const USER = [R, R | W, R | X, R | W | X, X, R, 0, 0] as const;
const SUPERVISOR = [R, R | W, R | X, R | W | X, X, R | W, R | X, R | W | X] as const;

const REFERENCED = 1 << 5;
const MODIFIED = 1 << 6;
const CHANGED = Number.NEGATIVE_INFINITY;

export interface SrmmuOptions {
  readonly memory: PhysicalMemory;
  /** The address of the root table, which the current context names: a multiple of 1024. */
  readonly root: number;
}

/** SPARC's reference MMU. The context table is left out: `root` is what the context's entry points at. */
export class SrmmuWalker extends RadixWalker {
  override readonly fault: WalkFault = new WalkFault(SRMMU_RULES.invalid);
  override readonly format = srmmu;
  private readonly root: number;

  constructor({ memory, root }: SrmmuOptions) {
    super(memory, SRMMU_RULES.translated);
    this.root = root;
    this.useShape(srmmu);
    this.bindWindow();
  }

  override rootAt(): number {
    return Math.floor(this.root / 4096);
  }

  override rootByte(): number {
    return this.root % 4096;
  }

  /** Tables of 256 bytes and 1 KiB begin anywhere in a frame. */
  override tableByte(low: number): number {
    return (low & 0xfc) << 4;
  }

  override classify(low: number, high: number, level: number): number {
    return (low & 3) === 3 ? SKIP : super.classify(low, high, level);
  }

  /** Rights of the user as `Prot` has them; the supervisor's may be more, see `refusal`. */
  override entryProt(low: number, _high: number, leaf: boolean): number {
    if (!leaf) return Prot.Read | Prot.Write | Prot.Execute | Prot.User | LOCAL;
    const acc = (low >>> 2) & 7;
    return acc < 6 ? USER[acc]! | Prot.User | LOCAL : SUPERVISOR[acc]! | LOCAL;
  }

  protected override complete(
    vpn: number,
    access: number,
    offset: number,
    _bytes: number,
    update: boolean,
  ): number {
    for (let attempt = 0; attempt < UPDATE_ATTEMPTS; attempt++) {
      this.path.begin(srmmu, this.top, this.rootAt(), this.rootByte());
      const result = this.descend(vpn, access, offset, update);
      if (result !== CHANGED) return result;
    }
    return this.refuse(SRMMU_RULES.contended, this.path.last, vpn, access, offset);
  }

  private descend(vpn: number, access: number, offset: number, update: boolean): number {
    const { memory, path } = this;
    if (vpn >= 2 ** 20) return this.refuse(SRMMU_RULES.outOfRange, this.top, vpn, access, offset);
    let table = this.rootAt();
    let byte = this.rootByte();
    for (let level = this.top; ; level--) {
      const index = this.indexAt(vpn, level);
      this.locate(level, table, byte + 4 * index, update);
      if (this.readEntry(level) === BUS_ERROR) {
        return this.refuse(SRMMU_RULES.tableMissing, level, vpn, access, offset);
      }
      const { high, low } = memory;
      path.enter(level, table, index, low, high);
      const type = low & 3;
      if (type === 0) return this.refuse(SRMMU_RULES.invalid, level, vpn, access, offset);
      if (type === 3) return this.refuse(SRMMU_RULES.reserved, level, vpn, access, offset);
      if (type === 2) return this.finish(vpn, access, offset, update);
      if (level === 0) return this.refuse(SRMMU_RULES.noLeaf, level, vpn, access, offset);
      table = this.tableFrame(low, high);
      byte = this.tableByte(low);
    }
  }

  private finish(vpn: number, access: number, offset: number, update: boolean): number {
    const { path } = this;
    const level = path.last;
    const low = path.low[level]!;
    const refusal = refusalOf((low >>> 2) & 7, access);
    if (refusal !== null) return this.refuse(refusal, level, vpn, access, offset);
    const store = (access & (Access.Write | Access.ReadModifyWrite)) !== 0;
    const due = (REFERENCED | (store ? MODIFIED : 0)) & ~low;
    path.set[level] = due;
    if (due !== 0 && update) {
      const outcome = this.setBits(level, due, REFERENCED | MODIFIED);
      if (outcome === 0) return CHANGED;
      if (outcome < 0) return this.refuse(SRMMU_RULES.tableMissing, level, vpn, access, offset);
    }
    return this.arrive(SRMMU_RULES.translated, vpn, this.entryProt(low, 0, true));
  }
}

/** The rule of rights that refuses an access, or `null`. */
function refusalOf(
  acc: number,
  access: number,
): (typeof SRMMU_RULES)[keyof typeof SRMMU_RULES] | null {
  const user = (access & Access.User) !== 0;
  if (user && acc >= 6) return SRMMU_RULES.privilege;
  const rights = user ? USER[acc]! : SUPERVISOR[acc]!;
  if ((access & 3) === Access.Fetch) return rights & X ? null : SRMMU_RULES.notExecutable;
  const store = (access & (Access.Write | Access.ReadModifyWrite)) !== 0;
  if (store) return rights & W ? null : SRMMU_RULES.notWritable;
  return rights & R ? null : SRMMU_RULES.notReadable;
}
