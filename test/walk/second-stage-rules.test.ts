import {
  EPT_RULES,
  NPT_RULES,
  RISCV_G_RULES,
  type WalkReport,
  type WalkRule,
  type X86Exit,
} from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { EPT_CASES } from './rules/ept-cases.js';
import { eptOf } from './rules/ept-row.js';
import { G_STAGE_CASES, gStageOf } from './rules/g-stage-cases.js';
import { NPT_CASES, nptOf } from './rules/npt-cases.js';
import type { RuleCase } from './rules/rule-case.js';
import { SV32_GUEST_CASES, sv32Guest } from './rules/sv32-guest-cases.js';
import { X86_GUEST_CASES, x86Guest } from './rules/x86-guest-cases.js';

type Stage = ReturnType<typeof eptOf> | ReturnType<typeof nptOf> | ReturnType<typeof gStageOf>;

/** What every row asks for: the rule, the frame or the fault in the architecture's words, and the entries afterwards. */
function judge(
  row: RuleCase<string, unknown, never, unknown>,
  stage: Stage,
  wanted: WalkRule,
  fault: object,
  width: 4 | 8 = 8,
): void {
  const va = row.va ?? 0n;
  const vpn = Number(va >> 12n);
  const result = typeof row.answer === 'number' ? row.answer : wanted.result;
  // What a probe cannot know: whether an update succeeds.
  if (row.memory === undefined) expect(stage.probe(vpn, row.access)).toBe(result);
  const { outcome, rule } = stage.explain(va, row.access, { update: true });
  expect(rule.id).toBe(wanted.id);
  if (typeof row.answer === 'number') {
    expect(wanted.reason).toBeNull();
    expect(outcome).toMatchObject({ kind: 'page', pfn: row.answer });
  } else {
    const { id, reason } = wanted;
    expect(outcome).toMatchObject({ kind: 'fault', reason, rule: id, ...fault });
  }
  expect(stage.walk(vpn, row.access)).toBe(result);
  for (const [address, value] of Object.entries(row.after ?? {})) {
    expect(stage.memory.read(Number(address), width)).toEqual({ kind: 'value', value });
  }
}

const rulesOf = (rows: readonly { readonly rule: string }[]): Set<string> =>
  new Set(rows.map(({ rule }) => rule));

describe('each rule of EPT decides its cases', () => {
  it.each(EPT_CASES)('$section: $rule: $given', (row) => {
    const { answer, va: gpa = 0n } = row;
    const violation =
      typeof answer === 'object'
        ? { kind: 'ept-violation', gpa, linear: null, qualification: BigInt(answer.violation) }
        : { kind: answer === 'bus-error' ? 'bus-error' : 'ept-misconfiguration', gpa };
    const x86 = { vector: 0, errorCode: 0, cr2: null, exit: violation };
    judge(row, eptOf(row), EPT_RULES[row.rule], { x86 });
  });

  it('and none is without a case', () => {
    expect(rulesOf(EPT_CASES)).toEqual(new Set(Object.keys(EPT_RULES)));
  });
});

describe('each rule of nested paging decides its cases', () => {
  it.each(NPT_CASES)('$section: $rule: $given', (row) => {
    const { answer, va: gpa = 0n } = row;
    const exit =
      typeof answer === 'object' ? { kind: 'npf', gpa, ...answer } : { kind: 'bus-error', gpa };
    const x86 = { vector: 0, errorCode: 0, cr2: null, exit };
    judge(row, nptOf(row), NPT_RULES[row.rule], { x86 });
  });

  it('and none is without a case', () => {
    expect(rulesOf(NPT_CASES)).toEqual(new Set(Object.keys(NPT_RULES)));
  });

  it('whose entries are never global', () => {
    const row = NPT_CASES.find(({ given }) => given.startsWith('G=1'))!;
    expect(nptOf(row).translate(0, row.access)).toMatchObject({ global: false });
  });
});

describe('each rule of the G stage decides its cases', () => {
  it.each(G_STAGE_CASES)('$section: $rule: $given', (row) => {
    const { answer, va: tval = 0n } = row;
    const riscv = typeof answer === 'object' ? { ...answer, tval, gva: true } : {};
    judge(row, gStageOf(row), RISCV_G_RULES[row.rule], { riscv }, row.wide === true ? 8 : 4);
  });

  it('and none is without a case', () => {
    expect(rulesOf(G_STAGE_CASES)).toEqual(new Set(Object.keys(RISCV_G_RULES)));
  });

  it.each(SV32_GUEST_CASES)('$section: $given', (row) => {
    const walker = sv32Guest(row);
    const { access, answer } = row;
    const outcome = walker.translate(0, access);
    if (typeof answer === 'number') {
      expect(outcome).toMatchObject({ kind: 'page', pfn: answer });
      expect([walker.walk(0, access), walker.probe(0, access)]).toEqual([answer, answer]);
    } else {
      expect(outcome).toMatchObject({ kind: 'fault', riscv: { tval: 0n, gva: true, ...answer } });
      expect(walker.walk(0, access)).toBeLessThan(0);
      expect(walker.fault).toMatchObject(answer);
    }
  });
});

/** The exit in the second stage's report, within that of the guest's walk, that refused. */
function refusalWithin(report: WalkReport): X86Exit | undefined {
  const updates = report.steps.map(({ secondStageUpdate }) => secondStageUpdate);
  const reports = [report.target, report.unread?.secondStage, ...updates];
  const refused = reports.find((one) => one?.outcome.kind === 'fault');
  return refused?.outcome.kind === 'fault' ? refused.outcome.x86?.exit : undefined;
}

/** What the second stage by itself knows of an exit: nothing of the guest's addresses and tables. */
function asOwn(exit: X86Exit): X86Exit {
  if (exit.kind !== 'ept-violation') return exit;
  return { ...exit, linear: null, qualification: exit.qualification & ~0xe00n };
}

describe('both x86 stages together', () => {
  it.each(X86_GUEST_CASES)('$section: $given', (row) => {
    const walker = x86Guest(row);
    const va = row.va ?? 0n;
    const vpn = Number(va >> 12n);
    const { access, answer } = row;
    if (typeof answer === 'number') {
      expect(walker.walk(vpn, access)).toBe(answer);
      expect(walker.translate(va, access)).toMatchObject({ kind: 'page', pfn: answer });
    } else if (answer.kind === 'page-fault') {
      expect(walker.walk(vpn, access)).toBeLessThan(0);
      const { errorCode, exit, vector } = walker.fault;
      expect([vector, errorCode, exit]).toEqual([14, answer.errorCode, null]);
    } else {
      expect(walker.walk(vpn, access)).toBeLessThan(0);
      expect(walker.fault.exit).toEqual(answer);
      const report = walker.explain(va, access);
      expect(report.outcome).toMatchObject({ x86: { exit: answer } });
      expect(refusalWithin(report)).toEqual(asOwn(answer));
    }
    for (const [address, value] of Object.entries(row.after ?? {})) {
      expect(walker.memory.read(Number(address), 8)).toEqual({ kind: 'value', value });
    }
  });
});

describe('a rule of a second stage', () => {
  const rules = [EPT_RULES, NPT_RULES, RISCV_G_RULES].flatMap((all) => Object.values(all));

  it('has an identifier of its own, and says where it comes from and what it is', () => {
    expect(new Set(rules.map((rule) => rule.id)).size).toBe(rules.length);
    for (const { id, source, text } of rules) {
      expect(id).toMatch(/^(ept|npt|riscv\.g)[.-][a-z-]+$/);
      expect(source).toMatch(/^(RISC-V Privileged|Intel SDM Vol\. 3C|AMD64 APM Vol\. 2), /);
      expect(text.length).toBeGreaterThan(5);
    }
  });
});
