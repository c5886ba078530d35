import { plain } from 'pagewright/core';
import { describe, expect, it } from 'vitest';

describe('plain data', () => {
  const data = plain({
    kind: 'value',
    value: 0xdeadn,
    list: [1n, { deep: -2n }],
    none: null,
    missing: undefined,
    text: 'as it is',
  });

  it('has the same own fields, and only those', () => {
    expect(Object.keys(data)).toEqual(['kind', 'value', 'list', 'none', 'missing', 'text']);
    expect(data).toEqual({
      kind: 'value',
      value: 0xdeadn,
      list: [1n, { deep: -2n }],
      none: null,
      missing: undefined,
      text: 'as it is',
    });
  });

  it('goes through JSON with bigints as hexadecimal', () => {
    expect(JSON.parse(JSON.stringify(data))).toEqual({
      kind: 'value',
      value: '0xdead',
      list: ['0x1', { deep: '-0x2' }],
      none: null,
      text: 'as it is',
    });
  });

  it('goes through structuredClone', () => {
    expect(structuredClone(data)).toEqual({ ...data });
  });
});
