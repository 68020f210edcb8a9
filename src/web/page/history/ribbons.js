// The day as ribbons: one for each stream, or a large one of one stream. They share one axis, and zoom together.

import { button, roundButton } from '../controls.js';
import { REST, colour, element, setText } from '../words.js';
import { endOf, endTimeOf, startOf, timeOf } from './days.js';
import { followPointer } from './gestures.js';
import { inks, paintAxis, paintRibbon } from './paint.js';
import { Readout, describe } from './readout.js';
import { Scale } from './scale.js';
import { Track } from './track.js';
import { WholeDay } from './whole_day.js';

const AXIS = 22;
/** Heights of a row, and of the ribbon in it. On a narrow page, the stream's name stands over its ribbon. */
const SIZES = {
  one: { full: 66, top: 4, height: 52 },
  wide: { full: 34, top: 6, height: 20 },
  narrow: { full: 46, top: 22, height: 16 },
};
/** Rows take what room there is, up to this height. Around them, the card has title, axis and legend. */
const HIGHEST = 48;
const AROUND = 138;
/** A stretch is loaded more finely when it was the same for this many milliseconds. */
const SETTLED = 150;
/** Today's ribbons are loaded again after this many milliseconds. */
const FRESH = 15e3;
const GLIDE = 180;
const CALM = matchMedia('(prefers-reduced-motion: reduce)');
const NARROW = matchMedia('(max-width: 599px)');

export class Ribbons {
  /** `pick` is called with the name of a stream and a selected time, `zoomed` when the visible stretch has settled. */
  constructor({ client, now, pick, zoomed, link }) {
    Object.assign(this, { client, now, pick, zoomed, link });
    this.scale = new Scale(() => this.moved());
    this.rows = [];
    this.hues = () => '#888';
    this.chosen = () => true;
    this.build();
    this.resized = new ResizeObserver(() => {
      if (this.postponed) this.load();
      this.draw();
    });
    this.resized.observe(this.list);
    this.themed = matchMedia('(prefers-color-scheme: dark)');
    this.retheme = () => { this.ink = null; this.draw(); };
    this.themed.addEventListener('change', this.retheme);
    NARROW.addEventListener('change', this.retheme);
  }

  build() {
    this.out = roundButton('Zoom out', 'M5 12h14', () => this.zoom(2), '−');
    this.all = button({ className: 'quiet', textContent: 'Whole day', title: 'Whole day (0)' }, () => this.fit());
    this.into = roundButton('Zoom in', 'M5 12h14M12 5v14', () => this.zoom(0.5), '+');
    this.axis = element('canvas', { className: 'axis', 'aria-hidden': 'true' });
    this.list = element('ul', { className: 'ribbons', role: 'list' });
    this.playhead = element('div', { className: 'playhead', hidden: true });
    this.readout = new Readout();
    this.whole = new WholeDay(this.scale);
    this.area = element('div', { className: 'tracks', tabIndex: 0, role: 'slider', 'aria-label': 'Moment of the day', 'aria-valuemin': 0, 'aria-valuemax': 0, 'aria-valuenow': 0 },
      this.axis, this.list, this.readout.line, this.playhead, this.readout.element);
    this.none = element('p', { className: 'empty none', hidden: true });
    const sample = (className, text) => element('span', {}, element('i', { className }), text);
    this.legend = element('p', { className: 'legend' }, sample('', 'watched'), sample('rest', REST), sample('kept-video', 'recorded'), sample('gap', 'no picture'));
    this.title = element('h2', { id: 'title-ribbons' });
    this.tools = element('div', { className: 'tools' }, this.out, this.all, this.into);
    this.element = element('section', { className: 'day', 'aria-labelledby': 'title-ribbons' },
      element('div', { className: 'over' }, this.title, this.whole.element, this.tools), this.area, this.none, this.legend);
    const place = event => event.clientX - this.list.getBoundingClientRect().left - this.left;
    followPointer(this.area, {
      scale: this.scale, place,
      pick: event => this.picked(event, place(event)),
      hover: event => this.hover(event, event && place(event)),
    });
  }

  close() {
    this.resized.disconnect();
    this.themed.removeEventListener('change', this.retheme);
    NARROW.removeEventListener('change', this.retheme);
    clearTimeout(this.settling);
    cancelAnimationFrame(this.drawing);
    cancelAnimationFrame(this.gliding);
    for (const { track } of this.rows) track.close();
  }

  /**
   * Shows a day of streams, and of it the stretch: null for all of it, undefined for what is visible already. `labels` are all
   * labels, `chosen` says of one whether it is filtered for.
   */
  show({ streams, one, day, stretch, labels, chosen }) {
    this.hues = name => this.colours().hue(colour(labels, labels.indexOf(name)));
    this.chosen = chosen;
    this.one = one;
    const names = streams.map(stream => stream.name);
    if (names.join('\n') !== this.rows.map(row => row.name).join('\n')) this.setRows(names);
    this.area.classList.toggle('single', one);
    this.area.setAttribute('role', one ? 'slider' : 'group');
    this.area.ariaLabel = one ? `Moment of the day of ${names[0]}` : 'Ribbons of all streams';
    for (const row of this.rows) row.anchor.href = this.link(row.name);
    if (day !== this.scale.day) {
      this.scale.setDay(day, startOf(day), endOf(day));
      this.load();
    }
    if (stretch !== undefined) {
      cancelAnimationFrame(this.gliding);
      this.scale.show(...(stretch ?? [this.scale.start, this.scale.end]));
    }
    this.area.setAttribute('aria-valuemax', Math.round((this.scale.end - this.scale.start) / 1000));
    this.moved();
  }

  setRows(names) {
    for (const { track } of this.rows) track.close();
    this.rows = names.map(name => {
      const canvas = element('canvas', { 'aria-hidden': 'true' });
      const anchor = element('a', { className: 'name', title: name }, element('bdi', { textContent: name }));
      const row = { name, canvas, anchor, element: element('li', {}, anchor, canvas) };
      row.track = new Track(this.client, name, () => this.loaded(row));
      return row;
    });
    this.list.replaceChildren(...this.rows.map(row => row.element));
    this.scale.day = null;
  }

  colours() {
    return (this.ink ??= inks(this.element));
  }

  /** The height that there is for rows. */
  get free() {
    return this.element.parentElement.clientHeight - AROUND;
  }

  /** The height that remains below the rows when they are as high as they can be. */
  get below() {
    return this.free - this.rows.length * HIGHEST;
  }

  get size() {
    if (this.one) return SIZES.one;
    if (NARROW.matches) return SIZES.narrow;
    return { ...SIZES.wide, full: this.high, height: this.high - SIZES.wide.full + SIZES.wide.height };
  }

  /** Where the ribbons begin, beside the names. */
  get left() {
    return this.rows[0]?.canvas.offsetLeft ?? 0;
  }

  get pixels() {
    return Math.max(1, Math.round(this.scale.width * devicePixelRatio));
  }

  /** Loads the day, once it is known how finely it is shown. */
  load() {
    this.postponed = !this.list.clientWidth;
    if (this.postponed) return;
    this.measure();
    this.fetched = performance.now();
    const { start, end } = this.scale;
    for (const { track } of this.rows) track.load({ start, end, width: Math.min(4096, this.pixels) }, this.now());
  }

  loaded(row) {
    this.paint(row);
    this.say();
    this.moment?.();
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.settle(), SETTLED);
  }

  /** Loads today again from time to time. */
  update() {
    const now = this.now();
    if (this.scale.start <= now && now < this.scale.end + FRESH && performance.now() - this.fetched > FRESH) this.load();
  }

  track(name) {
    return this.rows.find(row => row.name === name)?.track ?? null;
  }

  // --- zoom -----------------------------------------------------------------------------------------------------------

  zoom(factor) {
    const { scale } = this;
    const at = this.at != null && this.at >= scale.from && this.at <= scale.to ? this.at : (scale.from + scale.to) / 2;
    this.glide(...scale.zoomed(factor, at));
  }

  fit() {
    this.glide(this.scale.start, this.scale.end);
  }

  /** Shows a stretch around a time if the visible one does not have it. */
  reveal(ms) {
    const { scale } = this;
    if (ms >= scale.from && ms <= scale.to) return;
    this.glide(ms - 0.1 * scale.span, ms + 0.9 * scale.span);
  }

  /** Goes on with what plays, unless something else is looked at. */
  follow(from, to) {
    const { scale } = this;
    if (from >= scale.from && from <= scale.to && !this.area.classList.contains('held')) this.reveal(to);
  }

  glide(from, to) {
    cancelAnimationFrame(this.gliding);
    const { scale } = this;
    if (CALM.matches) return scale.show(from, to);
    const [first, last, began] = [scale.from, scale.to, performance.now()];
    const step = now => {
      const part = Math.min(1, Math.max(0, (now - began) / GLIDE));
      const eased = 1 - (1 - part) ** 3;
      scale.show(first + (from - first) * eased, last + (to - last) * eased);
      if (part < 1) this.gliding = requestAnimationFrame(step);
    };
    this.gliding = requestAnimationFrame(step);
  }

  moved() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.settle(), SETTLED);
    this.draw();
  }

  settle() {
    for (const { track } of this.rows) track.refine(this.scale, this.pixels, this.now());
    this.zoomed(this.scale.stretch);
  }

  // --- drawing --------------------------------------------------------------------------------------------------------

  draw() {
    this.drawing ||= requestAnimationFrame(() => {
      this.drawing = 0;
      this.measure();
      const { scale } = this;
      paintAxis(this.axis, scale, this.colours(), AXIS);
      for (const row of this.rows) this.paint(row);
      this.whole.draw();
      this.all.disabled = this.out.disabled = scale.whole;
      setText(this.title, scale.whole ? 'Day' : `${timeOf(scale.from)} – ${endTimeOf(scale.to)}`);
      this.mark(this.at);
    });
  }

  /** Reads how wide the ribbons are, and how high they can be. */
  measure() {
    const { canvas } = this.rows[0] ?? {};
    if (!canvas) return;
    this.high = Math.max(SIZES.wide.full, Math.min(HIGHEST, Math.floor(this.free / this.rows.length)));
    this.area.style.setProperty('--row', `${this.size.full}px`);
    this.scale.width = Math.max(1, canvas.clientWidth);
  }

  paint({ canvas, track }) {
    paintRibbon(canvas, track, this.scale, { ink: this.colours(), hues: this.hues, chosen: this.chosen, ...this.size });
  }

  /** Says why nothing is drawn. */
  say() {
    const known = this.rows.filter(({ track }) => track.day);
    const blank = known.length === this.rows.length && known.every(({ track }) => track.day.watched.length + track.day.spans.length === 0);
    const failed = this.rows.some(({ track }) => track.failed && !track.day);
    this.none.hidden = !(blank || failed);
    setText(this.none, failed ? 'This day could not be loaded.' : blank ? this.blank : '');
  }

  /** Shows where the selected moment is; null for none. */
  mark(ms) {
    this.at = ms;
    const { scale } = this;
    const visible = ms != null && this.one && ms >= scale.from && ms <= scale.to;
    this.playhead.hidden = !visible;
    if (visible) this.playhead.style.translate = `${this.left + scale.toX(ms)}px 0`;
    this.area.setAttribute('aria-valuenow', ms == null ? 0 : Math.round((ms - scale.start) / 1000));
    this.area.setAttribute('aria-valuetext', ms == null ? 'no moment selected' : `${timeOf(ms)}: ${describe(this.rows[0]?.track.at(ms))}`);
  }

  // --- pointer --------------------------------------------------------------------------------------------------------

  rowAt(event) {
    const box = this.list.getBoundingClientRect();
    return this.rows[Math.floor((event.clientY - box.top) / this.size.full)] ?? (this.one ? this.rows[0] : null);
  }

  picked(event, x) {
    const row = this.rowAt(event);
    if (row && x >= 0 && x <= this.scale.width) this.pick(row.name, this.scale.toMs(x));
  }

  hover(event, x) {
    const row = event && this.rowAt(event);
    const inside = row && x >= 0 && x <= this.scale.width;
    if (!inside) return this.readout.hide();
    const ms = this.scale.toMs(x);
    const known = row.track.at(ms, this.scale.span / this.scale.width);
    this.readout.show(this.area, row.element, { x: this.left + x, ms, known, hue: this.hues, below: !this.one });
  }
}
