import { addressOf } from 'pagewright/core';
import { type RadixWalker, X86Npt, X86Walker } from 'pagewright/walk';
import { nestedAnswer, nestedReference, type Spelled } from '../walk/agreement/nested-reference.js';
import type { Judge } from './subject.js';

/** What the reference models of two stages leave out: updates before a fault, hosts and PDPTEs of 32-bit modes. */
function isKnown(walker: RadixWalker): boolean {
  if (!(walker instanceof X86Walker)) return true;
  const { secondStage } = walker;
  if (walker.snapshot().accessedOnFault) return false;
  if (!(secondStage instanceof X86Npt)) return true;
  const { accessedOnFault } = secondStage.snapshot();
  return !accessedOnFault && secondStage.mode.endsWith('level') && walker.mode !== 'pae';
}

function textOf(answer: Spelled): string {
  const fields = Object.keys(answer).sort();
  return fields.map((name) => `${name} ${String(answer[name])}`).join(', ');
}

/** The reference models of guests above their second stages. */
export const NESTED_JUDGE: Judge = {
  ask: ({ access, offset, vpn }, ram, walker) => {
    if (!isKnown(walker)) return undefined;
    return textOf(nestedReference(walker, ram, addressOf(vpn, offset), access));
  },
  spell: (walker, outcome) => textOf(nestedAnswer(walker, outcome)),
};
