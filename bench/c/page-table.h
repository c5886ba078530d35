/*
 * A page table as an operating system in C would have it, with the checks and side effects of PageTable: 8-byte entries,
 * 512 of them in a table, in flat RAM. A program has one of several formats, so none of its numbers is a constant to the
 * compiler but the layout of a table.
 */
#ifndef PAGE_TABLE_H
#define PAGE_TABLE_H

#include "bench.h"

enum { INTERMEDIATE = 1, GLOBAL = 2 };
enum { OUT_OF_FRAMES = -1, NOT_MAPPED = -2, NOT_PRESENT = -3, MISTAKE = -4 };
enum { CAPACITY = 256, MAX_LEVELS = 5 };

enum { REGIONS = 8 };

#define NOWHERE ((u64)1 << 63)
#define EVERY_PAGE ((u64)1 << 53)
#define NO_TABLE 0xff

/* Frames: a bump from below and a stack of those that came back, with a bit for each that is out. */
struct pool {
  u64 first, frames, bumped;
  u64 *stack;
  u64 stacked;
  u8 *out;
};

static i64 take_frame(struct pool *p) {
  u64 index;
  if (p->stacked > 0) {
    index = p->stack[--p->stacked] - p->first;
  } else {
    if (p->bumped == p->frames) return -1;
    index = p->bumped++;
  }
  p->out[index >> 3] ^= 1 << (index & 7);
  return p->first + index;
}

static void release_frame(struct pool *p, u64 pfn) {
  u64 index = pfn - p->first;
  if (index >= p->bumped || !(p->out[index >> 3] >> (index & 7) & 1)) abort();
  p->out[index >> 3] ^= 1 << (index & 7);
  if (p->stacked == 0 && index == p->bumped - 1) p->bumped--;
  else p->stack[p->stacked++] = pfn;
}

static u64 free_frames(const struct pool *p) { return p->frames - p->bumped + p->stacked; }

/* What changes owe: see Invalidations. */
struct stretch {
  u64 first, end, stride;
  i64 context;
  u32 flags;
};

struct owed {
  struct pool *pool;
  u32 count;
  struct stretch stretches[CAPACITY];
  u64 *waiting;
  u64 waiting_count, waiting_room;
};

/* Makes one stretch of all and a further one. */
static void join_all(struct owed *o, i64 context, u32 flags) {
  bool one = true;
  for (u32 i = 0; i < o->count; i++) {
    one &= o->stretches[i].context == context;
    flags |= o->stretches[i].flags;
  }
  o->count = 1;
  o->stretches[0] = (struct stretch){0, EVERY_PAGE, 0, one ? context : -1, flags};
}

static void owe_apart(struct owed *o, u64 vpn, u64 pages, u64 stride, i64 context, u32 flags) {
  struct stretch *last = o->stretches + o->count - 1;
  if (o->count > 0 && last->stride == 0 && (last->context == context || last->context == -1) &&
      last->first <= vpn && vpn + pages <= last->end) {
    last->flags |= flags;
  } else if (o->count == CAPACITY) {
    join_all(o, context, flags);
  } else {
    o->stretches[o->count++] = (struct stretch){vpn, vpn + pages, stride, context, flags};
  }
}

static inline void owe(struct owed *o, u64 vpn, u64 pages, u64 stride, i64 context, u32 flags) {
  struct stretch *last = o->stretches + o->count - 1;
  if (o->count > 0 && last->end == vpn && last->stride == stride && last->context == context) {
    last->end = vpn + pages;
    last->flags |= flags;
  } else {
    owe_apart(o, vpn, pages, stride, context, flags);
  }
}

/* Whether doing the last stretch, an instruction for each of its strides, does a page of another. */
static bool reaches_into(const struct stretch *last, u64 vpn, u64 pages) {
  if (last->stride == 0) return last->first <= vpn && vpn + pages <= last->end;
  return last->stride <= pages && last->first < vpn + pages && last->end > vpn;
}

static void owe_intermediate(struct owed *o, u64 vpn, u64 pages, i64 context) {
  struct stretch *last = o->stretches + o->count - 1;
  if (o->count > 0 && last->context == context && reaches_into(last, vpn, pages)) {
    last->flags |= INTERMEDIATE;
  } else {
    owe(o, vpn, pages, pages, context, INTERMEDIATE);
  }
}

static void owe_frame(struct owed *o, u64 pfn) {
  if (o->waiting_count == o->waiting_room) {
    o->waiting_room = o->waiting_room ? 2 * o->waiting_room : 16;
    o->waiting = realloc(o->waiting, o->waiting_room * sizeof(u64));
    if (!o->waiting) abort();
  }
  o->waiting[o->waiting_count++] = pfn;
}

static void complete(struct owed *o) {
  o->count = 0;
  for (u64 i = 0; i < o->waiting_count; i++) release_frame(o->pool, o->waiting[i]);
  o->waiting_count = 0;
}

struct format {
  const char *name;
  u32 levels;
  /* Page numbers in [low_end, high_start), and those from `end` on, are no addresses. */
  u64 low_end, high_start, end;
  u64 present, required;
  u64 frame_mask;
  u32 frame_shift;
  /* An entry above level 0 is a pointer when its bits of pointer_mask are pointer_value. */
  u64 pointer_mask, pointer_value, pointer;
  u64 leaf_bits, group;
  /* The bit that says whether a leaf is global; by being clear, with the same bit in global_flip. */
  u64 global, global_flip;
  u64 frame_end;
  bool fill_owes;
};

struct leaf_flags {
  const struct format *format;
  u64 bits;
};

struct found {
  u64 vpn, pages, entry;
  u32 level;
};

struct table {
  const struct format *format;
  struct pool *pool;
  u64 *words;
  u64 first_pfn, frames;
  u64 root;
  i64 context;
  u64 foreign_first, foreign_end;
  u64 leaves, tables[MAX_LEVELS];
  /* By frame of the RAM: the level of the table that it is, or NO_TABLE. Tables share it. */
  u8 *owned;
  struct found found;
  /* What FastWalk remembers, if this one does: the table of the last page, and by region the table of level 1. */
  bool remembers;
  u64 last_first, *last;
  u64 region_first[REGIONS], *region[REGIONS];
};

#define WORDS(t, pfn) ((t)->words + (((pfn) - (t)->first_pfn) << 9))

static u64 frame_in(const struct format *f, u64 entry) {
  return (entry & f->frame_mask) >> f->frame_shift;
}

static bool is_page(const struct format *f, u64 entry) {
  return entry & f->present && (entry & f->required) == f->required && !(entry & f->group);
}

/* The table that an entry points at, or a null pointer. */
static inline u64 *pointed_at(const struct table *t, u64 entry) {
  const struct format *f = t->format;
  if ((entry & f->pointer_mask) != f->pointer_value) return NULL;
  u64 frame = frame_in(f, entry) - t->first_pfn;
  return frame < t->frames ? &t->words[frame << 9] : NULL;
}

/* Whether a page number is an address of this table's own. */
static bool is_own(const struct table *t, u64 vpn) {
  const struct format *f = t->format;
  if ((vpn >= f->low_end && vpn < f->high_start) || vpn >= f->end) return false;
  return vpn < t->foreign_first || vpn >= t->foreign_end;
}

/* Walks from the root to the table of a level above a page; a null pointer when no pointers lead there. */
static inline u64 *walk(const struct table *t, u64 vpn, u32 level) {
  if (!is_own(t, vpn)) return NULL;
  u64 *table = WORDS(t, t->root);
  for (u32 shift = 9 * (t->format->levels - 1); table && shift > 9 * level; shift -= 9)
    table = pointed_at(t, table[vpn >> shift & 511]);
  return table;
}

static u64 __attribute__((noinline)) *find_region(struct table *t, u64 vpn, u32 slot) {
  u64 *table = walk(t, vpn, 1);
  if (!table) return NULL;
  t->region_first[slot] = vpn >> 18 << 18;
  return t->region[slot] = table;
}

/* The table of a page, as FastWalk finds it. */
static inline u64 *remembered(struct table *t, u64 vpn) {
  if (vpn - t->last_first < 512) return t->last;
  if (vpn >= t->foreign_first && vpn < t->foreign_end) return NULL;
  u32 slot = vpn >> 18 & (REGIONS - 1);
  bool found = (vpn - t->region_first[slot]) >> 18 == 0;
  u64 *region = found ? t->region[slot] : find_region(t, vpn, slot);
  if (!region) return NULL;
  u64 *table = pointed_at(t, region[vpn >> 9 & 511]);
  if (!table) return NULL;
  t->last_first = vpn & ~(u64)511;
  return t->last = table;
}

/* The entry of a page, when pointers lead to it; otherwise a null pointer. */
static inline u64 *entry_of(struct table *t, u64 vpn) {
  u64 *table = t->remembers ? remembered(t, vpn) : walk(t, vpn, 0);
  return table ? table + (vpn & 511) : NULL;
}

/* A pointer of a level changed. */
static void forget(struct table *t, u32 level) {
  t->last_first = NOWHERE;
  for (u32 slot = 0; level > 1 && slot < REGIONS; slot++) t->region_first[slot] = NOWHERE;
}

static void own(struct table *t, u64 pfn, u32 level) {
  t->owned[pfn - t->first_pfn] = level;
  t->tables[level]++;
}

/* A frame for a table, cleared. */
static u64 new_table(struct table *t, u32 level) {
  u64 pfn = take_frame(t->pool);
  if (pfn - t->first_pfn >= t->frames || t->owned[pfn - t->first_pfn] != NO_TABLE) abort();
  memset(WORDS(t, pfn), 0, 4096);
  own(t, pfn, level);
  return pfn;
}

static void give_up(struct table *t, u64 pfn, u32 level, struct owed *owed) {
  if (t->owned[pfn - t->first_pfn] != level) abort();
  t->owned[pfn - t->first_pfn] = NO_TABLE;
  t->tables[level]--;
  owe_frame(owed, pfn);
}

static u64 entry_pages(u32 level) { return (u64)1 << 9 * level; }

static u64 pointer_to(const struct format *f, u64 pfn) { return pfn << f->frame_shift | f->pointer; }

/* The path to a page, down to the first entry that points at no table; returns that entry's level. */
static u32 seek(const struct table *t, u64 vpn, u64 *path[MAX_LEVELS]) {
  const struct format *f = t->format;
  u64 pfn = t->root;
  for (u32 level = f->levels - 1;; level--) {
    u64 *at = &WORDS(t, pfn)[vpn >> 9 * level & 511];
    path[level] = at;
    if (level == 0 || (*at & f->pointer_mask) != f->pointer_value) return level;
    pfn = frame_in(f, *at);
    if (pfn - t->first_pfn >= t->frames) return level;
  }
}

/* Maps a page whose tables are not all there. */
static i64 __attribute__((noinline))
map_slowly(struct table *t, u64 vpn, u64 pfn, const struct leaf_flags *flags, struct owed *owed) {
  const struct format *f = t->format;
  u64 *path[MAX_LEVELS];
  if (owed->pool != t->pool || flags->format != f || pfn >= f->frame_end || !is_own(t, vpn)) return MISTAKE;
  u32 reached = seek(t, vpn, path);
  if (*path[reached]) return MISTAKE;
  if (free_frames(t->pool) < reached) return OUT_OF_FRAMES;
  u64 entry = pfn << f->frame_shift | f->leaf_bits | flags->bits;
  for (u32 level = 0; level < reached; level++) {
    u64 table = new_table(t, level);
    WORDS(t, table)[vpn >> 9 * level & 511] = entry;
    entry = pointer_to(f, table);
  }
  *path[reached] = entry;
  if (reached > 0) forget(t, reached);
  t->leaves++;
  if (f->fill_owes) {
    if (reached > 0) {
      u64 pages = entry_pages(reached);
      owe_intermediate(owed, vpn & ~(pages - 1), pages, t->context);
    }
    owe(owed, vpn, 1, 1, t->context, 0);
  }
  return 0;
}

static i64 map(struct table *t, u64 vpn, u64 pfn, const struct leaf_flags *flags, struct owed *owed) {
  const struct format *f = t->format;
  if (pfn < f->frame_end) {
    u64 *at = entry_of(t, vpn);
    if (at && *at == 0 && flags->format == f && owed->pool == t->pool) {
      *at = pfn << f->frame_shift | f->leaf_bits | flags->bits;
      t->leaves++;
      if (f->fill_owes) owe(owed, vpn, 1, 1, t->context, 0);
      return 0;
    }
  }
  return map_slowly(t, vpn, pfn, flags, owed);
}

static bool is_empty(const u64 *table) {
  for (u32 index = 0; index < 512; index++)
    if (table[index]) return false;
  return true;
}

/* Gives up the table of a page, and those above it, if they are empty. */
static void __attribute__((noinline)) prune(struct table *t, u64 vpn, struct owed *owed) {
  u64 *path[MAX_LEVELS];
  seek(t, vpn, path);
  for (u32 level = 1; level < t->format->levels; level++) {
    u64 below = frame_in(t->format, *path[level]);
    if (!is_empty(WORDS(t, below))) return;
    *path[level] = 0;
    forget(t, level);
    u64 pages = entry_pages(level);
    owe_intermediate(owed, vpn & ~(pages - 1), pages, t->context);
    give_up(t, below, level - 1, owed);
  }
}

static u32 global_flag(const struct format *f, u64 entry) {
  return (entry ^ f->global_flip) & f->global ? GLOBAL : 0;
}

static void note(struct table *t, u64 vpn, u64 entry) {
  t->found = (struct found){.vpn = vpn, .pages = 1, .entry = entry, .level = 0};
}

/* The outcome for a page that is no base page with tables; larger pages and groups are not benched. */
static i64 absent(const struct table *t, u64 vpn) {
  if (!is_own(t, vpn)) return MISTAKE;
  u64 *path[MAX_LEVELS];
  return *path[seek(t, vpn, path)] ? NOT_PRESENT : NOT_MAPPED;
}

static i64 unmap(struct table *t, u64 vpn, struct owed *owed) {
  const struct format *f = t->format;
  u64 *at = owed->pool == t->pool ? entry_of(t, vpn) : NULL;
  if (!at || !is_page(f, *at)) return absent(t, vpn);
  u64 entry = *at;
  *at = 0;
  t->leaves--;
  owe(owed, vpn, 1, 1, t->context, global_flag(f, entry));
  note(t, vpn, entry);
  /* A neighbour tells most often that the table is not empty. */
  u32 index = vpn & 511;
  if (!((index < 511 && at[1]) || (index > 0 && at[-1]))) prune(t, vpn, owed);
  return frame_in(f, entry);
}

static i64 lookup(struct table *t, u64 vpn) {
  u64 *at = entry_of(t, vpn);
  if (!at || !is_page(t->format, *at)) return absent(t, vpn);
  note(t, vpn, *at);
  return frame_in(t->format, *at);
}

/* Replaces bits of a page's entry; returns its frame. */
static i64 change(struct table *t, u64 vpn, u64 clear, u64 set, struct owed *owed) {
  u64 *at = owed->pool == t->pool ? entry_of(t, vpn) : NULL;
  if (!at || !is_page(t->format, *at)) return absent(t, vpn);
  u64 entry = *at;
  u64 changed = (entry & ~clear) | set;
  note(t, vpn, entry);
  if (changed != entry) {
    *at = changed;
    owe(owed, vpn, 1, 1, t->context, global_flag(t->format, entry));
  }
  return frame_in(t->format, entry);
}

/* The same for a stretch: [vpn, end) below a table. */
static void change_range(struct table *t, u64 pfn, u32 level, u64 vpn, u64 end, u64 clear, u64 set,
                         struct owed *owed) {
  const struct format *f = t->format;
  u64 *words = WORDS(t, pfn);
  if (level > 0) {
    u64 pages = entry_pages(level);
    for (u64 next; vpn < end; vpn = next) {
      next = (vpn & ~(pages - 1)) + pages;
      if (next > end) next = end;
      u64 entry = words[vpn >> 9 * level & 511];
      if ((entry & f->pointer_mask) == f->pointer_value)
        change_range(t, frame_in(f, entry), level - 1, vpn, next, clear, set, owed);
    }
    return;
  }
  u64 any = 0, present = 0;
  u64 *at = &words[vpn & 511];
  for (u64 *stop = at + (end - vpn); at < stop; at++) {
    u64 entry = *at;
    if (!(entry & f->present) || (entry & f->required) != f->required) continue;
    u64 changed = (entry & ~clear) | set;
    *at = changed;
    any |= changed ^ entry;
    present |= entry;
  }
  if (any) owe(owed, vpn, end - vpn, 1, t->context, global_flag(f, present));
}

/* Copies the tables below one, and takes the bits of `clear` from all leaves in both. */
static void copy_table(struct table *from, u64 source, struct table *to, u64 target, u32 level, u64 vpn,
                       u64 clear, struct owed *owed) {
  const struct format *f = from->format;
  u64 *at = WORDS(from, source), *copy = WORDS(to, target);
  if (level > 0) {
    u64 pages = entry_pages(level);
    for (u32 index = 0; index < 512; index++, vpn += pages) {
      if (!at[index]) continue;
      u64 below = new_table(to, level - 1);
      copy_table(from, frame_in(f, at[index]), to, below, level - 1, vpn, clear, owed);
      copy[index] = (at[index] & ~f->frame_mask) | below << f->frame_shift;
    }
    return;
  }
  u64 any = 0, present = 0;
  for (u32 index = 0; index < 512; index++) {
    u64 entry = at[index];
    if (entry & f->present && (entry & f->required) == f->required) {
      u64 changed = entry & ~clear;
      any |= changed ^ entry;
      present |= entry;
      at[index] = entry = changed;
    }
    copy[index] = entry;
  }
  if (any) owe(owed, vpn, 512, 1, from->context, global_flag(f, present));
}

static bool make_table(struct table *t, const struct table *like, i64 context) {
  *t = (struct table){
      .format = like->format,
      .pool = like->pool,
      .words = like->words,
      .first_pfn = like->first_pfn,
      .frames = like->frames,
      .context = context,
      .owned = like->owned,
      .remembers = like->remembers,
  };
  if (free_frames(t->pool) == 0) return false;
  t->root = new_table(t, t->format->levels - 1);
  forget(t, t->format->levels);
  return true;
}

/* A copy whose leaves, like the original's, lost the bits of `clear`. */
static bool clone_table(struct table *from, struct table *to, u64 clear, struct owed *owed) {
  u64 tables = 0;
  for (u32 level = 0; level < from->format->levels; level++) tables += from->tables[level];
  if (owed->pool != from->pool || free_frames(from->pool) < tables) return false;
  make_table(to, from, from->context);
  copy_table(from, from->root, to, to->root, from->format->levels - 1, 0, clear, owed);
  to->leaves = from->leaves;
  return true;
}

/* Takes everything down. */
static void destroy_table(struct table *t, u64 pfn, u32 level, struct owed *owed) {
  u64 *words = WORDS(t, pfn);
  for (u32 index = 0; level > 0 && index < 512; index++)
    if (words[index]) destroy_table(t, frame_in(t->format, words[index]), level - 1, owed);
  give_up(t, pfn, level, owed);
}

#endif
