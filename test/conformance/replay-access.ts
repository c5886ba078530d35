import { pageAndOffset } from 'pagewright/core';
import {
  type FaultTranslation,
  formatWalk,
  type RadixWalker,
  type WalkReport,
} from 'pagewright/walk';
import { type Entries, entriesText, type RecordedImage } from './recorded-image.js';

/** How an architecture spells its answers; equal text means equal answers. */
export interface Spelling {
  /** The access reaches a byte of physical memory. */
  page(pfn: number, offset: number): string;
  /** The walker's last fault, from its fields. */
  fault(): string;
  /** A fault as a report has it. */
  reported(outcome: FaultTranslation): string;
  /** The accessed and dirty bits by the names that reports use. */
  readonly bits: Readonly<Record<string, bigint>>;
}

/** One access and what the recording says about it. */
export interface RecordedAccess {
  readonly va: bigint;
  /** `Access` bits. */
  readonly access: number;
  readonly bytes: number;
  /** The recorded result, spelled as the {@link Spelling} does. */
  readonly result: string;
  /** The entries that changed. */
  readonly after: Entries;
}

/**
 * Replays one access on the fresh image, in all the ways that a walker can be asked: `probe` and `explain` must give
 * the recorded result and change nothing, `walk` must give it and change exactly the recorded entries. Asked again
 * (now no bit is due, so the fast path may answer), it must say the same and change nothing more. Leaves the image fresh.
 *
 * @returns `null`, or how the walker disagrees.
 */
export function replayAccess(
  walker: RadixWalker,
  image: RecordedImage,
  spelling: Spelling,
  recorded: RecordedAccess,
): string | null {
  const { access, bytes, result: expected, va } = recorded;
  const { vpn, offset } = pageAndOffset(va);
  const after = entriesText(recorded.after);
  const answer = (pfn: number): string => (pfn < 0 ? spelling.fault() : spelling.page(pfn, offset));
  try {
    const probed = answer(walker.probe(vpn, access, offset, bytes));
    const report = walker.explain(va, access);
    const explained = answerOf(report, spelling);
    const untouched = entriesText(image.changes());
    const foretold = entriesText(foretoldChanges(report, spelling.bits));
    const walked = answer(walker.walk(vpn, access, offset, bytes));
    const changed = entriesText(image.changes());
    const again = answer(walker.walk(vpn, access, offset, bytes));
    const changedAgain = entriesText(image.changes());
    const differences = [
      ...difference('walk', walked, expected),
      ...difference('walk changed', changed, after),
      ...difference('probe', probed, expected),
      ...difference('explain', explained, expected),
      ...difference('explain foretells changes of', foretold, after),
      ...difference('probe and explain changed', untouched, 'nothing'),
      ...difference('the same walk again', again, expected),
      ...difference('after the same walk again, changed', changedAgain, after),
    ];
    return differences.length === 0 ? null : explanation(differences, report);
  } finally {
    image.restore();
  }
}

/**
 * Replays one translation where changes are no matter: all ways of asking must give the recorded answer.
 *
 * @returns `null`, or how the walker disagrees.
 */
export function replayTranslation(
  walker: RadixWalker,
  spelling: Spelling,
  va: bigint,
  access: number,
  expected: string,
): string | null {
  const { vpn, offset } = pageAndOffset(va);
  const answer = (pfn: number): string => (pfn < 0 ? spelling.fault() : spelling.page(pfn, offset));
  const probed = answer(walker.probe(vpn, access, offset));
  const report = walker.explain(va, access);
  const walked = answer(walker.walk(vpn, access, offset));
  const again = answer(walker.walk(vpn, access, offset));
  const differences = [
    ...difference('probe', probed, expected),
    ...difference('explain', answerOf(report, spelling), expected),
    ...difference('walk', walked, expected),
    ...difference('the same walk again', again, expected),
  ];
  return differences.length === 0 ? null : explanation(differences, report);
}

function answerOf({ outcome }: WalkReport, spelling: Spelling): string {
  if (outcome.kind === 'fault') return spelling.reported(outcome);
  const { vpn, offset } = pageAndOffset(outcome.pa);
  return spelling.page(vpn, offset);
}

/** The entries that a report says the access changes. One entry may stand on several levels of a recursive table. */
function foretoldChanges(
  report: WalkReport,
  bits: Spelling['bits'],
  changed: Map<bigint, bigint> = new Map(),
): Entries {
  for (const step of report.steps) {
    const { address, cleared, raw, secondStage, secondStageUpdate, set } = step;
    if (secondStage !== null) foretoldChanges(secondStage, bits, changed);
    if (secondStageUpdate !== null) foretoldChanges(secondStageUpdate, bits, changed);
    if (set.length + cleared.length === 0 || address === null) continue;
    const host = secondStage === null ? address : reached(secondStage);
    let value = changed.get(host) ?? raw;
    for (const name of set) value |= bits[name] ?? 0n;
    for (const name of cleared) value &= ~(bits[name] ?? 0n);
    changed.set(host, value);
  }
  if (report.target !== null) foretoldChanges(report.target, bits, changed);
  return changed;
}

/** Where a second stage's walk led. */
function reached({ outcome }: WalkReport): bigint {
  return outcome.kind === 'page' ? outcome.pa : -1n;
}

function difference(what: string, got: string, expected: string): string[] {
  return got === expected ? [] : [`  ${what}: ${got}; recorded: ${expected}`];
}

function explanation(differences: readonly string[], report: WalkReport): string {
  const walk = formatWalk(report).replaceAll(/^/gm, '    ');
  return `${differences.join('\n')}\n${walk}`;
}
