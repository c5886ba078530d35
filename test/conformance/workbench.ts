import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { type RunReport, runConformance } from './runner.js';

/** The path of a fixture. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}

/** A fixture's contents, unpacked. */
export function fixtureBytes(name: string): Buffer {
  const raw = readFileSync(fixture(name));
  return name.endsWith('.gz') ? gunzipSync(raw) : raw;
}

/** A fixture's lines, kept: many tests change one of them. */
export function fixtureLines(name: string): readonly string[] {
  let lines = kept.get(name);
  if (lines === undefined) {
    lines = fixtureBytes(name).toString('utf8').trimEnd().split('\n');
    kept.set(name, lines);
  }
  return lines;
}

const kept = new Map<string, readonly string[]>();

/** Replays files that exist only for the moment, all in one folder. */
export function replayFiles(files: Readonly<Record<string, string | Uint8Array>>): RunReport {
  return inFolder(files, (folder) => runConformance([folder]));
}

/** Makes a folder with some files for as long as a function runs. */
export function inFolder<Result>(
  files: Readonly<Record<string, string | Uint8Array>>,
  use: (folder: string) => Result,
): Result {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
  try {
    for (const [name, contents] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), contents);
    }
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An access of a recorded image, to be changed by a test. */
export interface LooseAccess {
  [key: string]: unknown;
  priv?: string;
  result: Record<string, unknown>;
  after?: Record<string, string>;
}

/** A recorded image, to be changed by a test. */
export interface LooseImage {
  [key: string]: unknown;
  mem: Record<string, string>;
  accesses: LooseAccess[];
}

/** The images of a fixture. */
export function images(name: string, count = Infinity): LooseImage[] {
  return fixtureLines(name)
    .slice(0, count)
    .map((line) => JSON.parse(line) as LooseImage); // the fixture is known to have this shape
}

/** The same hexadecimal number but for one bit. */
export function flip(hex: unknown, bit = 0): string {
  return (BigInt(`0x${String(hex)}`) ^ (1n << BigInt(bit))).toString(16);
}

/** A change of one object. */
export type Edit = (target: Record<string, unknown>) => void;

/** Sets a key. */
export function put(key: string, value: unknown): Edit {
  return (target) => {
    target[key] = value;
  };
}

/** Replaces a value by another one made of it. */
export function edit(key: string, change: (value: unknown) => unknown): Edit {
  return (target) => {
    target[key] = change(target[key]);
  };
}

/** Removes a key. */
export function remove(key: string): Edit {
  return (target) => {
    delete target[key];
  };
}
