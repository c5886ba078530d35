/*
 * riscv-mmu ENTRIES WAYS LEVELS ROOT FIRST_PFN VPNS ACCESSES PMP RAM: the MMU of mmu.c with the walk of riscv-walk.h, without
 * a cache of pointers. PMP has three numbers for each entry: the first byte, the byte after the last, and the rights. As in
 * RiscvWalker, what tables lie in is asked once, and every walk asks for the frame that it finds.
 */
#include "riscv-walk.h"
#include "tlb-cache.h"

struct pmp_entry {
  u64 start, end, rights;
};

struct mmu {
  struct walker walker;
  u64 context;
  struct tlb tlb;
  const struct pmp_entry *pmp;
  u32 pmp_entries;
};

struct work {
  struct mmu mmu;
  const u64 *vpns;
  const u8 *accesses;
};

/* What S and U may do with all of some bytes, as bits of a leaf; 0 also where an entry has a part of them. */
static u32 pmp_rights(const struct mmu *m, u64 start, u64 end) {
  for (u32 i = 0; i < m->pmp_entries; i++) {
    const struct pmp_entry *entry = &m->pmp[i];
    if (end <= entry->start || start >= entry->end) continue;
    return start >= entry->start && end <= entry->end ? entry->rights : 0;
  }
  return 0;
}

static u32 row_of(const struct walker *w, u32 access) {
  return (access & 7) | (access >> 5 & 1) | w->row;
}

static __attribute__((noinline)) i64 miss(struct mmu *m, i32 known, u64 vpn, u32 access) {
  i64 pfn = walk(&m->walker, vpn, access);
  if (pfn < 0) return pfn;
  u32 allowed = pmp_rights(m, (u64)pfn << 12, ((u64)pfn + 1) << 12);
  u32 rights = m->walker.leaf & (allowed | (0xff & ~(R | W | X)));
  if (forbidden[row_of(&m->walker, access) << 8 | rights]) return -1;
  fill(&m->tlb, known, vpn, m->context, pfn, rights);
  return pfn;
}

/* The frame, or a negative number. */
static inline i64 translate(struct mmu *m, u64 vpn, u32 access) {
  if (access & ~(7 | READ_MODIFY_WRITE)) return -1;
  i32 slot = find_page(&m->tlb, vpn, m->context);
  if (slot >= 0 && !forbidden[row_of(&m->walker, access) << 8 | m->tlb.rights[slot]]) return m->tlb.pfns[slot];
  return miss(m, slot, vpn, access);
}

static u64 run(void *state, u64 start, u64 end) {
  struct work *work = state;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) sum += translate(&work->mmu, work->vpns[i], work->accesses[i]);
  return sum;
}

int main(int argc, char **argv) {
  if (argc != 10) return 2;
  static struct work work;
  struct mmu *m = &work.mmu;
  size_t vpn_bytes, access_bytes, pmp_bytes, ram_bytes;
  work.vpns = read_file(argv[6], &vpn_bytes);
  work.accesses = read_file(argv[7], &access_bytes);
  m->pmp = read_file(argv[8], &pmp_bytes);
  m->pmp_entries = pmp_bytes / sizeof *m->pmp;
  u64 *words = read_file(argv[9], &ram_bytes);
  u64 first_pfn = atoll(argv[5]);
  m->walker = make_walker(atoi(argv[3]), atoll(argv[4]), first_pfn, words, ram_bytes);
  make_rules();
  m->context = CONTEXT;
  m->tlb = make_tlb(atoi(argv[1]), atoi(argv[2]));
  u32 tables = pmp_rights(m, first_pfn << 12, (first_pfn << 12) + ram_bytes);
  if ((tables & (R | W)) != (R | W)) return 2;
  return serve(vpn_bytes / sizeof(u64), run, &work);
}
