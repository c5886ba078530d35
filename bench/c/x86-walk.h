/*
 * The long-mode page walk as a C emulator would have it: the checks and the side effects of X86Walker.
 *
 * A walker's registers change between walks, so nothing here is a constant to the compiler but the entry's layout.
 */
#ifndef X86_WALK_H
#define X86_WALK_H

#include "bench.h"

enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80 };
enum { READ = 0, WRITE = 1, FETCH = 2, USER = 4, IMPLICIT_SUPERVISOR = 8, READ_MODIFY_WRITE = 32 };
enum { ROW_WP = 0x10, ROW_SMEP = 0x20, ROW_SMAP = 0x40, ROW_AC = 0x80 };
enum { ACCESS_BITS = 3 | USER | IMPLICIT_SUPERVISOR | READ_MODIFY_WRITE };

#define XD ((u64)1 << 63)
#define FRAME(entry) ((entry) >> 12 & 0xffffffffff)

struct walker {
  /* RAM, and where it lies. */
  u64 *words;
  u64 first_pfn, frames;
  u64 root;
  int top;
  u64 low_end, high_start; /* pages between them are not canonical */
  u64 reserved;            /* in every entry */
  u64 reserved_ps;         /* in entries that are no leaf */
  u32 leaf_levels;         /* bit n: PS makes a leaf at level n */
  u32 row;
  u32 keys;
  u32 pkru;
  /* The last leaf. */
  i32 leaf_level;
  u64 leaf, leaf_and, leaf_or;
  /* The last fault. */
  u64 fault_vpn;
  i32 fault_level;
  u32 fault_code;
};

/* By access and WP, SMEP, SMAP, AC: what the AND of all entries must have, and must not have. */
static u32 needed[256], forbidden[256];

static void make_rules(void) {
  for (u32 row = 0; row < 256; row++) {
    u32 kind = row & 3;
    bool user = (row & (USER | IMPLICIT_SUPERVISOR)) == USER;
    needed[row] = A | (user ? US : 0);
    if (kind == WRITE) needed[row] |= D | (user || row & ROW_WP ? RW : 0);
    if (kind == 3) needed[row] = 0x100;
    bool smep = row & ROW_SMEP && kind == FETCH;
    bool smap = row & ROW_SMAP && kind != FETCH && !(row & ROW_AC && !(row & IMPLICIT_SUPERVISOR));
    forbidden[row] = !user && (smep || smap) ? US : 0;
  }
}

/* Whether PKRU forbids a data access to a user page. */
static bool key_forbids(const struct walker *w, u32 row, u64 allowed, u64 entry) {
  if ((row & 3) == FETCH || !(allowed & US)) return false;
  u32 rights = w->pkru >> 2 * (entry >> 59 & 15);
  return rights & 1 || (rights & 2 && (row & 3) == WRITE && row & (USER | ROW_WP));
}

/* Sets A on the way and A, D in the leaf; or says why not. Out of line: it is the rare case. */
static i64 __attribute__((noinline)) walk_slowly(struct walker *w, u64 vpn, u32 access) {
  u64 *path[5];
  u64 frame = w->root - w->first_pfn;
  u64 and = ~(u64)0, or = 0;
  u32 row = (access & 15) | (access >> 5 & 1) | w->row;
  u32 code = (row & 3) == WRITE ? 2 : 0;
  w->fault_vpn = vpn;
  for (int level = w->top;; level--) {
    w->fault_level = level;
    if (frame >= w->frames) return -2;
    u64 *at = &w->words[frame << 9 | (vpn >> 9 * level & 511)];
    u64 entry = *at;
    path[level] = at;
    w->fault_code = code;
    if (!(entry & P)) return -1;
    bool leaf = level == 0 || (entry & PS && w->leaf_levels >> level & 1);
    u64 below = ((u64)1 << 9 * level) - 1;
    w->fault_code = code | 9;
    if (entry & w->reserved || (!leaf && entry & w->reserved_ps)) return -3;
    if (leaf && level > 0 && FRAME(entry) & below & ~(u64)1) return -3;
    or |= entry;
    if (!leaf) {
      and &= entry;
      frame = FRAME(entry) - w->first_pfn;
      continue;
    }
    u64 allowed = entry & (and | D);
    u32 rights = needed[row] & (RW | US);
    w->fault_code = code | 1;
    if ((allowed & rights) != rights || allowed & forbidden[row]) return -4;
    if (or & XD && (row & 3) == FETCH) return -4;
    if (w->keys && key_forbids(w, row, allowed, entry)) return -5;
    for (int above = w->top; above > level; above--) *path[above] |= A;
    *at |= (row & 3) == WRITE ? A | D : A;
    w->leaf_level = level;
    w->leaf = entry;
    w->leaf_and = allowed;
    w->leaf_or = or;
    return (FRAME(entry) & ~below) | (vpn & below);
  }
}

/* The frame, or a negative number. */
static i64 walk(struct walker *w, u64 vpn, u32 access) {
  if (vpn >> 52 || access & ~ACCESS_BITS || (vpn >= w->low_end && vpn < w->high_start)) return -6;
  u64 frame = w->root - w->first_pfn;
  u64 and = ~(u64)0, or = 0;
  for (int level = w->top; frame < w->frames; level--) {
    int shift = 9 * level;
    u64 entry = w->words[frame << 9 | (vpn >> shift & 511)];
    if (!(entry & P) || entry & w->reserved) break;
    if (level == 0 || (entry & PS && w->leaf_levels >> level & 1)) {
      u64 allowed = entry & (and | D);
      u32 row = (access & 15) | (access >> 5 & 1) | w->row;
      u64 below = ((u64)1 << shift) - 1;
      if ((allowed & needed[row]) != needed[row] || allowed & forbidden[row] ||
          ((or | entry) & XD && (row & 3) == FETCH) ||
          (level > 0 && FRAME(entry) & below & ~(u64)1) ||
          (w->keys && key_forbids(w, row, allowed, entry)))
        break;
      w->leaf_level = level;
      w->leaf = entry;
      w->leaf_and = allowed;
      w->leaf_or = or | entry;
      return (FRAME(entry) & ~below) | (vpn & below);
    }
    if (entry & w->reserved_ps) break;
    and &= entry;
    or |= entry;
    frame = FRAME(entry) - w->first_pfn;
  }
  return walk_slowly(w, vpn, access);
}

#endif
