import {
  AARCH64_RULES,
  AARCH64_STAGE2_RULES,
  RISCV_RULES,
  type WalkRule,
  X86_RULES,
} from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import {
  AARCH64_CASES,
  AARCH64_MORE,
  AARCH64_STAGE2_CASES,
  aarch64Stage2,
  aarch64Walker,
} from './rules/aarch64-cases.js';
import { RISCV_CASES, riscvWalker } from './rules/riscv-cases.js';
import { X86_CASES, x86Walker } from './rules/x86-cases.js';

describe('each RISC-V rule decides its case', () => {
  it.each(RISCV_CASES)('$rule: $given', (row) => {
    const walker = riscvWalker(row);
    const { outcome, rule } = walker.explain(row.va ?? 0n, row.access, { update: true });
    expect(rule.id).toBe(RISCV_RULES[row.rule].id);
    if (typeof row.answer === 'number') {
      expect(outcome).toMatchObject({ kind: 'page', pfn: row.answer });
      expect(RISCV_RULES[row.rule].reason).toBeNull();
    } else {
      const { reason } = RISCV_RULES[row.rule];
      const riscv = { ...row.answer, tval: row.va ?? 0n };
      expect(outcome).toMatchObject({ kind: 'fault', reason, rule: rule.id, riscv });
    }
  });

  it('and none is without a case', () => {
    expect(RISCV_CASES.map((row) => row.rule)).toEqual(Object.keys(RISCV_RULES));
  });
});

describe('each x86 rule decides its case', () => {
  it.each(X86_CASES)('$rule: $given', (row) => {
    const walker = x86Walker(row);
    const { outcome, rule } = walker.explain(row.va ?? 0n, row.access, { update: true });
    expect(rule.id).toBe(X86_RULES[row.rule].id);
    if (typeof row.answer === 'number') {
      expect(outcome).toMatchObject({ kind: 'page', pfn: row.answer });
      expect(X86_RULES[row.rule].reason).toBeNull();
    } else {
      const { reason } = X86_RULES[row.rule];
      const cr2 = row.answer.vector === 14 ? (row.va ?? 0n) : null;
      expect(outcome).toMatchObject({
        kind: 'fault',
        reason,
        rule: rule.id,
        x86: { ...row.answer, cr2 },
      });
    }
  });

  it('and none is without a case', () => {
    expect(X86_CASES.map((row) => row.rule)).toEqual(Object.keys(X86_RULES));
  });
});

describe('each AArch64 rule decides its case', () => {
  const stages = [
    ...[...AARCH64_CASES, ...AARCH64_MORE].map((row) => ({
      ...row,
      stage: 1,
      rules: AARCH64_RULES[row.rule],
      walker: () => aarch64Walker(row),
    })),
    ...AARCH64_STAGE2_CASES.map((row) => ({
      ...row,
      stage: 2,
      rules: AARCH64_STAGE2_RULES[row.rule],
      walker: () => aarch64Stage2(row),
    })),
  ];

  it.each(stages)('stage $stage, $rule: $given', ({ access, answer, rules, va = 0n, walker }) => {
    const { outcome, rule } = walker().explain(va, access, { update: true });
    expect(rule.id).toBe(rules.id);
    const page = { kind: 'page', pfn: answer };
    const fault = { kind: 'fault', reason: rules.reason, rule: rules.id, aarch64: answer };
    expect(outcome).toMatchObject(typeof answer === 'number' ? page : fault);
    expect(rules.reason === null).toBe(typeof answer === 'number');
    const walked = walker().walk(Number(va >> 12n), access, Number(va & 4095n));
    expect(walked).toBe(typeof answer === 'number' ? answer : rules.result);
  });

  it('and none is without a case', () => {
    const inOrder = (names: readonly string[]): readonly string[] => [...names].sort();
    expect(inOrder(AARCH64_CASES.map((row) => row.rule))).toEqual(
      inOrder(Object.keys(AARCH64_RULES)),
    );
    expect(inOrder(AARCH64_STAGE2_CASES.map((row) => row.rule))).toEqual(
      inOrder(Object.keys(AARCH64_STAGE2_RULES)),
    );
  });
});

describe('a rule', () => {
  const rules = [RISCV_RULES, X86_RULES, AARCH64_RULES, AARCH64_STAGE2_RULES].flatMap(
    (table): readonly WalkRule[] => Object.values(table),
  );

  it('has an identifier of its own, and says where it comes from and what it is', () => {
    expect(new Set(rules.map((rule) => rule.id)).size).toBe(rules.length);
    for (const { id, source, text } of rules) {
      expect(id).toMatch(/^(riscv|x86|aarch64)\.(s2-)?[a-z-]+$/);
      expect(source).toMatch(/^(RISC-V Privileged|Intel SDM Vol\. \d[AB]?|Arm ARM DDI 0487), /);
      expect(text.length).toBeGreaterThan(5);
      // Sections of the Arm manual by name: their numbers drift.
      expect(source).not.toMatch(/D8\.\d/);
    }
  });
});
