import type { CaseFormat } from '../case-format.js';
import { aarch64Guest } from './aarch64-guest.js';
import { aarch64Image, aarch64Quirks } from './aarch64-image.js';
import { recordedTraces } from './recorded-traces.js';
import { riscvGuest } from './riscv-guest.js';
import { riscvImage } from './riscv-image.js';
import { riscvTwoStageImage } from './riscv-two-stage-image.js';
import { textbook } from './textbook.js';
import { x86Guest } from './x86-guest.js';
import { x86Image } from './x86-image.js';

/** Every format that has a judge. */
export const formats: readonly CaseFormat[] = [
  riscvImage,
  riscvTwoStageImage,
  x86Image,
  aarch64Image,
  aarch64Quirks,
  riscvGuest,
  aarch64Guest,
  x86Guest,
  textbook,
  recordedTraces,
];
