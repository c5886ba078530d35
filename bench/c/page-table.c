/*
 * page-table WORK FORMAT FIRST_PFN FRAMES VPN PFN FLAGS CLEAR SET BOOKS REMEMBERS ORDER: what
 * bench/components/page-table.ts has PageTable do. FLAGS are those of leaves; CLEAR and SET the bits by which they are
 * write-protected; with BOOKS the checksum has what was owed and which frames are left as well; with REMEMBERS tables are
 * remembered as PageTable does, without it every page is walked to from the root. ORDER has the pages, counted from VPN.
 */
#include "page-table.h"

enum { BATCH = 512, SAMPLES = 1024 };

static const struct format FORMATS[] = {
    {
        .name = "x86Long4",
        .levels = 4,
        .low_end = (u64)1 << 35,
        .high_start = ((u64)1 << 52) - ((u64)1 << 35),
        .end = (u64)1 << 52,
        .present = 1,
        .frame_mask = 0xffffffffff000,
        .frame_shift = 12,
        .pointer_mask = 0x81,
        .pointer_value = 1,
        .pointer = 0x27,
        .global = 0x100,
        .frame_end = (u64)1 << 40,
    },
    {
        .name = "sv39",
        .levels = 3,
        .low_end = (u64)1 << 26,
        .high_start = ((u64)1 << 52) - ((u64)1 << 26),
        .end = (u64)1 << 52,
        .present = 0xe,
        .required = 1,
        .frame_mask = 0x3ffffffffffc00,
        .frame_shift = 10,
        .pointer_mask = 0xf,
        .pointer_value = 1,
        .pointer = 1,
        .group = (u64)1 << 63,
        .global = 0x20,
        .frame_end = (u64)1 << 44,
        .fill_owes = true,
    },
    {
        .name = "aarch64 4K 48-bit",
        .levels = 4,
        .low_end = (u64)1 << 36,
        .high_start = (u64)1 << 36,
        .end = (u64)1 << 36,
        .present = 1,
        .required = 2,
        .frame_mask = 0xfffffffff000,
        .frame_shift = 12,
        .pointer_mask = 3,
        .pointer_value = 3,
        .pointer = 0x403,
        .leaf_bits = 2,
        .group = (u64)1 << 52,
        .global = 0x800,
        .global_flip = 0x800,
        .frame_end = (u64)1 << 36,
    },
};

struct work {
  const struct format *format;
  struct pool pool;
  struct owed owed;
  struct table table, child;
  struct leaf_flags flags;
  u64 vpn, pfn, clear, set;
  u64 frames;
  const u32 *order;
  u64 pages;
  bool books, cloned;
};

/* Everything anew. */
static void renew(void *state) {
  struct work *work = state;
  struct pool *pool = &work->pool;
  pool->bumped = pool->stacked = 0;
  memset(pool->out, 0, (pool->frames + 7) / 8);
  memset(work->table.owned, NO_TABLE, pool->frames);
  complete(&work->owed);
  const struct table like = work->table;
  make_table(&work->table, &like, 0);
}

static u64 sample(struct work *work) {
  u64 sum = 0;
  for (u64 i = 0; i < work->pages; i += work->pages / SAMPLES) sum += lookup(&work->table, work->vpn + i);
  return sum;
}

static u64 finish_batch(struct work *work) {
  u64 sum = work->books ? work->owed.count : 0;
  complete(&work->owed);
  return sum;
}

static u64 finish(struct work *work) { return work->books ? free_frames(&work->pool) : 0; }

static u64 run_map(void *state, u64 start, u64 end) {
  struct work *work = state;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) {
    u64 page = work->order[i];
    sum += map(&work->table, work->vpn + page, work->pfn + page, &work->flags, &work->owed);
    if (i % BATCH == BATCH - 1) sum += finish_batch(work);
  }
  return end == work->pages ? sum + sample(work) + finish(work) : sum;
}

static u64 run_unmap(void *state, u64 start, u64 end) {
  struct work *work = state;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) {
    sum += unmap(&work->table, work->vpn + work->order[i], &work->owed);
    if (i % BATCH == BATCH - 1) sum += finish_batch(work);
  }
  return end == work->pages ? sum + finish(work) : sum;
}

static void map_all(void *state) {
  struct work *work = state;
  renew(work);
  for (u64 i = 0; i < work->pages; i++) {
    u64 page = work->order[i];
    map(&work->table, work->vpn + page, work->pfn + page, &work->flags, &work->owed);
    if (i % BATCH == BATCH - 1) complete(&work->owed);
  }
}

static u64 run_map_range(void *state, u64 start, u64 end) {
  (void)start, (void)end;
  struct work *work = state;
  for (u64 page = 0; page < work->pages; page++) {
    map(&work->table, work->vpn + page, work->pfn + page, &work->flags, &work->owed);
    if (page % BATCH == BATCH - 1) complete(&work->owed);
  }
  return sample(work) + free_frames(&work->pool);
}

static u64 run_unmap_range(void *state, u64 start, u64 end) {
  (void)start, (void)end;
  struct work *work = state;
  u64 unmapped = 0;
  for (u64 page = 0; page < work->pages; page++) {
    unmapped += unmap(&work->table, work->vpn + page, &work->owed) >= 0;
    if (page % BATCH == BATCH - 1) complete(&work->owed);
  }
  return unmapped + free_frames(&work->pool);
}

static u64 finish_protect(struct work *work, struct table *table) {
  u64 sum = work->owed.count + (u64)lookup(table, work->vpn + work->pages - 1);
  complete(&work->owed);
  return sum + (u32)table->found.entry;
}

static void protect_all(struct work *work, u64 clear, u64 set) {
  change_range(&work->table, work->table.root, work->format->levels - 1, work->vpn, work->vpn + work->pages,
               clear, set, &work->owed);
}

/* Even units take the right to write away, odd ones give it back. */
static u64 run_protect_range(void *state, u64 start, u64 end) {
  struct work *work = state;
  u64 sum = 0;
  for (u64 unit = start; unit < end; unit++) {
    u64 changes = work->clear | work->set;
    protect_all(work, changes, unit % 2 ? work->flags.bits & changes : work->set);
    sum += finish_protect(work, &work->table);
  }
  return sum;
}

static u64 run_clone(void *state, u64 start, u64 end) {
  (void)start, (void)end;
  struct work *work = state;
  work->cloned = clone_table(&work->table, &work->child, work->clear, &work->owed);
  return finish_protect(work, &work->child) + free_frames(&work->pool);
}

/* Takes the copy down, if there is one, and gives the right to write back. */
static void restore(void *state) {
  struct work *work = state;
  u64 changes = work->clear | work->set;
  if (work->cloned) destroy_table(&work->child, work->child.root, work->format->levels - 1, &work->owed);
  work->cloned = false;
  protect_all(work, changes, work->flags.bits & changes);
  complete(&work->owed);
}

static u64 run_lookup(void *state, u64 start, u64 end) {
  struct work *work = state;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) sum += lookup(&work->table, work->vpn + work->order[i]);
  return sum;
}

static u64 change_pages(struct work *work, u64 start, u64 end, u64 clear, u64 set) {
  u64 sum = 0;
  for (u64 i = start; i < end; i++) {
    sum += change(&work->table, work->vpn + work->order[i], clear, set, &work->owed);
    if (i % BATCH == BATCH - 1) sum += finish_batch(work);
  }
  return sum;
}

/* The first half of the units takes the right to write away, the second gives it back. */
static u64 run_protect(void *state, u64 start, u64 end) {
  struct work *work = state;
  u64 pages = work->pages, changes = work->clear | work->set;
  u64 middle = end < pages ? end : start > pages ? start : pages;
  u64 sum = change_pages(work, start, middle < start ? start : middle, changes, work->set);
  if (end <= pages) return sum;
  start = start > pages ? start : pages;
  return sum + change_pages(work, start - pages, end - pages, changes, work->flags.bits & changes);
}

static u64 run_accessed(void *state, u64 start, u64 end) {
  struct work *work = state;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) {
    change(&work->table, work->vpn + work->order[i], work->clear, 0, &work->owed);
    sum += (work->table.found.entry & work->clear) != 0;
    if (i % BATCH == BATCH - 1) sum += finish_batch(work);
  }
  return sum;
}

static const struct {
  const char *name;
  u64 (*run)(void *state, u64 start, u64 end);
  /* What comes before the first unit. */
  void (*rewind)(void *state);
  /* Units for each page; 0: so many in all. */
  u64 per_page, units;
} WORKS[] = {
    {"map", run_map, renew, 1, 0},
    {"unmap", run_unmap, map_all, 1, 0},
    {"map-range", run_map_range, renew, 0, 1},
    {"unmap-range", run_unmap_range, map_all, 0, 1},
    {"protect-range", run_protect_range, restore, 0, 2},
    {"clone", run_clone, restore, 0, 1},
    {"lookup", run_lookup, NULL, 1, 0},
    {"protect", run_protect, restore, 2, 0},
    {"accessed", run_accessed, map_all, 1, 0},
};

int main(int argc, char **argv) {
  if (argc != 13) return 2;
  static struct work work;
  for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++)
    if (strcmp(FORMATS[i].name, argv[2]) == 0) work.format = &FORMATS[i];
  if (!work.format) return 2;
  size_t bytes;
  u64 first = strtoull(argv[3], NULL, 10), frames = strtoull(argv[4], NULL, 10);
  work.vpn = strtoull(argv[5], NULL, 10);
  work.pfn = strtoull(argv[6], NULL, 10);
  work.flags = (struct leaf_flags){work.format, strtoull(argv[7], NULL, 10)};
  work.clear = strtoull(argv[8], NULL, 10);
  work.set = strtoull(argv[9], NULL, 10);
  work.books = atoi(argv[10]);
  work.order = read_file(argv[12], &bytes);
  work.pages = bytes / sizeof(u32);
  work.pool = (struct pool){.first = first, .frames = frames};
  work.pool.stack = calloc(frames, sizeof(u64));
  work.pool.out = calloc(frames, 1);
  work.owed.pool = &work.pool;
  work.table = (struct table){
      .format = work.format,
      .pool = &work.pool,
      .words = aligned_alloc(4096, frames << 12),
      .first_pfn = first,
      .frames = frames,
      .owned = malloc(frames),
      .remembers = atoi(argv[11]),
  };
  if (!work.pool.stack || !work.pool.out || !work.table.words || !work.table.owned) return 2;
  memset(work.table.words, 0, frames << 12);
  map_all(&work);
  for (size_t i = 0; i < sizeof WORKS / sizeof *WORKS; i++) {
    if (strcmp(WORKS[i].name, argv[1])) continue;
    u64 units = WORKS[i].per_page * work.pages + WORKS[i].units;
    return serve_laps(units, WORKS[i].run, WORKS[i].rewind, &work);
  }
  return 2;
}
