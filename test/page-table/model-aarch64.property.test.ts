import { describe, test } from 'vitest';
import { MODEL_FORMATS } from './model-formats.js';
import { checkAgainstModel } from './model-property.js';

describe('a page table of AArch64 does what the model does', () => {
  const kinds = MODEL_FORMATS.filter(({ format }) => format.architecture === 'aarch64');
  test.each(kinds)('$name', (kind) => checkAgainstModel(kind, 'flat', 4));
});
