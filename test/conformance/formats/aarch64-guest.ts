import { Access, addressFromVpn } from 'pagewright/core';
import { AArch64Walker } from 'pagewright/walk';
import type { CaseFormat } from '../case-format.js';
import { Fields } from '../fields.js';
import type { RecordedFile } from '../recorded-file.js';
import { replayTranslation } from '../replay-access.js';
import { companionName, guestMemory, isTables, replayGuest } from './linux-guest.js';

/** TCR_EL1.HA. */
const HA = 1n << 39n;

/** An arm64 Linux guest, recorded on QEMU: its tables, and beside them what it should answer. */
export const aarch64Guest: CaseFormat = {
  name: 'aarch64 guest',
  recognises: (file) => isTables(file, 'aarch64'),
  companions: (file) => [companionName(file)],
  replay: (file, tally) => replayGuest(file, tally, makeCpu, replayOne),
};

function makeCpu(file: RecordedFile, header: Fields): AArch64Walker {
  const memory = guestMemory(file, header);
  const registers = header.object('regs');
  return new AArch64Walker({
    memory,
    // The recorded translations neither check AF nor set it: with updates on, no walk fails for it.
    tcr: registers.hex('TCR_EL1') | HA,
    ttbr0: registers.hex('TTBR0_EL1'),
    ttbr1: registers.hex('TTBR1_EL1'),
    sctlr: registers.hex('SCTLR_EL1'),
    mair: registers.hex('MAIR_EL1'),
  });
}

function replayOne(walker: AArch64Walker, value: unknown): string | null {
  const recorded = new Fields(value, 'the translation').only(['va', 'el', 'pa']);
  const access = Access.Read | (recorded.integer('el', 0, 1) === 0 ? Access.User : 0);
  const fault = recorded.value('pa') === null;
  const expected = fault ? 'a fault' : `pa ${recorded.hex('pa').toString(16)}`;
  // The recording does not say which fault.
  return replayTranslation(
    walker,
    {
      page: (pfn, offset) => `pa ${addressFromVpn(pfn, offset).toString(16)}`,
      fault: () => 'a fault',
      reported: () => 'a fault',
      bits: {},
    },
    recorded.hex('va'),
    access,
    expected,
  );
}
