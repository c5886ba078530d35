import { Access, Prot } from '../core/index.js';
import { RISCV_PTE, RISCV_PTE_HIGH } from '../pte/index.js';
import { LOCAL } from './entry-rules.js';
import type { CacheContext, KeptLeaf } from './kept-leaf.js';
import type { Pmp } from './pmp.js';
import {
  afterAccess,
  EVERY_ROW,
  hostGrants,
  RISCV_DEMANDS,
  riscvDemandTable,
} from './riscv-demands.js';
import { RiscvFastWalk } from './riscv-fast.js';
import type { RiscvGStage } from './riscv-g-stage.js';
import { RISCV_RULES, rowOf } from './riscv-rules.js';
import type { RiscvStageOptions } from './riscv-state.js';

/**
 * What translation caches ask a hart.
 *
 * @public
 */
export abstract class RiscvCachedWalk extends RiscvFastWalk {
  /** mstatus.MPRV. */
  protected lends = false;
  /** mstatus.MPP. */
  protected previous: 0 | 1 | 3 = 0;
  protected readonly gStage: RiscvGStage | null;
  /** By state; see `demandTable`. */
  private readonly demandTables: Int32Array[] = [];

  /** @internal */
  protected constructor(options: RiscvStageOptions, gStage: RiscvGStage | null) {
    super(options, RISCV_RULES.bare, gStage);
    this.gStage = gStage;
  }

  /** satp.ASID. */
  abstract get asid(): number;

  protected abstract override privilegeOf(access: number, kind: number): number;

  override demandTable(): Int32Array {
    const { gStage, lends, previous, row } = this;
    const hostMxr = gStage?.mxr === true;
    const lent = lends ? 1 + previous : 0;
    const at = (row >>> 3) | (hostMxr ? 4 : 0) | (this.current === null ? 8 : 0) | (lent << 4);
    const known = this.demandTables[at];
    if (known !== undefined) return known;
    const table = riscvDemandTable(
      row,
      (access) => this.demandedPrivilege(access),
      hostMxr,
      (access) => this.supportsAccess(access),
    );
    this.demandTables[at] = table;
    return table;
  }

  /** The privilege of an access; 3 as well where nothing is translated, for then nothing is cached. */
  private demandedPrivilege(access: number): number {
    if (this.current === null && this.gStage === null) return 3;
    return this.privilegeOf(access, rowOf(access, 0) & 3);
  }

  override keepLeaf(leaf: KeptLeaf, access: number, pfn: number): void {
    const { gStage, leafHigh, leafLow, leafShift, pmp } = this;
    const store = (rowOf(access, 0) & 3) === Access.Write;
    leaf.order = leafHigh < 0 && leafShift === 0 ? this.napotOrder() : this.keptOrder();
    leaf.global = (this.leafRights() & LOCAL) === 0;
    leaf.memoryType = (leafHigh & RISCV_PTE_HIGH.PBMT) >>> 29;
    // A first stage that is off grants everything that a second one does.
    const own = leafShift < 0 ? EVERY_ROW : RISCV_DEMANDS.grants[afterAccess(leafLow, store)]!;
    if (gStage === null) leaf.grants = own | hostGrants(this.protectedProt(leaf, pmp, pfn));
    else leaf.grants = own | hostGrants(this.hostProt(access) & (store ? -1 : ~Prot.Write));
  }

  /** A NAPOT group is one entry, unless the second stage's pages are smaller. */
  private napotOrder(): number {
    const { gStage } = this;
    if (gStage === null || gStage.leafShift < 0) return 4;
    const host = gStage.leafHigh < 0 && gStage.leafShift === 0 ? 4 : gStage.leafShift;
    return Math.min(4, host);
  }

  /** What the PMP leaves of a leaf; where it does not say the same of all its pages, the leaf shrinks to one. */
  private protectedProt(leaf: KeptLeaf, pmp: Pmp | null, pfn: number): number {
    if (pmp === null) return Prot.Read | Prot.Write | Prot.Execute;
    const pages = 2 ** leaf.order;
    const whole = uniformProt(pmp, pfn - (pfn % pages), pages);
    const here = pages === 1 ? whole : uniformProt(pmp, pfn, 1);
    if (here !== whole) leaf.order = 0;
    return here;
  }

  override get walksBelow(): boolean {
    return this.gStage === null && this.current !== null;
  }

  override walkBelow(
    vpn: number,
    access: number,
    tablePfn: number,
    level: number,
    above: number,
  ): number {
    const { rootRelative, topShift } = this;
    const relative = tablePfn - (this.windowHigh * 2 ** 31 + this.windowLow);
    // The tables' own frames were in reach of the PMP when the window was bound.
    if (relative < 0 || relative >= this.frames) return -1;
    if (this.pmp !== null && this.pmp.version !== this.pmpVersion) return -1;
    this.rootRelative = relative | 0;
    this.topShift = (level - 1) * this.bits;
    const pfn = this.fastWalk(vpn | 0, (vpn * 2 ** -26) | 0, access, 0);
    this.rootRelative = rootRelative;
    this.topShift = topShift;
    this.leafAny |= above;
    return pfn;
  }

  /** G makes everything below global (RISC-V Privileged, 12.3.1). */
  override pointerRights(low: number, _high: number, above: number): number {
    return above | (low & RISCV_PTE.G);
  }

  override get tagsSpaces(): boolean {
    return true;
  }

  override get tagsMachines(): boolean {
    return true;
  }

  override get protectedPages(): boolean {
    return this.pmp !== null;
  }

  override cacheContext(): CacheContext {
    const { asid, gStage } = this;
    return { asid, vmid: gStage === null ? 0 : gStage.vmid, root: this.contextRoot() };
  }
}

/** What a PMP allows in all of some pages. */
function uniformProt(pmp: Pmp, pfn: number, pages: number): number {
  let prot = 0;
  for (const right of [Prot.Read, Prot.Write, Prot.Execute]) {
    if (pmp.allowsAll(pfn, pages, right)) prot |= right;
  }
  return prot;
}
