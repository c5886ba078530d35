/*
 * tlb ENTRIES WAYS PAGES VPNS: a set-associative TLB with true LRU, filled with PAGES pages, and then asked for VPNS. The
 * same fields, checks and side effects as Tlb.lookup: pages that are visible in the context, which a context switch would
 * write anew; rights; stamp and clock.
 */
#include "bench.h"

#define NEED 5
#define OWN (7 << 5)
#define EMPTY (-1)
#define MISS (-1)
#define DENIED (-2)
#define CLOCK_END 0x7fffffff

struct tlb {
  u32 ways, set_mask;
  double *visible;
  i32 *kinds;
  double *pfns;
  i32 *rights;
  i32 *stamps;
  i32 own, clock;
  u64 rounds;
};

struct work {
  struct tlb *tlb;
  const double *vpns;
};

/* Once in 2^31 hits. */
static __attribute__((noinline)) void restart_clock(struct tlb *t) {
  for (u32 i = 0; i < (t->set_mask + 1) * t->ways; i++) t->stamps[i] = 0;
  t->clock = 1;
  t->rounds++;
}

static inline double lookup(struct tlb *t, double vpn, i32 need) {
  u32 first = ((u32)(i64)vpn & t->set_mask) * t->ways;
  for (u32 slot = first, end = first + t->ways; slot < end; slot++) {
    if (t->visible[slot] == vpn) {
      if (++t->clock == CLOCK_END) restart_clock(t);
      t->stamps[slot] = t->clock;
      return (t->rights[slot] & need) == need ? t->pfns[slot] : DENIED;
    }
  }
  return MISS;
}

static __attribute__((noinline)) void fill(struct tlb *t, double vpn, double pfn, i32 rights) {
  u32 first = ((u32)(i64)vpn & t->set_mask) * t->ways, slot = first;
  for (u32 i = first; i < first + t->ways; i++) {
    if (t->kinds[i] == EMPTY) {
      slot = i;
      break;
    }
    if (t->stamps[i] < t->stamps[slot]) slot = i;
  }
  t->visible[slot] = vpn;
  t->kinds[slot] = t->own;
  t->pfns[slot] = pfn;
  t->rights[slot] = rights;
  t->stamps[slot] = ++t->clock;
}

static u64 run(void *state, u64 start, u64 end) {
  const struct work *w = state;
  double sum = 0;
  for (u64 i = start; i < end; i++) {
    double vpn = w->vpns[i], pfn = lookup(w->tlb, vpn, NEED);
    if (pfn < 0) {
      pfn = (double)((u64)vpn & 0xfffff);
      fill(w->tlb, vpn, pfn, 7);
    }
    sum += pfn;
  }
  return (u64)sum;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  u32 entries = atoi(argv[1]), ways = atoi(argv[2]), pages = atoi(argv[3]);
  size_t bytes;
  const double *vpns = read_file(argv[4], &bytes);
  struct tlb t = {.ways = ways, .set_mask = entries / ways - 1, .own = OWN};
  t.visible = calloc(entries, sizeof *t.visible);
  t.kinds = malloc(entries * sizeof *t.kinds);
  t.pfns = calloc(entries, sizeof *t.pfns);
  t.rights = calloc(entries, sizeof *t.rights);
  t.stamps = calloc(entries, sizeof *t.stamps);
  for (u32 i = 0; i < entries; i++) {
    t.visible[i] = -1;
    t.kinds[i] = EMPTY;
  }
  double first = vpns[bytes / 8 - 1];
  for (u32 i = 0; i < pages; i++) fill(&t, first + i, (double)((u64)(first + i) & 0xfffff), 7);
  struct work work = {&t, vpns};
  return serve(bytes / 8 - 1, run, &work);
}
