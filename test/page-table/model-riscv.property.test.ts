import { describe, test } from 'vitest';
import { MODEL_FORMATS } from './model-formats.js';
import { checkAgainstModel } from './model-property.js';

describe('a page table of RISC-V does what the model does', () => {
  const kinds = MODEL_FORMATS.filter(({ format }) => format.architecture === 'riscv');
  test.each(kinds)('$name', (kind) => checkAgainstModel(kind, 'flat', 8));
});
