import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** A folder for the images of a test file; it goes when the tests are over. */
export function imageFolder(): (name: string, bytes: Uint8Array | string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'pagewright-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  return (name, bytes) => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return path;
  };
}

/** RAM with 64-bit entries in it. */
export function ram(bytes: number, entries: Readonly<Record<number, bigint>>): Uint8Array {
  const image = new Uint8Array(bytes);
  const view = new DataView(image.buffer);
  for (const [at, entry] of Object.entries(entries)) view.setBigUint64(Number(at), entry, true);
  return image;
}

/** A dump of page tables: a header line, then records of address and page. */
export function tablesDump(
  header: unknown,
  pages: readonly (readonly [bigint, Uint8Array])[],
): Buffer {
  const records = pages.flatMap(([address, page]) => {
    const base = Buffer.alloc(8);
    base.writeBigUInt64LE(address);
    return [base, page];
  });
  const line = typeof header === 'string' ? header : JSON.stringify(header, null, 1);
  return Buffer.concat([Buffer.from(`${line.replaceAll('\n', '')}\n`), ...records]);
}

/** A core as QEMU writes it: one stretch of memory at 0 and a note for each CPU. */
export function elfCore(
  machine: number,
  memory: Uint8Array,
  cpus: readonly { cr0: bigint; cr3: bigint; cr4: bigint }[],
): Buffer {
  const notes = Buffer.concat(cpus.map(qemuNote));
  const header = Buffer.alloc(64 + 2 * 56);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(4, 16); // ET_CORE
  header.writeUInt16LE(machine, 18);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(2, 56);
  const segments = [
    { type: 4, at: header.length, bytes: notes.length },
    { type: 1, at: header.length + notes.length, bytes: memory.length },
  ];
  segments.forEach(({ at, bytes, type }, index) => {
    const start = 64 + 56 * index;
    header.writeUInt32LE(type, start);
    header.writeBigUInt64LE(BigInt(at), start + 8);
    header.writeBigUInt64LE(BigInt(bytes), start + 32);
    header.writeBigUInt64LE(BigInt(bytes), start + 40);
  });
  return Buffer.concat([header, notes, memory]);
}

function qemuNote({ cr0, cr3, cr4 }: { cr0: bigint; cr3: bigint; cr4: bigint }): Buffer {
  const note = Buffer.alloc(12 + 8 + 432);
  note.writeUInt32LE(5, 0);
  note.writeUInt32LE(432, 4);
  note.write('QEMU', 12);
  note.writeUInt32LE(1, 20);
  for (const [register, value] of [
    [0, cr0],
    [3, cr3],
    [4, cr4],
  ] as const) {
    note.writeBigUInt64LE(value, 20 + 392 + 8 * register);
  }
  return note;
}
