import { rule, type WalkRule } from './rule.js';
import { X86_RULES, type X86RuleName } from './x86-rules.js';

const APM = 'AMD64 APM Vol. 2';
const WALK = `${APM}, 15.25.5 Nested Table Walk`;
const FAULT = `${APM}, 15.25.6 Nested versus Guest Page Faults, Fault Ordering`;
const EXECUTE = `${APM}, 15.25.7 Combining Nested and Guest Attributes`;

/**
 * The short names of {@link NPT_RULES}: those of {@link X86_RULES} that can decide a nested walk, where every access is a
 * user's and protection keys have no say.
 *
 * @public
 */
export type NptRuleName = Exclude<
  X86RuleName,
  'unpaged' | 'smep' | 'smap' | 'userKey' | 'supervisorKey'
>;

/**
 * Every rule that can decide a walk of AMD's nested paging. `bus-error` is the platform's, all other refusals are
 * nested page faults.
 *
 * @public
 */
export const NPT_RULES: Readonly<Record<NptRuleName, WalkRule>> = {
  translated: rule('npt.translated', null, WALK, 'the translation succeeds'),
  nonCanonical: rule(
    'npt.out-of-range',
    'non-canonical',
    WALK,
    "the guest-physical address has more bits than the host's paging mode translates: #NPF with P=0",
  ),
  tableMissing: rule(
    'npt.table-missing',
    'bus-error',
    WALK,
    'there is no memory where the nested entry should be; the platform decides',
  ),
  notPresent: rule('npt.not-present', 'not-present', FAULT, 'P=0: #NPF with P=0'),
  reservedBits: rule(
    'npt.reserved-bits',
    'reserved-bits',
    FAULT,
    'a reserved bit is set in a present nested entry: #NPF with RSV=1',
  ),
  supervisorPage: rule(
    'npt.supervisor-page',
    'supervisor-page',
    WALK,
    'every access of a guest is a user access, which needs U/S=1 in every nested entry: #NPF',
  ),
  notWritable: rule(
    'npt.not-writable',
    'not-writable',
    WALK,
    'a write, and every access to a guest table, needs R/W=1 in every nested entry whatever hCR0.WP: #NPF',
  ),
  notExecutable: rule(
    'npt.not-executable',
    'not-executable',
    EXECUTE,
    'NX=1 in some nested entry forbids the fetch: #NPF',
  ),
  updateMissing: rule(
    'npt.update-missing',
    'bus-error',
    WALK,
    'a nested entry cannot be written to set A or D; the platform decides',
  ),
  contended: rule(
    'npt.contended',
    'contended',
    WALK,
    'a nested entry changed at every attempt to set A or D; the access may be retried',
  ),
};

function isRuleName(name: string): name is NptRuleName {
  return Object.hasOwn(NPT_RULES, name);
}

/** Nested paging's form of a rule. */
export const NPT_RULE_OF: ReadonlyMap<WalkRule, WalkRule> = /* @__PURE__ */ new Map(
  Object.keys(NPT_RULES)
    .filter(isRuleName)
    .map((name) => [X86_RULES[name], NPT_RULES[name]]),
);
