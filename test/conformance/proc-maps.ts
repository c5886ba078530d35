import { Malformed } from './fields.js';

/** The mappings of a process, from lines of /proc/PID/maps. */
export class ProcMaps {
  private readonly areas: readonly { start: bigint; end: bigint; perms: string }[];

  constructor(lines: readonly string[]) {
    this.areas = lines.map((line) => {
      const match = /^([0-9a-f]+)-([0-9a-f]+) ([r-][w-][x-][ps]) /.exec(line);
      if (match === null) throw new Malformed(`no line of /proc/PID/maps: ${line}`);
      const [, start, end, perms] = match;
      return { start: BigInt(`0x${start}`), end: BigInt(`0x${end}`), perms: perms! };
    });
  }

  /**
   * Whether an address lies in a PROT_NONE area: its pages look present in /proc/PID/pagemap, but their entries have
   * the present bit clear, so that the hardware faults.
   */
  isProtNone(va: bigint): boolean {
    const area = this.areas.find(({ start, end }) => va >= start && va < end);
    return area?.perms.startsWith('---') ?? false;
  }
}
