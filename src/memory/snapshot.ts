import { checkInteger, checkVersion, PAGE_BYTES, VmError } from '../core/index.js';
import { ramRegion, sparseRegion } from './make-region.js';
import type { Region } from './region.js';
import type { RamSnapshot, SparseSnapshot } from './region-snapshot.js';

/**
 * A saved memory: plain data, fit for `structuredClone`.
 *
 * @public
 */
export interface MemorySnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** Always `'physical-memory'`. */
  readonly type: 'physical-memory';
  /** In ascending order of base. */
  readonly regions: readonly (RamSnapshot | SparseSnapshot)[];
}

/** @throws VmError `unsupported` when there is a device. */
export function saveRegions(regions: readonly Region[]): MemorySnapshot {
  for (const region of regions) region.refresh();
  // A region whose buffer is gone has nothing to save, and a region of no bytes cannot be made.
  const present = regions.filter((region) => region.size > 0);
  return { v: 1, type: 'physical-memory', regions: present.map((region) => region.save()) };
}

/** @throws VmError `unsupported` for another version, `bad-image` for damaged data. */
export function loadRegions(snapshot: MemorySnapshot): Region[] {
  checkVersion(snapshot, 1);
  if (!Array.isArray(snapshot.regions)) throw damaged('snapshot.regions', snapshot.regions);
  return snapshot.regions.map(loadRegion);
}

function loadRegion(saved: RamSnapshot | SparseSnapshot, index: number): Region {
  const where = `snapshot.regions[${index}]`;
  switch (saved?.kind) {
    case 'ram':
      return loadRam(where, saved);
    case 'sparse':
      return loadSparse(where, saved);
    default:
      throw damaged(where, saved);
  }
}

function loadRam(where: string, saved: RamSnapshot): Region {
  const { base, contents, shared } = saved;
  if (!(contents instanceof Uint8Array)) throw damaged(`${where}.contents`, contents);
  const region = ramRegion({ base, bytes: contents.length, shared: shared === true });
  region.writeFrom(0, contents);
  return region;
}

function loadSparse(where: string, saved: SparseSnapshot): Region {
  const region = sparseRegion(saved);
  if (!Array.isArray(saved.pages)) throw damaged(`${where}.pages`, saved.pages);
  for (const page of saved.pages) {
    const contents: unknown = page?.contents;
    if (!(contents instanceof Uint8Array) || contents.length !== PAGE_BYTES) {
      throw damaged(`${where}.pages`, page);
    }
    checkInteger(`${where}.pages`, page.index, 0, Math.ceil(region.size / PAGE_BYTES) - 1);
    region.pages.set(page.index, new DataView(Uint8Array.from(contents).buffer));
  }
  return region;
}

function damaged(argument: string, value: unknown): VmError {
  return new VmError('bad-image', { argument, value, expected: 'what snapshot() returned' });
}
