import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { bundle } from '../support/bundle.js';

/** The first block of a language. */
function block(text: string, tag: string): string {
  return new RegExp(`^\`\`\`${tag}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(text)![1]!;
}

it.each(['README.md', 'docs/guide/page-tables.md'])(
  'the first example of %s prints what the document says',
  async (name) => {
    const text = readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8');
    const folder = mkdtempSync(join(tmpdir(), 'pagewright-'));
    const entry = join(folder, 'example.ts');
    writeFileSync(entry, block(text, 'ts'));
    const program = await bundle(entry);
    try {
      expect(execFileSync('node', [program], { encoding: 'utf8' })).toBe(block(text, 'text'));
    } finally {
      rmSync(program);
      rmSync(folder, { recursive: true });
    }
  },
);
