import { Access } from 'pagewright/core';
import { type RadixWalker, RiscvGStage, RiscvWalker, X86Npt, X86Walker } from 'pagewright/walk';
import { type Draw, once, pick } from '../walk/agreement/draw.js';

/** What is asked of a walker. */
export interface Query {
  readonly vpn: number;
  readonly access: number;
  readonly offset: number;
  readonly bytes: number;
}

/** Width of the page numbers that a walker takes at all. */
function reachOf(walker: RadixWalker): number {
  if (walker instanceof RiscvWalker) return walker.xlen === 32 ? 20 : 52;
  if (walker instanceof RiscvGStage) return walker.xlen === 32 ? 22 : 52;
  if (walker instanceof X86Walker && !(walker instanceof X86Npt)) {
    return /level/.test(walker.mode) ? 52 : 20;
  }
  return Math.min(52, 64 - walker.pageShift);
}

/** Any page number of the present mode; one of 32 is any that there is. */
export function drawVpn(draw: Draw, walker: RadixWalker): number {
  const { pageShift } = walker;
  const reach = reachOf(walker);
  // An untranslated address is the second stage's.
  const format = walker.format ?? walker.secondStage?.format ?? null;
  if (format === null || once(draw, 32)) return draw(2 ** reach);
  const pages = 2 ** Math.min(format.virtualBits - pageShift, reach);
  const vpn = draw(pages);
  return format.signExtended && vpn >= pages / 2 ? vpn + 2 ** reach - pages : vpn;
}

/** An access as every architecture has it, now and then with one of the further bits. */
export function drawAccess(draw: Draw, further: readonly number[] = []): number {
  const bit = further.length > 0 && once(draw, 8) ? pick(draw, further) : 0;
  const user = draw(2) === 0 ? 0 : Access.User;
  const kind = draw(3);
  const modify = kind !== Access.Fetch && once(draw, 8) ? Access.ReadModifyWrite : 0;
  // HLVX is a load; an unprivileged access is the supervisor's, and no fetch.
  if (bit === Access.Hlvx) return Access.Read | user | bit;
  if (bit === Access.Unprivileged) return (kind === Access.Fetch ? Access.Read : kind) | bit;
  return kind | user | modify | bit;
}

/** Where in a page, and how much of it: mostly a byte at its beginning. */
export function drawPlace(draw: Draw, pageBytes: number): Pick<Query, 'offset' | 'bytes'> {
  if (draw(2) === 0) return { offset: 0, bytes: 1 };
  const offset = draw(pageBytes);
  return { offset, bytes: Math.min(2 ** draw(4), pageBytes - offset) };
}

/** A question to a walker whose architecture has those accesses. */
export function drawQuery(draw: Draw, walker: RadixWalker, further: readonly number[]): Query {
  const vpn = drawVpn(draw, walker);
  return { vpn, access: drawAccess(draw, further), ...drawPlace(draw, 2 ** walker.pageShift) };
}
