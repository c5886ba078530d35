/* x86-walk ACCESS SMEP_SMAP MAXPHYADDR ROOT FIRST_PFN walk|touch|fault VPNS RAM: walks a stream of pages. */
#include "x86-walk.h"

struct work {
  struct walker walker;
  const u64 *vpns;
  u64 count;
  u32 access;
  void *pristine;
  size_t bytes;
};

static u64 run_walks(void *state, u64 start, u64 end) {
  struct work *work = state;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) sum += walk(&work->walker, work->vpns[i], work->access);
  return sum;
}

static u64 run_faults(void *state, u64 start, u64 end) {
  struct work *work = state;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) {
    if (walk(&work->walker, work->vpns[i], work->access) < 0) sum += work->walker.fault_code;
  }
  return sum;
}

/* A unit: all pages, each for the first time. */
static u64 run_touches(void *state, u64 start, u64 end) {
  struct work *work = state;
  u64 sum = 0;
  for (u64 unit = start; unit < end; unit++) {
    memcpy(work->walker.words, work->pristine, work->bytes);
    sum += run_walks(work, 0, work->count);
  }
  return sum;
}

int main(int argc, char **argv) {
  if (argc != 9) return 2;
  static struct work work;
  u32 supervisor = atoi(argv[2]);
  u64 above = ~(u64)0 << atoi(argv[3]);
  size_t bytes;
  work.access = atoi(argv[1]);
  work.vpns = read_file(argv[7], &bytes);
  work.count = bytes / sizeof(u64);
  work.walker = (struct walker){
      .words = read_file(argv[8], &work.bytes),
      .first_pfn = atoll(argv[5]),
      .root = atoll(argv[4]),
      .top = 3,
      .low_end = (u64)1 << 35,
      .high_start = ((u64)1 << 52) - ((u64)1 << 35),
      .reserved = above & (((u64)1 << 52) - 1),
      .reserved_ps = PS,
      .leaf_levels = 6,
      .row = ROW_WP | (supervisor ? ROW_SMEP | ROW_SMAP : 0),
  };
  work.walker.frames = work.bytes >> 12;
  work.pristine = memcpy(malloc(work.bytes), work.walker.words, work.bytes);
  make_rules();
  switch (argv[6][0]) {
    case 't': return serve(1, run_touches, &work);
    case 'f': return serve(work.count, run_faults, &work);
    default: return serve(work.count, run_walks, &work);
  }
}
