import fc from 'fast-check';
import { workingSetAt, workingSetCurve, workingSetSizes } from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';
import {
  referenceWorkingSet,
  referenceWorkingSetFaults,
} from '../../src/reference/stack-analysis.js';

const pages = fc.array(fc.nat({ max: 7 }), { maxLength: 60, size: 'max' });
const windows = fc.integer({ min: 1, max: 70 });

describe('working sets', () => {
  it('have the pages of the window, at every time', () => {
    const property = fc.property(pages, windows, (references, window) => {
      for (let time = 0; time <= references.length; time++) {
        const expected = referenceWorkingSet(references, window, time);
        expect(workingSetAt(references, window, time)).toEqual(expected);
      }
    });
    fc.assert(property);
  });

  it('have their sizes', () => {
    const property = fc.property(pages, windows, (references, window) => {
      const expected = references.map((_, index) => {
        return referenceWorkingSet(references, window, index + 1).length;
      });
      expect([...workingSetSizes(references, window)]).toEqual(expected);
    });
    fc.assert(property);
  });

  it('of every window: faults, and the mean of the sizes', () => {
    const property = fc.property(pages, (references) => {
      const { faults, kind, meanSizes, pages: distinct } = workingSetCurve(references);
      expect([kind, distinct]).toEqual(['working-set-curve', new Set(references).size]);
      expect([faults.length, meanSizes.length]).toEqual(Array(2).fill(references.length + 1));
      for (let window = 1; window <= references.length; window++) {
        expect(faults[window]).toBe(referenceWorkingSetFaults(references, window));
        const sizes = workingSetSizes(references, window);
        const sum = sizes.reduce((total, size) => total + size, 0);
        expect(meanSizes[window]).toBe(sum / references.length);
      }
    });
    fc.assert(property);
  });

  it('of a window past the end are those of the whole', () => {
    expect(workingSetAt([3, 1, 3], 1000, 3)).toEqual([1, 3]);
    expect([...workingSetSizes([3, 1, 3], Number.MAX_SAFE_INTEGER)]).toEqual([1, 2, 2]);
    expect(workingSetCurve([]).meanSizes).toEqual([0]);
  });
});

describe('refused are', () => {
  it.each([0, -1, 1.5, Number.NaN])('a window of %s', (window) => {
    expect(() => workingSetAt([1], window, 1)).toThrow(/window/);
    expect(() => workingSetSizes([1], window)).toThrow(/window/);
  });

  it.each([-1, 2, 0.5])('time %s of one reference', (time) => {
    expect(() => workingSetAt([1], 1, time)).toThrow(/time/);
  });

  it('what are no pages', () => {
    expect(() => workingSetAt([-1], 1, 1)).toThrow(/page numbers/);
    expect(() => workingSetSizes([0.5], 1)).toThrow(/page numbers/);
    expect(() => workingSetCurve([Number.NaN])).toThrow(/page numbers/);
  });
});
