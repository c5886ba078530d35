// npm run bench -- [COMPONENT...] [--json FILE] [--markdown FILE] [--update] [--rounds N]
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { update, worse } from './baseline.js';
import { compilerVersion } from './compile-c.js';
import type { Component } from './component.js';
import { components } from './components/index.js';
import { serve, workOf } from './contestant.js';
import { measure, type Result } from './harness.js';
import { markdown, row, terminalTable } from './table.js';
import { judge } from './target.js';

const HELP = `Usage: npm run bench -- [COMPONENT...] [options]

Measures components (${components.map(({ name }) => name).join(', ')}; all unless named) against C compiled on the
spot, against textbook versions, and against other packages. Every contestant is a process; they work in turns of about
a millisecond. Times are 20th percentiles; trust the ratios.

  --case TEXT      only cases whose name contains TEXT
  --rounds N       slices for each contestant (61)
  --json FILE      write the results as JSON
  --markdown FILE  write docs/benchmarks.md, or another file like it
  --update         make these ratios the ones to compare with (bench/baseline.json)
  --help           this text
`;

function componentNamed(name: string): Component {
  const found = components.find((component) => component.name === name);
  if (found !== undefined) return found;
  const known = components.map((component) => component.name).join(', ');
  return quit(`unknown component '${name}': there are ${known}`);
}

function quit(message: string): never {
  console.error(`bench: ${message}`);
  process.exit(2);
}

function options() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        case: { type: 'string', default: '' },
        rounds: { type: 'string', default: '61' },
        json: { type: 'string' },
        markdown: { type: 'string' },
        update: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    return quit((error as Error).message);
  }
}

/** The last line of a terminal. */
function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function bench(): Promise<void> {
  const { values, positionals } = options();
  if (values.help) {
    console.log(HELP);
    return;
  }
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) quit('--rounds wants a positive integer');
  const chosen = positionals.length > 0 ? positionals.map(componentNamed) : components;
  const machine = `Node ${process.version}, ${compilerVersion ?? 'no C compiler (cc): no C columns'}`;
  console.log(`${machine}; ${rounds} slices each\n`);
  const all: (readonly [Component, readonly Result[]])[] = [];
  let missed = false;
  for (const component of chosen) {
    const results: Result[] = [];
    for (const benchCase of component.cases) {
      if (!benchCase.name.includes(values.case)) continue;
      showProgress(`${component.name}: ${benchCase.name}`);
      results.push(await measure(component, benchCase, rounds));
    }
    showProgress('');
    if (results.length === 0) continue;
    all.push([component, results]);
    console.log(terminalTable(component, results));
    const verdicts = component.targets.map((target) => judge(target, results));
    missed ||= verdicts.some(({ met }) => met === false);
    console.log(`\n${verdicts.map(({ text }) => text).join('\n')}\n`);
  }
  const results = all.flatMap(([, some]) => some);
  const regressions = worse(results);
  if (regressions.length > 0) {
    console.log(`Worse than at the last landing:\n${regressions.join('\n')}`);
  }
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify(results.map(row), null, 2)}\n`);
  }
  if (values.markdown !== undefined) writeFileSync(values.markdown, markdown(all, machine));
  if (values.update) update(results);
  if (missed) console.log('Some targets were missed.');
}

const [flag, component, caseName, contestant] = process.argv.slice(2);
if (flag === '--serve') {
  const found = componentNamed(component!).cases.find(({ name }) => name === caseName);
  serve(workOf(found!, contestant!));
} else {
  await bench();
}
