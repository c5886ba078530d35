/** What a recording says makes no sense: the case cannot be judged, so it has failed. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/** A JSON object of a recording, read key by key: each method throws {@link Malformed} when the value is not its kind. */
export class Fields {
  private readonly what: string;
  private readonly values: ReadonlyMap<string, unknown>;

  /**
   * @param value - Should be an object.
   * @param what - Its name in messages.
   */
  constructor(value: unknown, what: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new Malformed(`${what} should be an object, not ${shown(value)}`);
    }
    this.what = what;
    this.values = new Map(Object.entries(value));
  }

  /**
   * Requires all of some keys, and allows some more. Any other is refused: a key that nobody reads could change what
   * the case means.
   */
  only(required: readonly string[], optional: readonly string[] = []): this {
    for (const key of required) {
      if (!this.has(key)) throw new Malformed(`${this.what} has no "${key}"`);
    }
    for (const key of this.values.keys()) {
      if (!required.includes(key) && !optional.includes(key)) {
        throw new Malformed(`${this.what} has "${key}", which the runner does not know`);
      }
    }
    return this;
  }

  has(key: string): boolean {
    return this.values.has(key);
  }

  get size(): number {
    return this.values.size;
  }

  get entries(): Iterable<readonly [string, unknown]> {
    return this.values.entries();
  }

  /** A value of any type; `undefined` without the key. */
  value(key: string): unknown {
    return this.values.get(key);
  }

  object(key: string): Fields {
    return new Fields(this.value(key), key);
  }

  list(key: string): readonly unknown[] {
    return list(this.value(key), key);
  }

  text(key: string): string {
    return text(this.value(key), key);
  }

  hex(key: string): bigint {
    return hex(this.value(key), key);
  }

  /** Hexadecimal with the 0x that some headers write. */
  prefixedHex(key: string): bigint {
    const value = this.text(key);
    if (!value.startsWith('0x')) throw new Malformed(`${key} should begin with 0x: ${value}`);
    return hex(value.slice(2), key);
  }

  integer(key: string, least: number, greatest: number): number {
    const value = this.value(key);
    const inRange = typeof value === 'number' && value >= least && value <= greatest;
    if (!inRange || !Number.isInteger(value)) {
      throw new Malformed(`${key} should be ${least} to ${greatest}, not ${shown(value)}`);
    }
    return value;
  }

  /** 0 or 1. */
  flag(key: string): boolean {
    return this.integer(key, 0, 1) === 1;
  }

  oneOf<Word extends string | number>(key: string, words: readonly Word[]): Word {
    const word = words.find((known) => known === this.value(key));
    if (word === undefined) {
      const expected = words.join(' ');
      throw new Malformed(`${key} should be one of ${expected}, not ${shown(this.value(key))}`);
    }
    return word;
  }
}

/** An array. */
export function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Malformed(`${what} should be a list, not ${shown(value)}`);
  return value;
}

/** A string. */
export function text(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new Malformed(`${what} should be text, not ${shown(value)}`);
  return value;
}

/** A number written in lower-case hexadecimal digits, 64 bits at most. */
export function hex(value: unknown, what: string): bigint {
  if (typeof value !== 'string' || !/^[0-9a-f]{1,16}$/.test(value)) {
    throw new Malformed(`${what} should be hexadecimal digits, not ${shown(value)}`);
  }
  return BigInt(`0x${value}`);
}

/** One line of JSON. */
export function parseJson(line: string, what: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new Malformed(`${what} is no JSON: ${shown(line)}`);
  }
}

/** A value as a message shows it: short. */
function shown(value: unknown): string {
  const whole = JSON.stringify(value) ?? String(value);
  return whole.length > 60 ? `${whole.slice(0, 60)}...` : whole;
}
