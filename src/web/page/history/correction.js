// Says of a whole interval what it was: the kept frames in it are answered.

import { button } from '../controls.js';
import { utc } from '../client.js';
import { colour, count, element, setText } from '../words.js';
import { timeOf } from './days.js';

export class CorrectionDialog {
  /** `app.teach` has the labels. */
  constructor(app) {
    this.app = app;
    this.interval = element('bdi');
    this.times = element('span', { className: 'empty' });
    this.labels = element('ul', { className: 'labels', role: 'list', 'aria-label': 'Labels' });
    this.said = element('p', { className: 'said', role: 'status' });
    this.show = element('a', { href: '#/teach?state=contradictory', textContent: 'Show in Teach', hidden: true });
    this.element = element('dialog', { className: 'export correction', 'aria-labelledby': 'correction-title' },
      element('h2', { id: 'correction-title', className: 'what' }, element('span', { className: 'shown-label' }, 'This was…')),
      element('p', {}, 'livelabel said ', this.interval, ' ', this.times), this.labels,
      element('div', { className: 'came-of-it' }, this.said, this.show),
      element('div', { className: 'steps' }, button({ className: 'quiet', textContent: 'Close' }, () => this.element.close())));
    this.element.addEventListener('click', event => event.target === this.element && this.element.close());
  }

  open(stream, interval) {
    Object.assign(this, { stream, about: interval });
    const { labels } = this.app.teach;
    setText(this.interval, interval.label);
    setText(this.times, `${timeOf(interval.start)} – ${timeOf(interval.end)}`);
    this.say('');
    this.buttons = labels.map((label, at) => {
      const swatch = element('i', { className: 'swatch' });
      swatch.style.background = colour(labels, at);
      return button({ className: 'choice', title: label, 'aria-pressed': 'false' }, event => this.send(label, event.currentTarget), swatch, element('bdi', { textContent: label }));
    });
    this.labels.replaceChildren(...this.buttons.map(made => element('li', {}, made)));
    this.element.showModal();
  }

  say(text, { wrong = false, contrary = false } = {}) {
    setText(this.said, text);
    this.said.classList.toggle('wrong', wrong);
    this.show.hidden = !contrary;
  }

  async send(label, chosen) {
    for (const made of this.buttons) made.disabled = true;
    this.say('Saving…');
    const { stream, about: { start, end } } = this;
    const { ok, text, answer } = await this.app.admin.send('/api/teach/intervals', { stream, from: utc(start), to: utc(end), label });
    for (const made of this.buttons) {
      made.disabled = false;
      if (ok) made.setAttribute('aria-pressed', made === chosen);
    }
    if (!ok) return this.say(`Nothing was corrected: ${text}`, { wrong: true });
    this.say(describe(answer), { contrary: answer.contradictory > 0 });
    this.app.loadTeach();
  }
}

/** Says what came of a correction. */
function describe({ frames, contradictory }) {
  if (frames === 0 && contradictory === 0) return 'No frame of it is kept and none was recorded, so there is nothing to learn from.';
  const contrary = contradictory === 1 ? '1 contradicts an answer you gave' : `${contradictory} contradict answers you gave`;
  return `${count(frames, 'frame')} corrected${contradictory > 0 ? `, ${contrary}` : ''}.`;
}
