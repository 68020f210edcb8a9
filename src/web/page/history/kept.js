// The kept pictures of an interval: of its start, its peak and its end.

import { element } from '../words.js';
import { ShownLabel } from './shown_label.js';
import { timeOf } from './days.js';

const KINDS = { start: 'Start', peak: 'Peak', end: 'End' };

export class KeptPictures {
  /** `nearby` knows the labels, `hue` their colours. `pick` is called with the time of the picture that is chosen. */
  constructor(nearby, hue, pick) {
    Object.assign(this, { nearby, pick });
    this.shownLabel = new ShownLabel(hue);
    this.picture = element('img');
    this.picture.addEventListener('load', () => {
      this.shownLabel.fit({ width: this.picture.naturalWidth, height: this.picture.naturalHeight });
      this.shownLabel.show(this.nearby, this.at);
    });
    this.strip = element('div', { className: 'strip', role: 'group', 'aria-label': 'Kept pictures' });
    this.element = element('div', { className: 'kept', hidden: true }, element('div', { className: 'large-one' }, this.picture, this.shownLabel.element), this.strip);
  }

  /** Shows an interval's pictures, the one nearest to a time first; without pictures, nothing. */
  show(interval, at) {
    const pictures = interval?.pictures ?? [];
    this.element.hidden = pictures.length === 0;
    this.interval = interval;
    if (pictures.length === 0) {
      this.picture.removeAttribute('src');
      this.shownLabel.hide();
      this.strip.replaceChildren();
      return;
    }
    this.buttons = pictures.map(picture => {
      const button = element('button', { type: 'button', 'aria-pressed': 'false' },
        element('img', { src: picture.url, alt: '' }),
        element('span', {}, element('b', { textContent: KINDS[picture.kind] ?? picture.kind }), ' ', timeOf(picture.at)));
      button.addEventListener('click', () => { this.choose(picture); this.pick(picture.at); });
      return { picture, button };
    });
    this.strip.replaceChildren(...this.buttons.map(({ button }) => button));
    this.strip.hidden = pictures.length < 2;
    // At an interval's start, its peak says more.
    const peak = at - interval.start < 1000 && pictures.find(({ kind }) => kind === 'peak');
    this.choose(peak || pictures.reduce((one, other) => (Math.abs(other.at - at) < Math.abs(one.at - at) ? other : one)));
  }

  choose(picture) {
    this.at = picture.at;
    this.picture.src = picture.url;
    this.picture.alt = `${KINDS[picture.kind] ?? picture.kind} of ${this.interval.label}, ${timeOf(picture.at)}`;
    for (const { picture: own, button } of this.buttons) button.setAttribute('aria-pressed', own === picture);
  }
}
