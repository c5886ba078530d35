import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { bundle } from '../support/bundle.js';

const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');

/** The first block of a language. */
function block(tag: string): string {
  return new RegExp(`^\`\`\`${tag}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(readme)![1]!;
}

it('the first example of the README prints what the README says', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pagewright-'));
  const entry = join(folder, 'readme.ts');
  writeFileSync(entry, block('ts'));
  const program = await bundle(entry);
  try {
    expect(execFileSync('node', [program], { encoding: 'utf8' })).toBe(block('text'));
  } finally {
    rmSync(program);
    rmSync(folder, { recursive: true });
  }
});
