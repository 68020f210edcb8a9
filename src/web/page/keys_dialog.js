// The dialog that lists a view's keys.

import { button } from './controls.js';
import { element } from './words.js';

export class KeysDialog {
  /** `keys` are pairs: a key, and what it does. */
  constructor(keys) {
    this.element = element('dialog', { className: 'admin keys', 'aria-labelledby': 'keys-title' },
      element('h2', { id: 'keys-title', textContent: 'Keys' }),
      element('dl', {}, ...keys.map(([keys, does]) => element('div', {}, element('dt', {}, element('kbd', { textContent: keys })), element('dd', { textContent: does })))),
      button({ className: 'secondary', textContent: 'Close' }, () => this.element.close()));
    this.element.addEventListener('click', event => event.target === this.element && this.element.close());
  }

  open() {
    this.element.showModal();
  }
}
