import fc from 'fast-check';
import { Access, addressFromVpn, faultReason, type Plain } from 'pagewright/core';
import type { PageTable } from 'pagewright/page-table';
import { mappings, type Translation } from 'pagewright/walk';
import { describe, expect, test } from 'vitest';
import type { ReferencePageLeaf, ReferencePageTable } from '../../src/reference/page-table.js';
import { MODEL_FORMATS, type ModelFormat } from './model-formats.js';
import { type MemoryKind, ModelMachine, type Place } from './model-machine.js';
import { emptyModel, modelCommands } from './model-operations.js';
import { Places } from './model-places.js';
import { type Hardware, hardwareFor } from './model-walkers.js';

const ACCESSES = [Access.Read, Access.Write, Access.Fetch].flatMap((kind) => [
  kind,
  kind | Access.User,
]);

/** One that is looked at in the end alone: what operations remember of one another stays as they left it. */
class QuietMachine extends ModelMachine {
  override check(): void {}
}

/** Everything about a machine at rest that its hardware is asked. */
class Agreement {
  readonly places: Places;
  private readonly kind: ModelFormat;
  private readonly table: PageTable;
  private readonly hardware: Hardware;
  /** The walker's pages in a page of the format: walkers of architectures count 4 KiB. */
  private readonly unit: number;

  constructor(places: Places, { memory }: ModelMachine, table: PageTable) {
    const { kind } = places;
    this.places = places;
    this.kind = kind;
    this.table = table;
    this.hardware = hardwareFor(memory, kind.format, table.root);
    this.unit = kind.format.roles === null ? 2 ** (kind.format.pageShift - 12) : 1;
  }

  /** Nothing but a fault that says so is where nothing is mapped. */
  checkAbsent(vpn: number): void {
    for (const access of ACCESSES) {
      const reason = faultReason(this.hardware.walker.probe(vpn * this.unit, access));
      expect(reason).toBe('not-present');
    }
  }

  /** A page of a leaf: its frame and rights by each access, and everything that a translation tells. */
  checkPage(leaf: ReferencePageLeaf, page: number, part: number): void {
    const { unit } = this;
    const { permits, walker } = this.hardware;
    const at = (page % leaf.pages) * unit + (part % unit);
    const vpn = leaf.vpn * unit + at;
    const expected = leaf.pfn * unit + at;
    const allowed = ACCESSES.filter((access) => permits(leaf.prot, access));
    expect(ACCESSES.filter((access) => walker.probe(vpn, access) >= 0)).toEqual(allowed);
    for (const access of allowed) expect(walker.probe(vpn, access)).toBe(expected);
    const [access] = allowed;
    if (access === undefined) return;
    const answer = walker.translate(addressFromVpn(vpn, 0, walker.pageShift), access);
    const { global, prot } = leaf;
    expect(answer).toMatchObject({ kind: 'page', pfn: expected, prot, global });
    this.checkAttributes(leaf, answer);
  }

  private checkAttributes(leaf: ReferencePageLeaf, answer: Plain<Translation>): void {
    if (answer.kind === 'fault') return;
    const { aarch64, ept, pageBytes, riscv, x86 } = answer;
    const { entry } = this.places.options.sizes.find(({ pages }) => pages === leaf.pages)!;
    // An AArch64 walker tells the size of the entry, and that it is one of a group.
    const pages = aarch64 === undefined ? leaf.pages : entry;
    expect(pageBytes).toBe(pages * 2 ** this.kind.format.pageShift);
    if (aarch64 !== undefined) expect(aarch64.contiguous).toBe(entry < leaf.pages);
    if (riscv !== undefined) expect(riscv.napot).toBe(entry < leaf.pages);
    if (x86 !== undefined) expect(x86.patIndex).toBe(leaf.attributes);
    if (ept !== undefined) expect(ept.memoryType).toBe(leaf.attributes);
  }

  /** Enumeration finds all leaves and nothing else. */
  checkMappings(model: ReferencePageTable): void {
    const { format } = this.kind;
    const shift = BigInt(format.pageShift);
    let mapped = 0;
    for (const { global, level, pa, prot, va } of mappings(this.hardware.walker)) {
      const vpn = Number(va >> shift);
      const leaf = model.leafAt(vpn);
      const found = { delta: Number(pa >> shift) - vpn, global, prot };
      if (leaf === undefined) expect(found).toBeUndefined();
      else {
        const expected = { delta: leaf.pfn - leaf.vpn, global: leaf.global, prot: leaf.prot };
        expect(found).toEqual(expected);
      }
      mapped += format.levelPages[level]!;
    }
    expect(mapped).toBe(model.leavesInOrder.reduce((sum, { pages }) => sum + pages, 0));
  }

  /** What hardware marks as accessed and dirty, the page table reads. */
  checkMarks(leaf: ReferencePageLeaf, page: number): void {
    const { remembers } = this.kind;
    const { permits, walker } = this.hardware;
    const vpn = leaf.vpn + (page % leaf.pages);
    const write = permits(leaf.prot, Access.Write | Access.User);
    const access = write ? Access.Write | Access.User : ACCESSES.find((a) => permits(leaf.prot, a));
    if (access === undefined) return;
    const store = (access & 3) === Access.Write;
    expect(walker.walk(vpn * this.unit, access)).toBeGreaterThanOrEqual(0);
    const marks = [this.table.testAccessed(vpn), this.table.testDirty(vpn)];
    const dirty = remembers.dirty && (leaf.dirty || store);
    expect(marks).toEqual([Number(remembers.accessed), Number(dirty)]);
  }
}

/** Some of many: the first, the last, and others by a number. */
function some<T>(all: readonly T[], choice: number): readonly T[] {
  if (all.length <= 12) return all;
  const picked = Array.from({ length: 10 }, (_, n) => all[(choice + n * 37) % all.length]!);
  return [all[0]!, ...picked, all.at(-1)!];
}

/** Asks the hardware of a page table about pages that are mapped, swapped out and neither. */
function checkTable(agreement: Agreement, model: ReferencePageTable, choice: number): void {
  const free = agreement.places.anchors.filter((vpn) => model.lookup(vpn) === 'not-mapped');
  for (const vpn of free) agreement.checkAbsent(vpn);
  for (const [vpn] of some(model.swappedInOrder, choice)) agreement.checkAbsent(vpn);
  const leaves = some(model.leavesInOrder, choice);
  for (const leaf of leaves) {
    for (const page of [0, leaf.pages - 1, choice]) agreement.checkPage(leaf, page, choice);
  }
  if (model.firstPages.length < 1000) agreement.checkMappings(model);
  for (const leaf of leaves) agreement.checkMarks(leaf, choice);
}

function checkAgreement(kind: ModelFormat, memory: MemoryKind, numRuns: number): void {
  const places = new Places(kind);
  const commands = fc.commands(modelCommands(places), { maxCommands: 24, size: 'max' });
  const where = fc.constantFrom<Place>('low', 'middle', 'top');
  fc.assert(
    fc.property(commands, where, fc.nat(), (run, place, choice) => {
      const machine = new QuietMachine(kind, memory, place);
      const models = emptyModel(places);
      fc.modelRun(() => ({ model: models, real: machine }), run);
      // Broken entries are made now.
      machine.owed.complete();
      models.forEach((model, at) => {
        checkTable(new Agreement(places, machine, machine.tables[at]!), model, choice);
      });
    }),
    { numRuns },
  );
}

describe('hardware translates what a page table maps', () => {
  test.each(MODEL_FORMATS)('$name', (kind) => checkAgreement(kind, 'flat', 6));
});

describe('so it does in a SharedArrayBuffer', () => {
  const kinds = MODEL_FORMATS.filter(({ format }) => format.entryBytes > 2);
  test.each(kinds)('$name', (kind) => checkAgreement(kind, 'shared', 1));
});
