import fc from 'fast-check';
import { wsClock } from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';
import { ReferenceWsClock } from '../../src/reference/replacement-ring.js';
import { ADAPTIVE } from './adaptive-cases.js';
import { Cache } from './cache.js';
import { agreesWithReference } from './policy-property.js';

describe('every policy of the papers', () => {
  for (const policy of ADAPTIVE) {
    it(`chooses as its obvious version: ${policy.name}`, () => agreesWithReference(policy));
  }
});

describe('WSClock', () => {
  it('sends the same pages to be written as its obvious version, in the same order', () => {
    const reference = fc.record({ page: fc.nat({ max: 8 }), write: fc.boolean() });
    const references = fc.array(reference, { maxLength: 80, size: 'max' });
    const limits = fc.constantFrom(0, 1, 2, 100);
    const property = fc.property(references, fc.nat({ max: 10 }), limits, (list, window, limit) => {
      const written: number[] = [];
      const onWriteback = (_slot: number, page: number): unknown => written.push(page);
      const cache = new Cache(wsClock({ window, writeLimit: limit, onWriteback }), 4);
      const model = new ReferenceWsClock(4, window, limit);
      for (const { page, write } of list) {
        cache.access(page, write);
        model.access(page, write);
        expect(written).toEqual(model.written);
      }
    });
    fc.assert(property);
  });
});
