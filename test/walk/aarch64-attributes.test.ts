import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { AArch64Stage2, AArch64Walker, mappings } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

// Memory attributes depend on whether data is accessed or instructions are fetched (AArch64.S1Translate, S2Translate).

const { Read, Write, Fetch } = Access;
const BASE = 0x4000_0000;
const TCR = 25n | (5n << 32n);
/** M, then C and I. */
const SCTLR = 0x30d0_0801n;
const C = 1n << 2n;
const I = 1n << 12n;
const CD = 1n << 32n;
const ID = 1n << 33n;
const FWB = 1n << 46n;
const GUEST = 0x8000_0001n;

/** MAIR: 0 write-back, 1 Device-nGnRE, 2 Non-cacheable, 3 Non-cacheable of FEAT_XS. */
const MAIR = 0x40_44_04_ffn;
/** A read-only 1 GiB block, inner shareable, of an AttrIndx. */
const block = (index: number): bigint => 0x4000_0781n | BigInt(index << 2);
/** A 1 GiB stage 2 block: read, write, AF, inner shareable, of a MemAttr. */
const block2 = (memAttr: number): bigint => 0x4000_07c1n | BigInt(memAttr << 2);

interface Setting {
  readonly sctlr?: bigint;
  readonly hcr?: bigint;
  readonly index?: number;
  /** With a second stage. */
  readonly memAttr?: number;
}

function cpu({ sctlr = SCTLR | C | I, hcr, index = 0, memAttr }: Setting): AArch64Walker {
  const memory = PhysicalMemory.allocate(0x2000, { base: BASE });
  memory.write(BASE, 8, block(index));
  if (memAttr === undefined) {
    const registers = { tcr: TCR, ttbr0: BASE, mair: MAIR, sctlr, hcr: hcr ?? 0n };
    return new AArch64Walker({ memory, ...registers });
  }
  memory.write(BASE + 0x1000, 8, block2(memAttr));
  memory.write(BASE + 0x1008, 8, block2(0xf));
  const secondStage = new AArch64Stage2({
    memory,
    vtcr: 0x8005_0059n,
    vttbr: BASE + 0x1000,
    hcr: hcr ?? GUEST,
  });
  memory.write(BASE, 8, block(index) & 0xfffn); // intermediate address 0, which stage 2 puts where `memAttr` says
  return new AArch64Walker({ memory, tcr: TCR, ttbr0: BASE, mair: MAIR, sctlr, secondStage });
}

const seen = (walker: AArch64Walker, access: number): readonly (number | undefined)[] => {
  const answer = walker.translate(0x5000, access);
  return answer.kind === 'page' ? [answer.aarch64?.attr, answer.aarch64?.sh] : [];
};

describe('stage 1', () => {
  it.each<[string, Setting, readonly [number, number], readonly [number, number]]>([
    ['caches on: as the descriptor says', {}, [0xff, 3], [0xff, 3]],
    ['C=0: Normal data is Non-cacheable', { sctlr: SCTLR | I }, [0x44, 2], [0xff, 3]],
    ['I=0: fetches are Non-cacheable', { sctlr: SCTLR | C }, [0xff, 3], [0x44, 2]],
    ['Device, fetched from: Non-cacheable', { index: 1 }, [0x04, 2], [0x44, 2]],
    ['C=0: Device data stays Device', { sctlr: SCTLR | I, index: 1 }, [0x04, 2], [0x44, 2]],
    ['Non-cacheable stays as it is', { sctlr: SCTLR, index: 3 }, [0x40, 2], [0x40, 2]],
    ['off, I=1: fetches are write-through', { sctlr: I }, [0x00, 2], [0xaa, 2]],
    ['off, I=0: fetches are Non-cacheable', { sctlr: C }, [0x00, 2], [0x44, 2]],
    ['off by TGE, I=1', { hcr: 1n << 27n }, [0x00, 2], [0xaa, 2]],
    ['off by DC: write-back, non-shareable', { sctlr: SCTLR, hcr: 0x1000n }, [0xff, 0], [0xff, 0]],
  ])('%s', (_, setting, data, fetch) => {
    const walker = cpu(setting);
    expect([seen(walker, Read), seen(walker, Fetch)]).toEqual([data, fetch]);
    const { outcome } = walker.explain(0x5000, Fetch);
    expect(outcome).toMatchObject({ aarch64: { attr: fetch[0], sh: fetch[1] } });
  });

  it('shows in PAR_EL1', () => {
    const par = cpu({ sctlr: SCTLR | I }).at('S1E1R', 0x5000);
    expect(par).toMatchObject({ par: 0x4400_0000_4000_5900n });
  });
});

describe('both stages', () => {
  it.each<[string, Setting, number, number]>([
    ['write-back in both', { memAttr: 0xf }, 0xff, 0xff],
    ['CD is for data', { memAttr: 0xf, hcr: GUEST | CD }, 0x44, 0xff],
    ['ID is for fetches', { memAttr: 0xf, hcr: GUEST | ID }, 0xff, 0x44],
    ['FWB, CD', { memAttr: 0x6, hcr: GUEST | FWB | CD }, 0x44, 0xff],
    ['FWB, ID', { memAttr: 0x6, hcr: GUEST | FWB | ID }, 0xff, 0x44],
    ['Device in stage 2, fetched from', { memAttr: 0x1 }, 0x04, 0x44],
    ['Device in stage 1, fetched from', { memAttr: 0xf, index: 1 }, 0x04, 0x44],
    ['FWB, Device in stage 2, fetched from', { memAttr: 0x1, hcr: GUEST | FWB }, 0x04, 0x44],
    ['of two sorts of Non-cacheable, stage 1’s', { index: 3, memAttr: 1 }, 0x04, 0x40],
    ['CD leaves Device', { memAttr: 0x1, hcr: GUEST | CD }, 0x04, 0x44],
    // As recorded; the manual takes the stricter of two Device types.
    ['FWB: the Device type of stage 2', { index: 1, memAttr: 3, hcr: GUEST | FWB }, 0x0c, 0x44],
  ])('%s', (_, setting, data, fetch) => {
    const walker = cpu(setting);
    expect([seen(walker, Read)[0], seen(walker, Fetch)[0]]).toEqual([data, fetch]);
    expect([seen(walker, Write)[0]]).toEqual([undefined]); // read-only
  });

  it('and stage 2 by itself agree, over write-back memory of stage 1', () => {
    for (const hcr of [GUEST, GUEST | CD, GUEST | ID, GUEST | FWB | CD, GUEST | FWB | ID]) {
      for (const memAttr of [0x1, 0x5, 0x6, 0xf]) {
        const walker = cpu({ hcr, memAttr });
        for (const access of [Read, Fetch]) {
          const nested = walker.explain(0x5000, access);
          const { outcome } = nested.target ?? {};
          expect(outcome).toMatchObject({ aarch64: { attr: seen(walker, access)[0] } });
        }
      }
    }
  });

  it('are those of the access, whatever an observer asks stage 2 meanwhile', () => {
    const walker = cpu({ memAttr: 0x5 });
    const expected = walker.translate(0x5000, Read);
    walker.observer = () => walker.secondStage?.walk(0x4_0000, Read); // write-back there
    expect(walker.translate(0x5000, Read)).toEqual(expected);
  });

  it('and the page of stage 2 that an answer has beside its own', () => {
    const walker = cpu({ memAttr: 0xf, hcr: GUEST | ID });
    const hosts = [Read, Fetch].map((access) => {
      const answer = walker.translate(0x5000, access);
      return answer.kind === 'page' ? answer.host?.aarch64?.attr : null;
    });
    expect(hosts).toEqual([0xff, 0x44]);
  });

  it('the list of mappings has the attributes of stage 1 alone', () => {
    const walker = cpu({ memAttr: 0x1 });
    walker.translate(0x5000, Read);
    expect([...mappings(walker)].map(({ aarch64 }) => aarch64?.attr)).toEqual([0xff]);
  });
});
