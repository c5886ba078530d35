import {
  checked,
  firstStage,
  type InvalidationRule,
  STRUCTURES_ALONE,
  secondStage,
} from './invalidation-rule.js';

/**
 * Where an x86 processor is. In a context of these caches `asid` is the PCID, `vmid` the VPID, and `root` a number of the
 * caller's for the EPT pointer, 0 without EPT.
 *
 * @public
 */
export interface X86Place {
  /** The current PCID; 0 while CR4.PCIDE is 0. @defaultValue 0 */
  readonly pcid?: number;
  /** The current VPID; 0 outside VMX non-root operation, and without VPIDs. @defaultValue 0 */
  readonly vpid?: number;
}

/**
 * A page, as INVLPG and others name it.
 *
 * @public
 */
export interface X86Page extends X86Place {
  /** The page number of the linear address. */
  readonly vpn: number;
}

/**
 * The operands of INVLPGA.
 *
 * @public
 */
export interface AmdPage {
  /** The page number of the linear address. */
  readonly vpn: number;
  /** AMD's ASID: the `vmid` of a context; 0 for the host. */
  readonly asid: number;
  /** EFER.TCE: of the entries above, only those that lead to the page go. @defaultValue false */
  readonly tce?: boolean;
}

/**
 * The operands of INVLPGB. What is not valid does not restrict.
 *
 * @public
 */
export interface AmdBroadcast {
  /** The first page, where the address is valid. */
  readonly vpn?: number;
  /** Pages: one more than the count in ECX. @defaultValue 1 */
  readonly pages?: number;
  /** The PCID, where it is valid. */
  readonly pcid?: number;
  /** AMD's ASID, where it is valid: the `vmid` of a context. */
  readonly asid?: number;
  /** Whether global translations go. @defaultValue false */
  readonly globals?: boolean;
  /** Whether only final translations go. @defaultValue false */
  readonly finalOnly?: boolean;
  /** Whether nested translations go, too. @defaultValue false */
  readonly nested?: boolean;
  /** EFER.TCE. @defaultValue false */
  readonly tce?: boolean;
}

const SDM_OPERATIONS =
  'Intel SDM Vol. 3A, 4.10.4.1 Operations that Invalidate TLBs and Paging-Structure Caches';
const SDM_VMX = 'Intel SDM Vol. 3C, 29.4.3.1 Operations that Invalidate Cached Mappings';
const APM_TLB = 'AMD64 APM Vol. 2, 5.5 Translation-Lookaside Buffer';
const APM_SVM = 'AMD64 APM Vol. 2, 15.16 TLB Control';

/**
 * What x86 instructions and events invalidate.
 *
 * @example
 * ```ts
 * import { Tlb, x86Invalidations } from 'pagewright/tlb';
 *
 * const tlb = new Tlb({ entries: 64, ways: 4 });
 * tlb.insert({ vpn: 0x200, pfn: 1 });
 * tlb.insert({ vpn: 0x201, pfn: 2, global: true });
 * const { invlpg, movToCr3 } = x86Invalidations;
 * for (const scope of movToCr3.scopes({ pcid: 0 })) tlb.flush(scope);
 * tlb.content().map(({ vpn }) => vpn); // => [0x201]
 * for (const scope of invlpg.scopes({ vpn: 0x201 })) tlb.flush(scope);
 * tlb.used; // => 0
 * ```
 * @public
 */
export const x86Invalidations: {
  /** INVLPG. */
  readonly invlpg: InvalidationRule<X86Page>;
  /** INVPCID, type 0. */
  readonly invpcidAddress: InvalidationRule<X86Page>;
  /** INVPCID, type 1. */
  readonly invpcidContext: InvalidationRule<X86Place>;
  /** INVPCID, type 2. */
  readonly invpcidAll: InvalidationRule<X86Place>;
  /** INVPCID, type 3. */
  readonly invpcidAllButGlobal: InvalidationRule<X86Place>;
  /** MOV to CR3. */
  readonly movToCr3: InvalidationRule<
    X86Place & {
      /** With CR4.PCIDE: bit 63 of the operand, which keeps everything. @defaultValue false */
      readonly noFlush?: boolean;
    }
  >;
  /** A task switch that changes CR3. */
  readonly taskSwitch: InvalidationRule<Pick<X86Place, 'vpid'>>;
  /** MOV to CR4 that changes PGE, or clears PCIDE. */
  readonly movToCr4Global: InvalidationRule<X86Place>;
  /** MOV to CR4 that changes PAE, or sets SMEP. */
  readonly movToCr4Context: InvalidationRule<X86Place>;
  /** MOV to CR0 that clears PG. */
  readonly movToCr0: InvalidationRule<X86Place>;
  /** A page fault. */
  readonly pageFault: InvalidationRule<X86Page>;
  /** VM entry or exit without VPIDs. */
  readonly vmxTransition: InvalidationRule<unknown>;
  /** INVVPID, type 0. */
  readonly invvpidAddress: InvalidationRule<Required<Pick<X86Page, 'vpid' | 'vpn'>>>;
  /** INVVPID, type 1. */
  readonly invvpidContext: InvalidationRule<Required<Pick<X86Place, 'vpid'>>>;
  /** INVVPID, type 2. */
  readonly invvpidAll: InvalidationRule<unknown>;
  /** INVVPID, type 3. */
  readonly invvpidContextButGlobal: InvalidationRule<Required<Pick<X86Place, 'vpid'>>>;
  /** INVEPT, type 1. */
  readonly inveptContext: InvalidationRule<{
    /** The number of the EPT pointer. */
    readonly root: number;
  }>;
  /** INVEPT, type 2. */
  readonly inveptAll: InvalidationRule<unknown>;
  /** An EPT violation. */
  readonly eptViolation: InvalidationRule<
    Required<X86Page> & {
      /** The number of the EPT pointer. */
      readonly root: number;
      /** The guest frame number that could not be translated. */
      readonly gpn: number;
    }
  >;
  /** AMD's INVLPGA. */
  readonly invlpga: InvalidationRule<AmdPage>;
  /** AMD's INVLPGB, on every processor. */
  readonly invlpgb: InvalidationRule<AmdBroadcast>;
  /** AMD's VMRUN with TLB_CONTROL 1. */
  readonly vmrunAll: InvalidationRule<unknown>;
  /** AMD's VMRUN with TLB_CONTROL 3. */
  readonly vmrunGuest: InvalidationRule<{
    /** AMD's ASID: the `vmid` of a context. */
    readonly asid: number;
  }>;
  /** AMD's VMRUN with TLB_CONTROL 7. */
  readonly vmrunGuestButGlobal: InvalidationRule<{
    /** AMD's ASID: the `vmid` of a context. */
    readonly asid: number;
  }>;
} = {
  invlpg: checked(
    {
      instruction: 'INVLPG m',
      source: SDM_OPERATIONS,
      effect:
        'the page in the current PCID, global entries for it in all, and every paging-structure entry of the current PCID',
      scopes: ({ pcid = 0, vpid = 0, vpn }) => [
        { vmid: vpid, asid: pcid, globals: true, vpn, caches: firstStage('none') },
        { vmid: vpid, asid: pcid, globals: false, caches: STRUCTURES_ALONE },
      ],
    },
    'vpn',
    'pcid',
    'vpid',
  ),
  invpcidAddress: checked(
    {
      instruction: 'INVPCID, type 0 (individual address)',
      source: SDM_OPERATIONS,
      effect:
        'the page in the PCID of the descriptor, except global entries, and the entries above it',
      scopes: ({ pcid = 0, vpid = 0, vpn }) => [
        { vmid: vpid, asid: pcid, globals: false, vpn, caches: firstStage('pages') },
      ],
    },
    'vpn',
    'pcid',
    'vpid',
  ),
  invpcidContext: checked(
    {
      instruction: 'INVPCID, type 1 (single context)',
      source: SDM_OPERATIONS,
      effect: 'everything of the PCID of the descriptor, except global entries',
      scopes: ({ pcid = 0, vpid = 0 }) => [
        { vmid: vpid, asid: pcid, globals: false, caches: firstStage('all') },
      ],
    },
    'pcid',
    'vpid',
  ),
  invpcidAll: checked(
    {
      instruction: 'INVPCID, type 2 (all contexts, with globals)',
      source: SDM_OPERATIONS,
      effect: 'everything of every PCID',
      scopes: ({ vpid = 0 }) => [{ vmid: vpid, globals: true, caches: firstStage('all') }],
    },
    'pcid',
    'vpid',
  ),
  invpcidAllButGlobal: checked(
    {
      instruction: 'INVPCID, type 3 (all contexts, retaining globals)',
      source: SDM_OPERATIONS,
      effect: 'everything of every PCID, except global entries',
      scopes: ({ vpid = 0 }) => [{ vmid: vpid, globals: false, caches: firstStage('all') }],
    },
    'pcid',
    'vpid',
  ),
  movToCr3: checked(
    {
      instruction: 'MOV to CR3',
      source: SDM_OPERATIONS,
      effect:
        'everything of the new PCID (0 without CR4.PCIDE), except global entries; nothing with bit 63 of the operand',
      scopes: ({ noFlush = false, pcid = 0, vpid = 0 }) =>
        noFlush ? [] : [{ vmid: vpid, asid: pcid, globals: false, caches: firstStage('all') }],
    },
    'pcid',
    'vpid',
    'noFlush',
  ),
  taskSwitch: checked(
    {
      instruction: 'Task switch, changing CR3',
      source: SDM_OPERATIONS,
      effect:
        'everything of PCID 0, except global entries; there are no task switches in IA-32e mode, and no PCIDs without it',
      scopes: ({ vpid = 0 }) => [
        { vmid: vpid, asid: 0, globals: false, caches: firstStage('all') },
      ],
    },
    'vpid',
  ),
  movToCr4Global: checked(
    {
      instruction: 'MOV to CR4, changing PGE or clearing PCIDE',
      source: SDM_OPERATIONS,
      effect: 'everything of every PCID, with global entries',
      scopes: ({ vpid = 0 }) => [{ vmid: vpid, globals: true, caches: firstStage('all') }],
    },
    'pcid',
    'vpid',
  ),
  movToCr4Context: checked(
    {
      instruction: 'MOV to CR4, changing PAE or setting SMEP',
      source: SDM_OPERATIONS,
      effect: 'everything of the current PCID, with global entries',
      scopes: ({ pcid = 0, vpid = 0 }) => [
        { vmid: vpid, asid: pcid, globals: true, caches: firstStage('all') },
      ],
    },
    'pcid',
    'vpid',
  ),
  movToCr0: checked(
    {
      instruction: 'MOV to CR0, clearing PG',
      source: SDM_OPERATIONS,
      effect: 'everything of every PCID, with global entries',
      scopes: ({ vpid = 0 }) => [{ vmid: vpid, globals: true, caches: firstStage('all') }],
    },
    'pcid',
    'vpid',
  ),
  pageFault: checked(
    {
      instruction: '#PF',
      source: SDM_OPERATIONS,
      effect:
        'the page in the current PCID, and the entries above it; a global entry for it, too, for these caches do not know the PCID in which it was made',
      scopes: ({ pcid = 0, vpid = 0, vpn }) => [
        { vmid: vpid, asid: pcid, globals: true, vpn, caches: firstStage('pages') },
      ],
    },
    'vpn',
    'pcid',
    'vpid',
  ),
  vmxTransition: checked({
    instruction: 'VM entry or VM exit with "enable VPID" 0',
    source: SDM_VMX,
    effect: 'linear and combined mappings of VPID 0, of every PCID and EPT pointer',
    scopes: () => [{ vmid: 0, globals: true, caches: firstStage('all') }],
  }),
  invvpidAddress: checked(
    {
      instruction: 'INVVPID, type 0 (individual address)',
      source: SDM_VMX,
      effect:
        'linear and combined mappings of the address in the VPID, of every PCID and EPT pointer',
      scopes: ({ vpid, vpn }) => [{ vmid: vpid, globals: true, vpn, caches: firstStage('pages') }],
    },
    'vpid',
    'vpn',
  ),
  invvpidContext: checked(
    {
      instruction: 'INVVPID, type 1 (single context)',
      source: SDM_VMX,
      effect: 'linear and combined mappings of the VPID, of every PCID and EPT pointer',
      scopes: ({ vpid }) => [{ vmid: vpid, globals: true, caches: firstStage('all') }],
    },
    'vpid',
  ),
  invvpidAll: checked({
    instruction: 'INVVPID, type 2 (all contexts)',
    source: SDM_VMX,
    effect: 'linear and combined mappings of every VPID but 0',
    scopes: () => [{ exceptVmid: 0, globals: true, caches: firstStage('all') }],
  }),
  invvpidContextButGlobal: checked(
    {
      instruction: 'INVVPID, type 3 (single context, retaining globals)',
      source: SDM_VMX,
      effect: 'linear and combined mappings of the VPID, except global ones',
      scopes: ({ vpid }) => [{ vmid: vpid, globals: false, caches: firstStage('all') }],
    },
    'vpid',
  ),
  inveptContext: checked(
    {
      instruction: 'INVEPT, type 1 (single context)',
      source: SDM_VMX,
      effect: 'guest-physical and combined mappings of the EPT pointer, of every VPID and PCID',
      scopes: ({ root }) => [
        { root, globals: true, caches: firstStage('all') },
        { root, globals: true, caches: secondStage('all') },
      ],
    },
    'root',
  ),
  inveptAll: checked({
    instruction: 'INVEPT, type 2 (all contexts)',
    source: SDM_VMX,
    effect: 'guest-physical and combined mappings of every EPT pointer; linear ones stay',
    scopes: () => [
      { exceptRoot: 0, globals: true, caches: firstStage('all') },
      { exceptRoot: 0, globals: true, caches: secondStage('all') },
    ],
  }),
  eptViolation: checked(
    {
      instruction: 'EPT violation',
      source: SDM_VMX,
      effect:
        'guest-physical mappings of the address in the current EPT pointer, and combined ones of the linear address in the current VPID and PCID',
      scopes: ({ gpn, pcid, root, vpid, vpn }) => [
        { root, globals: true, vpn: gpn, caches: secondStage('pages') },
        { root, vmid: vpid, asid: pcid, globals: true, vpn, caches: firstStage('pages') },
      ],
    },
    'root',
    'gpn',
    'vpn',
    'pcid',
    'vpid',
  ),
  invlpga: checked(
    {
      instruction: 'INVLPGA rAX, ECX',
      source: APM_TLB,
      effect:
        'the page in the ASID of the operand, with a global entry for it; and the entries above it, without EFER.TCE all of the ASID',
      scopes: ({ asid, tce = false, vpn }) => [
        { vmid: asid, globals: true, vpn, caches: firstStage(tce ? 'pages' : 'all') },
      ],
    },
    'vpn',
    'asid',
    'tce',
  ),
  invlpgb: checked(
    {
      instruction: 'INVLPGB',
      source: APM_TLB,
      effect:
        'what the valid operands leave: pages, a PCID, an ASID; global and nested translations if asked for; the entries above unless only final translations are asked for',
      scopes: (operands) => {
        const { asid, finalOnly = false, globals = false, nested = false, pages = 1 } = operands;
        const { pcid, tce = false, vpn } = operands;
        const structures = finalOnly ? 'none' : tce && vpn !== undefined ? 'pages' : 'all';
        const place = {
          globals,
          ...(asid === undefined ? {} : { vmid: asid }),
          ...(pcid === undefined ? {} : { asid: pcid }),
          ...(vpn === undefined ? {} : { vpn, pages }),
        };
        const machine = { globals: true, ...(asid === undefined ? {} : { vmid: asid }) };
        const first = { ...place, caches: firstStage(structures) };
        return nested ? [first, { ...machine, caches: secondStage('all') }] : [first];
      },
    },
    'vpn',
    'pages',
    'pcid',
    'asid',
    'globals',
    'finalOnly',
    'nested',
    'tce',
  ),
  vmrunAll: checked({
    instruction: 'VMRUN, TLB_CONTROL 1',
    source: APM_SVM,
    effect: 'everything of every ASID, with global entries',
    scopes: () => [
      { globals: true, caches: firstStage('all') },
      { globals: true, caches: secondStage('all') },
    ],
  }),
  vmrunGuest: checked(
    {
      instruction: 'VMRUN, TLB_CONTROL 3',
      source: APM_SVM,
      effect: "everything of the guest's ASID, with global entries",
      scopes: ({ asid }) => [
        { vmid: asid, globals: true, caches: firstStage('all') },
        { vmid: asid, globals: true, caches: secondStage('all') },
      ],
    },
    'asid',
  ),
  vmrunGuestButGlobal: checked(
    {
      instruction: 'VMRUN, TLB_CONTROL 7',
      source: APM_SVM,
      effect: "everything of the guest's ASID, except global entries",
      scopes: ({ asid }) => [{ vmid: asid, globals: false, caches: firstStage('all') }],
    },
    'asid',
  ),
};
