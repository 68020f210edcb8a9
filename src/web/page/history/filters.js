// What the history is filtered by: the stream, and an interval's length and confidence; and the labels, with how many intervals
// of each there are.

import { setOptions } from '../controls.js';
import { REST, brief, count, element, length, percent, setChildren, setText } from '../words.js';

const LENGTHS = [1, 2, 5, 10, 30, 60, 300];
const CONFIDENCES = [50, 60, 70, 80, 90, 95];

/** The selections of stream, length and confidence. `set` is called with what changes. */
export class Filters {
  constructor(set) {
    const select = (name, change) => {
      const made = element('select', { 'aria-label': name, title: name });
      made.addEventListener('change', () => set(change(made.value)));
      return made;
    };
    this.streams = select('Stream', stream => ({ stream: stream || null }));
    this.lengths = select('Shortest interval', min => ({ min: Number(min) }));
    this.confidences = select('Lowest confidence', confidence => ({ confidence: Number(confidence) }));
    this.element = element('div', { className: 'filters', role: 'group', 'aria-label': 'Filters' }, this.streams, this.lengths, this.confidences);
  }

  show({ names, stream, min, confidence }) {
    setOptions(this.streams, [['', 'All streams'], ...names.map(name => [name, name])], stream ?? '');
    setOptions(this.lengths, [[0, 'Any length'], ...values(LENGTHS, min).map(value => [value, `${brief(value * 1000)} or longer`])], min);
    setOptions(this.confidences, [[0, 'Any confidence'], ...values(CONFIDENCES, confidence).map(value => [value, `${percent(value / 100)} or more`])], confidence);
    this.lengths.classList.toggle('on', min > 0);
    this.confidences.classList.toggle('on', confidence > 0);
    this.streams.classList.toggle('on', !!stream);
  }
}

/** The usual values, with the one from an address. */
const values = (usual, value) => (value && !usual.includes(value) ? [...usual, value].sort((a, b) => a - b) : usual);

/** The labels with their totals. Each is a button that filters for it. */
export class Totals {
  /** `toggle` is called with a label. */
  constructor(toggle) {
    this.toggle = toggle;
    this.buttons = new Map();
    this.list = element('ul', { className: 'totals', role: 'list', 'aria-label': 'Labels' });
    this.sum = element('p', { className: 'sum', role: 'status' });
  }

  /** Shows labels in their order, the rest last. `sums` is null while it is not known. */
  show({ labels, chosen, hue, sums }) {
    const of = label => sums?.[label] ?? { count: 0, duration_ms: 0 };
    const listed = [...labels].sort((one, other) => (one === REST) - (other === REST)).map(label => ({ label, ...of(label) }));
    setChildren(this.list, listed.map(({ label, count: number, duration_ms: duration }) => {
      const made = this.buttons.get(label) ?? this.make(label);
      made.swatch.style.background = hue(label);
      setText(made.number, sums ? number.toLocaleString('en-GB') : '');
      setText(made.long, sums && number ? length(duration) : '');
      made.button.setAttribute('aria-pressed', chosen.includes(label));
      made.button.classList.toggle('none', sums != null && number === 0);
      return made.element;
    }));
    const counted = listed.filter(({ label }) => (chosen.length ? chosen.includes(label) : label !== REST || labels.length === 1));
    const [number, duration] = ['count', 'duration_ms'].map(field => counted.reduce((sum, one) => sum + one[field], 0));
    setText(this.sum, !sums ? ' ' : number ? `${count(number, 'interval')} · ${length(duration)}` : 'No intervals');
  }

  make(label) {
    const swatch = element('i', { className: 'swatch' });
    const [number, long] = [element('b'), element('span', { className: 'long' })];
    const button = element('button', { type: 'button', title: label }, swatch, element('bdi', { textContent: label }), ' ', number, ' ', long);
    button.addEventListener('click', () => this.toggle(label));
    const made = { element: element('li', {}, button), button, swatch, number, long };
    this.buttons.set(label, made);
    return made;
  }
}
