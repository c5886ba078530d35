import fc from 'fast-check';
import {
  type AArch64Cacheability,
  type AArch64MemoryType,
  aarch64CombineAttributes,
  aarch64CombineShareability,
  aarch64IsDevice,
  aarch64MemoryType,
  aarch64ReportedShareability,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';

const DEVICES = ['nGnRnE', 'nGnRE', 'nGRE', 'GRE'] as const;
const STRENGTH: readonly AArch64Cacheability[] = ['non-cacheable', 'write-through', 'write-back'];

/** Memory attributes that have a meaning (MAIR_EL1), FEAT_XS and FEAT_MTE2 included. */
const ATTRIBUTES = Array.from({ length: 256 }, (_, value) => value).filter((value) => {
  if (value < 16) return (value & 3) === 0;
  return (value & 15) !== 0 || [0x40, 0xa0, 0xf0].includes(value);
});

/** MemAttr[3:0] that has a meaning without FWB (Table D8-96). */
const MEM_ATTRS = [0, 1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15];

/** Table D8-96. */
function stage2Type(memAttr: number): AArch64MemoryType {
  if (memAttr < 4) return { kind: 'device', device: DEVICES[memAttr]! };
  const outer = STRENGTH[(memAttr >> 2) - 1]!;
  const inner = STRENGTH[(memAttr & 3) - 1]!;
  return { kind: 'normal', inner, outer, tagged: false };
}

/** Table D8-98. */
function weaker(one: AArch64Cacheability, other: AArch64Cacheability): AArch64Cacheability {
  return STRENGTH[Math.min(STRENGTH.indexOf(one), STRENGTH.indexOf(other))]!;
}

/** Tables D8-97 and D8-98. */
function combined(stage1: AArch64MemoryType, stage2: AArch64MemoryType): AArch64MemoryType {
  if (stage1.kind === 'device' && stage2.kind === 'device') {
    const strictest = Math.min(DEVICES.indexOf(stage1.device), DEVICES.indexOf(stage2.device));
    return { kind: 'device', device: DEVICES[strictest]! };
  }
  if (stage1.kind === 'device') return stage1;
  if (stage2.kind === 'device') return stage2;
  const inner = weaker(stage1.inner, stage2.inner);
  const outer = weaker(stage1.outer, stage2.outer);
  // Only write-back memory is tagged.
  const tagged = stage1.tagged && inner === 'write-back' && outer === 'write-back';
  return { kind: 'normal', inner, outer, tagged };
}

/** The allocation hints of a cacheable half: R and W, and whether they are transient. */
function hints(half: number): number {
  return (half & 3) | ((half & 8) === 0 ? 4 : 0);
}

describe('an attribute byte in words', () => {
  it.each<[number, AArch64MemoryType]>([
    [0x00, { kind: 'device', device: 'nGnRnE' }],
    [0x04, { kind: 'device', device: 'nGnRE' }],
    [0x08, { kind: 'device', device: 'nGRE' }],
    [0x0c, { kind: 'device', device: 'GRE' }],
    [0x44, normal('non-cacheable', 'non-cacheable')],
    [0x4f, normal('non-cacheable', 'write-back')],
    [0xf4, normal('write-back', 'non-cacheable')],
    [0xbb, normal('write-through', 'write-through')],
    [0x8a, normal('write-through', 'write-through')],
    [0x11, normal('write-through', 'write-through')],
    [0x33, normal('write-through', 'write-through')],
    [0x57, normal('write-back', 'write-back')],
    [0xce, normal('write-back', 'write-back')],
    [0x3f, normal('write-through', 'write-back')],
    [0xff, normal('write-back', 'write-back')],
    [0xf0, { ...normal('write-back', 'write-back'), tagged: true }],
    [0x40, normal('non-cacheable', 'non-cacheable')],
    [0xa0, normal('write-through', 'write-through')],
  ])('%i', (attributes, type) => {
    expect(aarch64MemoryType(attributes)).toEqual(type);
    expect(aarch64IsDevice(attributes)).toBe(type.kind === 'device');
  });
});

function normal(
  outer: AArch64Cacheability,
  inner: AArch64Cacheability,
): Extract<AArch64MemoryType, { kind: 'normal' }> {
  return { kind: 'normal', inner, outer, tagged: false };
}

describe('stage 2 without FWB', () => {
  it('combines every pair of types as Tables D8-97 and D8-98 do', () => {
    for (const stage1 of ATTRIBUTES) {
      for (const memAttr of MEM_ATTRS) {
        const result = aarch64CombineAttributes(stage1, memAttr, false);
        const expected = combined(aarch64MemoryType(stage1), stage2Type(memAttr));
        expect([stage1, memAttr, aarch64MemoryType(result)]).toEqual([stage1, memAttr, expected]);
      }
    }
  });

  it('keeps the allocation hints of stage 1, and changes nothing when MemAttr is 1111', () => {
    for (const stage1 of ATTRIBUTES) {
      expect(aarch64CombineAttributes(stage1, 0b1111, false)).toBe(stage1);
      if (aarch64IsDevice(stage1) || (stage1 & 15) === 0) continue;
      for (const memAttr of MEM_ATTRS.filter((value) => value > 3)) {
        const result = aarch64CombineAttributes(stage1, memAttr, false);
        if (result >>> 4 !== 4) expect(hints(result >>> 4)).toBe(hints(stage1 >>> 4));
        if ((result & 15) !== 4) expect(hints(result & 15)).toBe(hints(stage1 & 15));
      }
    }
  });

  it.each([
    [0xff, 0b0101, 0x44],
    [0xff, 0b1010, 0xbb],
    [0xff, 0b0111, 0x4f],
    [0xbb, 0b1111, 0xbb],
    [0x44, 0b1111, 0x44],
    [0x4f, 0b1010, 0x4b],
    [0x55, 0b1010, 0x11],
    [0xf0, 0b1111, 0xf0],
    [0xf0, 0b1110, 0xfb],
    [0xa0, 0b0111, 0x4a],
    [0xff, 0b0010, 0x08],
    [0x0c, 0b1111, 0x0c],
    [0x04, 0b0010, 0x04],
    [0x08, 0b0001, 0x04],
  ])('%i with MemAttr %i is %i', (stage1, memAttr, result) => {
    expect(aarch64CombineAttributes(stage1, memAttr, false)).toBe(result);
  });
});

describe('stage 2 with FWB, row by row of Tables D8-100 and D8-101', () => {
  const devices = [0x00, 0x04, 0x08, 0x0c];
  const normals = ATTRIBUTES.filter((value) => value >= 16);

  it('0dd: the Device type of stage 2, as the recordings have it over Device memory too', () => {
    for (const stage1 of ATTRIBUTES) {
      const results = [0, 1, 2, 3].map((dd) => aarch64CombineAttributes(stage1, dd, true));
      expect(results).toEqual(devices);
    }
  });

  it('101: non-cacheable, unless stage 1 says Device', () => {
    for (const stage1 of devices) expect(aarch64CombineAttributes(stage1, 5, true)).toBe(stage1);
    for (const stage1 of normals) expect(aarch64CombineAttributes(stage1, 5, true)).toBe(0x44);
  });

  it('110: write-back, with the hints of stage 1 where that is cacheable', () => {
    for (const stage1 of devices) expect(aarch64CombineAttributes(stage1, 6, true)).toBe(0xff);
    for (const stage1 of normals) {
      const result = aarch64CombineAttributes(stage1, 6, true);
      const tagged = stage1 === 0xf0;
      const expected = { ...normal('write-back', 'write-back'), tagged };
      expect([stage1, aarch64MemoryType(result)]).toEqual([stage1, expected]);
    }
    const results = [0x44, 0xf4, 0xbb, 0x99, 0x12, 0x4f, 0xf0, 0x40, 0xa0].map((stage1) =>
      aarch64CombineAttributes(stage1, 6, true),
    );
    expect(results).toEqual([0xff, 0xff, 0xff, 0xdd, 0x56, 0xff, 0xf0, 0xff, 0xee]);
  });

  it('111: as stage 1 says', () => {
    for (const stage1 of ATTRIBUTES) {
      expect(aarch64CombineAttributes(stage1, 7, true)).toBe(stage1);
    }
  });

  it('does not look at MemAttr[3]', () => {
    fc.assert(
      fc.property(fc.constantFrom(...ATTRIBUTES), fc.nat(7), (stage1, memAttr) => {
        const result = aarch64CombineAttributes(stage1, memAttr, true);
        expect(aarch64CombineAttributes(stage1, memAttr | 8, true)).toBe(result);
      }),
    );
  });
});

describe('shareability', () => {
  it.each([
    [2, 0, 2],
    [2, 2, 2],
    [2, 3, 2],
    [3, 2, 2],
    [3, 3, 3],
    [3, 0, 3],
    [0, 2, 2],
    [0, 3, 3],
    [0, 0, 0],
  ])('of stage 1 %i and stage 2 %i is %i (Table D8-103)', (stage1, stage2, both) => {
    expect(aarch64CombineShareability(stage1, stage2)).toBe(both);
  });

  it('is reported as outer for Device and non-cacheable memory, as it is for the rest', () => {
    for (const attributes of ATTRIBUTES) {
      const type = aarch64MemoryType(attributes);
      const outer =
        type.kind === 'device' ||
        (type.inner === 'non-cacheable' && type.outer === 'non-cacheable');
      for (const sh of [0, 2, 3]) {
        expect(aarch64ReportedShareability(attributes, sh)).toBe(outer ? 2 : sh);
      }
    }
  });
});
