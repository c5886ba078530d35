import type { Component } from '../component.js';
import { nested } from './nested.js';
import { pte } from './pte.js';
import { walk } from './walk.js';

export const components: readonly Component[] = [walk, nested, pte];
