import type { Fields } from '../fields.js';
import {
  decomposition,
  nested,
  pageOffset,
  pageTableSize,
  segmentation,
  translation,
} from './textbook-books.js';
import { cacheLab } from './textbook-cachelab.js';
import { csappTranslation } from './textbook-csapp.js';
import { multilevel } from './textbook-multilevel.js';
import { ostepLinear, ostepMultilevel, ostepSegmentation, relocation } from './textbook-ostep.js';
import { ostepPagingPolicy } from './textbook-paging-policy.js';
import { agingCounters, nruClasses } from './textbook-reference-bits.js';
import {
  faults,
  lruStack,
  replacement,
  replacementCurve,
  workingSet,
} from './textbook-replacement.js';
import { vmprint } from './textbook-sv39.js';
import { arrayAccesses, tlbReach } from './textbook-tlb.js';

/** Answers a problem in the form of its recorded answer, which is handed over for its shape. */
export type FamilyJudge = (input: Fields, expected: unknown) => unknown;

/** The judge of every family. */
export const FAMILIES: ReadonlyMap<string, FamilyJudge> = new Map<string, FamilyJudge>([
  ['ostep.relocation', relocation],
  ['ostep.segmentation', ostepSegmentation],
  ['ostep.paging-linear', ostepLinear],
  ['ostep.paging-multilevel', ostepMultilevel],
  ['translation', translation],
  ['segmentation', segmentation],
  ['page-offset', pageOffset],
  ['va-decomposition', decomposition],
  ['page-table-size', pageTableSize],
  ['multilevel', multilevel],
  ['sv39', vmprint],
  ['nested', nested],
  ['translation+tlb+cache', csappTranslation],
  ['replacement', replacement],
  ['replacement-curve', replacementCurve],
  ['ostep.paging-policy', ostepPagingPolicy],
  ['lru-stack', lruStack],
  ['working-set', workingSet],
  ['faults', faults],
  ['aging', agingCounters],
  ['nru', nruClasses],
  ['set-associative-lru', cacheLab],
  ['tlb', arrayAccesses],
  ['tlb-reach', tlbReach],
]);
