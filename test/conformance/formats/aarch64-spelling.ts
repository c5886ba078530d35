import { Access, addressFromVpn } from 'pagewright/core';
import { decodePar } from 'pagewright/pte';
import type { AArch64AtInstruction, AArch64Walker } from 'pagewright/walk';
import { type Fields, Malformed } from '../fields.js';
import { type Entries, entriesText, type RecordedImage } from '../recorded-image.js';
import type { Spelling } from '../replay-access.js';

/** An abort, as the registers report it. */
export function abortText(fsc: number, level: number, esr: bigint, far: bigint): string {
  return `fsc ${fsc}, level ${level}, esr ${esr.toString(16)}, far ${far.toString(16)}`;
}

/** A physical address, and for a fetch the PC. */
function reachedText(pa: bigint, pc: bigint | null): string {
  return `pa ${pa.toString(16)}${pc === null ? '' : `, pc ${pc.toString(16)}`}`;
}

/** The recorded result of a real access. `far` and `pc` are given only where they differ from the address. */
export function resultText(result: Fields, va: bigint, access: number): string {
  const fetch = (access & 3) === Access.Fetch;
  if (result.has('pa')) {
    result.only(['pa'], fetch ? ['pc'] : []);
    const pc = result.has('pc') ? result.hex('pc') : va;
    return reachedText(result.hex('pa'), fetch ? pc : null);
  }
  result.only(['fsc', 'level', 'esr'], ['far']);
  const far = result.has('far') ? result.hex('far') : va;
  const level = result.integer('level', -1, 3);
  return abortText(result.integer('fsc', 0, 63), level, result.hex('esr'), far);
}

/** The answers of a walk. */
export function aarch64Spelling(walker: AArch64Walker, va: bigint, access: number): Spelling {
  const fetch = (access & 3) === Access.Fetch;
  return {
    page: (pfn, offset) =>
      reachedText(addressFromVpn(pfn, offset), fetch ? walker.branchTarget(va) : null),
    fault() {
      const { aarch64Level, esr, far, fsc } = walker.fault;
      return abortText(fsc, aarch64Level, esr, far);
    },
    reported: ({ aarch64 }) =>
      aarch64 === undefined
        ? 'no AArch64 fault'
        : abortText(aarch64.fsc, aarch64.level, aarch64.esr, aarch64.far),
    bits: { AF: 0x400n, AP2: 0x80n, S2AP1: 0x80n },
  };
}

/**
 * Replays an address translation instruction on the fresh image, twice: PAR_EL1 or the exception must be as recorded,
 * and the entries change as recorded. Leaves the image fresh.
 *
 * @returns `null`, or how the walker disagrees.
 */
export function replayAt(
  walker: AArch64Walker,
  image: RecordedImage,
  instruction: AArch64AtInstruction,
  va: bigint,
  result: Fields,
  after: Entries,
): string | null {
  const expected = expectedAt(result);
  try {
    const got = executeAt(walker, instruction, va);
    const changed = entriesText(image.changes());
    const again = executeAt(walker, instruction, va);
    const wanted = entriesText(after);
    const differences = [
      ...(got === expected ? [] : [`  AT ${instruction}: ${got}; recorded: ${expected}`]),
      ...(again === expected ? [] : [`  AT again: ${again}; recorded: ${expected}`]),
      ...(changed === wanted ? [] : [`  AT changed: ${changed}; recorded: ${wanted}`]),
    ];
    return differences.length === 0 ? null : differences.join('\n');
  } finally {
    image.restore();
  }
}

function executeAt(walker: AArch64Walker, instruction: AArch64AtInstruction, va: bigint): string {
  const result = walker.at(instruction, va);
  const { aarch64Level, fsc } = walker.fault;
  if (result.kind === 'exception') {
    return `exception, esr ${result.esr.toString(16)}, fsc ${fsc}, level ${aarch64Level}`;
  }
  const { ATTR, F, FST, PA, PTW, S, SH } = decodePar(result.par).fields;
  if (F === 1) return `fst ${FST}, level ${aarch64Level}, s2 ${S}, ptw ${PTW}`;
  const pa = addressFromVpn(PA!, Number(va & 4095n));
  return `pa ${pa.toString(16)}, attr ${ATTR}, sh ${SH}`;
}

/** The recorded result of an AT instruction, spelled in the same way. */
function expectedAt(result: Fields): string {
  if (result.has('pa')) {
    result.only(['pa', 'attr', 'sh']);
    const attr = result.integer('attr', 0, 255);
    return `pa ${result.hex('pa').toString(16)}, attr ${attr}, sh ${result.integer('sh', 0, 3)}`;
  }
  const fsc = result.integer('fsc', 0, 63);
  const level = result.integer('level', -1, 3);
  if (result.has('exc')) {
    result.only(['fsc', 'level', 'exc', 'esr']);
    if (result.value('exc') !== 2) throw new Malformed('the exception should be one to EL2');
    return `exception, esr ${result.hex('esr').toString(16)}, fsc ${fsc}, level ${level}`;
  }
  result.only(['fsc', 'level'], ['s2', 'ptw']);
  const s2 = result.has('s2') && result.flag('s2') ? 1 : 0;
  const ptw = result.has('ptw') && result.flag('ptw') ? 1 : 0;
  return `fst ${fsc}, level ${level}, s2 ${s2}, ptw ${ptw}`;
}
