// The address space of a real Debian process, read out of the page tables in a RAM image: `npm start`. Another
// recording's folder may be given as an argument.
import { fileURLToPath } from 'node:url';
import { Access, Prot } from 'pagewright/core';
import { formatBytes, formatWalk, mappings, mergedMappings } from 'pagewright/walk';
import { checkFrames, checkLeaves } from './checks.js';
import { openTables, readFacts, readTlb } from './linux-guest.js';
import { listing } from './listing.js';

const recorded = fileURLToPath(new URL('../test/fixtures/x86/linux-x86-64', import.meta.url));
const folder = process.argv[2] ?? recorded;

// The guest: its tables as physical memory, and a CPU's page walker with the guest's registers.
const { description, walker } = openTables(folder);
const { pid, lines, pagemap } = readFacts(folder);

// Every leaf of the tables, and those that user mode may use.
const leaves = [...mappings(walker)];
const own = leaves.filter((leaf) => leaf.prot & Prot.User);
const bytes = own.reduce((sum, leaf) => sum + leaf.pageBytes, 0);
console.log(`\
${description}
Process ${pid}, page tables at 0x${walker.cr3.toString(16)}: ${count(leaves.length)} leaves, \
${count(own.length)} of them for user mode: ${formatBytes(bytes)} are present.
`);

// The same merged into ranges, beside what Linux says about them.
const ranges = mergedMappings(walker).ranges.filter((range) => range.prot & Prot.User);
console.log(listing(ranges, own, lines, `/proc/${pid}/maps`));

// Is it true? The guest's own pagemap and QEMU's `info tlb` were recorded at the same moment.
const frames = checkFrames(own, pagemap, lines);
const tlb = checkLeaves(leaves, readTlb(folder));
console.log(`
Checked against the guest's own pagemap: ${count(frames.agree)} of ${count(frames.pages)} frames agree.
  Linux also counts ${count(frames.protNone)} PROT_NONE pages as present, which no entry lets the CPU see.
Checked against QEMU's list: ${count(tlb.agree)} of ${count(tlb.leaves)} leaves agree in address, frame, flags and size.`);
const differences = [...frames.differences, ...tlb.differences];
for (const difference of differences.slice(0, 10)) console.log(`  DIFFERENT: ${difference}`);
if (differences.length > 0) process.exitCode = 1;

// Three addresses, entry by entry.
const stack = own
  .filter((leaf) => lines.some((l) => l.name === '[stack]' && l.end > leaf.va))
  .at(-1);
const huge = own.find((leaf) => leaf.pageBytes > 4096);
explain('A user page: the top of the stack', stack?.va, Access.Read);
explain('A huge page, which the process may not write', huge?.va, Access.Write);
explain('A hole: the null pointer', 0n, Access.Read);

// What a TLB miss costs: the entries that the walk has to read.
const costs = own.map((leaf) => {
  const { references } = walker.explain(leaf.va, Access.Read | Access.User);
  return { references, size: formatBytes(leaf.pageBytes) };
});
const average = costs.reduce((sum, cost) => sum + cost.references, 0) / costs.length;
console.log('\nA TLB miss costs');
for (const [kind, pages] of tally(
  costs.map((cost) => `${cost.references} memory references for a ${cost.size} page`),
)) {
  console.log(`  ${kind} (${count(pages)} pages)`);
}
console.log(`  ${average.toFixed(3)} on average over the process's pages`);

/**
 * @param {string} title
 * @param {bigint | undefined} va
 * @param {number} access
 */
function explain(title, va, access) {
  if (va === undefined) return;
  console.log(`\n${title}\n${formatWalk(walker.explain(va, access | Access.User))}`);
}

/**
 * @param {string[]} words
 * @returns {Map<string, number>}
 */
function tally(words) {
  const counts = new Map();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/** @param {number} number */
function count(number) {
  return number.toLocaleString('en');
}
