/** RAM as a reference sees it, and changes it: plain bytes, little-endian. */
export class Ram {
  /** Its physical address. */
  readonly base: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;
  private readonly view: DataView;

  constructor(base: bigint, bytes: Uint8Array<ArrayBuffer>) {
    this.base = base;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }

  /** Another one with the same contents. */
  copy(): Ram {
    return new Ram(this.base, this.bytes.slice());
  }

  /** A value of 1, 2, 4 or 8 bytes; `null` where there is no memory. */
  read(pa: bigint, bytes: number): bigint | null {
    const at = Number(pa - this.base);
    if (at < 0 || at + bytes > this.bytes.length) return null;
    if (bytes === 8) return this.view.getBigUint64(at, true);
    if (bytes === 4) return BigInt(this.view.getUint32(at, true));
    return BigInt(bytes === 2 ? this.view.getUint16(at, true) : this.view.getUint8(at));
  }

  /** Writes a value of 1, 2, 4 or 8 bytes. */
  write(pa: bigint, bytes: number, value: bigint): void {
    const at = Number(pa - this.base);
    if (bytes === 8) this.view.setBigUint64(at, value, true);
    else if (bytes === 4) this.view.setUint32(at, Number(value), true);
    else if (bytes === 2) this.view.setUint16(at, Number(value), true);
    else this.view.setUint8(at, Number(value));
  }
}
