/*
 * leaves CR3 MAXPHYADDR RAM_BYTES PAGES: enumerates the leaves of a long-mode page table with a cursor, as LeafCursor
 * does. PAGES holds the tables: a 64-bit address and 4096 bytes each.
 */
#include "bench.h"

enum { P = 1, RW = 2, US = 4, PS = 0x80 };
enum { PROT_R = 1, PROT_W = 2, PROT_X = 4, PROT_U = 8 };

#define XD ((u64)1 << 63)
#define FRAME(entry) ((entry) >> 12 & 0xffffffffff)

struct tables {
  u64 *words;
  u64 first_pfn, frames;
  u64 root;
  int top;
  u64 reserved, reserved_ps;
  u32 leaf_levels;
};

struct cursor {
  /* The leaf. */
  u64 vpn, pfn, pages, entry;
  i32 level;
  u32 prot;
  /* The path to it. */
  const struct tables *tables;
  u64 visits, visit_limit;
  int depth;
  u64 table[6], base[6];
  u32 next[6], rights[6];
};

static void enter(struct cursor *c, int level, u64 pfn, u64 base, u32 rights) {
  c->visits++;
  c->table[level] = pfn;
  c->base[level] = base;
  c->next[level] = 0;
  c->rights[level] = rights;
  c->depth = level;
}

static void begin(struct cursor *c, const struct tables *tables) {
  c->tables = tables;
  c->visits = 0;
  c->visit_limit = (u64)1 << 18;
  enter(c, tables->top, tables->root, 0, PROT_R | PROT_W | PROT_X | PROT_U);
}

/* Moves to the next leaf. */
static bool advance(struct cursor *c) {
  const struct tables *t = c->tables;
  for (;;) {
    int level = c->depth;
    if (level > t->top) return false;
    u64 frame = c->table[level] - t->first_pfn;
    const u64 *table = &t->words[frame << 9];
    u32 index = frame < t->frames ? c->next[level] : 512;
    while (index < 512 && !(table[index] & P)) index++;
    if (index == 512) {
      c->depth++;
      continue;
    }
    c->next[level] = index + 1;
    u64 entry = table[index];
    bool leaf = level == 0 || (entry & PS && t->leaf_levels >> level & 1);
    u64 pages = (u64)1 << 9 * level;
    if (entry & t->reserved || (!leaf && entry & t->reserved_ps)) continue;
    if (leaf && level > 0 && FRAME(entry) & (pages - 1) & ~(u64)1) continue;
    u64 vpn = c->base[level] + index * pages;
    if (level == t->top && index >= 256) vpn += ((u64)1 << 52) - 512 * pages;
    u32 prot = PROT_R | (entry & RW ? PROT_W : 0) | (entry & US ? PROT_U : 0) | (entry & XD ? 0 : PROT_X);
    prot &= c->rights[level];
    if (leaf) {
      c->vpn = vpn;
      c->pfn = FRAME(entry) & ~(pages - 1);
      c->pages = pages;
      c->entry = entry;
      c->level = level;
      c->prot = prot;
      return true;
    }
    if (c->visits == c->visit_limit) return false;
    enter(c, level - 1, FRAME(entry), vpn, prot);
  }
}

/* A unit: all leaves. */
static u64 run(void *state, u64 start, u64 end) {
  u64 sum = 0;
  struct cursor cursor;
  for (u64 unit = start; unit < end; unit++) {
    begin(&cursor, state);
    u32 vpns = 0;
    while (advance(&cursor)) {
      sum += cursor.pfn + cursor.pages + cursor.level + cursor.prot;
      vpns ^= cursor.vpn;
    }
    sum += vpns;
  }
  return sum;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  static struct tables tables;
  u64 ram = atoll(argv[3]);
  size_t bytes;
  u8 *pages = read_file(argv[4], &bytes);
  u8 *words = calloc(1, ram);
  for (u8 *page = pages; page < pages + bytes; page += 4104) {
    u64 address;
    memcpy(&address, page, 8);
    memcpy(words + address, page + 8, 4096);
  }
  tables = (struct tables){
      .words = (u64 *)words,
      .first_pfn = 0,
      .frames = ram >> 12,
      .root = atoll(argv[1]) >> 12,
      .top = 3,
      .reserved = ~(u64)0 << atoi(argv[2]) & (((u64)1 << 52) - 1),
      .reserved_ps = PS,
      .leaf_levels = 6,
  };
  return serve(1, run, &tables);
}
