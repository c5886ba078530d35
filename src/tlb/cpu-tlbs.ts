/**
 * One array as a vendor publishes it. `null` is what the document does not say.
 *
 * @public
 */
export interface PublishedTlb {
  /** Its name in the document. */
  readonly name: string;
  /** What it serves. */
  readonly serves: 'data' | 'fetch' | 'load' | 'second' | 'second-data' | 'second-fetch' | 'store';
  /** Bytes of the pages that its entries hold; `null` where they are not published. */
  readonly pageBytes: readonly number[] | null;
  /** Entries. */
  readonly entries: number;
  /** Entries of a set; `null` where they are not published. */
  readonly ways: number | null;
}

/**
 * The TLBs of a CPU as its vendor publishes them.
 *
 * @public
 */
export interface PublishedCpu {
  /** Vendor and name of the core. */
  readonly name: string;
  /** The vendor's document. */
  readonly document: string;
  /** Where in it. */
  readonly where: string;
  /** The arrays. */
  readonly tlbs: readonly PublishedTlb[];
  /** What the document says besides, in words: what no field has. */
  readonly notes: readonly string[];
}

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

const OPTIMIZATION = 'Intel 64 and IA-32 Architectures Optimization Reference Manual';

const A72_SECOND: readonly number[] = [
  ...[4 * KiB, 64 * KiB, 1 * MiB, 2 * MiB, 16 * MiB, 512 * MiB, 1 * GiB],
];
const A76_SECOND: readonly number[] = [
  ...[4 * KiB, 16 * KiB, 64 * KiB, 2 * MiB, 32 * MiB, 512 * MiB, 1 * GiB],
];

const SMALL_AND_LARGE: readonly number[] = [4 * KiB, 2 * MiB, 4 * MiB];

/** An array; a fully associative one has as many ways as entries. */
function array(
  serves: PublishedTlb['serves'],
  name: string,
  pageBytes: PublishedTlb['pageBytes'],
  entries: number,
  ways: number | null,
): PublishedTlb {
  return { name, serves, pageBytes, entries, ways };
}

/**
 * TLBs of real CPUs, a row for each. Nothing in it is measured or inferred: what a document leaves out is `null`, and
 * `cpuTlbs` wants to be told it.
 *
 * @example
 * ```ts
 * import { PUBLISHED_CPUS } from 'pagewright/tlb';
 *
 * const { tlbs, where } = PUBLISHED_CPUS.skylake;
 * where; // => 'Table 2-15, TLB Parameters of the Skylake Client Microarchitecture'
 * tlbs.find(({ name }) => name === 'STLB')?.ways; // => 12
 * ```
 * @public
 */
export const PUBLISHED_CPUS: {
  /** Intel Skylake, client. */
  readonly skylake: PublishedCpu;
  /** Intel Golden Cove. */
  readonly goldenCove: PublishedCpu;
  /** AMD Zen 2. */
  readonly zen2: PublishedCpu;
  /** AMD Zen 4. */
  readonly zen4: PublishedCpu;
  /** Arm Cortex-A72. */
  readonly cortexA72: PublishedCpu;
  /** Arm Cortex-A76. */
  readonly cortexA76: PublishedCpu;
  /** SiFive U74. */
  readonly sifiveU74: PublishedCpu;
} = {
  skylake: {
    name: 'Intel Skylake (client)',
    document: `${OPTIMIZATION}, 248966-045`,
    where: 'Table 2-15, TLB Parameters of the Skylake Client Microarchitecture',
    tlbs: [
      array('fetch', 'ITLB, 4 KiB', [4 * KiB], 128, 8),
      array('fetch', 'ITLB, 2 and 4 MiB', [2 * MiB, 4 * MiB], 8, null),
      array('data', 'DTLB, 4 KiB', [4 * KiB], 64, 4),
      array('data', 'DTLB, 2 and 4 MiB', [2 * MiB, 4 * MiB], 32, 4),
      array('data', 'DTLB, 1 GiB', [1 * GiB], 4, 4),
      array('second', 'STLB', SMALL_AND_LARGE, 1536, 12),
      array('second', 'STLB, 1 GiB', [1 * GiB], 16, 4),
    ],
    notes: [
      'The 8 entries of the ITLB for large pages are those of one of two threads.',
      'Descriptor C3H of CPUID leaf 2 says 6 ways of the STLB.',
    ],
  },
  goldenCove: {
    name: 'Intel Golden Cove',
    document: 'CPUID leaf 18H, Deterministic Address Translation Parameters (Intel SDM Vol. 2A)',
    where:
      'as a Core i9-12900K answers on a performance core; loads of 4 KiB pages: Intel Architecture Day 2021',
    tlbs: [
      array('fetch', 'ITLB, 4 KiB', [4 * KiB], 256, 8),
      array('fetch', 'ITLB, 2 and 4 MiB', [2 * MiB, 4 * MiB], 32, 8),
      array('load', 'DTLB for loads, 4 KiB', [4 * KiB], 96, null),
      array('load', 'DTLB for loads, 2 and 4 MiB', [2 * MiB, 4 * MiB], 32, 4),
      array('load', 'DTLB for loads, 1 GiB', [1 * GiB], 8, 8),
      array('store', 'DTLB for stores', [...SMALL_AND_LARGE, 1 * GiB], 16, 16),
      array('second', 'STLB, 4 KiB, 2 and 4 MiB', SMALL_AND_LARGE, 1024, 8),
      array('second', 'STLB, 4 KiB and 1 GiB', [4 * KiB, 1 * GiB], 1024, 8),
    ],
    notes: [
      'For loads of 4 KiB pages the leaf says 64 entries in 4 ways, the presentation 96.',
      'Which of the two STLB arrays takes a page of 4 KiB is not published.',
    ],
  },
  zen2: {
    name: 'AMD Zen 2',
    document:
      'CPUID functions 8000_0005H, 8000_0006H and 8000_0019H (AMD64 APM Vol. 3, appendix E)',
    where: 'as a Ryzen 9 PRO 3900 (family 17h, model 71h) answers',
    tlbs: [
      array('fetch', 'L1 ITLB', [4 * KiB, 2 * MiB, 1 * GiB], 64, 64),
      array('data', 'L1 DTLB', [4 * KiB, 2 * MiB, 1 * GiB], 64, 64),
      array('second-fetch', 'L2 ITLB', [4 * KiB, 2 * MiB], 1024, 8),
      array('second-data', 'L2 DTLB', [4 * KiB, 2 * MiB], 2048, null),
    ],
    notes: [
      'The L2 DTLB has 8 ways for pages of 4 KiB and 4 for pages of 2 MiB; how they share its entries is not said.',
      'There are no PCIDs.',
    ],
  },
  zen4: {
    name: 'AMD Zen 4',
    document:
      'CPUID functions 8000_0005H, 8000_0006H and 8000_0019H (AMD64 APM Vol. 3, appendix E)',
    where: 'as processors of family 19h, models 11h and 61h, answer',
    tlbs: [
      array('fetch', 'L1 ITLB', [4 * KiB, 2 * MiB, 1 * GiB], 64, 64),
      array('data', 'L1 DTLB', [4 * KiB, 2 * MiB, 1 * GiB], 72, 72),
      array('second-fetch', 'L2 ITLB', [4 * KiB, 2 * MiB], 512, null),
      array('second-data', 'L2 DTLB', [4 * KiB, 2 * MiB], 3072, null),
      array('second-data', 'L2 DTLB, 1 GiB', [1 * GiB], 64, 64),
    ],
    notes: [
      'The L2 ITLB has 4 ways for pages of 4 KiB and 2 for pages of 2 MiB, the L2 DTLB 8 and 6; how they share its entries is not said.',
      'Four pages of 4 KiB that are consecutive, aligned and alike may share an entry.',
    ],
  },
  cortexA72: {
    name: 'Arm Cortex-A72',
    document: 'ARM Cortex-A72 MPCore Processor Technical Reference Manual, 100095',
    where: '5.2 TLB organization',
    tlbs: [
      array('fetch', 'L1 instruction TLB', [4 * KiB, 64 * KiB, 1 * MiB], 48, 48),
      array('data', 'L1 data TLB', [4 * KiB, 64 * KiB, 1 * MiB], 32, 32),
      array('second', 'L2 TLB', A72_SECOND, 1024, 4),
    ],
    notes: ['Intermediate table walk caches, of a size that is not published.'],
  },
  cortexA76: {
    name: 'Arm Cortex-A76',
    document: 'Arm Cortex-A76 Core Technical Reference Manual, 100798_0300_00',
    where: 'A5.1 About the MMU and A5.2 TLB organization, pages A5-62 and A5-64',
    tlbs: [
      array(
        'fetch',
        'L1 instruction TLB',
        [4 * KiB, 16 * KiB, 64 * KiB, 2 * MiB, 32 * MiB],
        48,
        48,
      ),
      array('data', 'L1 data TLB', [4 * KiB, 16 * KiB, 64 * KiB, 2 * MiB, 512 * MiB], 48, 48),
      array('second', 'L2 TLB', A76_SECOND, 1280, 5),
    ],
    notes: [
      'The L2 TLB also holds second-stage translations and intermediate entries of walks.',
      'An entry of the L2 TLB may hold four consecutive pages, with a valid bit for each (Table A6-31).',
    ],
  },
  sifiveU74: {
    name: 'SiFive U74',
    document: 'SiFive U74 Core Complex Manual, 21G1.01.00',
    where: 'U7 RISC-V Core: Virtual Memory Support',
    tlbs: [
      array('fetch', 'ITLB', [4 * KiB, 2 * MiB, 1 * GiB], 40, 40),
      array('data', 'DTLB', [4 * KiB, 2 * MiB, 1 * GiB], 40, 40),
      array('second', 'L2 TLB', null, 512, 1),
    ],
    notes: ['Sv39. No bit of ASID is implemented.'],
  },
};
