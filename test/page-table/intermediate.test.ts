import { Access } from 'pagewright/core';
import { aarch64 } from 'pagewright/pte';
import { AArch64Walker } from 'pagewright/walk';
import { expect, it } from 'vitest';
import { makeSystem, RWU } from './system.js';

const GIGABYTE = 2 ** 18;

// One TLBI for the gigabyte's first page leaves what walk caches know of tables elsewhere below it.
it('tables that came and went in the place of a larger page are a record of their own', () => {
  const { memory, owed, table } = makeSystem(aarch64({ granule: 4096 }));
  const flags = table.flags({ prot: RWU });
  table.map(0, GIGABYTE, flags, owed, GIGABYTE);
  const walker = new AArch64Walker({
    memory,
    tcr: 16n | (5n << 32n),
    ttbr0: BigInt(table.root * 4096),
    mair: 0xffn,
  });
  expect(walker.walk(0x605, Access.Read | Access.User)).toBe(GIGABYTE + 0x605);
  owed.complete();

  table.unmap(0, owed);
  table.setSwap(0x605, { type: 1, offset: 5 }, owed);
  expect(walker.walk(0x605, Access.Read | Access.User)).toBeLessThan(0); // and knows the tables now
  table.unmap(0x605, owed);
  expect(owed.invalidations()).toMatchObject([
    { vpn: 0, pages: GIGABYTE, stride: GIGABYTE, intermediate: true },
    { vpn: 0x600, pages: 512, stride: 512, intermediate: true },
  ]);
});
