import type { Component } from '../component.js';
import { pte } from './pte.js';
import { walk } from './walk.js';

export const components: readonly Component[] = [walk, pte];
