/*
 * replacement WHAT FRAMES PAGES REFERENCES: misses of lru, fifo or clock in FRAMES frames, or with `curve` those of LRU in
 * every number of frames, of REFERENCES to PAGES different pages. A unit is a whole pass.
 */
#include "bench.h"

#define NONE (-1)

struct work {
  const char *what;
  u32 frames, pages;
  const double *references;
  u64 length;
};

static u32 power_of_two(u32 least) {
  u32 size = 64;
  while (size < least) size *= 2;
  return size;
}

static u32 hash(u64 page) { return (u32)((page * 0x9e3779b97f4a7c15) >> 32); }

/* A cache of frames: pages are found through chains, and stand in a list, the latest at its head. */
struct cache {
  u32 frames, used, mask;
  u64 *pages;
  i32 *buckets, *chain, *after, *before;
  i32 head, tail;
  u8 *referenced;
};

static struct cache *new_cache(u32 frames) {
  struct cache *c = calloc(1, sizeof *c);
  u32 size = power_of_two(2 * frames);
  c->frames = frames;
  c->mask = size - 1;
  c->pages = malloc(frames * sizeof *c->pages);
  c->buckets = malloc(size * sizeof *c->buckets);
  c->chain = malloc(frames * sizeof *c->chain);
  c->after = malloc(frames * sizeof *c->after);
  c->before = malloc(frames * sizeof *c->before);
  c->referenced = calloc(frames, 1);
  for (u32 i = 0; i < size; i++) c->buckets[i] = NONE;
  c->head = c->tail = NONE;
  return c;
}

static void free_cache(struct cache *c) {
  free(c->pages), free(c->buckets), free(c->chain), free(c->after), free(c->before), free(c->referenced), free(c);
}

static i32 find(const struct cache *c, u64 page) {
  i32 slot = c->buckets[hash(page) & c->mask];
  while (slot != NONE && c->pages[slot] != page) slot = c->chain[slot];
  return slot;
}

static void enter(struct cache *c, i32 slot, u64 page) {
  i32 *bucket = &c->buckets[hash(page) & c->mask];
  c->pages[slot] = page;
  c->chain[slot] = *bucket;
  *bucket = slot;
}

static void leave(struct cache *c, i32 slot) {
  i32 *link = &c->buckets[hash(c->pages[slot]) & c->mask];
  while (*link != slot) link = &c->chain[*link];
  *link = c->chain[slot];
}

static void push(struct cache *c, i32 slot) {
  c->before[slot] = NONE;
  c->after[slot] = c->head;
  if (c->head == NONE) c->tail = slot;
  else c->before[c->head] = slot;
  c->head = slot;
}

static void take_out(struct cache *c, i32 slot) {
  i32 after = c->after[slot], before = c->before[slot];
  if (before == NONE) c->head = after;
  else c->after[before] = after;
  if (after == NONE) c->tail = before;
  else c->before[after] = before;
}

static u64 run_list(const struct work *w, bool moves) {
  struct cache *c = new_cache(w->frames);
  u64 misses = 0;
  for (u64 i = 0; i < w->length; i++) {
    u64 page = w->references[i];
    i32 slot = find(c, page);
    if (slot != NONE) {
      if (moves && slot != c->head) take_out(c, slot), push(c, slot);
      continue;
    }
    misses++;
    if (c->used < c->frames) slot = c->used++;
    else {
      slot = c->tail;
      take_out(c, slot);
      leave(c, slot);
    }
    enter(c, slot, page);
    push(c, slot);
  }
  free_cache(c);
  return misses;
}

static u64 run_clock(const struct work *w) {
  struct cache *c = new_cache(w->frames);
  u64 misses = 0;
  u32 hand = 0;
  for (u64 i = 0; i < w->length; i++) {
    u64 page = w->references[i];
    i32 slot = find(c, page);
    if (slot != NONE) {
      c->referenced[slot] = 1;
      continue;
    }
    misses++;
    if (c->used < c->frames) slot = c->used++;
    else {
      while (c->referenced[hand]) {
        c->referenced[hand] = 0;
        hand = hand + 1 == c->frames ? 0 : hand + 1;
      }
      slot = hand;
      hand = hand + 1 == c->frames ? 0 : hand + 1;
      leave(c, slot);
    }
    enter(c, slot, page);
    c->referenced[slot] = 1;
  }
  free_cache(c);
  return misses;
}

/* Marks at the last time of each page, under a Fenwick tree. */
static u64 run_curve(const struct work *w) {
  u32 size = power_of_two(2 * w->pages), n = w->length;
  u64 *keys = malloc(size * sizeof *keys);
  u32 *last = calloc(size, sizeof *last);
  i32 *tree = calloc(n + 1, sizeof *tree);
  u64 *misses = calloc(w->pages + 2, sizeof *misses);
  u64 pages = 0;
  for (u32 time = 1; time <= n; time++) {
    u64 page = w->references[time - 1];
    u32 at = hash(page) & (size - 1);
    while (last[at] && keys[at] != page) at = (at + 1) & (size - 1);
    if (last[at]) {
      u64 below = 0;
      for (u32 i = last[at]; i > 0; i &= i - 1) below += tree[i];
      misses[pages - below + 1]++;
      for (u32 i = last[at]; i <= n; i += i & -i) tree[i]--;
    } else {
      keys[at] = page;
      pages++;
      misses[0]++;
    }
    last[at] = time;
    for (u32 i = time; i <= n; i += i & -i) tree[i]++;
  }
  /* The sum over all numbers of frames: a reference at depth d misses with 0 to d - 1, a first one with all. */
  u64 sum = misses[0] * (pages + 1);
  for (u64 depth = 1; depth <= pages; depth++) sum += depth * misses[depth];
  free(keys), free(last), free(tree), free(misses);
  return sum;
}

static u64 run(void *state, u64 start, u64 end) {
  const struct work *w = state;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) {
    if (!strcmp(w->what, "curve")) sum += run_curve(w);
    else if (!strcmp(w->what, "clock")) sum += run_clock(w);
    else sum += run_list(w, !strcmp(w->what, "lru"));
  }
  return sum;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  struct work w = {.what = argv[1], .frames = atoi(argv[2]), .pages = atoi(argv[3])};
  size_t bytes;
  w.references = read_file(argv[4], &bytes);
  w.length = bytes / sizeof *w.references;
  return serve(1, run, &w);
}
