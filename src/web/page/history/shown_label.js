// The label that was shown with a frame, over its picture: a plate, and along the lower edge a ribbon of the ten seconds before.

import { REST, element, percent, setText } from '../words.js';

/** What the ribbon spans, in milliseconds. */
const SPAN = 10e3;

export class ShownLabel {
  /** `hue` gives a label's colour. */
  constructor(hue) {
    this.hue = hue;
    this.label = element('bdi');
    this.fill = element('span', { className: 'fill' });
    this.share = element('span', { className: 'share' });
    this.plate = element('div', { className: 'plate' }, this.label, element('span', { className: 'bar' }, this.fill), this.share);
    this.ribbon = element('div', { className: 'recent' });
    // What it says stands below the picture, too.
    this.element = element('div', { className: 'over-picture', hidden: true, 'aria-hidden': 'true' }, this.plate, this.ribbon);
  }

  hide() {
    this.element.hidden = true;
  }

  /** Shows what `nearby` knows about a moment. Where no label was shown, there is no plate. */
  show(nearby, ms) {
    const interval = nearby.at(ms);
    const recent = nearby.before(ms, SPAN);
    this.element.hidden = !interval && recent.length === 0;
    this.plate.hidden = !interval;
    this.ribbon.style.backgroundImage = gradient(recent, ms, this.hue);
    if (!interval) return;
    const { label, mean } = interval;
    setText(this.label, label);
    this.plate.classList.toggle('rest', label === REST);
    this.plate.style.setProperty('--hue', this.hue(label));
    this.share.hidden = this.fill.parentElement.hidden = mean == null;
    setText(this.share, mean == null ? '' : percent(mean));
    this.fill.style.scale = `${mean ?? 0} 1`;
  }

  /** Takes the place of a picture that is as large as it can be where it is shown. */
  fit({ width, height }) {
    if (width && height) this.element.style.setProperty('--aspect', width / height);
  }
}

/** Returns the colours of the intervals of the last seconds before a moment, which is at the right end. */
function gradient(intervals, ms, hue) {
  const stops = [];
  const share = time => Math.round(Math.max(0, Math.min(1, 1 + (time - ms) / SPAN)) * 1e4) / 100;
  let end = 0;
  for (const interval of intervals) {
    const [from, to] = [Math.max(end, share(interval.start)), interval.open ? 100 : share(interval.end)];
    if (to <= from) continue;
    stops.push(`transparent ${end}% ${from}%`, `${hue(interval.label)} ${from}% ${to}%`);
    end = to;
  }
  return `linear-gradient(90deg, ${[...stops, `transparent ${end}% 100%`].join(', ')})`;
}
