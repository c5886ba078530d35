/* riscv-walk ACCESS LEVELS ROOT FIRST_PFN VPNS RAM: the Sv39, Sv48 or Sv57 walk over a stream of pages. */
#include "riscv-walk.h"

struct work {
  struct walker walker;
  const u64 *vpns;
  u32 access;
};

static u64 run(void *state, u64 start, u64 end) {
  struct work *work = state;
  u64 sum = 0;
  for (u64 i = start; i < end; i++) sum += walk(&work->walker, work->vpns[i], work->access);
  return sum;
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  static struct work work;
  size_t vpn_bytes, ram_bytes;
  work.access = atoi(argv[1]);
  work.vpns = read_file(argv[5], &vpn_bytes);
  u64 *words = read_file(argv[6], &ram_bytes);
  work.walker = make_walker(atoi(argv[2]), atoll(argv[3]), atoll(argv[4]), words, ram_bytes);
  make_rules();
  return serve(vpn_bytes / sizeof(u64), run, &work);
}
