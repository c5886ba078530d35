import { AARCH64 } from './aarch64.js';
import { OWN_FORMAT } from './format.js';
import { ONE_STAGE } from './one-stage.js';
import { RISCV_HYPERVISOR } from './riscv.js';
import type { Kind } from './subject.js';
import { X86_VIRTUALIZATION } from './x86.js';

const ARCHITECTURES: readonly Kind[] = [
  ...ONE_STAGE,
  ...RISCV_HYPERVISOR,
  ...X86_VIRTUALIZATION,
  ...AARCH64,
];

/** Everything that walks, in an order that takes turns: every eighth is a format of your own, of which there are many. */
export const KINDS: readonly Kind[] = ARCHITECTURES.flatMap((kind, i) =>
  i % 7 === 0 ? [OWN_FORMAT, kind] : [kind],
);

/** What a seed fuzzes: neighbouring seeds go through all kinds. */
export function kindOf(seed: number): Kind {
  return KINDS[(seed >>> 0) % KINDS.length]!;
}
