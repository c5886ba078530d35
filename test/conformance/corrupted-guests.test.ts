import { beforeAll, describe, expect, it, vi } from 'vitest';
import { fixtureBytes, fixtureLines, replayFiles } from './workbench.js';

// Some search whole files.
vi.setConfig({ testTimeout: 120_000 });

type Files = Record<string, string | Uint8Array>;

/** Replaces the first line that matches. */
function editLine(
  files: Files,
  name: string,
  match: RegExp,
  change: (line: string) => string,
): void {
  const lines = String(files[name]).split('\n');
  const index = lines.findIndex((line) => match.test(line));
  lines[index] = change(lines[index]!);
  files[name] = lines.filter((line) => line !== '').join('\n');
}

describe('a corrupted x86 guest is noticed', () => {
  let guest: Files;

  beforeAll(() => {
    const text = (name: string): string => fixtureLines(`x86/linux-pae/${name}`).join('\n');
    guest = {
      'tables.bin': fixtureBytes('x86/linux-pae/tables.bin.gz'),
      'tlb.txt': text('tlb.txt.gz'),
      'gva2gpa.txt': text('gva2gpa.txt.gz'),
      'guest-facts.txt': text('guest-facts.txt'),
    };
  });

  it('not when nothing is corrupted, and it may be unpacked', () => {
    expect(replayFiles(guest)).toMatchObject({ passed: 7_659, failed: 0 });
  });

  it.each<[string, string, RegExp, (line: string) => string, number]>([
    [
      'physical address of a leaf',
      'tlb.txt',
      /^804a000/,
      (l) => l.replace('8e91000', '8e92000'),
      1,
    ],
    ['virtual address of a leaf', 'tlb.txt', /^804a000/, (l) => l.replace('804a000', '1000'), 2],
    ['size of a leaf', 'tlb.txt', /^804a000/, (l) => l.replace(/1000$/, '200000'), 1],
    ['missing leaf', 'tlb.txt', /^804a000/, () => '', 1],
    ['invented leaf', 'tlb.txt', /^804a000/, (l) => `${l}\n1000 2000 ----A--U- 1000`, 1],
    ['leaf listed twice', 'tlb.txt', /^804a000/, (l) => `${l}\n${l}`, 1],
    ['line that is no leaf', 'tlb.txt', /^804a000/, (l) => `${l}\nnonsense`, 1],
    ['translation', 'gva2gpa.txt', / [0-9a-f]+000$/, (l) => l.replace(/000$/, '008'), 1],
    ['translation that faults', 'gva2gpa.txt', / [0-9a-f]+$/, (l) => l.replace(/ .*/, ' -'), 1],
    ['hole', 'gva2gpa.txt', /^0 -$/, () => '0 1000', 1],
    ['line that is no translation', 'gva2gpa.txt', /^0 -$/, () => '0 - -', 1],
    ['translation without answer', 'gva2gpa.txt', /^0 -$/, () => '0', 1],
    ['pagemap frame', 'guest-facts.txt', /^PMR 8049000/, (l) => l.replace('8e92', '8e93'), 1],
    ['pagemap run', 'guest-facts.txt', /^PMR 8050000/, (l) => l.replace('8f5c 4', '8f5d 4'), 4],
    ['absent page', 'guest-facts.txt', /^PMR 8049000/, (l) => l.replace(' a00', ' 200'), 1],
    ['longer run', 'guest-facts.txt', /^PMR 8111000|^PMR 8112000/, (l) => l.replace(/1$/, '2'), 1],
    ['endless run', 'guest-facts.txt', /^PMR 8049000/, (l) => l.replace(/ 1$/, ' 99999999999'), 1],
    ['run that is none', 'guest-facts.txt', /^PMR 8049000/, () => 'PMR here there 1', 1],
  ])('%s', (_what, name, match, edit, failed) => {
    const files = { ...guest };
    editLine(files, name, match, edit);
    const report = replayFiles(files);
    expect(report.failed).toBe(failed);
    expect(report.files[0]!.disagreements[0]).toContain(name);
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8])('flag %i of a leaf', (flag) => {
    const files = { ...guest };
    editLine(files, 'tlb.txt', /^804a000/, (line) => {
      const [va, pa, flags, size] = line.split(' ');
      const changed = flags![flag] === '-' ? 'XGPDACTUW'[flag]! : '-';
      return `${va} ${pa} ${flags!.slice(0, flag)}${changed}${flags!.slice(flag + 1)} ${size}`;
    });
    expect(replayFiles(files)).toMatchObject({ failed: 1 });
  });

  it('PROT_NONE pages, which look present in the pagemap, must fault', () => {
    const files = { ...guest };
    editLine(files, 'guest-facts.txt', /^MAP b7f70000/, (line) => line.replace('---p', 'r--p'));
    expect(replayFiles(files).failed).toBeGreaterThan(0);
    Object.assign(files, guest);
    editLine(files, 'guest-facts.txt', /^MAP 08049000/, (line) => line.replace('r-xp', '---p'));
    expect(replayFiles(files).failed).toBeGreaterThan(0);
  });

  it.each(['tlb.txt', 'gva2gpa.txt'])('missing %s', (name) => {
    const { [name]: _, ...rest } = guest;
    const report = replayFiles(rest);
    expect(report.ok).toBe(false);
    expect(report.files.flatMap((file) => file.disagreements).join()).toContain(
      `${name} is missing`,
    );
  });

  it('no translations', () => {
    const report = replayFiles({ ...guest, 'gva2gpa.txt': '' });
    expect(report.failed).toBe(1);
    expect(report.files[0]!.disagreements[0]).toContain('there are no translations');
  });

  it('not the facts that only some guests have', () => {
    const { 'guest-facts.txt': _, ...rest } = guest;
    expect(replayFiles(rest)).toMatchObject({ failed: 0, ok: true });
  });

  it('tables that are cut off, changed, or of a mode that the registers do not select', () => {
    const tables = Buffer.from(guest['tables.bin'] as Uint8Array); // set above
    const start = tables.indexOf(10) + 1;
    expect(replayFiles({ ...guest, 'tables.bin': tables.subarray(0, -1) }).ok).toBe(false);
    const changed = Buffer.from(tables);
    const entry = changed.findIndex(
      (byte, at) => at > start + 8 && (at - start) % 8 === 0 && (byte & 1) === 1,
    );
    changed[entry]! ^= 1;
    expect(replayFiles({ ...guest, 'tables.bin': changed }).failed).toBeGreaterThan(0);
    const header = tables.subarray(0, start).toString('utf8');
    const renamed = Buffer.from(header.replace('"pae"', '"x86-64-4"'));
    const other = Buffer.concat([renamed, tables.subarray(start)]);
    expect(replayFiles({ ...guest, 'tables.bin': other }).ok).toBe(false);
  });
});
