import { checkInteger, checkOptions, type OptionNames, VmError } from '../core/index.js';
import type { Invalidations } from '../page-table/index.js';
import type { FlushScope } from '../tlb/index.js';
import { Mmu } from './mmu.js';
import { owedScopes } from './owed-scopes.js';

/**
 * What an {@link Smp} is made from.
 *
 * @public
 */
export interface SmpOptions {
  /** The MMUs of the CPUs, over one memory. */
  readonly cpus: readonly Mmu[];
}

/**
 * Who must hear of a shootdown, and whose tables have changed.
 *
 * @public
 */
export interface ShootdownOptions {
  /** The CPU that changed the tables; it flushes at once, without an interrupt. @defaultValue 0 */
  readonly from?: number;
  /** The CPUs that may have translations of the address space. @defaultValue all */
  readonly cpus?: readonly number[];
  /** 2 when the tables are those of a second stage. @defaultValue 1 */
  readonly stage?: 1 | 2;
}

/**
 * A shootdown on its way.
 *
 * @public
 */
export interface Shootdown {
  /** Its number, from 0. */
  readonly id: number;
  /** The CPUs that have not flushed yet. */
  readonly waiting: ReadonlySet<number>;
  /** Whether every CPU has, and the frames have gone back. */
  readonly isComplete: boolean;
}

/**
 * What an {@link Smp} has counted.
 *
 * @public
 */
export interface SmpStatistics {
  /** Shootdowns asked for. */
  readonly shootdowns: number;
  /** Interrupts sent: one for each CPU and batch. */
  readonly interrupts: number;
  /** Flushes of other CPUs' caches, by a shootdown each. */
  readonly remoteFlushes: number;
  /** Entries that shootdowns dropped, on all CPUs. */
  readonly dropped: number;
  /** CPUs left in peace, since they were lazy. */
  readonly lazySkips: number;
  /** What lazy CPUs flushed when they went on. */
  readonly lateFlushes: number;
}

/**
 * What each event costs, in the caller's cycles. What is left out costs nothing.
 *
 * @public
 */
export interface SmpCosts {
  /** Sending an interrupt and waiting for its answer. */
  readonly interrupt?: number;
  /** Each flush of another CPU. */
  readonly remoteFlush?: number;
  /** Each entry dropped. */
  readonly dropped?: number;
}

const OPTIONS: OptionNames<SmpOptions> = { cpus: true };
const SHOOTDOWN: OptionNames<ShootdownOptions> = { from: true, cpus: true, stage: true };

/** A shootdown with everything that is still to do. */
class PendingShootdown implements Shootdown {
  readonly id: number;
  readonly waiting: Set<number>;
  readonly owed: Invalidations;
  readonly scopes: readonly FlushScope[];
  private readonly records: number;

  constructor(
    id: number,
    waiting: Set<number>,
    owed: Invalidations,
    scopes: readonly FlushScope[],
  ) {
    this.id = id;
    this.waiting = waiting;
    this.owed = owed;
    this.scopes = scopes;
    this.records = owed.count;
  }

  get isComplete(): boolean {
    return this.waiting.size === 0;
  }

  /** Gives the frames back. What was added meanwhile has been flushed nowhere. */
  complete(): void {
    if (this.owed.count !== this.records) {
      const expected = 'nothing added to an accumulator while its shootdown is on its way';
      throw new VmError('bad-argument', { argument: 'owed', value: this.owed.count, expected });
    }
    this.owed.complete();
  }
}

/**
 * CPUs with caches of their own over one memory, and how they keep each other's true: by shootdowns, as in Linux's
 * arch/x86/mm/tlb.c. The CPU that changes tables flushes at once; the others are interrupted, or told and left to flush at a point
 * where they look (`post`, then `send` or `quiesce`). Frames go back only when all have flushed.
 *
 * A lazy CPU runs the kernel between two processes and uses no user page until it stops being lazy, so it is left in peace,
 * unless tables are given back that its caches may still walk; when it goes on, it flushes what it missed.
 *
 * @example
 * ```ts
 * import { Access, Prot } from 'pagewright/core';
 * import { FramePool, PhysicalMemory } from 'pagewright/memory';
 * import { Mmu, Smp } from 'pagewright/mmu';
 * import { Invalidations, PageTable } from 'pagewright/page-table';
 * import { x86Long4 } from 'pagewright/pte';
 * import { Tlb } from 'pagewright/tlb';
 * import { X86Walker } from 'pagewright/walk';
 *
 * const memory = PhysicalMemory.allocate(0x20000, { base: 0 });
 * const frames = new FramePool({ first: 0, frames: 32 });
 * const owed = new Invalidations({ frames });
 * const table = new PageTable({ format: x86Long4, memory, frames });
 * table.map(0x100, 0x55, table.flags({ prot: Prot.Read | Prot.User }), owed);
 *
 * const cpu = () => new Mmu({
 *   walker: new X86Walker({ memory, cr3: table.root * 4096 }),
 *   tlb: new Tlb({ entries: 16 }),
 * });
 * const [boot, other] = [cpu(), cpu()];
 * const smp = new Smp({ cpus: [boot, other] });
 * for (const mmu of smp.cpus) mmu.translatePage(0x100, Access.Read); // both CPUs know the page
 * table.unmap(0x100, owed);
 * other.translatePage(0x100, Access.Read); // => 0x55
 * smp.shootdown(owed);
 * other.translatePage(0x100, Access.Read) < 0; // => true
 * smp.statistics().interrupts; // => 1
 * ```
 * @public
 */
export class Smp {
  /** The MMUs, by number of the CPU. */
  readonly cpus: readonly Mmu[];
  /** By CPU: what it has been told of and not done. */
  private readonly queues: PendingShootdown[][];
  /** By CPU: what it missed while it is lazy; `null` while it is not. */
  private readonly missed: (FlushScope[] | null)[];
  private shootdowns = 0;
  private interrupts = 0;
  private remoteFlushes = 0;
  private dropped = 0;
  private lazySkips = 0;
  private lateFlushes = 0;

  /**
   * @param options - See {@link SmpOptions}.
   * @throws `VmError` for no CPUs, or memories of their own.
   */
  constructor(options: SmpOptions) {
    checkOptions('', options, OPTIONS);
    const { cpus } = options;
    const [first] = Array.isArray(cpus) ? cpus : [];
    const shared = (cpu: unknown): boolean => cpu instanceof Mmu && cpu.memory === first?.memory;
    if (first === undefined || !cpus.every(shared) || new Set(cpus).size !== cpus.length) {
      const expected = 'MMUs over one memory, each once';
      throw new VmError('bad-argument', { argument: 'cpus', value: cpus, expected });
    }
    this.cpus = [...cpus];
    this.queues = cpus.map(() => []);
    this.missed = cpus.map(() => null);
  }

  /**
   * Does what changes of page tables owe, on every CPU that may be concerned, and completes the accumulator.
   *
   * @param owed - What is owed.
   * @param options - See {@link ShootdownOptions}.
   * @returns How many entries were dropped.
   * @throws `VmError` for CPUs that there are not.
   */
  shootdown(owed: Invalidations, options: ShootdownOptions = {}): number {
    const before = this.dropped;
    const sent = this.post(owed, options);
    for (const cpu of [...sent.waiting]) this.interrupt(cpu);
    return this.dropped - before;
  }

  /**
   * Begins a shootdown: the own CPU flushes, the others are told, and flush when they are interrupted by `send`, or at their
   * next `quiesce`. Several that are posted meanwhile cost one interrupt. Nothing may be added to `owed` until it is
   * complete.
   *
   * @param owed - What is owed.
   * @param options - See {@link ShootdownOptions}.
   * @returns The shootdown; its frames go back when the last CPU has flushed.
   * @throws `VmError` for CPUs that there are not.
   */
  post(owed: Invalidations, options: ShootdownOptions = {}): Shootdown {
    checkOptions('options', options, SHOOTDOWN);
    const from = this.numberOf('from', options.from ?? 0);
    const all = options.cpus ?? this.cpus.map((_, cpu) => cpu);
    if (!Array.isArray(all)) {
      throw new VmError('bad-argument', { argument: 'cpus', value: all, expected: 'an array' });
    }
    for (const cpu of all) this.numberOf('cpus', cpu);
    const scopes = owedScopes(owed, this.cpus[from]!.walker, options.stage ?? 1);
    const freesTables = owed.invalidations().some(({ intermediate }) => intermediate);
    const waiting = new Set(all.filter((cpu) => cpu !== from));
    for (const cpu of waiting) {
      const missed = this.missed[cpu];
      if (missed === null || missed === undefined || freesTables) continue;
      missed.push(...scopes);
      waiting.delete(cpu);
      this.lazySkips++;
    }
    const pending = new PendingShootdown(this.shootdowns++, waiting, owed, scopes);
    this.dropped += this.cpus[from]!.flush(...scopes);
    for (const cpu of waiting) this.queues[cpu]!.push(pending);
    if (pending.isComplete) pending.complete();
    return pending;
  }

  /**
   * Interrupts every CPU that has been told of something and has not done it.
   *
   * @returns How many interrupts it took.
   */
  send(): number {
    const told = this.cpus.flatMap((_, cpu) => (this.queues[cpu]!.length > 0 ? [cpu] : []));
    for (const cpu of told) this.interrupt(cpu);
    return told.length;
  }

  /**
   * A CPU comes to a point where it looks: it does what it has been told of, without an interrupt.
   *
   * @param cpu - Its number.
   * @returns How many entries were dropped.
   * @throws `VmError` for a CPU that there is not.
   */
  quiesce(cpu: number): number {
    const queue = this.queues[this.numberOf('cpu', cpu)]!;
    const before = this.dropped;
    for (const pending of queue.splice(0)) {
      this.remoteFlushes++;
      this.dropped += this.cpus[cpu]!.flush(...pending.scopes);
      pending.waiting.delete(cpu);
      if (pending.isComplete) pending.complete();
    }
    return this.dropped - before;
  }

  /**
   * A CPU uses no user page until {@link Smp.leaveLazy}.
   *
   * @param cpu - Its number.
   * @throws `VmError` for a CPU that there is not.
   */
  enterLazy(cpu: number): void {
    this.missed[this.numberOf('cpu', cpu)] ??= [];
  }

  /**
   * A lazy CPU goes on: it flushes what it missed.
   *
   * @param cpu - Its number.
   * @returns How many entries were dropped.
   * @throws `VmError` for a CPU that there is not.
   */
  leaveLazy(cpu: number): number {
    const missed = this.missed[this.numberOf('cpu', cpu)] ?? [];
    this.missed[cpu] = null;
    if (missed.length === 0) return 0;
    this.lateFlushes++;
    const dropped = this.cpus[cpu]!.flush(...missed);
    this.dropped += dropped;
    return dropped;
  }

  /** Whether a CPU is lazy. */
  isLazy(cpu: number): boolean {
    return this.missed[this.numberOf('cpu', cpu)] !== null;
  }

  /** Shootdowns that wait for a CPU. */
  pendingOf(cpu: number): readonly Shootdown[] {
    return [...this.queues[this.numberOf('cpu', cpu)]!];
  }

  /** What was counted since it was made. */
  statistics(): SmpStatistics {
    const { dropped, interrupts, lateFlushes, lazySkips, remoteFlushes, shootdowns } = this;
    return { shootdowns, interrupts, remoteFlushes, dropped, lazySkips, lateFlushes };
  }

  /**
   * What all shootdowns so far have cost.
   *
   * @param costs - Cycles of each event.
   * @returns Cycles.
   */
  cycles(costs: SmpCosts): number {
    const { dropped, interrupts, remoteFlushes } = this;
    const { interrupt = 0, remoteFlush = 0 } = costs;
    return interrupts * interrupt + remoteFlushes * remoteFlush + dropped * (costs.dropped ?? 0);
  }

  /** Verifies every CPU. */
  checkInvariants(): void {
    for (const cpu of this.cpus) cpu.checkInvariants();
  }

  private interrupt(cpu: number): void {
    this.interrupts++;
    this.quiesce(cpu);
  }

  private numberOf(argument: string, cpu: number): number {
    return checkInteger(argument, cpu, 0, this.cpus.length - 1);
  }
}
