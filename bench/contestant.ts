// One contestant = one process that is asked for slices of work, line by line (the protocol of c/bench.h).
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { CACHE, compile } from './compile-c.js';
import type { Case, Component, CWork, Work } from './component.js';

/** What a slice of work came to. */
export interface Slice {
  readonly ns: number;
  readonly checksum: string;
}

/** Shown by a JavaScript contestant when it is ready: how much work there is. */
interface Size {
  readonly units: number;
  readonly opsPerUnit: number;
}

/** The work of a contestant in JavaScript: `ours`, `naive`, or the name of a peer. */
export function workOf(benchCase: Case, contestant: string): Work {
  if (contestant === 'ours') return benchCase.ours();
  if (contestant === 'naive') return benchCase.naive!();
  return benchCase.peers![contestant]!();
}

/** The side of a JavaScript contestant: says how much work there is, then does slices until the driver hangs up. */
export function serve(work: Work): void {
  const { units, opsPerUnit = 1 } = work;
  writeSync(1, `${JSON.stringify({ units, opsPerUnit } satisfies Size)}\n`);
  const request = Buffer.alloc(64);
  for (;;) {
    const length = readSync(0, request);
    if (length === 0) return;
    const [start, count] = request.toString('latin1', 0, length).split(' ').map(Number);
    const { ns, checksum } = slice(work, start!, count!);
    writeSync(1, `${ns.toFixed(0)} ${checksum}\n`);
  }
}

function slice({ rewind, run, units }: Work, from: number, count: number): Slice {
  let checksum = 0;
  let milliseconds = 0;
  let start = from;
  for (let left = count; left > 0; ) {
    const end = Math.min(start + left, units);
    if (start === 0) rewind?.();
    const begin = performance.now();
    checksum += run(start, end);
    milliseconds += performance.now() - begin;
    left -= end - start;
    start = end === units ? 0 : end;
  }
  return { ns: milliseconds * 1e6, checksum: `${checksum}` };
}

/** The driver's side. */
export class Contestant {
  readonly name: string;
  readonly size: Size;
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;
  private next = 0;

  private constructor(name: string, size: Size, child: ChildProcess, lines: AsyncIterator<string>) {
    this.name = name;
    this.size = size;
    this.child = child;
    this.lines = lines;
  }

  /** Starts a JavaScript contestant: this same program again, told to serve. */
  static async ofWork(component: Component, benchCase: Case, name: string): Promise<Contestant> {
    const program = [import.meta.filename, '--serve', component.name, benchCase.name, name];
    const { child, lines } = start(process.execPath, program);
    const size: Size = JSON.parse(await line(lines, name));
    return new Contestant(name, size, child, lines);
  }

  /** Compiles and starts a C contestant. */
  static async ofC(work: CWork): Promise<Contestant> {
    const program = compile(work.source);
    mkdirSync(CACHE, { recursive: true });
    const folder = mkdtempSync(join(CACHE, 'input-'));
    const files = work.inputs.map((input, n) => {
      const file = join(folder, `${n}`);
      writeFileSync(file, new Uint8Array(input.buffer, input.byteOffset, input.byteLength));
      return file;
    });
    const { child, lines } = start(program, [...work.args.map(String), ...files]);
    const { units, opsPerUnit = 1 } = work;
    const contestant = new Contestant('c', { units, opsPerUnit }, child, lines);
    // Its first answer means that it has read its inputs.
    await contestant.ask(0, 1).finally(() => rmSync(folder, { recursive: true }));
    return contestant;
  }

  /** The checksum of all units. */
  async verify(): Promise<string> {
    return (await this.ask(0, this.size.units)).checksum;
  }

  /** Does the next `count` units; the time is that of one operation. */
  async slice(count: number): Promise<number> {
    const { ns } = await this.ask(this.next, count);
    this.next = (this.next + count) % this.size.units;
    return ns / (count * this.size.opsPerUnit);
  }

  /** Goes back to the first unit. */
  rewind(): void {
    this.next = 0;
  }

  /** Ends the process. */
  stop(): void {
    this.child.stdin!.end();
  }

  private async ask(from: number, count: number): Promise<Slice> {
    this.child.stdin!.write(`${from} ${count}\n`);
    const [ns, checksum] = (await line(this.lines, this.name)).split(' ');
    return { ns: Number(ns), checksum: checksum! };
  }
}

function start(
  program: string,
  args: readonly string[],
): { child: ChildProcess; lines: AsyncIterator<string> } {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const reader: Interface = createInterface({ input: child.stdout });
  return { child, lines: reader[Symbol.asyncIterator]() };
}

async function line(lines: AsyncIterator<string>, name: string): Promise<string> {
  const { value, done } = await lines.next();
  if (done === true) throw new Error(`the process of contestant ${name} ended`);
  return value;
}
