/*
 * pte FORMAT ACCESSOR WORDS LEVELS: x86Long4 or sv39 entries (64 bits each, LEVELS has a byte for each) through one
 * accessor. build takes the frame numbers in WORDS.
 */
#include "bench.h"

struct format {
  u32 frame_shift;
  u64 frame_mask; /* of the frame number */
  u64 leaf_mask[5];
  u64 leaf_bits[5];
  bool napot;
};

static const struct format x86_long4 = {
    12, 0xffffffffff, {1, 0x80, 0x80, 0, 0}, {0, 0x80, 0x80, 0, 0}, false,
};
static const struct format sv39 = {
    10, 0xfffffffffff, {0xe, 0xe, 0xe, 0, 0}, {0}, true,
};

static bool is_napot(const struct format *f, u64 entry) {
  return f->napot && entry >> 63 && (entry >> f->frame_shift & 15) == 8;
}

static int kind_of(const struct format *f, u64 entry, u32 level) {
  if (!(entry & 1)) return 0;
  return entry & f->leaf_mask[level] ? 2 : 1;
}

static u64 leaf_pfn(const struct format *f, u64 entry, u32 level) {
  u64 frame = entry >> f->frame_shift & f->frame_mask & ~(((u64)1 << 9 * level) - 1);
  return level == 0 && is_napot(f, entry) ? frame - 8 : frame;
}

static u64 leaf_pages(const struct format *f, u64 entry, u32 level) {
  return level == 0 && is_napot(f, entry) ? 16 : (u64)1 << 9 * level;
}

static u64 leaf_of(const struct format *f, u64 pfn, u32 level, u64 flags) {
  return (pfn & f->frame_mask) << f->frame_shift | f->leaf_bits[level] | flags;
}

struct work {
  const struct format *format;
  const u64 *words;
  const u8 *levels;
};

static u64 run_kind(void *state, u64 start, u64 end) {
  const struct work *w = state;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) sum += kind_of(w->format, w->words[i], w->levels[i]) == 2;
  return sum;
}

static u64 run_pfn(void *state, u64 start, u64 end) {
  const struct work *w = state;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) sum += leaf_pfn(w->format, w->words[i], w->levels[i]);
  return sum;
}

static u64 run_pages(void *state, u64 start, u64 end) {
  const struct work *w = state;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) sum += leaf_pages(w->format, w->words[i], w->levels[i]);
  return sum;
}

static u64 run_build(void *state, u64 start, u64 end) {
  const struct work *w = state;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) {
    u64 entry = leaf_of(w->format, w->words[i], w->levels[i], (u64)1 << 62 | 7);
    sum += (u32)entry ^ (u32)(entry >> 32);
  }
  return sum;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  static struct work work;
  size_t bytes, count;
  work.format = argv[1][0] == 'x' ? &x86_long4 : &sv39;
  work.words = read_file(argv[3], &bytes);
  work.levels = read_file(argv[4], &count);
  switch (argv[2][0]) {
    case 'k': return serve(count, run_kind, &work);
    case 'l': return serve(count, argv[2][4] == 'P' && argv[2][5] == 'f' ? run_pfn : run_pages, &work);
    default: return serve(count, run_build, &work);
  }
}
