import { checkBoolean, checkInteger, checkOptions, type OptionNames } from '../core/index.js';
import { bad } from './geometry.js';

/**
 * What an invalidation reaches, as data: every instruction of every architecture is one or two of these, and every cache
 * understands them. What is not given does not restrict.
 *
 * @public
 */
export interface FlushScope {
  /** Only entries of this root. */
  readonly root?: number;
  /** Only entries of this virtual machine. */
  readonly vmid?: number;
  /** No entries of this root. */
  readonly exceptRoot?: number;
  /** No entries of this virtual machine. */
  readonly exceptVmid?: number;
  /** Only entries of this address space; see `globals` for those that belong to every one. */
  readonly asid?: number;
  /** Whether global entries are dropped with the others. */
  readonly globals: boolean;
  /** The first page, together with `pages`. An entry goes when any page of the page that it came from is among them. */
  readonly vpn?: number;
  /** How many base pages. @defaultValue 1 */
  readonly pages?: number;
  /** Which caches are meant. @defaultValue translations, and of paging-structure caches all entries of the contexts */
  readonly caches?: FlushedCaches;
}

/**
 * Which caches an invalidation concerns.
 *
 * @public
 */
export interface FlushedCaches {
  /** Caches of whole translations, of the first stage alone or combined with the second. */
  readonly translations: boolean;
  /**
   * Paging-structure caches: `none`, the entries above the `pages` of the scope, or `all` entries of its contexts whatever
   * their pages.
   */
  readonly structures: 'none' | 'pages' | 'all';
  /** Caches of the second stage alone, guest-physical to physical; `vpn` and `pages` are guest frames for them. */
  readonly secondStage: boolean;
  /** Paging-structure caches of the second stage, as `structures`, for guest frames. @defaultValue 'none' */
  readonly secondStructures?: 'none' | 'pages' | 'all';
}

const SCOPE: OptionNames<FlushScope> = {
  root: true,
  vmid: true,
  exceptRoot: true,
  exceptVmid: true,
  asid: true,
  globals: true,
  vpn: true,
  pages: true,
  caches: true,
};
const CACHES: OptionNames<FlushedCaches> = {
  translations: true,
  structures: true,
  secondStage: true,
  secondStructures: true,
};

const RANGES = [
  ['asid', 0, 2 ** 16 - 1],
  ['vmid', 0, 2 ** 16 - 1],
  ['exceptVmid', 0, 2 ** 16 - 1],
  ['root', 0, 2 ** 20 - 1],
  ['exceptRoot', 0, 2 ** 20 - 1],
  ['vpn', 0, 2 ** 52 - 1],
  ['pages', 1, 2 ** 52],
] as const;

/** Checks a scope, and returns its pages: from the first to an end that may be infinite. */
export function checkScope(scope: FlushScope): { readonly first: number; readonly end: number } {
  checkOptions('', scope, SCOPE, 'scope');
  const { caches, globals, pages = 1, vpn } = scope;
  checkBoolean('globals', globals);
  for (const [name, low, high] of RANGES) {
    // What is there and undefined was forgotten: as no restriction, it would reach everything.
    if (name in scope) checkInteger(name, scope[name] ?? Number.NaN, low, high);
  }
  if (caches !== undefined) checkCaches(caches);
  if (vpn !== undefined) return { first: vpn, end: vpn + pages };
  if (!('pages' in scope)) return { first: 0, end: Infinity };
  throw bad('pages', pages, 'no pages without a vpn');
}

function checkCaches(caches: FlushedCaches): void {
  checkOptions('caches', caches, CACHES);
  checkBoolean('caches.translations', caches.translations);
  checkBoolean('caches.secondStage', caches.secondStage);
  for (const value of [caches.structures, caches.secondStructures ?? 'none']) {
    if (value === 'none' || value === 'pages' || value === 'all') continue;
    const expected = "'none', 'pages' or 'all'";
    throw bad('caches.structures', value, expected);
  }
}
