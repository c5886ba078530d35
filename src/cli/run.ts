import { Command, CommanderError } from 'commander';
import packageData from '../../package.json' with { type: 'json' };
import { addDecode } from './decode.js';
import { addDemo } from './demo.js';
import { exampleHelp } from './examples.js';
import { addExplain } from './explain.js';
import { addMaps } from './maps.js';
import { addSplit } from './split.js';

/** Where the command writes. */
export interface Output {
  /** Takes results and help, newlines included. */
  readonly out: (text: string) => void;
  /** Takes error messages. */
  readonly err: (text: string) => void;
}

/**
 * The whole command, apart from the process around it.
 *
 * @param argv - The arguments after the command's name.
 * @param output - Where to write.
 * @returns The exit code: 0, or 2 for a mistake in the arguments or the image.
 */
export function run(argv: readonly string[], output: Output): number {
  const program = makeProgram(output, argv[0] ?? '');
  if (argv.length === 0) {
    program.outputHelp();
    return 0;
  }
  try {
    program.parse(argv, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has written its message, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    output.err(`pagewright: ${(error as Error).message}\n`); // nothing else is thrown
    return 2;
  }
}

function makeProgram(output: Output, command: string): Command {
  const print = (text: string): void => output.out(`${text}\n`);
  const program = new Command('pagewright')
    .description('Reads page tables as the CPU does, and explains every answer.')
    .version(packageData.version)
    .exitOverride()
    .configureOutput({
      writeOut: output.out,
      writeErr: output.err,
      outputError: (message, write) => {
        const known = program.commands.some((one) => one.name() === command);
        write(`${oneLine(message)} (see pagewright ${known ? `${command} ` : ''}--help)\n`);
      },
    });
  addDemo(program, output);
  addExplain(program, print);
  addMaps(program, print);
  addSplit(program, print);
  addDecode(program, print);
  return program.addHelpText('after', exampleHelp());
}

/** Commander's message as one line that names the command. */
function oneLine(message: string): string {
  return message
    .trim()
    .replace(/^error:/, 'pagewright:')
    .replaceAll(/\s*\n\s*/g, ' ');
}
