import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Malformed, parseJson } from './fields.js';

/** The greatest first line that makes a header. */
const HEADER_LIMIT = 1 << 20;

/** A file of a recording, gzipped or plain: which, its first bytes say. */
export class RecordedFile {
  readonly path: string;
  private contents: Uint8Array | null = null;
  private whole: string | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** The name without folder and without `.gz`. */
  get name(): string {
    return basename(this.path).replace(/\.gz$/, '');
  }

  /** The contents, unpacked. */
  get bytes(): Uint8Array {
    if (this.contents === null) {
      const raw = readFileSync(this.path);
      this.contents = raw[0] === 0x1f && raw[1] === 0x8b ? unpack(raw, this.name) : raw;
    }
    return this.contents;
  }

  /** The contents as text. */
  get text(): string {
    this.whole ??= Buffer.from(this.bytes).toString('utf8');
    return this.whole;
  }

  /** The lines that are not empty, each with its number, from 1. */
  *lines(): Generator<{ readonly line: string; readonly number: number }> {
    let number = 0;
    for (const line of this.text.split('\n')) {
      number++;
      if (line.trim() !== '') yield { line, number };
    }
  }

  /** Bytes that the first line takes, its end included; 0 when there is no such line. */
  get headerBytes(): number {
    return this.bytes.subarray(0, HEADER_LIMIT).indexOf(10) + 1;
  }

  /** The first line as JSON, or `undefined`. */
  get header(): unknown {
    const line = Buffer.from(this.bytes.subarray(0, this.headerBytes)).toString('utf8');
    try {
      return parseJson(line, 'the header');
    } catch {
      return undefined;
    }
  }

  /** Whether some line is a JSON object with all of these keys. Lines that are broken say nothing. */
  hasLineWith(...keys: readonly string[]): boolean {
    // A quick look first: a binary file is no candidate, and most files lack the words.
    if (this.bytes[0] === undefined || keys.some((key) => !this.text.includes(`"${key}"`))) {
      return false;
    }
    for (const { line, number } of this.lines()) {
      try {
        const value = parseJson(line, `line ${number}`);
        if (typeof value !== 'object' || value === null) continue;
        if (keys.every((key) => Object.hasOwn(value, key))) return true;
      } catch {
        // Not this line.
      }
    }
    return false;
  }

  /** The path of a file in the same folder, gzipped or not, or `null`. */
  pathBeside(name: string): string | null {
    const folder = dirname(this.path);
    const found = [`${name}.gz`, name].find((candidate) => existsSync(join(folder, candidate)));
    return found === undefined ? null : join(folder, found);
  }

  /** A file in the same folder, gzipped or not. */
  beside(name: string): RecordedFile {
    const path = this.pathBeside(name);
    if (path === null) throw new Malformed(`${name} is missing beside ${this.name}`);
    return new RecordedFile(path);
  }
}

function unpack(raw: Uint8Array, name: string): Uint8Array {
  try {
    return gunzipSync(raw);
  } catch (error) {
    throw new Malformed(`${name} cannot be unpacked: ${String(error)}`);
  }
}
