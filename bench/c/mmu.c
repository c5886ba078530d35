/*
 * mmu ENTRIES WAYS FETCH_ENTRIES FETCH_WAYS SECOND_ENTRIES SECOND_WAYS PDES PDE_WAYS SMEP_SMAP MAXPHYADDR ROOT FIRST_PFN
 * VPNS ACCESSES RAM: an MMU as a C emulator would have it.
 *
 * Set-associative TLBs with true LRU, whose tags hold page and context; entries keep what all levels of tables leave of the
 * rights, and every access asks for what it needs. One TLB, or with SECOND_ENTRIES two levels of them, of which fetches have
 * a first level of their own; those are empty before the first unit. Behind them a cache of PDEs with true LRU, whose sets
 * are scanned tag by tag (PDES 0: none), and the four-level walk of x86-walk.h.
 */
#include "tlb-cache.h"
#include "x86-walk.h"

/* What an entry allows. A user page is no supervisor page: SMAP and SMEP ask for one. */
enum { MAY_READ = 1, MAY_WRITE = 2, MAY_EXECUTE = 4, USER_PAGE = 8, SUPERVISOR_PAGE = 16, DIRTY = 32, NEVER = 64 };

struct mmu {
  struct walker walker;
  u64 context;
  struct tlb data, fetch, second;
  bool has_second;
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

static i64 walk_and_fill(struct mmu *m, struct tlb *first, i32 known, i32 known_second, u64 vpn, u32 access) {
  struct walker *w = &m->walker;
  i64 pfn = -1;
  u64 tag = tag_of(vpn & ~(u64)511, m->context);
  if (m->caches_pdes) {
    i32 slot = find(&m->pdes, vpn >> 9, tag);
    if (slot >= 0) pfn = last_step(m, vpn, access, slot);
  }
  if (pfn < 0) {
    pfn = walk(w, vpn, access);
    if (pfn < 0) return pfn;
    if (m->caches_pdes && w->leaf_level == 0) remember_pde(m, vpn, tag);
  }
  i32 rights = rights_of(w->leaf_and, w->leaf_or);
  if (m->has_second) fill(&m->second, known_second, vpn, m->context, pfn, rights);
  fill(first, known, vpn, m->context, pfn, rights);
  return pfn;
}

/* What the first level does not answer; `known` is its slot where rights are missing. */
static __attribute__((noinline)) i64 miss(struct mmu *m, struct tlb *first, i32 known, u64 vpn, u32 access) {
  i32 slot = -1;
  if (m->has_second) {
    struct tlb *second = &m->second;
    slot = find_page(second, vpn, m->context);
    if (slot >= 0 && (second->rights[slot] & m->needs[access]) == m->needs[access]) {
      fill(first, known, vpn, m->context, second->pfns[slot], second->rights[slot]);
      return second->pfns[slot];
    }
  }
  return walk_and_fill(m, first, known, slot, vpn, access);
}

/* The frame, or a negative number. */
static inline i64 translate(struct mmu *m, struct tlb *first, u64 vpn, u32 access) {
  if (access & ~ACCESS_BITS) return -6;
  i32 slot = find_page(first, vpn, m->context), need = m->needs[access];
  if (slot >= 0 && (first->rights[slot] & need) == need) return first->pfns[slot];
  return miss(m, first, slot, vpn, access);
}

static u64 run_one(void *state, u64 start, u64 end) {
  struct work *work = state;
  struct mmu *m = &work->mmu;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) sum += translate(m, &m->data, work->vpns[i], work->accesses[i]);
  return sum;
}

static u64 run_levels(void *state, u64 start, u64 end) {
  struct work *work = state;
  struct mmu *m = &work->mmu;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) {
    u32 access = work->accesses[i];
    sum += translate(m, (access & 3) == FETCH ? &m->fetch : &m->data, work->vpns[i], access);
  }
  return sum;
}

static void empty_all(void *state) {
  struct mmu *m = &((struct work *)state)->mmu;
  empty(&m->data.cache);
  empty(&m->fetch.cache);
  empty(&m->second.cache);
  if (m->caches_pdes) empty(&m->pdes);
}

int main(int argc, char **argv) {
  if (argc != 16) return 2;
  static struct work work;
  struct mmu *m = &work.mmu;
  u32 sizes[8];
  for (int i = 0; i < 8; i++) sizes[i] = atoi(argv[1 + i]);
  u32 supervisor = atoi(argv[9]);
  u64 above = ~(u64)0 << atoi(argv[10]);
  size_t vpn_bytes, access_bytes, ram_bytes;
  work.vpns = read_file(argv[13], &vpn_bytes);
  work.accesses = read_file(argv[14], &access_bytes);
  m->walker = (struct walker){
      .words = read_file(argv[15], &ram_bytes),
      .first_pfn = atoll(argv[12]),
      .root = atoll(argv[11]),
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
  m->data = make_tlb(sizes[0], sizes[1]);
  m->has_second = sizes[4] > 0;
  if (m->has_second) {
    m->fetch = make_tlb(sizes[2], sizes[3]);
    m->second = make_tlb(sizes[4], sizes[5]);
  }
  m->caches_pdes = sizes[6] > 0;
  if (m->caches_pdes) {
    m->pdes = make_cache(sizes[6], sizes[7]);
    m->tables = calloc(sizes[6], sizeof *m->tables);
    m->ands = calloc(sizes[6], sizeof *m->ands);
    m->ors = calloc(sizes[6], sizeof *m->ors);
  }
  u64 units = vpn_bytes / sizeof(u64);
  return m->has_second ? serve_laps(units, run_levels, empty_all, &work) : serve(units, run_one, &work);
}
