import { RISCV_RULES, X86_RULES } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
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

describe('a rule', () => {
  const rules = [...Object.values(RISCV_RULES), ...Object.values(X86_RULES)];

  it('has an identifier of its own, and says where it comes from and what it is', () => {
    expect(new Set(rules.map((rule) => rule.id)).size).toBe(rules.length);
    for (const { id, source, text } of rules) {
      expect(id).toMatch(/^(riscv|x86)\.[a-z-]+$/);
      expect(source).toMatch(/^(RISC-V Privileged|Intel SDM Vol\. \d[AB]?), /);
      expect(text.length).toBeGreaterThan(5);
    }
  });
});
