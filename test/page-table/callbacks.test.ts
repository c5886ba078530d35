import { NOT_MAPPED } from 'pagewright/page-table';
import { aarch64, sv39, x86Long4 } from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { errorOf } from '../core/errors.js';
import { makeSystem, RU, RWU, stateOf } from './system.js';

describe('an observer that throws', () => {
  it.each([x86Long4, sv39, aarch64({ granule: 4096 })])(
    'gets its error, and the counts of what is in memory stay right ($name)',
    (format) => {
      const mine = new Error('mine');
      let left = Number.POSITIVE_INFINITY;
      const observer = (): void => {
        if (left-- <= 0) throw mine;
      };
      const { owed, table } = makeSystem(format, { observer });
      const flags = table.flags({ prot: RWU });
      table.map(0x10, 5, flags, owed);
      const leaf = (): number | undefined => table.statistics().leaves[0]?.count;
      left = 0;
      expect(() => table.map(0x11, 6, flags, owed)).toThrow(mine);
      expect([table.lookup(0x11), leaf()]).toEqual([6, 2]);
      expect(() => table.protect(0x11, RU, owed)).toThrow(mine);
      expect(() => table.unmap(0x11, owed)).toThrow(mine);
      expect([table.lookup(0x11), leaf()]).toEqual([NOT_MAPPED, 1]);
      table.checkInvariants();
    },
  );
});

describe('isShared', () => {
  it('that destroys the page table is found out', () => {
    const { owed, table } = makeSystem(sv39);
    table.map(5, 5, table.flags({ prot: RWU }), owed);
    const isShared = (): boolean => {
      table.destroy(owed);
      return true;
    };
    expect(errorOf(() => table.clone({ isShared }, owed)).code).toBe('bad-argument');
    expect(table.isDestroyed).toBe(true);
  });

  it('that maps a page behind it has it in the copy, and protected', () => {
    const { owed, table } = makeSystem(sv39);
    const flags = table.flags({ prot: RWU });
    table.map(5, 5, flags, owed);
    const isShared = (): boolean => {
      table.map(1, 6, flags, owed);
      return true;
    };
    const copy = table.clone({ isShared }, owed)!;
    const rights = (of: typeof table) => [...of.entries()].map(({ vpn, prot }) => [vpn, prot]);
    expect(rights(copy)).toEqual([
      [1, RU],
      [5, RWU],
    ]);
    expect(rights(table)).toEqual(rights(copy));
    copy.checkInvariants();
  });

  it('that throws changes nothing', () => {
    const mine = new Error('mine');
    const system = makeSystem(sv39);
    system.table.map(5, 5, system.table.flags({ prot: RWU }), system.owed);
    const before = stateOf(system);
    const isShared = (): boolean => {
      throw mine;
    };
    expect(() => system.table.clone({ isShared }, system.owed)).toThrow(mine);
    expect(stateOf(system)).toEqual(before);
  });
});
