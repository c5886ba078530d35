import { type Plain, plain } from '../core/index.js';
import { DeviceRegion } from './device-region.js';
import type { Region, RegionKind } from './region.js';
import { SharedRegion } from './shared-region.js';

/**
 * A region as it stands now.
 *
 * @public
 */
export interface RegionInfo {
  /** What answers there. */
  readonly kind: RegionKind;
  /** Physical address of the first byte. */
  readonly base: bigint;
  /** Bytes of address space; 0 when the buffer behind it is gone. */
  readonly bytes: number;
  /** Bytes of host memory in use: fewer than `bytes` in sparse RAM, 0 for a device. */
  readonly usedBytes: number;
  /** Whether it is RAM in a SharedArrayBuffer. */
  readonly shared: boolean;
  /** A device's name; `null` for RAM. */
  readonly name: string | null;
}

/** Describes a region after looking at it afresh. */
export function describeRegion(region: Region): Plain<RegionInfo> {
  region.refresh();
  return plain({
    kind: region.kind,
    base: region.base,
    bytes: region.size,
    usedBytes: region.usedBytes,
    shared: region instanceof SharedRegion,
    name: region instanceof DeviceRegion ? region.name : null,
  });
}
