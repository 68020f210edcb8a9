// Recent intervals with their kept pictures: cards on the wall, thumbnails in a list, and a dialog that shows one interval.

import { roundButton } from './controls.js';
import { clock, colour, element, length, moment, percent, setChildren, setText, span } from './words.js';

/** Returns the URL of an interval's picture; null if none is kept. A newer picture has another URL. */
function address(name, interval) {
  return interval.picture_ms == null ? null
    : `/api/streams/${encodeURIComponent(name)}/intervals/${interval.id}.jpg?at=${interval.picture_ms}`;
}

/** Shows an interval's kept picture on a screen, if there is one. */
export async function showKept(screen, name, interval) {
  const url = interval && address(name, interval);
  if (!url) return;
  try {
    const response = await fetch(url, { cache: 'no-store' });
    if (response.ok) screen.show(await response.blob());
  } catch {
    // The server is unreachable; the banner shows that.
  }
}

/** An interval's small picture. Decorative: what stands beside it says everything. */
export class Thumbnail {
  constructor() {
    this.picture = element('img', { alt: '', loading: 'lazy', hidden: true });
    this.picture.addEventListener('error', () => { this.picture.hidden = true; });
    this.element = element('span', { className: 'thumbnail' }, this.picture);
  }

  update(name, interval) {
    const url = address(name, interval);
    if (url === this.url) return;
    this.url = url;
    this.picture.hidden = !url;
    if (url) this.picture.src = url;
  }
}

/** The last intervals of a stream as cards, latest first. */
export class Cards {
  constructor(name, open) {
    Object.assign(this, { name, open });
    this.cards = new Map();
    this.element = element('ul', { className: 'cards', role: 'list', 'aria-label': `Recent intervals of ${name}` });
    this.none = element('li', { className: 'empty' });
  }

  /** Shows the intervals; `none` if there are none. */
  update(intervals, stream, start, now, none) {
    const cards = intervals.map(interval => this.cards.get(interval.id) ?? this.card(interval, stream));
    this.cards = new Map(intervals.map((interval, at) => [interval.id, cards[at]]));
    setText(this.none, none);
    setChildren(this.element, cards.length ? cards.map(card => card.element) : [this.none]);
    intervals.forEach((interval, at) => {
      const card = cards[at];
      card.thumbnail.update(this.name, interval);
      setText(card.when, span(interval, stream, start, now));
    });
  }

  card(interval, stream) {
    const thumbnail = new Thumbnail();
    const swatch = element('i', { className: 'swatch' });
    swatch.style.background = colour(stream.labels, stream.labels.indexOf(interval.label));
    const when = element('span', { className: 'when' });
    const button = element('button', { type: 'button', className: 'card' }, thumbnail.element,
      element('span', { className: 'label' }, swatch, element('bdi', { textContent: interval.label })), ' ', when);
    button.addEventListener('click', () => this.open(interval));
    return { element: element('li', {}, button), thumbnail, when };
  }
}

/** Shows one interval over the page: its picture, label, times and confidence. Closing returns to the live view. */
export class IntervalDialog {
  /** `source` returns { name, stream, start, now, intervals }, with intervals in the order of time. */
  constructor(source) {
    this.source = source;
    this.picture = element('img');
    this.picture.addEventListener('error', () => this.missing(true));
    this.none = element('p', { className: 'blank', textContent: 'No picture of this interval is kept.' });
    this.swatch = element('i', { className: 'swatch' });
    this.label = element('bdi');
    this.share = element('span', { className: 'shown-share' });
    this.title = element('h2', { id: 'interval-title', className: 'what' },
      element('span', { className: 'shown-label' }, this.swatch, this.label), ' ', this.share);
    this.when = element('p');
    this.means = element('p', { className: 'empty' });
    this.earlier = roundButton('Earlier interval', 'M14.5 5.5 8 12l6.5 6.5', () => this.step(-1));
    this.later = roundButton('Later interval', 'M9.5 5.5 16 12l-6.5 6.5', () => this.step(1));
    const close = element('button', { type: 'button', className: 'close', textContent: 'Close' });
    close.addEventListener('click', () => this.element.close());
    this.element = element('dialog', { className: 'interval', 'aria-labelledby': 'interval-title' },
      element('div', { className: 'stage' }, this.picture, this.none),
      element('div', { className: 'about' },
        element('div', { 'aria-live': 'polite' }, this.title, this.when, this.means),
        element('div', { className: 'steps' }, this.earlier, this.later, close)));
    this.element.addEventListener('close', () => this.closed());
    this.element.addEventListener('click', event => event.target === this.element && this.element.close());
    this.element.addEventListener('keydown', event => this.key(event));
  }

  /** `beside` gets the focus at the end if what had it is gone, as a card of an old interval. */
  open(interval, beside) {
    this.beside = beside;
    this.id = interval.id;
    this.update();
    this.element.showModal();
  }

  /** Fills the dialog in again: an interval that lasts changes. */
  update() {
    if (this.id == null) return;
    const { name, stream, start, now, intervals } = this.source();
    const at = intervals.findIndex(interval => interval.id === this.id);
    const interval = intervals[at];
    if (!interval || !stream) return;
    this.earlier.disabled = at === 0;
    this.later.disabled = at === intervals.length - 1;
    const url = address(name, interval);
    if (url !== this.url) {
      this.url = url;
      this.missing(!url);
      if (url) this.picture.src = url;
    }
    this.picture.alt = `${interval.label}, ${name}`;
    this.swatch.style.background = colour(stream.labels, stream.labels.indexOf(interval.label));
    setText(this.label, interval.label);
    setText(this.share, interval.peak == null ? '' : percent(interval.peak));
    const time = ms => (stream.live ? clock(start + ms, now) : moment(ms));
    setText(this.when, interval.open ? `Since ${time(interval.start)}, still going`
      : `${time(interval.start)} – ${time(interval.end)} · ${length(interval.end - interval.start)}`);
    setText(this.means, `${percent(interval.mean)} on average, ${percent(interval.peak)} at most`);
  }

  closed() {
    this.id = null;
    if (document.activeElement === document.body) this.beside.focus();
  }

  missing(is) {
    this.none.hidden = !is;
    this.picture.hidden = is;
  }

  step(by) {
    const { intervals } = this.source();
    const next = intervals[intervals.findIndex(interval => interval.id === this.id) + by];
    if (!next) return;
    this.id = next.id;
    this.update();
  }

  key(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    this.step(by);
    event.preventDefault();
  }
}
