import type { Command } from 'commander';
import { EXAMPLES } from './examples.js';
import { type Output, run } from './run.js';

/** Adds `pagewright demo`: the examples, typed and run. */
export function addDemo(program: Command, output: Output): void {
  program
    .command('demo')
    .description('a first minute: run some examples, no files needed')
    .action(() => {
      for (const { title, line } of EXAMPLES) {
        output.out(`${title}\n\n$ pagewright ${line}\n`);
        run(line.split(' '), output);
        output.out('\n');
      }
      output.out('Change an entry or an address and run one of these lines yourself.\n');
    });
}
