import { Access } from 'pagewright/core';
import { decodeMenvcfg, decodeMstatus } from 'pagewright/pte';
import { RiscvWalker } from 'pagewright/walk';
import type { CaseFormat } from '../case-format.js';
import { Fields, Malformed } from '../fields.js';
import type { RecordedFile } from '../recorded-file.js';
import { replayTranslation, type Spelling } from '../replay-access.js';
import { companionName, guestMemory, isTables, replayGuest } from './linux-guest.js';
import { riscvSpelling } from './riscv-spelling.js';

/** A RISC-V Linux guest, recorded on QEMU: its tables, and beside them what it should answer. */
export const riscvGuest: CaseFormat = {
  name: 'riscv guest',
  recognises: (file) => isTables(file, 'riscv64') || isTables(file, 'riscv32'),
  companions: (file) => [companionName(file)],
  replay: (file, tally) => replayGuest(file, tally, makeHart, replayOne),
};

function makeHart(file: RecordedFile, header: Fields): RiscvWalker {
  const memory = guestMemory(file, header);
  const registers = header.object('regs');
  const { PBMTE } = decodeMenvcfg(registers.hex('menvcfg')).fields;
  const { MXR } = decodeMstatus(registers.hex('sstatus')).fields;
  const walker = new RiscvWalker({
    memory,
    xlen: header.value('arch') === 'riscv32' ? 32 : 64,
    satp: registers.hex('satp'),
    pbmte: PBMTE === 1,
    // The recorded translations neither check A nor set it: with updates on, no walk fails for it.
    adue: true,
    svnapot: true,
  });
  walker.mxr = MXR === 1;
  const mode = header.text('mode');
  if (walker.format?.name !== mode) throw new Malformed(`satp does not select ${mode}`);
  return walker;
}

function replayOne(walker: RiscvWalker, value: unknown): string | null {
  const recorded = new Fields(value, 'the translation').only(['va', 'priv', 'pa']);
  const user = recorded.oneOf('priv', ['U', 'S']) === 'U';
  const access = Access.Read | (user ? Access.User : 0);
  const fault = recorded.value('pa') === null;
  const expected = fault ? 'a fault' : `pa ${recorded.hex('pa').toString(16)}`;
  // The recording does not say which fault.
  const anyFault: Spelling = {
    ...riscvSpelling(walker),
    fault: () => 'a fault',
    reported: () => 'a fault',
  };
  return replayTranslation(walker, anyFault, recorded.hex('va'), access, expected);
}
