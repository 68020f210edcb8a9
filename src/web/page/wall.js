// The wall: all streams as tiles. Each tile links to its stream's large view, and shows its last intervals.

import { Timeline } from './timeline.js';
import { Cards, IntervalDialog, showKept } from './intervals.js';
import { arrange } from './layout.js';
import { Screen } from './pictures.js';
import { REST, colour, element, percent, result, setText, unsure } from './words.js';

const RATE = 8;
/** Scrolling counts as settled after this many milliseconds. */
const SETTLED = 200;
/** "Waiting for a picture" appears only after this many milliseconds. */
export const SOON = 1000;
/** Space below the last row. */
const MARGIN = 16;
/** A camera's ribbon shows this many minutes; a clip's shows the whole clip. */
const RIBBON = 3;

export class Wall {
  constructor(app) {
    this.app = app;
    this.tiles = new Map();
    this.pending = [];
    this.list = element('ul', { className: 'wall', role: 'list' });
    this.none = element('p', { className: 'blank', textContent: 'No streams.' });
    this.dialog = new IntervalDialog(() => this.opened.about());
    this.element = element('section', { 'aria-label': 'All streams' }, this.list, this.none, this.dialog.element);
    this.resized = new ResizeObserver(() => this.arrange());
    this.resized.observe(this.element);
    // Tiles out of sight get no pictures. The margin loads pictures before a tile scrolls into view.
    this.seen = new IntersectionObserver(entries => this.updateVisible(entries), { rootMargin: '200px' });
    this.refit = () => this.arrange();
    addEventListener('resize', this.refit);
    this.load();
  }

  close() {
    removeEventListener('resize', this.refit);
    this.resized.disconnect();
    this.seen.disconnect();
    this.loading?.abort();
    clearTimeout(this.settling);
    for (const tile of this.tiles.values()) tile.close();
  }

  /** Loads the last intervals of all streams. Updates that arrive meanwhile are added after them. */
  async load() {
    this.loading?.abort();
    const { signal } = (this.loading = new AbortController());
    this.loaded = false;
    this.pending = [];
    try {
      const response = await fetch('/api/intervals', { signal, cache: 'no-store' });
      if (!response.ok) throw new Error(`status ${response.status}`);
      for (const stream of (await response.json()).streams) this.tiles.get(stream.name)?.load(stream);
      for (const update of this.pending) this.tiles.get(update.name)?.add(update);
      this.loaded = true;
      this.update();
    } catch {
      // The view was closed, or the server is unreachable; the banner shows that.
      if (!signal.aborted) setTimeout(() => signal.aborted || this.load(), 2000);
    }
  }

  update() {
    const { streams } = this.app;
    const names = streams.map(stream => stream.name);
    if (JSON.stringify(names) !== JSON.stringify([...this.tiles.keys()])) this.layOut(names);
    for (const stream of streams) this.tiles.get(stream.name).update(stream);
    if (!this.found && [...this.tiles.values()].some(tile => tile.found)) this.arrange();
    this.dialog.update();
    this.none.hidden = streams.length > 0;
  }

  layOut(names) {
    for (const [name, tile] of this.tiles) {
      if (names.includes(name)) continue;
      this.seen.unobserve(tile.element);
      tile.close();
      this.tiles.delete(name);
    }
    const open = (tile, interval) => {
      this.opened = tile;
      this.dialog.open(interval, tile.link);
    };
    const tiles = names.map(name => [name, this.tiles.get(name) ?? new Tile(this.app, name, open)]);
    this.tiles = new Map(tiles);
    this.list.replaceChildren(...tiles.map(([, tile]) => tile.element));
    for (const [, tile] of tiles) this.seen.observe(tile.element);
    this.arrange();
  }

  updateVisible(entries) {
    for (const entry of entries) {
      const tile = [...this.tiles.values()].find(tile => tile.element === entry.target);
      if (tile) tile.visible = entry.isIntersecting;
    }
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.app.watch(this.address()), this.visibleKnown ? SETTLED : 0);
    this.visibleKnown = true;
  }

  /** Returns the URL of the pictures of all visible tiles, over one connection. */
  address() {
    const names = [...this.tiles].filter(([, tile]) => tile.visible).map(([name]) => `stream=${encodeURIComponent(name)}`);
    return names.length > 0 ? `/pictures?${names.join('&')}&fps=${RATE}` : null;
  }

  show({ name, jpeg, ms }) {
    this.tiles.get(name)?.screen.show(jpeg);
  }

  /** Forgets what is known of a stream that was restarted. */
  restart(name) {
    this.tiles.get(name)?.restart();
  }

  rows(update) {
    if (this.loaded) this.tiles.get(update.name)?.add(update);
    else if (this.pending.length < 1000) this.pending.push(update);
  }

  arrange() {
    const room = this.element.clientWidth;
    if (!this.tiles.size || !room) return;
    const height = innerHeight - this.element.getBoundingClientRect().top - scrollY - MARGIN;
    this.found = [...this.tiles.values()].some(tile => tile.found);
    const layout = arrange(this.tiles.size, room, height, this.found);
    this.list.classList.toggle('tight', layout.tight);
    this.list.classList.toggle('side', layout.side);
    for (const name of ['columns', 'tile', 'height', 'picture', 'cards']) this.list.style.setProperty(`--${name}`, layout[name]);
    for (const tile of this.tiles.values()) tile.fill(layout.shown);
  }
}

class Tile {
  constructor(app, name, open) {
    this.app = app;
    this.name = name;
    this.visible = false;
    this.made = performance.now();
    this.timeline = new Timeline(true);
    this.start = 0;
    this.canvas = element('canvas', { width: 16, height: 9, role: 'img', 'aria-label': `Live picture of ${name}` });
    this.notice = notice();
    this.ribbon = element('span', { className: 'ribbon', 'aria-hidden': 'true' });
    this.swatch = element('i', { className: 'swatch' });
    this.label = element('bdi', { className: 'label' });
    this.share = element('span', { className: 'share' });
    this.link = element('a', { className: 'tile', href: `#/stream/${encodeURIComponent(name)}` },
      element('span', { className: 'stage' }, this.canvas, this.notice.element),
      this.ribbon,
      element('span', { className: 'caption' },
        element('bdi', { className: 'name', textContent: name, title: name }), ' ',
        element('span', { className: 'says' }, this.swatch, this.label, ' ', this.share)));
    this.cards = new Cards(name, interval => open(this, interval));
    this.element = element('li', { className: 'cell' }, this.link, this.cards.element);
    this.screen = new Screen(this.canvas, () => this.notice.update(this.problem, false));
  }

  close() {
    this.screen.close();
  }

  restart() {
    this.history = new History(true);
    this.row = null;
  }

  /** Sets how many cards have room. */
  fill(shown) {
    this.room = shown;
    this.cards.element.hidden = shown === 0;
    this.list();
  }

  load({ start_time: start, intervals, gaps }) {
    this.start = Date.parse(start);
    this.timeline.load({ labels: this.stream?.labels ?? [], rows: [], intervals, gaps });
  }

  add({ rows, intervals, gaps }) {
    this.timeline.add({ intervals, gaps });
    this.row = rows?.at(-1) ?? this.row;
    if (this.stream) this.say();
    this.list();
  }

  /** Whether an activity was found. */
  get found() {
    return this.timeline.intervals.some(interval => interval.label !== REST);
  }

  /** What cards and dialog show: the findings, or if there are none, everything. */
  about() {
    const { name, stream, start, found, timeline } = this;
    const intervals = found ? timeline.intervals.filter(interval => interval.label !== REST) : timeline.intervals;
    return { name, stream, start, now: this.app.now(), intervals };
  }

  update(stream) {
    this.stream = stream;
    this.start = Date.parse(stream.start_time);
    const problem = this.app.problem(stream);
    this.problem = problem;
    const waits = !problem && !this.screen.shown && performance.now() - this.made > SOON;
    this.notice.update(problem, waits);
    this.link.classList.toggle('down', !!problem && !problem.calm);
    for (const state of ['ended', 'failed', 'waiting', 'paused']) this.link.classList.toggle(state, stream.state === state);
    if (problem && stream.state !== 'ended') this.row = null;
    this.say();
    this.list();
    if (stream.state === 'ended' && !stream.live && !this.screen.shown) this.showResult();
  }

  /** Says the label and its confidence, or why there is none, or what was found. */
  say() {
    const { stream, problem, row } = this;
    const index = problem ? -1 : stream.labels.indexOf(stream.label);
    const done = stream.state === 'ended' && !stream.live && !this.app.offline;
    let [text, share] = [stream.label, percent(row && row[1] === index ? row[index + 2] : stream.confidence)];
    if (done) [text, share] = [result(stream, this.timeline.intervals), ''];
    else if (problem) [text, share] = [problem.title.toLowerCase(), ''];
    else if (index < 0) {
      const { text: why, guess } = unsure(stream, row);
      [text, share] = [why, guess && `· ${guess}`];
    }
    setText(this.label, text);
    this.label.title = done ? text : '';
    setText(this.share, share);
    this.label.classList.toggle('none', !problem && index < 0);
    this.swatch.hidden = index < 0;
    this.link.style.setProperty('--hue', index < 0 ? 'transparent' : colour(stream.labels, index));
  }

  /** Shows the last intervals: as a ribbon, and as cards where there is room. */
  list() {
    const { stream, timeline, start } = this;
    if (!stream) return;
    const now = this.app.now();
    this.ribbon.style.backgroundImage = ribbon(stream, timeline, now - start);
    if (!this.room) return;
    const { intervals } = this.about();
    const none = ['waiting', 'ended', 'failed', 'paused'].includes(stream.state) ? '' : 'No intervals yet';
    this.cards.update(intervals.slice(-this.room).reverse(), stream, start, now, none);
  }

  /** After the end, shows the most confident finding if no viewer saw a picture before. */
  showResult() {
    const { intervals } = this.timeline;
    if (this.posted || intervals.length === 0) return;
    this.posted = true;
    const found = intervals.filter(interval => interval.label !== REST);
    const [best] = (found.length ? found : [...intervals]).sort((a, b) => b.peak - a.peak);
    showKept(this.screen, this.name, best);
  }
}

/** Returns a CSS image with each interval in its label's colour: a camera's last minutes, or the whole clip. */
function ribbon(stream, { intervals, gaps }, now) {
  const to = stream.live ? now : stream.duration_ms ?? stream.position_ms;
  const from = stream.live ? now - RIBBON * 60e3 : 0;
  const end = { interval: item => (item.open ? stream.live ? now : stream.position_ms : item.end), gap: item => item.end ?? now };
  const parts = [
    ...intervals.map(item => [item.start, end.interval(item), colour(stream.labels, stream.labels.indexOf(item.label))]),
    ...gaps.map(item => [item.start, end.gap(item), 'var(--hatch)']),
  ].filter(([start, end]) => end > from && start < to).sort(([one], [other]) => one - other);
  const place = ms => `${(100 * Math.max(0, Math.min(1, (ms - from) / (to - from)))).toFixed(2)}%`;
  let last = '0%';
  const stops = parts.map(([start, end, hue]) => {
    const [left, right] = [place(start), place(end)];
    const stop = `transparent ${last} ${left}, ${hue} ${left} ${right}`;
    last = right;
    return stop;
  });
  return stops.length ? `linear-gradient(to right, ${stops.join(', ')}, transparent ${last})` : 'none';
}

/** Creates the notice over a picture: a problem, or waiting for a picture. */
export function notice() {
  const title = element('b');
  const since = element('span');
  const reason = element('span', { className: 'reason' });
  const made = element('span', { className: 'notice', hidden: true }, title, ' ', since, ' ', reason);
  return {
    element: made,
    update(problem, waiting) {
      made.hidden = problem ? problem.inBanner : !waiting;
      if (problem) [[title, problem.title], [since, problem.since], [reason, problem.reason]].forEach(([node, text]) => setText(node, text));
      else if (waiting) [[title, 'Waiting for a picture'], [since, ''], [reason, '']].forEach(([node, text]) => setText(node, text));
    },
  };
}
