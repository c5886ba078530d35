import { describe, it } from 'vitest';
import { CLASSICAL } from './classical-cases.js';
import { agreesWithReference } from './policy-property.js';

describe('every policy', () => {
  for (const policy of CLASSICAL) {
    it(`chooses as its obvious version: ${policy.name}`, () => agreesWithReference(policy));
  }
});
