import { Option } from 'commander';
import {
  type PteFormat,
  sv32,
  sv39,
  sv48,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from '../pte/index.js';

/** The formats under the names that the command and the dumps use. */
const FORMATS = {
  sv32,
  sv39,
  sv48,
  sv57,
  'x86-32': x86Legacy,
  pae: x86Pae,
  'x86-64-4': x86Long4,
  'x86-64-5': x86Long5,
} as const;

/** The name of a translation mode. */
export type Mode = keyof typeof FORMATS;

const MODES = Object.keys(FORMATS) as Mode[];

/** The format of a mode. */
export function formatOf(mode: Mode): PteFormat {
  return FORMATS[mode];
}

/** The mode of one of these formats. */
export function modeOf(format: PteFormat): Mode {
  return MODES.find((mode) => FORMATS[mode] === format)!;
}

/** The option that chooses a mode. */
export function modeOption(): Option {
  return new Option('--mode <mode>', 'translation mode').choices(MODES);
}
