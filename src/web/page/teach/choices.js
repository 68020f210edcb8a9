// The labels as buttons, each with its key. Where there are more labels than keys, a field finds them.

import { button } from '../controls.js';
import { REST, colour, element, setChildren, setText } from '../words.js';
import { SKIPPED } from './answers.js';

/** The keys of the labels, in their order. `u` and `x` do something else. */
const KEYS = '123456789abcdefghijklmnopqrstvwyz';

export class Choices {
  /** `give` is called with the label that is chosen, or SKIPPED; `undo` and `add` to take an answer back and to make a label. */
  constructor({ give, undo, add, help }) {
    this.give = give;
    this.labels = [];
    this.made = new Map();
    this.list = element('ul', { className: 'labels', role: 'list', 'aria-label': 'Labels' });
    this.find = element('input', { type: 'search', placeholder: 'Find a label (/)', 'aria-label': 'Find a label', hidden: true });
    this.find.addEventListener('input', () => this.filter());
    this.find.addEventListener('keydown', event => this.inField(event));
    this.none = element('p', { className: 'empty', role: 'status', hidden: true, textContent: 'No label has this name.' });
    const other = (key, name, act, title = name) => button({ className: 'choice other', title, 'aria-keyshortcuts': key }, act,
      element('kbd', { textContent: key, 'aria-hidden': 'true' }), element('span', { textContent: name }));
    this.skip = other('x', 'Cannot tell', () => give(SKIPPED), 'Cannot tell: hides this frame, and nothing learns from it');
    this.back = other('u', 'Undo', undo, 'Take the last answer back');
    this.add = button({ className: 'choice other', textContent: 'New label…' }, add);
    this.help = button({ className: 'choice other', 'aria-label': 'Keys', title: 'Keys (?)' }, help, element('kbd', { textContent: '?' }));
    this.element = element('div', { className: 'choices', role: 'group', 'aria-label': 'Answer' },
      this.find, this.list, this.none, element('div', { className: 'others' }, this.skip, this.back, this.add, this.help));
  }

  /** Shows the labels, which of them is the answer, and whether one can be given and taken back. */
  show({ labels, answer, may, undo }) {
    if (JSON.stringify(labels) !== JSON.stringify(this.labels)) this.make(labels);
    if (answer !== this.answer) {
      this.made.get(this.answer)?.button.setAttribute('aria-pressed', 'false');
      this.made.get(answer)?.button.setAttribute('aria-pressed', 'true');
      this.answer = answer;
    }
    this.skip.setAttribute('aria-pressed', answer === SKIPPED);
    if (this.may !== may) for (const { button } of this.made.values()) button.disabled = !may;
    this.skip.disabled = !may;
    this.back.disabled = !undo;
    this.may = may;
  }

  make(labels) {
    this.labels = labels;
    this.answer = this.may = undefined;
    this.made = new Map(labels.map((label, at) => {
      const swatch = element('i', { className: 'swatch' });
      swatch.style.background = colour(labels, at);
      const key = KEYS[at];
      const made = button({ className: 'choice', title: label, 'aria-pressed': 'false', ...(key ? { 'aria-keyshortcuts': key } : {}) },
        () => this.give(label), ...(key ? [element('kbd', { textContent: key, 'aria-hidden': 'true' })] : []), swatch, element('bdi', { textContent: label }));
      return [label, { item: element('li', {}, made), button: made }];
    }));
    this.find.hidden = labels.length <= KEYS.length;
    this.list.classList.toggle('many', !this.find.hidden);
    this.filter();
  }

  /** Returns the label of a key, or undefined. */
  labelOf(key) {
    const at = KEYS.indexOf(key);
    return key.length === 1 && at >= 0 ? this.labels[at] : undefined;
  }

  keyOf = label => KEYS[this.labels.indexOf(label)];

  // --- finding --------------------------------------------------------------------------------------------------------

  filter() {
    const wanted = this.find.value.trim().toLowerCase();
    const found = this.labels.filter(label => label.toLowerCase().includes(wanted));
    // What is called exactly so comes first.
    if (wanted) found.sort((one, other) => rank(one, wanted) - rank(other, wanted));
    setChildren(this.list, found.map(label => this.made.get(label).item));
    this.none.hidden = found.length > 0;
    this.first = wanted ? found[0] : undefined;
  }

  inField(event) {
    if (event.key === 'Enter' && this.first !== undefined && this.may) this.give(this.first);
    else if (event.key !== 'Escape') return;
    event.preventDefault();
    this.find.value = '';
    this.filter();
    this.find.blur();
  }
}

function rank(label, wanted) {
  const name = label.toLowerCase();
  return name === wanted ? 0 : name.startsWith(wanted) ? 1 : 2;
}

/** Shows a label with its colour. */
export class Named {
  constructor() {
    this.swatch = element('i', { className: 'swatch' });
    this.label = element('bdi');
    this.element = element('span', { className: 'label' }, this.swatch, this.label);
  }

  show(label, labels) {
    this.swatch.hidden = !label;
    this.swatch.style.background = label ? hue(labels, label) : '';
    setText(this.label, label === SKIPPED ? 'cannot tell' : label ?? '');
  }
}

/** The colour of a label. One that is not among the labels any more is grey, as the rest. */
export const hue = (labels, label) => (labels.includes(label) ? colour(labels, labels.indexOf(label)) : colour([REST], 0));
