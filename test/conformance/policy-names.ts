import {
  clock,
  fifo,
  lfu,
  lru,
  mru,
  opt,
  type PolicyKind,
  secondChance,
  treePlru,
  unopt,
} from 'pagewright/replacement';
import { Malformed } from './fields.js';

/** Policies that need nothing but references, by the names that books give them. Those that wait for ticks are not here. */
const KINDS: ReadonlyMap<string, PolicyKind> = new Map(
  [fifo(), lru(), mru(), opt(), unopt(), clock(), secondChance(), lfu(), treePlru()].map((kind) => [
    kind.name,
    kind,
  ]),
);

/** The policy that a recording names. */
export function policyNamed(name: string): PolicyKind {
  const kind = KINDS.get(name);
  if (kind === undefined) throw new Malformed(`there is no policy ${name}`);
  return kind;
}
