/*
 * mmu ENTRIES WAYS PDES PDE_WAYS SMEP_SMAP MAXPHYADDR ROOT FIRST_PFN VPNS ACCESSES RAM: an MMU as a C emulator would have it. A
 * set-associative TLB with true LRU, whose tags hold page and context; entries keep what all levels leave of the rights, and
 * every access asks for what it needs. Behind it a cache of PDEs with true LRU, whose sets are scanned tag by tag (PDES 0:
 * none), and the four-level walk of x86-walk.h.
 */
#include "x86-walk.h"

/* What an entry allows. A user page is no supervisor page: SMAP and SMEP ask for one. */
enum { MAY_READ = 1, MAY_WRITE = 2, MAY_EXECUTE = 4, USER_PAGE = 8, SUPERVISOR_PAGE = 16, DIRTY = 32, NEVER = 64 };

#define CONTEXT 5
#define CLOCK_END 0x7fffffff

/* Tags, and the stamps by which the least recently used way of a set is found. Tag 0 is that of no entry in CONTEXT. */
struct cache {
  u32 ways, set_mask;
  u64 *tags;
  i32 *stamps;
  i32 clock;
};

struct mmu {
  struct walker walker;
  u64 context;
  struct cache tlb;
  u64 *pfns;
  i32 *rights;
  /* By an access's low six bits: they change with CR0.WP, CR4.SMAP and the like. */
  i32 needs[64];
  bool caches_pdes;
  struct cache pdes;
  u64 *tables, *ands, *ors;
};

struct work {
  struct mmu mmu;
  const u64 *vpns;
  const u8 *accesses;
};

static struct cache make_cache(u32 sets, u32 ways) {
  struct cache cache = {.ways = ways, .set_mask = sets - 1};
  cache.tags = calloc(sets * ways, sizeof *cache.tags);
  cache.stamps = calloc(sets * ways, sizeof *cache.stamps);
  return cache;
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

static void make_needs(struct mmu *m) {
  for (u32 access = 0; access < 64; access++) {
    u32 kind = access & 3, row = m->walker.row;
    bool write = kind == WRITE || (kind == READ && access & READ_MODIFY_WRITE);
    bool user = (access & (USER | IMPLICIT_SUPERVISOR)) == USER;
    i32 need = kind == FETCH ? MAY_EXECUTE : MAY_READ;
    if (user) need |= USER_PAGE;
    if (write) need |= DIRTY | (user || row & ROW_WP ? MAY_WRITE : 0);
    bool ac = row & ROW_AC && !(access & IMPLICIT_SUPERVISOR);
    if (!user && (kind == FETCH ? row & ROW_SMEP : row & ROW_SMAP && !ac)) need |= SUPERVISOR_PAGE;
    m->needs[access] = kind == 3 || access & 16 ? NEVER : need;
  }
}

/* What is left after a walk: `and` has D of the leaf alone. */
static i32 rights_of(u64 and, u64 or) {
  return MAY_READ | (and & RW ? MAY_WRITE : 0) | (or & XD ? 0 : MAY_EXECUTE) | (and & US ? USER_PAGE : SUPERVISOR_PAGE) |
         (and & D ? DIRTY : 0);
}

/* Reads the PTE of a table that the PDE cache knows; -1 for whatever the walk from the root must decide. */
static inline i64 last_step(struct mmu *m, u64 vpn, u32 access, u32 slot) {
  struct walker *w = &m->walker;
  u64 frame = m->tables[slot] - w->first_pfn;
  if (frame >= w->frames) return -1;
  u64 entry = w->words[frame << 9 | (vpn & 511)];
  if (!(entry & P) || entry & w->reserved) return -1;
  u32 row = (access & 15) | (access >> 5 & 1) | w->row;
  u64 allowed = entry & (m->ands[slot] | D), any = entry | m->ors[slot];
  if ((allowed & needed[row]) != needed[row] || allowed & forbidden[row] || (any & XD && (row & 3) == FETCH) ||
      (w->keys && key_forbids(w, row, allowed, entry)))
    return -1;
  w->leaf_level = 0;
  w->leaf = entry;
  w->leaf_and = allowed;
  w->leaf_or = any;
  return FRAME(entry);
}

/* Remembers the PDE of a walk that has just succeeded: it and those above it are present and sound. */
static void remember_pde(struct mmu *m, u64 vpn, u64 tag) {
  struct walker *w = &m->walker;
  u64 table = w->root, and = ~(u64)0, or = 0;
  for (int level = w->top; level > 0; level--) {
    u64 entry = w->words[(table - w->first_pfn) << 9 | (vpn >> 9 * level & 511)];
    and &= entry;
    or |= entry;
    table = FRAME(entry);
  }
  u32 slot = place(&m->pdes, vpn >> 9, tag);
  m->tables[slot] = table;
  m->ands[slot] = and;
  m->ors[slot] = or;
}

static __attribute__((noinline)) i64 miss(struct mmu *m, u64 vpn, u32 access, i32 denied) {
  struct walker *w = &m->walker;
  i64 pfn = -1;
  u64 tag = (vpn & ~(u64)511) << 12 | m->context;
  if (m->caches_pdes) {
    i32 slot = find(&m->pdes, vpn >> 9, tag);
    if (slot >= 0) pfn = last_step(m, vpn, access, slot);
  }
  if (pfn < 0) {
    pfn = walk(w, vpn, access);
    if (pfn < 0) return pfn;
    if (m->caches_pdes && w->leaf_level == 0) remember_pde(m, vpn, tag);
  }
  u32 slot = denied >= 0 ? (u32)denied : place(&m->tlb, vpn, vpn << 12 | m->context);
  m->pfns[slot] = pfn;
  m->rights[slot] = rights_of(w->leaf_and, w->leaf_or);
  return pfn;
}

/* The frame, or a negative number. */
static inline i64 translate(struct mmu *m, u64 vpn, u32 access) {
  if (access & ~ACCESS_BITS) return -6;
  i32 slot = find(&m->tlb, vpn, vpn << 12 | m->context), need = m->needs[access];
  if (slot >= 0 && (m->rights[slot] & need) == need) return m->pfns[slot];
  return miss(m, vpn, access, slot);
}

static u64 run(void *state, u64 start, u64 end) {
  struct work *work = state;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) sum += translate(&work->mmu, work->vpns[i], work->accesses[i]);
  return sum;
}

int main(int argc, char **argv) {
  if (argc != 12) return 2;
  static struct work work;
  struct mmu *m = &work.mmu;
  u32 entries = atoi(argv[1]), ways = atoi(argv[2]), pdes = atoi(argv[3]), pde_ways = atoi(argv[4]);
  u32 supervisor = atoi(argv[5]);
  u64 above = ~(u64)0 << atoi(argv[6]);
  size_t vpn_bytes, access_bytes, ram_bytes;
  work.vpns = read_file(argv[9], &vpn_bytes);
  work.accesses = read_file(argv[10], &access_bytes);
  m->walker = (struct walker){
      .words = read_file(argv[11], &ram_bytes),
      .first_pfn = atoll(argv[8]),
      .root = atoll(argv[7]),
      .top = 3,
      .low_end = (u64)1 << 35,
      .high_start = ((u64)1 << 52) - ((u64)1 << 35),
      .reserved = above & (((u64)1 << 52) - 1),
      .reserved_ps = PS,
      .leaf_levels = 6,
      .row = ROW_WP | (supervisor ? ROW_SMEP | ROW_SMAP : 0),
  };
  m->walker.frames = ram_bytes >> 12;
  make_rules();
  make_needs(m);
  m->context = CONTEXT;
  m->tlb = make_cache(entries / ways, ways);
  m->pfns = calloc(entries, sizeof *m->pfns);
  m->rights = calloc(entries, sizeof *m->rights);
  m->caches_pdes = pdes > 0;
  if (pdes > 0) {
    m->pdes = make_cache(pdes / pde_ways, pde_ways);
    m->tables = calloc(pdes, sizeof *m->tables);
    m->ands = calloc(pdes, sizeof *m->ands);
    m->ors = calloc(pdes, sizeof *m->ors);
  }
  return serve(vpn_bytes / sizeof(u64), run, &work);
}
