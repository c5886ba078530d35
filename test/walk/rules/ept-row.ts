import { Access } from 'pagewright/core';
import { type EptRuleName, X86Ept, type X86EptOptions } from 'pagewright/walk';
import { memoryOf, type RuleCase } from './rule-case.js';

const { ImplicitSupervisor, Read } = Access;

/** What a hypervisor finds: the qualification of a violation, a misconfiguration, or nothing. */
type EptAnswer = { readonly violation: number } | 'misconfiguration' | 'bus-error';

/** A row for each rule of Intel SDM Vol. 3C, chapter 29.3, and 28.2.1 for what an exit says. */
export interface EptRuleCase extends RuleCase<EptRuleName, X86EptOptions, X86Ept, EptAnswer> {
  readonly section: string;
}

export const TRANSLATION = '29.3.2 EPT Translation Mechanism';
export const MISCONFIGURATION = '29.3.3.1 EPT Misconfigurations';
export const VIOLATION = '29.3.3.2 EPT Violations';
export const PRIORITY = '29.3.3.3 Prioritization of EPT Misconfigurations and EPT Violations';
export const FLAGS = '29.3.5 Accessed and Dirty Flags for EPT';
export const QUALIFICATION = '28.2.1 Basic VM-Exit Information, Table 28-7';

export const [R, W, X, PS, A, D, XU] = [1n, 2n, 4n, 0x80n, 0x100n, 0x200n, 0x400n];
export const RWX = R | W | X;
export const WB = 6n << 3n;
export const frame = (pfn: number): bigint => BigInt(pfn) << 12n;
export const page = (bits: bigint): bigint => frame(0x77) | WB | bits;
/** Where the entries of the tables are; `last` is that of the last one. */
export const [PML4E, PDPTE, PDE, PTE] = [4096, 8192, 12288, 16384];
/** Bits 8:7 of a qualification: the linear address was being translated. */
export const FINAL = 0x180;
/** Bit 7 alone: a guest's table was. */
export const TABLE = 0x80;
export const AD = { eptp: 0x105en };
export const MODE_BASED = { modeBasedExecute: true };
export const FIVE = { eptp: 0x26n };
/** A table of the guest is read. */
export const TABLE_READ = Read | ImplicitSupervisor;

export const translated = (
  section: string,
  given: string,
  row: Omit<EptRuleCase, 'rule' | 'section' | 'given' | 'answer'>,
  answer = 0x77,
): EptRuleCase => ({ rule: 'translated', section, given, answer, ...row });

export const misconfigured = (
  rule: EptRuleName,
  given: string,
  row: Omit<EptRuleCase, 'rule' | 'section' | 'given' | 'answer' | 'access'>,
): EptRuleCase => ({
  ...{ rule, section: MISCONFIGURATION, given, access: Read, answer: 'misconfiguration' },
  ...row,
});

export const violation = (
  rule: EptRuleName,
  section: string,
  given: string,
  bits: number,
  row: Omit<EptRuleCase, 'rule' | 'section' | 'given' | 'answer'>,
): EptRuleCase => ({ rule, section, given, answer: { violation: bits }, ...row });

/** The tables that lead to the last one, with the same rights. */
export function pointers(rights: bigint): Readonly<Record<number, bigint>> {
  return { [PML4E]: frame(2) | rights, [PDPTE]: frame(3) | rights, [PDE]: frame(4) | rights };
}

/** The EPT of a case: four levels from 0x1000, or a fifth at 0. */
export function eptOf(row: EptRuleCase): X86Ept {
  const tables = { 0: frame(1) | RWX, ...pointers(RWX), [PTE]: row.last ?? 0n };
  const memory = memoryOf({ ...tables, ...row.entries }, row.memory ?? 'ram');
  const stage = new X86Ept({ memory, eptp: 0x101en, ...row.options });
  row.set?.(stage);
  return stage;
}
