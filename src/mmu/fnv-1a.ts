/** The prime is 2^40 and this. */
const PRIME_LOW = 0x1b3;

/** The hash FNV-1a of 64 bits (Fowler, Noll and Vo; RFC 9923), in two words. */
export class Fnv1a64 {
  /** Int32, as is the other: a larger number in a field would be an object. */
  private high: number = 0xcbf29ce4 | 0;
  private low: number = 0x84222325 | 0;

  /**
   * Takes in one byte.
   *
   * @param byte - 0 to 255.
   */
  byte(byte: number): void {
    // The product is below 2^41, so it is exact. 2^40 times the hash is its low word, 8 bits up in the high one.
    const mixed = (this.low ^ byte) >>> 0;
    const product = mixed * PRIME_LOW;
    const carry = Math.floor(product / 2 ** 32);
    this.high = (Math.imul(this.high, PRIME_LOW) + carry + (mixed << 8)) | 0;
    this.low = product | 0;
  }

  /**
   * Takes in the four bytes of a word, the lowest first.
   *
   * @param word - Any 32 bits.
   */
  word(word: number): void {
    this.byte(word & 0xff);
    this.byte((word >>> 8) & 0xff);
    this.byte((word >>> 16) & 0xff);
    this.byte(word >>> 24);
  }

  /** The hash of everything so far, as 16 hexadecimal digits. */
  get digits(): string {
    const words = [this.high >>> 0, this.low >>> 0];
    return words.map((word) => word.toString(16).padStart(8, '0')).join('');
  }
}
