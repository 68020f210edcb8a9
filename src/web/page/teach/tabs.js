// What Teach has: the frames, and the models that were made of the answers.

import { element } from '../words.js';

const TABS = [['frames', 'Frames', '#/teach'], ['models', 'Models', '#/teach/models']];

export const tabs = shown => element('nav', { className: 'tabs', 'aria-label': 'Teach' },
  ...TABS.map(([place, textContent, href]) => element('a', { href, textContent, ...(place === shown ? { 'aria-current': 'page' } : {}) })));
