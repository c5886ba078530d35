/* The Sv39, Sv48 and Sv57 walk as a C emulator would have it: the checks of RiscvWalker. */
#ifndef RISCV_WALK_H
#define RISCV_WALK_H

#include "bench.h"

enum { V = 1, R = 2, W = 4, X = 8, U = 0x10, A = 0x40, D = 0x80 };
enum { READ = 0, WRITE = 1, FETCH = 2, USER = 4, READ_MODIFY_WRITE = 32 };
enum { ROW_SUM = 8, ROW_MXR = 16 };

#define N ((u64)1 << 63)
#define PBMT ((u64)3 << 61)
#define PPN(entry) ((entry) >> 10 & 0xfffffffffff)

struct walker {
  u64 *words;
  u64 first_pfn, frames;
  u64 root;
  int top;
  u64 low_end, high_start;
  u64 leaf_reserved, pointer_reserved;
  u32 row;
  i32 leaf_level;
  u64 leaf;
};

/* By access, SUM and MXR, and a leaf's low byte: 0 when nothing forbids the access. */
static u8 forbidden[32 * 256];

static void make_rules(void) {
  for (u32 row = 0; row < 32; row++) {
    for (u32 entry = 0; entry < 256; entry++) {
      u32 kind = row & 3;
      u32 needed = V | A;
      u32 readable = row & ROW_MXR ? R | X : R;
      if (kind == WRITE) needed |= W | D;
      if (kind == FETCH) needed |= X;
      bool ok = kind != 3 && (entry & needed) == needed && (entry & (R | W)) != W;
      if (kind == READ && !(entry & readable)) ok = false;
      if (row & USER ? !(entry & U) : entry & U && (kind == FETCH || !(row & ROW_SUM))) ok = false;
      forbidden[row << 8 | entry] = !ok;
    }
  }
}

/* The frame, or -1: what is rare is not in the race. */
static i64 walk(struct walker *w, u64 vpn, u32 access) {
  if (vpn >> 52 || access & ~(7 | READ_MODIFY_WRITE)) return -1;
  if (vpn >= w->low_end && vpn < w->high_start) return -1;
  u64 frame = w->root - w->first_pfn;
  for (int level = w->top; level >= 0 && frame < w->frames; level--) {
    int shift = 9 * level;
    u64 entry = w->words[frame << 9 | (vpn >> shift & 511)];
    if (entry & (R | W | X)) {
      u32 row = (access & 7) | (access >> 5 & 1) | w->row;
      u64 below = ((u64)1 << shift) - 1;
      u64 ppn = PPN(entry);
      if (forbidden[row << 8 | (entry & 0xff)]) return -1;
      if (entry & w->leaf_reserved || (entry & PBMT) == PBMT) return -1;
      if (ppn & below) return -1;
      if (entry & N) {
        if (level > 0 || (ppn & 15) != 8) return -1;
        below = 15;
      }
      w->leaf_level = level;
      w->leaf = entry;
      return (ppn & ~below) | (vpn & below);
    }
    if ((entry & (V | U | A | D)) != V || entry & w->pointer_reserved) return -1;
    frame = PPN(entry) - w->first_pfn;
  }
  return -1;
}

/* Over RAM of so many bytes: no Svrsw60t59b, no Svpbmt. */
static struct walker make_walker(int levels, u64 root, u64 first_pfn, u64 *words, size_t bytes) {
  u64 half = (u64)1 << (9 * levels - 1);
  u64 reserved = (u64)0x7f << 54 | PBMT;
  return (struct walker){
      .words = words,
      .first_pfn = first_pfn,
      .frames = bytes >> 12,
      .root = root,
      .top = levels - 1,
      .low_end = half,
      .high_start = ((u64)1 << 52) - half,
      .leaf_reserved = reserved,
      .pointer_reserved = reserved | N | PBMT,
  };
}

#endif
