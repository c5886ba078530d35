import { Access, describeAccess, formatProt, isAccess, Prot } from 'pagewright/core';
import { describe, expect, it } from 'vitest';

describe('describeAccess', () => {
  it.each([
    [Access.Read, 'read', 'supervisor', []],
    [Access.Write | Access.User, 'write', 'user', []],
    [Access.Fetch | Access.Machine, 'fetch', 'machine', []],
    [Access.Read | Access.Hlvx | Access.User, 'read', 'user', ['Hlvx']],
    [Access.ImplicitSupervisor, 'read', 'supervisor', ['ImplicitSupervisor']],
    [
      Access.Write | Access.ReadModifyWrite | Access.Unprivileged,
      'write',
      'supervisor',
      ['Unprivileged', 'ReadModifyWrite'],
    ],
  ] as const)('spells %i out', (access, kind, privilege, modifiers) => {
    expect(describeAccess(access)).toEqual({ kind, privilege, modifiers });
  });
});

describe('isAccess', () => {
  it('accepts every combination of known bits with a kind', () => {
    for (let access = 0; access < 256; access++) {
      expect(isAccess(access)).toBe((access & 3) !== 3);
    }
  });

  it.each([-1, 256, 1.5, Number.NaN, Infinity, 2 ** 32])('refuses %s', (access) => {
    expect(isAccess(access)).toBe(false);
  });
});

describe('formatProt', () => {
  it('has one letter for each right', () => {
    expect(formatProt(0)).toBe('----');
    expect(formatProt(Prot.Read | Prot.Write)).toBe('rw--');
    expect(formatProt(Prot.Execute | Prot.User)).toBe('--xu');
    expect(formatProt(15)).toBe('rwxu');
  });
});
