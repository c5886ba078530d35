/* Set-associative caches with true LRU, and TLBs made of them, for the MMUs. */
#ifndef TLB_CACHE_H
#define TLB_CACHE_H

#include "bench.h"

/* The context of all that is asked for. */
#define CONTEXT 5
#define CLOCK_END 0x7fffffff

/* Tags, and the stamps by which the least recently used way of a set is found. Tag 0 is that of no entry in CONTEXT. */
struct cache {
  u32 ways, set_mask;
  u64 *tags;
  i32 *stamps;
  i32 clock;
};

struct tlb {
  struct cache cache;
  u64 *pfns;
  i32 *rights;
};

static struct cache make_cache(u32 entries, u32 ways) {
  struct cache cache = {.ways = ways, .set_mask = entries / ways - 1};
  cache.tags = calloc(entries, sizeof *cache.tags);
  cache.stamps = calloc(entries, sizeof *cache.stamps);
  return cache;
}

static struct tlb make_tlb(u32 entries, u32 ways) {
  struct tlb tlb = {.cache = make_cache(entries, ways)};
  tlb.pfns = calloc(entries, sizeof *tlb.pfns);
  tlb.rights = calloc(entries, sizeof *tlb.rights);
  return tlb;
}

static inline void empty(struct cache *c) {
  size_t entries = (size_t)(c->set_mask + 1) * c->ways;
  memset(c->tags, 0, entries * sizeof *c->tags);
  memset(c->stamps, 0, entries * sizeof *c->stamps);
}

/* Once in 2^31 hits. */
static __attribute__((noinline)) void restart_clock(struct cache *c) {
  for (u32 i = 0; i < (c->set_mask + 1) * c->ways; i++) c->stamps[i] = 0;
  c->clock = 1;
}

static inline void stamp(struct cache *c, u32 slot) {
  if (++c->clock == CLOCK_END) restart_clock(c);
  c->stamps[slot] = c->clock;
}

/* The slot, or -1. */
static inline i32 find(struct cache *c, u64 number, u64 tag) {
  u32 first = ((u32)number & c->set_mask) * c->ways;
  for (u32 slot = first, end = first + c->ways; slot < end; slot++) {
    if (c->tags[slot] == tag) {
      stamp(c, slot);
      return slot;
    }
  }
  return -1;
}

/* The slot for a new entry: an empty one has never been stamped. */
static inline u32 place(struct cache *c, u64 number, u64 tag) {
  u32 first = ((u32)number & c->set_mask) * c->ways, slot = first;
  for (u32 i = first + 1; i < first + c->ways; i++) {
    if (c->stamps[i] < c->stamps[slot]) slot = i;
  }
  c->tags[slot] = tag;
  stamp(c, slot);
  return slot;
}

/* Tags have page and context; pages of addresses have 52 bits. */
static inline u64 tag_of(u64 vpn, u64 context) {
  return vpn << 12 | context;
}

static inline i32 find_page(struct tlb *tlb, u64 vpn, u64 context) {
  return find(&tlb->cache, vpn, tag_of(vpn, context));
}

/* In a slot that has the page already, or a new one. */
static inline void fill(struct tlb *tlb, i32 known, u64 vpn, u64 context, u64 pfn, i32 rights) {
  u32 slot = known >= 0 ? (u32)known : place(&tlb->cache, vpn, tag_of(vpn, context));
  tlb->pfns[slot] = pfn;
  tlb->rights[slot] = rights;
}

#endif
