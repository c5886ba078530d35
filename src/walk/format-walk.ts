import type {
  FaultTranslation,
  PageTranslation,
  UnreadEntry,
  WalkReport,
  WalkStep,
} from './report.js';

/**
 * A report as text that a student understands: one line for each entry read, then the verdict with its reason. Of a nested
 * walk, the second stage's walk to each entry stands indented above the entry, and the references of both are counted.
 *
 * @param report - What `explain` returned.
 * @returns Several lines without a final newline.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { sv39 } from 'pagewright/pte';
 * import { formatWalk, RiscvWalker } from 'pagewright/walk';
 *
 * const memory = PhysicalMemory.allocate(0x2000, { base: 0x8000_0000 });
 * memory.write(0x8000_0000, 8, sv39.build({ kind: 'pointer', level: 2, pfn: 0x80001 }));
 * memory.write(0x8000_1008, 8, sv39.build({ kind: 'leaf', level: 1, pfn: 0x80200, fields: { R: 1, A: 1 } }));
 *
 * const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 0x80000n });
 * const text = formatWalk(walker.explain(0x20_1abc, Access.Write)).split('\n');
 * text[0]; // => 'supervisor write at 0x201abc (sv39, root 0x80000000)'
 * text[1]; // => '  level 2 [  0] @0x80000000 = 0x20000401  pointer to 0x80001000, rwxu so far'
 * text[3]?.includes('a store needs W: page fault (cause 15, tval 0x201abc)'); // => true
 * ```
 * @public
 */
export function formatWalk(report: WalkReport): string {
  const { access, format, root, steps, target, unread, va } = report;
  const who = [access.privilege, ...access.modifiers.map(hyphenated), access.kind].join(' ');
  const title = `${who} at ${hex(va)}`;
  const where =
    format === null ? 'no translation' : root === null ? format : `${format}, root ${hex(root)}`;
  const width = steps.length === 0 ? 0 : Math.max(...steps.map((step) => hex(step.raw).length));
  const lines = [
    `${title} (${where})`,
    ...steps.flatMap((step) => [
      ...secondStage(step.secondStage),
      stepLine(step, width),
      ...secondStage(step.secondStageUpdate),
    ]),
    ...(unread === null ? [] : [...secondStage(unread.secondStage), unreadLine(unread)]),
    ...secondStage(target),
    verdict(report),
  ];
  const nested = target !== null || unread !== null || steps.some((step) => step.secondStage);
  if (nested) lines.push(`  ${counted(report.references, 'reference')} in both stages`);
  return lines.join('\n');
}

/** The second stage's walk, between the lines of the walk that asked for it. */
function secondStage(report: WalkReport | null): readonly string[] {
  if (report === null) return [];
  return formatWalk(report)
    .split('\n')
    .map((line, first) => (first === 0 ? `    second stage: ${line}` : `    ${line}`));
}

function unreadLine({ address, index, level }: UnreadEntry): string {
  return `  level ${level} [${String(index.index).padStart(3)}] @${hex(address)} can't be read`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** `ReadModifyWrite` as `read-modify-write`. */
function hyphenated(name: string): string {
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase();
}

function stepLine(step: WalkStep, width: number): string {
  const { index, level } = step;
  const place = `level ${level} [${String(index.index).padStart(3)}]`;
  const address = step.address === null ? 'register' : `@${hex(step.address)}`;
  const sets = step.set.length === 0 ? '' : `, sets ${step.set.join(' ')}`;
  return `  ${place} ${address} = ${hex(step.raw).padEnd(width)}  ${meaning(step)}${sets}`;
}

function meaning(step: WalkStep): string {
  if (step.pfn === null) return 'not present';
  const frame = hex(step.target ?? 0n);
  if (step.kind === 'pointer') return `pointer to ${frame}, ${step.prot} so far`;
  return `leaf at ${frame}, ${step.prot}${flags(step)}`;
}

/** The flags of a leaf that explain most refusals. */
function flags({ fields }: WalkStep): string {
  const shown = ['A', 'AF', 'D', 'G', 'N', 'PK'].filter((name) => fields[name] !== undefined);
  return shown.map((name) => ` ${name}=${fields[name]}`).join('');
}

function verdict(report: WalkReport): string {
  const { outcome, rule } = report;
  return outcome.kind === 'page' ? reached(outcome, report.target) : refused(outcome, rule);
}

function reached({ gpa, level, pa, pageBytes }: PageTranslation, host: WalkReport | null): string {
  const guest = gpa === undefined ? '' : `guest-physical ${hex(gpa)}, `;
  const translated = level >= 0 || (host !== null && host.format !== null);
  const page = translated ? `in a ${formatBytes(pageBytes)} page` : 'not translated';
  return `  ${guest}physical address ${hex(pa)}, ${page}`;
}

function refused(outcome: FaultTranslation, rule: WalkReport['rule']): string {
  return `  ${outcome.access.kind} refused: ${rule.text}${encoding(outcome)} [${rule.source}]`;
}

function encoding({ aarch64, riscv, x86 }: FaultTranslation): string {
  if (aarch64 !== undefined) {
    const { el, esr, far, hpfar } = aarch64;
    const page = hpfar === null ? '' : `, HPFAR_EL2 ${hex(hpfar)}`;
    return ` (ESR_EL${el} ${hex(esr)}, FAR_EL${el} ${hex(far)}${page})`;
  }
  if (riscv !== undefined) return ` (cause ${riscv.cause}, tval ${hex(riscv.tval)})`;
  if (x86?.exit !== undefined)
    return ` (VM exit: ${x86.exit.kind}, guest-physical ${hex(x86.exit.gpa)})`;
  if (x86 === undefined || x86.cr2 === null) return '';
  return ` (error code ${hex(BigInt(x86.errorCode))}, CR2 ${hex(x86.cr2)})`;
}

/**
 * A size in the largest binary unit that divides it.
 *
 * @param bytes - A non-negative integer.
 * @returns For example `2 MiB`.
 * @public
 */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  let unit = 0;
  let count = bytes;
  while (count >= 1024 && count % 1024 === 0 && unit < units.length - 1) {
    count /= 1024;
    unit++;
  }
  return `${count} ${units[unit]}`;
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
