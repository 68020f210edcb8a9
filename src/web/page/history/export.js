// Exports a recorded stretch as a video.

import { fields, utc } from '../client.js';
import { REST, brief, element, setText } from '../words.js';
import { dayOf, timeOf } from './days.js';

const LONGEST = 4 * 3600e3;
/** What surrounds an interval is exported with it. */
const AROUND = 5000;
const KINDS = ['mkv', 'mp4'];

export class ExportDialog {
  constructor() {
    this.from = element('input', { type: 'datetime-local', step: 1, required: true });
    this.to = element('input', { type: 'datetime-local', step: 1, required: true });
    for (const input of [this.from, this.to]) input.addEventListener('input', () => this.render());
    this.note = element('p', { className: 'empty', role: 'status' });
    this.links = KINDS.map(kind => element('a', { className: 'save', role: 'button', textContent: `Save ${kind.toUpperCase()}` }));
    for (const link of this.links) link.addEventListener('click', event => link.hasAttribute('href') ? this.element.close() : event.preventDefault());
    this.presets = element('div', { className: 'presets' });
    this.stream = element('bdi');
    const cancel = element('button', { type: 'button', className: 'quiet', textContent: 'Cancel' });
    cancel.addEventListener('click', () => this.element.close());
    this.element = element('dialog', { className: 'export', 'aria-labelledby': 'export-title' },
      element('h2', { id: 'export-title', className: 'what' }, element('span', { className: 'shown-label' }, 'Export video of ', this.stream)),
      this.presets,
      element('div', { className: 'times' }, element('label', {}, 'From', this.from), element('label', {}, 'To', this.to)),
      this.note,
      element('div', { className: 'steps' }, cancel, ...this.links));
    this.element.addEventListener('click', event => event.target === this.element && this.element.close());
  }

  /** Opens with the finding at the moment, or with the visible stretch if that is short enough, or with a minute. */
  open({ name, interval, stretch, at }) {
    this.name = name;
    setText(this.stream, name);
    const presets = [
      interval && interval.label !== REST && ['Interval', interval.start - AROUND, interval.end + AROUND],
      ['Visible stretch', ...stretch],
      ['One minute from here', at ?? stretch[0], (at ?? stretch[0]) + 60e3],
    ].filter(preset => preset && preset[2] - preset[1] <= LONGEST);
    this.presets.replaceChildren(...presets.map(([textContent, from, to]) => {
      const button = element('button', { type: 'button', className: 'quiet', textContent });
      button.addEventListener('click', () => this.fill(from, to));
      return button;
    }));
    const [, from, to] = presets[0];
    this.fill(from, to);
    this.element.showModal();
  }

  fill(from, to) {
    this.from.value = local(Math.floor(from / 1000) * 1000);
    this.to.value = local(Math.ceil(to / 1000) * 1000);
    this.render();
  }

  render() {
    const [from, to] = [this.from, this.to].map(input => new Date(input.value).getTime());
    const span = to - from;
    const problem = Number.isNaN(span) ? 'Enter two times.' : span <= 0 ? 'The end must be after the start.'
      : span > LONGEST ? `At most ${brief(LONGEST)} can be exported at once.` : '';
    setText(this.note, problem || `${brief(span)}, as it was recorded, from the key frame before the start.`);
    this.note.classList.toggle('wrong', !!problem);
    KINDS.forEach((kind, at) => {
      const link = this.links[at];
      if (problem) link.removeAttribute('href');
      else link.href = `/api/history/export.${kind}?${fields({ stream: this.name, from: utc(from), to: utc(to) })}`;
      link.setAttribute('aria-disabled', !!problem);
      link.download = '';
    });
  }
}

const local = ms => `${dayOf(ms)}T${timeOf(ms)}`;
