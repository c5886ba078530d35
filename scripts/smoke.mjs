// Uses the packed tarball as a stranger would: a new project, offline, every subpath, the command, the types.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pack } from './pack.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const fail = (text) => {
  throw new Error(`smoke: ${text}`);
};

/** Sv39: a root, a level 1 table and a 2 MiB leaf. Its types are checked, then it runs. */
const CONSUMER = `
import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { formatWalk, RiscvWalker } from 'pagewright/walk';

const ram = new ArrayBuffer(0x4000);
const entries = new BigUint64Array(ram);
entries[0] = 0x20000401n;
entries[0x1000 / 8 + 1] = 0x200000cfn;
const memory = PhysicalMemory.wrap(ram, { base: 0x8000_0000 });
const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 0x80000n });

const pfn: number = walker.walk(0x201, Access.Read);
if (pfn !== 0x80001) throw new Error('the walk gave ' + pfn);
const denied: number = walker.walk(0x201, Access.Read | Access.User);
if (denied >= 0 || walker.fault.cause !== 13) throw new Error('the fault is missing');
if (formatWalk(walker.explain(0x20_1000n, Access.Read)) === '') throw new Error('no text');
`;

const project = mkdtempSync(join(tmpdir(), 'pagewright-smoke-'));
try {
  const { tarball, files } = pack(project);
  checkContents(files);

  const installed = join(project, 'node_modules/pagewright');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    cpSync(join(root, 'node_modules', name), join(project, 'node_modules', name), {
      recursive: true,
    });
  }

  checkSourceMaps(installed, files);
  checkProgram(manifest);
  checkCommand(installed, manifest);
  console.log(`smoke: ${files.length} files packed; subpaths, types, a walk and the command work`);
} finally {
  rmSync(project, { recursive: true });
}

function checkContents(files) {
  const wanted =
    /^(dist\/.+\.(js|d\.ts|map)|src\/.+\.ts|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/;
  const unwanted = files.filter((f) => !wanted.test(f) || /^src\/(cli|reference)\//.test(f));
  if (unwanted.length > 0) fail(`users do not need ${unwanted.join(', ')}`);
  for (const name of ['README.md', 'LICENSE', 'CHANGELOG.md']) {
    if (!files.includes(name)) fail(`${name} is missing`);
  }
}

function checkSourceMaps(installed, files) {
  for (const map of files.filter((f) => f.endsWith('.map'))) {
    const { sources } = JSON.parse(readFileSync(join(installed, map), 'utf8'));
    for (const source of sources) {
      if (!existsSync(join(installed, dirname(map), source))) fail(`${map} points at no ${source}`);
    }
  }
}

function checkProgram({ name, exports }) {
  const subpaths = Object.keys(exports).filter((subpath) => exports[subpath].types !== undefined);
  const imports = subpaths.map((s, i) => `import * as room${i} from '${name}${s.slice(1)}';`);
  const uses = subpaths.map(
    (s, i) => `if (Object.keys(room${i}).length === 0) throw new Error('${s} is empty');`,
  );
  write('package.json', JSON.stringify({ type: 'module' }));
  write('consumer.ts', `${imports.join('\n')}\n${CONSUMER}\n${uses.join('\n')}\n`);
  write(
    'tsconfig.json',
    JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        target: 'es2022',
        lib: ['es2022'],
        types: [],
        strict: true,
        exactOptionalPropertyTypes: true,
      },
      files: ['consumer.ts'],
    }),
  );
  run(join(root, 'node_modules/typescript/bin/tsc'), '-p', project);
  run('consumer.js');
}

function checkCommand(installed, { bin }) {
  for (const [name, path] of Object.entries(bin)) {
    const command = join(installed, path);
    if (!readFileSync(command, 'utf8').startsWith('#!/usr/bin/env node\n')) fail('no #! line');
    if (!run(command, '--help').includes(name)) fail(`${name} --help does not name itself`);
  }
}

function write(name, text) {
  writeFileSync(join(project, name), text);
}

function run(...args) {
  try {
    return execFileSync(process.execPath, args, { cwd: project, encoding: 'utf8' });
  } catch (error) {
    return fail(`node ${args.join(' ')}\n${error.stdout}${error.stderr}`);
  }
}
