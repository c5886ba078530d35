import fc from 'fast-check';
import type { ModelFormat } from './model-formats.js';
import { type MemoryKind, ModelMachine, type Place } from './model-machine.js';
import { emptyModel, modelCommands } from './model-operations.js';
import { Places } from './model-places.js';

const PLACES: readonly Place[] = ['low', 'middle', 'top'];

/** Checks a page table against the model: after every operation, and when everything is taken down in the end. */
export function checkAgainstModel(kind: ModelFormat, memory: MemoryKind, numRuns: number): void {
  const places = new Places(kind);
  const commands = fc.commands(modelCommands(places), { maxCommands: 40, size: 'max' });
  // Tables of thousands of entries take longer.
  const turns = Math.ceil((numRuns * 512) / Math.max(512, 2 ** kind.format.indexBits[0]!));
  fc.assert(
    fc.property(commands, fc.constantFrom(...PLACES), (run, place) => {
      const machine = new ModelMachine(kind, memory, place);
      fc.modelRun(() => ({ model: emptyModel(places), real: machine }), run);
      machine.finish();
    }),
    { numRuns: turns },
  );
}
