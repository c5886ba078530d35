import type { VmObserver } from '../core/index.js';
import type { WalkPath } from './path.js';

/**
 * An observer and how far it has been told: the events of a walk in their documented order, numbered.
 *
 * @internal
 */
export class Watch {
  /** Who is told. */
  readonly observer: VmObserver;
  private step = 0;

  constructor(observer: VmObserver) {
    this.observer = observer;
  }

  /** Tells of a walk that is decided. An error of the observer's leaves at once. */
  tell(
    path: WalkPath,
    vpn: number,
    access: number,
    update: boolean,
    result: number,
    rule: string,
  ): void {
    this.observer({ type: 'walk-begin', step: this.step++, vpn, access });
    this.tellEntries(path, 'entry-read');
    if (update) this.tellEntries(path, 'entry-write');
    this.observer({ type: 'walk-end', step: this.step++, result, rule });
  }

  private tellEntries(path: WalkPath, type: 'entry-read' | 'entry-write'): void {
    for (let level = path.first; level >= path.last; level--) {
      const written = type === 'entry-write';
      const set = written ? path.set[level]! : 0;
      const cleared = written ? path.cleared[level]! : 0;
      if (written && (set | cleared) === 0) continue;
      this.observer({
        type,
        step: this.step++,
        level,
        tablePfn: path.table[level]!,
        index: path.index[level]!,
        low: (path.low[level]! | set) & ~cleared,
        high: path.high[level]!,
      });
    }
  }
}
