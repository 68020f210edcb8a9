// The large view of one stream: picture, timeline, current label, facts, and the last intervals. For cameras, for clips
// while they are analysed, and for finished recordings; player.js has what only a recording needs.

import { PauseButton } from './admin.js';
import { Chart } from './chart.js';
import { radios } from './controls.js';
import { Facts } from './facts.js';
import { IntervalTable } from './interval_table.js';
import { IntervalDialog, showKept } from './intervals.js';
import { Screen } from './pictures.js';
import { Player } from './player.js';
import { Timeline } from './timeline.js';
import { notice, SOON } from './wall.js';
import { REST, clock, colour, element, elapsed, moment, percent, result, setText, unsure } from './words.js';

const WINDOWS = [1, 3, 10];
const USUAL_WINDOW = 3;
/** The shortest span of a live timeline. */
const SHORTEST = 60e3;
/** A label is announced to screen readers after this time. */
const SETTLED = 1000;
const CALM = matchMedia('(prefers-reduced-motion: reduce)');

let minutes = USUAL_WINDOW;

/** Breaks a result into a line for each label, and never within a time. */
const lines = text => text.replaceAll('; ', '\n').replaceAll('–', '\u2060–\u2060');

export class Large {
  constructor(app, name) {
    this.app = app;
    this.name = name;
    const { mode } = app;
    this.live = mode !== 'recording';
    this.timeline = new Timeline(this.live);
    this.stream = app.stream(name);
    /** Whether times are times of the day. */
    this.camera = this.live && this.stream.live;
    this.pending = [];
    this.arrived = 0;
    this.made = performance.now();

    this.canvas = element('canvas', { width: 16, height: 9, role: 'img', 'aria-label': `${this.live ? 'Live picture' : 'Picture'} of ${name}` });
    this.notice = notice();
    this.stage = element('div', { className: 'stage' }, this.canvas, this.notice.element);
    this.screen = new Screen(this.canvas, frame => this.drawn(frame));
    if (!this.live) {
      this.player = new Player({ name, screen: this.screen, length: this.stream.duration_ms ?? 0, moved: ms => this.moved(ms) });
      this.stage.addEventListener('click', () => this.player.toggle());
    }
    this.dialog = new IntervalDialog(() => ({
      name, stream: this.stream, start: this.start, now: this.app.now(), intervals: this.timeline.intervals,
    }));
    const open = interval => this.dialog.open(interval, this.table.element);
    this.chart = new Chart({ timeline: this.timeline, live: this.camera, seek: this.player && (ms => this.player.seek(ms)), open });
    this.table = new IntervalTable({ name, live: this.live, open: interval => (this.player ? this.player.seek(interval.start) : open(interval)) });
    this.facts = new Facts();
    this.pausing = new PauseButton(app.admin, name);
    this.build();
    this.load();
    this.timer = setInterval(() => this.draw(), 1000);
  }

  build() {
    this.shown = element('bdi');
    this.share = element('span', { className: 'shown-share' });
    this.swatch = element('i', { className: 'swatch' });
    this.meters = element('ul', { className: 'meters', role: 'list' });
    this.state = element('p', { className: 'state' });

    const section = (className, title, ...children) => {
      const id = `title-${className}`;
      return element('section', { className, 'aria-labelledby': id },
        element('div', { className: 'over' }, element('h2', { id, textContent: title }), ...children.splice(0, children[0]?.tagName === 'FIELDSET' ? 1 : 0)),
        ...children);
    };
    const timeline = section('timeline', 'Timeline', ...(this.camera ? [this.windows()] : []), this.chart.element);
    this.current = section('current', this.live ? 'Now' : 'At this moment', element('p', { className: 'shown' }, element('span', { className: 'shown-label' }, this.swatch, this.shown), ' ', this.share), this.state, this.pausing.element, this.meters);
    const facts = section('facts', 'Facts', this.facts.element);
    const intervals = section('intervals', 'Intervals', this.table.none, this.table.element);
    this.element = element('article', { className: this.live ? 'large' : 'large recorded' },
      element('div', { className: 'watch' }, this.stage, ...(this.player ? [this.player.element] : []), timeline),
      element('div', { className: 'details' }, this.current, facts, intervals), this.dialog.element);
  }

  windows() {
    const windows = radios('Length of the timeline', 'window', WINDOWS.map(value => [value, `${value} min`]), value => { minutes = value; this.draw(); });
    windows.choose(minutes);
    return windows.element;
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.reading);
    this.loading?.abort();
    this.chart.close();
    this.screen.close();
    this.player?.close();
  }

  address() {
    return this.live ? `/pictures?stream=${encodeURIComponent(this.name)}` : null;
  }

  show({ name, jpeg }) {
    if (name === this.name) this.screen.show(jpeg);
  }

  drawn(frame) {
    if (!this.problem) this.notice.update(null, false);
    this.player?.drawn(frame);
  }

  /** Loads the timeline. Updates that arrive meanwhile are added after it. */
  async load() {
    this.loading?.abort();
    const { signal } = (this.loading = new AbortController());
    this.pending = [];
    this.loaded = false;
    try {
      const response = await fetch(`/api/streams/${encodeURIComponent(this.name)}/timeline`, { signal, cache: 'no-store' });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const timeline = await response.json();
      this.start = Date.parse(timeline.start_time) || 0;
      this.timeline.load(timeline);
      for (const update of this.pending) this.timeline.add(update);
      this.loaded = true;
      this.list();
      this.draw();
      this.player?.begin();
      if (this.player) this.moved(this.player.position);
    } catch {
      // The view was closed, or the server is unreachable; the banner shows that.
      if (!signal.aborted) this.retry = setTimeout(() => signal.aborted || this.load(), 2000);
    }
  }

  rows(update) {
    if (update.name !== this.name) return;
    if (!this.loaded) {
      if (this.pending.length < 100) this.pending.push(update);
      return;
    }
    this.timeline.add(update);
    this.arrived = performance.now();
    this.list();
    const row = this.timeline.rows.at(-1);
    if (row && !this.problem) this.showCurrent(row);
    if (!CALM.matches) this.draw();
  }

  update() {
    this.stream = this.app.stream(this.name);
    const { stream } = this;
    if (!stream) return;
    const [wide, high] = stream.size ?? [16, 9];
    this.element.style.setProperty('--aspect', wide / high);
    this.problem = this.live ? this.app.problem(stream) : null;
    this.notice.update(this.problem, this.live && !this.screen.shown && performance.now() - this.made > SOON);
    this.done = this.live && !this.camera && stream.state === 'ended' && !this.app.offline;
    this.element.classList.toggle('down', !!this.problem && !this.problem.calm);
    for (const state of ['ended', 'failed']) this.element.classList.toggle(state, this.live && stream.state === state);
    if (this.live) this.showCurrent(this.problem ? null : this.timeline.rows.at(-1));
    if (this.done && this.loaded && !this.screen.shown && !this.posted) {
      this.posted = true;
      const { intervals } = this.timeline;
      showKept(this.screen, this.name, intervals.findLast(interval => interval.label !== REST) ?? intervals.at(-1));
    }
    this.pausing.update(stream);
    this.updateState();
    this.facts.update(stream, this.timeline, this);
    this.dialog.update();
  }

  /** Shows the current label, and each label's confidence. */
  showCurrent(row) {
    const { stream, timeline } = this;
    if (!stream) return;
    const label = this.live ? stream.label : timeline.labels[row?.[1]] ?? null;
    const index = stream.labels.indexOf(label);
    const share = row && row[1] === index ? row[index + 2] : stream.confidence;
    const labelled = !this.problem && index >= 0;
    const unknown = unsure(stream, row);
    const none = this.done ? lines(result(stream, timeline.intervals)) : this.problem || !(this.live || row) ? 'no label' : unknown.text;
    setText(this.shown, labelled ? label : none);
    this.shown.classList.toggle('none', !labelled && !this.done);
    setText(this.share, labelled ? percent(share) : this.problem || !row ? '' : unknown.guess);
    this.swatch.hidden = !labelled;
    this.swatch.style.background = labelled ? colour(stream.labels, index) : '';
    this.current.classList.toggle('done', !!this.done);
    this.meters.hidden = !!this.done;
    if (this.live) setText(this.current.querySelector('h2'), this.done ? 'Found' : 'Now');
    this.meter(row);
    if (this.live) this.announceLater(this.problem ? `${this.problem.title} ${this.problem.reason}`.trim() : labelled ? `${label}, ${percent(share)}` : none, labelled ? label : none);
  }

  meter(row) {
    const { timeline } = this;
    const lines = timeline.lines();
    if (lines.join() !== this.metered || timeline.labels !== this.meteredLabels) {
      this.metered = lines.join();
      this.meteredLabels = timeline.labels;
      this.bars = lines.map(label => {
        const fill = element('span', { className: 'fill' });
        const share = element('span', { className: 'share' });
        const line = element('li', {}, element('bdi', { className: 'name', textContent: timeline.labels[label], title: timeline.labels[label] }),
          share, element('span', { className: 'bar' }, fill));
        line.style.setProperty('--hue', colour(timeline.labels, label));
        return { label, line, fill, share };
      });
      this.meters.replaceChildren(...this.bars.map(bar => bar.line));
    }
    for (const { label, line, fill, share } of this.bars) {
      const value = row?.[label + 2];
      fill.style.scale = `${value ?? 0} 1`;
      setText(share, value === undefined ? '–' : percent(value));
      line.classList.toggle('on', row?.[1] === label);
    }
  }

  /** Announces a change to screen readers after a delay. A change of `key` counts; other numbers do not. */
  announceLater(text, key) {
    const now = this.problem ? text : key;
    if (now === this.announced) return;
    this.announced = now;
    clearTimeout(this.reading);
    this.reading = setTimeout(() => this.app.announce(text), SETTLED);
  }

  updateState() {
    const { stream, app, problem } = this;
    const since = Date.parse(stream.since);
    this.state.hidden = !this.live;
    const clip = `${moment(stream.position_ms)}${stream.duration_ms ? ` of ${moment(stream.duration_ms)}` : ''} analysed`;
    const running = this.camera ? `Live since ${clock(since, app.now())} · ${elapsed(app.now() - since)}` : clip;
    setText(this.state, problem ? `${problem.title} ${problem.since}`.trim() : running);
  }

  draw() {
    const { timeline, stream, live } = this;
    if (!this.loaded || !stream) return;
    let from = 0;
    let to = stream.duration_ms ?? timeline.last;
    if (live && !this.camera) {
      // A long clip's first rows are forgotten.
      if (to > timeline.span) from = timeline.rows[0]?.[0] ?? 0;
    } else if (live) {
      // The timeline ends now: at the last frame while frames arrive, otherwise by the clock.
      to = timeline.last + (this.arrived ? performance.now() - this.arrived : 0);
      if (stream.state !== 'running') to = Math.max(to, this.app.now() - this.start);
      if (this.app.offline) to = timeline.last;
      const oldest = timeline.rows[0]?.[0] ?? to;
      from = Math.max(to - minutes * 60e3, Math.min(oldest, to - SHORTEST));
    }
    this.chart.update({ from, to, start: this.start, threshold: stream.threshold });
    if (this.player) this.chart.mark(this.player.position);
  }

  moved(ms) {
    this.chart.mark(ms);
    const row = this.timeline.at(ms);
    this.showCurrent(row);
    this.table.mark(ms);
  }

  list() {
    const time = ms => (this.camera ? clock(this.start + ms, this.app.now()) : moment(ms));
    this.table.update(this.timeline, { time, endOf: interval => this.chart.endOf(interval) });
  }
}
