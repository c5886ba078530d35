import type { Component } from '../component.js';
import { mmu } from './mmu.js';
import { nested } from './nested.js';
import { pageTable } from './page-table.js';
import { pte } from './pte.js';
import { replacement } from './replacement.js';
import { tlb } from './tlb.js';
import { walk } from './walk.js';

export const components: readonly Component[] = [
  walk,
  nested,
  pte,
  pageTable,
  replacement,
  tlb,
  mmu,
];
