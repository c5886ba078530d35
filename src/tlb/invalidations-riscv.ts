import type { FlushScope } from './flush-scope.js';
import { checked, firstStage, type InvalidationRule, secondStage } from './invalidation-rule.js';

/**
 * The operands of a RISC-V fence, x0 left out. In a context of these caches `asid` is satp's or vsatp's ASID, `vmid` is
 * hgatp's VMID, and `root` is V: 1 for a guest's translations, 0 for those of HS-mode and of machines without hypervisor.
 *
 * @public
 */
export interface RiscvFence {
  /** rs1: the page number of the address; every page without it. */
  readonly vpn?: number;
  /** rs2: the address space; every one, and global entries, without it. */
  readonly asid?: number;
  /** V, where the fence is executed, and then hgatp.VMID. @defaultValue V = 0 */
  readonly guest?: {
    /** hgatp.VMID. */
    readonly vmid: number;
  };
}

/**
 * The operands of HFENCE.VVMA and HINVAL.VVMA.
 *
 * @public
 */
export interface RiscvGuestFence extends Omit<RiscvFence, 'guest'> {
  /** hgatp.VMID: these fences act on the current virtual machine. */
  readonly vmid: number;
}

/**
 * The operands of HFENCE.GVMA and HINVAL.GVMA.
 *
 * @public
 */
export interface RiscvGStageFence {
  /** rs1, shifted back and without its offset: the guest frame number; every frame without it. */
  readonly gpn?: number;
  /** rs2: the virtual machine; every one without it. */
  readonly vmid?: number;
}

const PRIVILEGED = 'RISC-V Privileged';
const SFENCE = `${PRIVILEGED}, 12.2.1 Supervisor Memory-Management Fence Instruction`;
const SVINVAL = `${PRIVILEGED}, "Svinval" Extension for Fine-Grained Address-Translation Cache Invalidation`;
const HFENCE = `${PRIVILEGED}, Hypervisor Extension, Hypervisor Memory-Management Fence Instructions`;

/**
 * What RISC-V fences order, and so invalidate. An address reaches leaf entries only; a change above needs a fence without
 * one. An ASID spares global entries.
 *
 * @example
 * ```ts
 * import { Tlb, riscvInvalidations } from 'pagewright/tlb';
 *
 * const tlb = new Tlb({ entries: 64, ways: 4 });
 * tlb.insert({ vpn: 0x200, pfn: 1, global: true });
 * const { sfenceVma } = riscvInvalidations;
 * for (const scope of sfenceVma.scopes({ vpn: 0x200, asid: 0 })) tlb.flush(scope);
 * tlb.used; // => 1
 * for (const scope of sfenceVma.scopes({ vpn: 0x200 })) tlb.flush(scope);
 * tlb.used; // => 0
 * ```
 * @public
 */
export const riscvInvalidations: {
  /** SFENCE.VMA. */
  readonly sfenceVma: InvalidationRule<RiscvFence>;
  /** SINVAL.VMA. */
  readonly sinvalVma: InvalidationRule<RiscvFence>;
  /** SFENCE.W.INVAL. */
  readonly sfenceWInval: InvalidationRule<unknown>;
  /** SFENCE.INVAL.IR. */
  readonly sfenceInvalIr: InvalidationRule<unknown>;
  /** HFENCE.VVMA. */
  readonly hfenceVvma: InvalidationRule<RiscvGuestFence>;
  /** HFENCE.GVMA. */
  readonly hfenceGvma: InvalidationRule<RiscvGStageFence>;
  /** HINVAL.VVMA. */
  readonly hinvalVvma: InvalidationRule<RiscvGuestFence>;
  /** HINVAL.GVMA. */
  readonly hinvalGvma: InvalidationRule<RiscvGStageFence>;
} = {
  sfenceVma: checked(
    {
      instruction: 'SFENCE.VMA rs1, rs2',
      source: SFENCE,
      effect:
        'neither operand: everything; an ASID: all of it but global entries; an address: its leaf entries in every address space; both: its leaf entries in the address space, but no global ones',
      scopes: (fence) => firstStageFence(fence),
    },
    'vpn',
    'asid',
    'guest',
  ),
  sinvalVma: checked(
    {
      instruction: 'SINVAL.VMA rs1, rs2',
      source: SVINVAL,
      effect: 'as SFENCE.VMA with the same operands, without its ordering',
      scopes: (fence) => firstStageFence(fence),
    },
    'vpn',
    'asid',
    'guest',
  ),
  sfenceWInval: checked({
    instruction: 'SFENCE.W.INVAL',
    source: SVINVAL,
    effect: 'nothing: earlier stores come before later SINVAL.VMA',
    scopes: () => [],
  }),
  sfenceInvalIr: checked({
    instruction: 'SFENCE.INVAL.IR',
    source: SVINVAL,
    effect: 'nothing: earlier SINVAL.VMA come before later implicit accesses',
    scopes: () => [],
  }),
  hfenceVvma: checked(
    {
      instruction: 'HFENCE.VVMA rs1, rs2',
      source: HFENCE,
      effect: "as SFENCE.VMA executed by the guest that hgatp's VMID names",
      scopes: ({ vmid, ...fence }) => firstStageFence({ ...fence, guest: { vmid } }),
    },
    'vpn',
    'asid',
    'vmid',
  ),
  hfenceGvma: checked(
    {
      instruction: 'HFENCE.GVMA rs1, rs2',
      source: HFENCE,
      effect:
        'second-stage translations of the guest-physical address, or of all, in the virtual machine, or in all; with them what was combined from them, which does not remember the guest-physical address',
      scopes: (fence) => secondStageFence(fence),
    },
    'gpn',
    'vmid',
  ),
  hinvalVvma: checked(
    {
      instruction: 'HINVAL.VVMA rs1, rs2',
      source: SVINVAL,
      effect: 'as HFENCE.VVMA with the same operands, without its ordering',
      scopes: ({ vmid, ...fence }) => firstStageFence({ ...fence, guest: { vmid } }),
    },
    'vpn',
    'asid',
    'vmid',
  ),
  hinvalGvma: checked(
    {
      instruction: 'HINVAL.GVMA rs1, rs2',
      source: SVINVAL,
      effect: 'as HFENCE.GVMA with the same operands, without its ordering',
      scopes: (fence) => secondStageFence(fence),
    },
    'gpn',
    'vmid',
  ),
};

function firstStageFence({ asid, guest, vpn }: RiscvFence): readonly FlushScope[] {
  const place = guest === undefined ? { root: 0 } : { root: 1, vmid: guest?.vmid };
  const space = asid === undefined ? { globals: true } : { asid, globals: false };
  if (vpn === undefined) return [{ ...place, ...space, caches: firstStage('all') }];
  return [{ ...place, ...space, vpn, caches: firstStage('none') }];
}

function secondStageFence({ gpn, vmid }: RiscvGStageFence): readonly FlushScope[] {
  const place = { root: 1, globals: true, ...(vmid === undefined ? {} : { vmid }) };
  const pages = gpn === undefined ? {} : { vpn: gpn };
  return [
    { ...place, caches: firstStage('all') },
    { ...place, ...pages, caches: secondStage(gpn === undefined ? 'all' : 'none') },
  ];
}
