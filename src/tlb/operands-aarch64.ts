/**
 * The `root` of a context: the translation regime.
 *
 * @public
 */
export const AArch64Regime = {
  /** EL1&0, with or without a second stage. */
  EL10: 0,
  /** EL2. */
  EL2: 1,
  /** EL2&0: EL2 with HCR_EL2.E2H. */
  EL20: 2,
  /** EL3. */
  EL3: 3,
} as const;

/**
 * A page of an address space of the EL1&0 regime.
 *
 * @public
 */
export interface AArch64Page extends AArch64Vm {
  /** The page number, in granules. */
  readonly vpn: number;
  /** The ASID of the operand. */
  readonly asid: number;
}

/**
 * The virtual machine.
 *
 * @public
 */
export interface AArch64Vm {
  /** VTTBR_EL2.VMID; 0 while EL2 is off. @defaultValue 0 */
  readonly vmid?: number;
  /** HCR_EL2.E2H and TGE are both set: the instruction is about EL2&0, which has no VMIDs. @defaultValue false */
  readonly host?: boolean;
}

/**
 * The range of a TLBI by range: from its base, (NUM + 1) x 2^(5 x SCALE + 1) granules.
 *
 * @public
 */
export interface AArch64Range {
  /** BaseADDR: the first page, in granules. */
  readonly vpn: number;
  /** SCALE, 0 to 3. */
  readonly scale: number;
  /** NUM, 0 to 31. */
  readonly num: number;
}

/**
 * A page of every address space of the EL1&0 regime.
 *
 * @public
 */
export interface AArch64PageOfAll extends AArch64Vm {
  /** The page number, in granules. */
  readonly vpn: number;
}

/**
 * A range of an address space of the EL1&0 regime.
 *
 * @public
 */
export interface AArch64RangeOfOne extends AArch64Range, AArch64Vm {
  /** The ASID of the operand. */
  readonly asid: number;
}

/**
 * A range of every address space of the EL1&0 regime.
 *
 * @public
 */
export interface AArch64RangeOfAll extends AArch64Range, AArch64Vm {}

/**
 * A guest frame.
 *
 * @public
 */
export interface AArch64GuestPage {
  /** VTTBR_EL2.VMID. @defaultValue 0 */
  readonly vmid?: number;
  /** The guest frame number: the intermediate physical address, in granules. */
  readonly ipn: number;
}

/**
 * A range of guest frames.
 *
 * @public
 */
export type AArch64GuestRange = AArch64Range & Pick<AArch64GuestPage, 'vmid'>;

/**
 * The address space of an instruction for EL2.
 *
 * @public
 */
export interface AArch64El2 {
  /** With HCR_EL2.E2H: the ASID in EL2&0. @defaultValue the EL2 regime, which has none */
  readonly asid?: number;
}

/**
 * A page of EL3's regime.
 *
 * @public
 */
export type AArch64El3Page = Pick<AArch64Page, 'vpn'>;

/**
 * A page of EL2's own regime.
 *
 * @public
 */
export type AArch64El2Page = AArch64El3Page & AArch64El2;

/**
 * A range of EL2's own regime.
 *
 * @public
 */
export type AArch64El2Range = AArch64Range & AArch64El2;
