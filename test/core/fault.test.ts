import { FAULT_REASONS, faultCode, faultReason } from 'pagewright/core';
import { describe, expect, it } from 'vitest';

describe('fault codes', () => {
  it('are distinct, and lead back to their reason', () => {
    expect(new Set(FAULT_REASONS).size).toBe(FAULT_REASONS.length);
    for (const reason of FAULT_REASONS) {
      const result = -(1 + faultCode(reason));
      expect(result).toBeLessThan(0);
      expect(faultReason(result)).toBe(reason);
    }
  });

  it('are none for results that are frames, or negative numbers beyond the list', () => {
    expect(faultReason(0)).toBeUndefined();
    expect(faultReason(0x80000)).toBeUndefined();
    expect(faultReason(-1000)).toBeUndefined();
    expect(faultReason(Number.NaN)).toBeUndefined();
  });
});
