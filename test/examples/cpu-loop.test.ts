import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { expectedResult } from '../../examples/cpu-loop/expected.js';
import { primesMachine, runPrimes } from '../../examples/cpu-loop/machine.js';
import { bundle } from '../support/bundle.js';

describe('the program', () => {
  it.each([3, 4096, 20_000])('finds the primes below %d both ways, as the host does', (limit) => {
    const fast = primesMachine('fast', limit);
    const slow = primesMachine('slow', limit);
    const outcome = runPrimes(fast);
    const { faults, instructions, ...found } = outcome;
    expect(found).toEqual(expectedResult(limit));
    expect(runPrimes(slow)).toEqual(outcome);
    expect(slow.hart.registers).toEqual(fast.hart.registers);
    expect(slow.hart.traps).toEqual(fast.hart.traps);
    expect(Buffer.from(slow.ram).equals(Buffer.from(fast.ram))).toBe(true);

    // Each page of flags is read first; each that has a multiple to strike faults again, at its first store.
    const pages = Math.ceil(limit / 4096);
    const dirty = limit > 4 ? pages : 0;
    const { traps } = fast.hart;
    expect([traps[12], traps[13], traps[15]]).toEqual([0, pages, dirty + 17]);
    expect(faults).toBe(pages + dirty + 17);
    expect(instructions).toBeGreaterThan(limit);
  });

  it('prints both measurements', async () => {
    const path = fileURLToPath(new URL('../../examples/cpu-loop/main.ts', import.meta.url));
    const file = await bundle(path);
    const { status, stdout, stderr } = spawnSync('node', [file, '5000'], { encoding: 'utf8' });
    rmSync(file);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toContain('primes below 5,000: 669, sum 1548136\n');
    expect(stdout).toContain('page faults taken by the guest: 21\n');
    expect(stdout).toMatch(/with the fast path: \d+\.\d MIPS, as the host computes\n/);
    expect(stdout).toMatch(/a walk at every access: \d+\.\d MIPS, as the host computes\n/);
  });
});
