import { aarch64MemoryType, RISCV_PBMT, x86MemoryTypeOf } from '../pte/index.js';
import type { LeafAttributes } from '../walk/index.js';

/** What leaves say beside frame and rights, where it is not what most leaves say: a word or two each. */
export function attributeNotes({ aarch64, ept, global, riscv, x86 }: LeafAttributes): string[] {
  const notes: string[] = [];
  if (global) notes.push('global');
  if (x86 && x86.patIndex !== 0) notes.push(`PAT ${x86.patIndex}`);
  if (x86 && x86.protectionKey !== 0) notes.push(`key ${x86.protectionKey}`);
  if (riscv && riscv.pbmt !== 0) notes.push(RISCV_PBMT[riscv.pbmt]!);
  if (riscv?.napot) notes.push('NAPOT');
  if (ept) notes.push(...eptNotes(ept.memoryType, ept.ignorePat));
  if (aarch64) notes.push(...memoryNotes(aarch64.attr));
  if (aarch64?.contiguous) notes.push('contiguous');
  return notes;
}

function eptNotes(memoryType: number, ignorePat: boolean): string[] {
  const type = x86MemoryTypeOf(memoryType);
  return [...(type === 'WB' ? [] : [`${type}`]), ...(ignorePat ? ['ignores PAT'] : [])];
}

/** Write-back is what most memory is. */
function memoryNotes(attr: number): string[] {
  const type = aarch64MemoryType(attr);
  if (type.kind === 'device') return [`Device-${type.device}`];
  const { inner, outer, tagged } = type;
  const both = inner === outer ? inner : `inner ${inner}, outer ${outer}`;
  return [...(both === 'write-back' ? [] : [both]), ...(tagged ? ['tagged'] : [])];
}
