import fc from 'fast-check';
import type {
  ReferenceFlags,
  ReferencePageTable,
  ReferencePageTableOptions,
} from '../../src/reference/page-table.js';
import { type ModelFormat, modelOptions } from './model-formats.js';

/** Where a page is, before the state of the table is known: beside a place of interest, or in a leaf that there is. */
export interface PageChoice {
  readonly anchor: number;
  readonly offset: number;
  /** A number of a leaf, counted from the first again and again; -1 for none. */
  readonly leaf: number;
}

function pageChoice(used: number): fc.Arbitrary<PageChoice> {
  return fc.record({
    anchor: fc.nat(31),
    offset: fc.oneof(
      { arbitrary: fc.constant(0), weight: 2 },
      { arbitrary: fc.integer({ min: -2, max: 2 }), weight: 2 },
      { arbitrary: fc.integer({ min: -40, max: 40 }), weight: 1 },
    ),
    leaf: fc.oneof(
      { arbitrary: fc.constant(-1), weight: 2 },
      { arbitrary: fc.nat(63), weight: used },
    ),
  });
}

/** How long a stretch is, before it is known where it begins. */
export interface StretchChoice {
  readonly size: number;
  readonly times: number;
  readonly more: number;
}

/** Page numbers, frames, sizes and flags of a format, drawn where mistakes are likely. */
export class Places {
  readonly kind: ModelFormat;
  readonly options: ReferencePageTableOptions;
  /** Pages at the ends of the space and of its halves, and at boundaries between tables of every level. */
  readonly anchors: readonly number[];

  constructor(kind: ModelFormat) {
    const { levelPages, levels } = kind.format;
    this.kind = kind;
    this.options = modelOptions(kind);
    const ends = this.options.spans.flatMap(({ end, first }) => [first, end - 1]);
    const { first } = this.options.spans.at(-1)!;
    // The first page of the second entry of each level above the pages, and one that is such on all levels.
    const boundaries = Array.from({ length: levels - 1 }, (_, at) => first + levelPages[at + 1]!);
    this.anchors = [...ends, ...boundaries, first + levelPages.reduce((sum, pages) => sum + pages)];
  }

  /** Any page. */
  readonly page: fc.Arbitrary<PageChoice> = pageChoice(1);
  /** Mostly one that is mapped. */
  readonly usedPage: fc.Arbitrary<PageChoice> = pageChoice(6);

  /** The page that a choice means; now and then no address. */
  pageAt(choice: PageChoice, model: ReferencePageTable): number {
    const { anchors } = this;
    const { anchor, leaf, offset } = choice;
    const leaves = leaf < 0 ? [] : model.firstPages;
    // From the last that was mapped back: what was just split or mapped is met again.
    const vpn = leaves.at(-1 - (leaf % Math.max(1, leaves.length)));
    if (vpn === undefined) return anchors[anchor % anchors.length]! + offset;
    // Its first page, its last, or one beside them.
    return anchor % 2 === 0 ? vpn + offset : vpn + model.leafAt(vpn)!.pages - 1 + offset;
  }

  /** The first page of a leaf that is larger than a base page, if there is one; any page otherwise. */
  largePage(choice: PageChoice, model: ReferencePageTable): number {
    const large = model.firstPages.filter((vpn) => model.leafAt(vpn)!.pages > 1);
    return large[choice.anchor % Math.max(1, large.length)] ?? this.pageAt(choice, model);
  }

  /** A size that the machine has, by a number. */
  sizeAt(choice: number): number {
    const { usable } = this.options;
    return usable[choice % usable.length]!;
  }

  /** A size that the leaf of a page may be collapsed into, by a number. */
  largerSize(vpn: number, model: ReferencePageTable, choice: number): number {
    const pages = model.leafAt(vpn)?.pages ?? 0;
    const larger = this.options.usable.filter((size) => size > pages);
    return larger[choice % 2 === 0 ? 0 : choice % larger.length] ?? this.sizeAt(choice);
  }

  /** The page with which a page of a size begins; sometimes one that is not aligned. */
  alignedPage(choice: PageChoice, model: ReferencePageTable, pages: number, skew: number): number {
    const vpn = this.pageAt(choice, model);
    const start = vpn - (((vpn % pages) + pages) % pages);
    return skew === 0 && pages > 1 ? start + pages / 2 : start;
  }

  /**
   * A frame for a page: one that is congruent to it as far as frames go, so that the largest pages are possible; one that
   * is congruent in the smallest large pages; one that is not; the last ones; one that there is not.
   */
  frameAt(vpn: number, pages: number, choice: number): number {
    const { sizes } = this.options;
    const { frameEnd } = sizes.find((size) => size.pages === pages)!;
    const congruent = (size: number): number => {
      const turns = Math.floor(frameEnd / size);
      return (((vpn % size) + size) % size) + size * ((choice >> 3) % Math.max(1, turns));
    };
    const large = sizes.filter((size) => size.pages <= frameEnd);
    switch (choice & 7) {
      case 0:
      case 1:
      case 2:
        return congruent(large.at(-1)!.pages);
      case 3:
        return congruent(Math.max(pages, large[Math.min(1, large.length - 1)]!.pages));
      case 4:
        return Math.floor((choice * 977) / pages) * pages;
      case 5:
        return frameEnd - pages;
      case 6:
        return choice >> 3 === 0 ? frameEnd : congruent(pages);
      default:
        return choice >> 3 === 0 && pages > 1 ? congruent(pages) + pages / 2 : congruent(pages);
    }
  }

  readonly stretch: fc.Arbitrary<StretchChoice> = fc.record({
    size: fc.nat(7),
    times: fc.nat(2),
    more: fc.nat(20),
  });

  /** The length of a stretch from a page on: up to a boundary of a size, a few pages of that size, and some more. */
  lengthFrom(vpn: number, { more, size, times }: StretchChoice): number {
    const { sizes } = this.options;
    const rest = (pages: number): number => (pages - (vpn % pages)) % pages;
    // Not up to a boundary that is far away: that would be a stretch of many small pages.
    const near = sizes.slice(0, 1 + (size % sizes.length)).filter(({ pages }) => rest(pages) <= 48);
    const { pages } = near.at(-1)!;
    return Math.max(1, rest(pages) + times * pages + more);
  }

  /** The length of a stretch to map, so that not too many leaves come of it. */
  lengthToMap(vpn: number, pfn: number, choice: StretchChoice, fixed: number | undefined): number {
    if (fixed !== undefined) {
      return fixed * (1 + (choice.more % 5)) + (choice.size === 0 && fixed > 1 ? 1 : 0);
    }
    const { sizes } = this.options;
    const aligned = sizes.filter(({ pages }) => (pfn - vpn) % pages === 0).length;
    return this.lengthFrom(vpn, { ...choice, size: choice.size % aligned });
  }

  readonly prot: fc.Arbitrary<number> = fc
    .integer({ min: 1, max: 15 })
    .map((prot) => ((prot & 7) === 0 ? prot | 1 : prot));

  readonly flags: fc.Arbitrary<ReferenceFlags> = fc
    .record({ prot: this.prot, marks: fc.nat(7), attribute: fc.nat(7) })
    .map(({ attribute, marks, prot }) => {
      const { values } = this.kind.attributes;
      return {
        prot,
        accessed: (marks & 1) !== 0,
        dirty: (marks & 2) !== 0,
        global: (marks & 4) !== 0,
        attributes: values[attribute % values.length]!,
      };
    });
}
