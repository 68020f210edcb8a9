// What is said about the time under the pointer, beside a line across the ribbons.

import { describeReason, element } from '../words.js';
import { timeOf } from './days.js';

const BESIDE = 14;

export class Readout {
  constructor() {
    this.line = element('div', { className: 'crosshair', hidden: true });
    this.element = element('div', { className: 'readout', hidden: true });
  }

  hide() {
    this.line.hidden = this.element.hidden = true;
  }

  /** Shows what is known about a time at `x` in `area`, below `row` or, where no room is, above it. */
  show(area, row, { x, ms, known, hue, below }) {
    this.line.hidden = this.element.hidden = false;
    const swatch = element('i', { className: 'swatch' });
    swatch.style.background = known?.label ? hue(known.label) : '';
    this.element.replaceChildren(
      element('div', { className: 'when', textContent: timeOf(ms) }),
      ...(known?.label ? [element('div', { className: 'item on' }, swatch, element('bdi', { textContent: known.label }))] : []),
      element('div', { className: 'item', textContent: state(known) }));
    this.line.style.translate = `${x}px 0`;
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const left = x + BESIDE + width < area.clientWidth ? x + BESIDE : Math.max(0, x - BESIDE - width);
    const end = area.scrollTop + area.clientHeight;
    const top = !below ? row.offsetTop : row.offsetTop + row.offsetHeight + height > end ? row.offsetTop - height - 4 : row.offsetTop + row.offsetHeight;
    this.element.style.translate = `${left}px ${top}px`;
  }
}

/** Says what is known about a time, in a line. */
export const describe = known => [known?.label, state(known)].filter(Boolean).join(', ');

function state(known) {
  if (!known) return '';
  if (known.gap) return `no picture${known.gap.reason ? `: ${describeReason(known.gap.reason)}` : ''}`;
  return known.recorded ? 'recorded' : known.watched ? 'not recorded' : 'not watched';
}
