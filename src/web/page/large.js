// One stream, enlarged: the picture first, the timeline under it, then what is shown now, the facts, and the last
// intervals. Serves cameras and finished recordings; what only a recording has is in player.js.

import { Chart } from './chart.js';
import { History } from './history.js';
import { Screen } from './pictures.js';
import { Player } from './player.js';
import { notice, SOON } from './wall.js';
import { clock, colour, element, lasting, length, moment, percent, say } from './words.js';

const WINDOWS = [1, 3, 10];
const USUAL_WINDOW = 3;
/** The shortest stretch that a live timeline shows, however young the stream. */
const SHORTEST = 60e3;
const LISTED = 30;
/** A label is read out once it has stayed for so long. */
const SETTLED = 1000;
const CALM = matchMedia('(prefers-reduced-motion: reduce)');

let minutes = USUAL_WINDOW;

export class Large {
  constructor(board, name) {
    this.board = board;
    this.name = name;
    const { mode } = board;
    this.live = mode !== 'recording';
    this.history = new History(this.live);
    this.stream = board.stream(name);
    this.early = [];
    this.arrived = 0;
    this.made = performance.now();

    this.canvas = element('canvas', { width: 16, height: 9, role: 'img', 'aria-label': `${this.live ? 'Live picture' : 'Picture'} of ${name}` });
    this.notice = notice();
    this.stage = element('div', { className: 'stage' }, this.canvas, this.notice.element);
    this.screen = new Screen(this.canvas, ms => this.drew(ms));
    if (!this.live) {
      this.player = new Player({ name, screen: this.screen, length: this.stream.duration_ms ?? 0, moved: ms => this.moved(ms) });
      this.stage.addEventListener('click', () => this.player.toggle());
    }
    this.chart = new Chart({ history: this.history, live: this.live, seek: this.player && (ms => this.player.seek(ms)) });

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
    this.facts = element('dl');
    this.body = element('tbody');
    this.noIntervals = element('p', { className: 'empty', textContent: 'No label has been shown yet. Each one will be listed here with its time.' });
    this.table = element('table', {},
      element('caption', { className: 'hidden', textContent: 'Intervals, the latest first' }),
      element('thead', {}, element('tr', {}, ...['Label', 'Begin', 'Length', 'Mean'].map(
        (textContent, column) => element('th', { scope: 'col', textContent, className: column > 1 ? 'number' : '' })))),
      this.body);
    if (!this.live) say(this.table.caption, 'Intervals');

    const section = (className, title, ...children) => {
      const id = `title-${className}`;
      return element('section', { className, 'aria-labelledby': id },
        element('div', { className: 'over' }, element('h2', { id, textContent: title }), ...children.splice(0, children[0]?.tagName === 'FIELDSET' ? 1 : 0)),
        ...children);
    };
    const timeline = section('timeline', 'Timeline', ...(this.live ? [this.windows()] : []), this.chart.element);
    const verdict = section('verdict', this.live ? 'Now' : 'At this moment', element('p', { className: 'shown' }, element('span', { className: 'shown-label' }, this.swatch, this.shown), ' ', this.share), this.state, this.meters);
    const facts = section('facts', 'Facts', this.facts);
    const scroll = element('div', { className: 'scroll', tabIndex: 0, role: 'region', 'aria-label': 'Intervals' }, this.table);
    const intervals = section('intervals', 'Intervals', this.noIntervals, scroll);
    this.element = element('article', { className: this.live ? 'large' : 'large recorded' },
      element('div', { className: 'watch' }, this.stage, ...(this.player ? [this.player.element] : []), timeline),
      element('div', { className: 'tell' }, verdict, facts, intervals));
  }

  windows() {
    const choice = element('fieldset', { className: 'windows' }, element('legend', { className: 'hidden', textContent: 'Length of the timeline' }));
    for (const value of WINDOWS) {
      const input = element('input', { type: 'radio', name: 'window', value, checked: value === minutes });
      input.addEventListener('change', () => { minutes = value; this.draw(); });
      choice.append(element('label', {}, input, element('span', { textContent: `${value} min` })));
    }
    return choice;
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

  show({ name, jpeg, ms }) {
    if (name === this.name) this.screen.show(jpeg, ms);
  }

  drew(ms) {
    if (!this.wrong) this.notice.tell(null, false);
    this.player?.drew(ms);
  }

  /** Reads the timeline; what comes meanwhile is kept and added after it. */
  async load() {
    this.loading?.abort();
    const { signal } = (this.loading = new AbortController());
    this.early = [];
    this.loaded = false;
    try {
      const answer = await fetch(`/api/streams/${encodeURIComponent(this.name)}/timeline`, { signal, cache: 'no-store' });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const timeline = await answer.json();
      this.start = Date.parse(timeline.start_time) || 0;
      this.history.load(timeline);
      for (const news of this.early) this.history.add(news);
      this.loaded = true;
      this.list();
      this.draw();
      this.player?.begin();
      if (this.player) this.moved(this.player.position);
    } catch {
      // Either the page has turned to something else, or the server is away, which is told elsewhere.
      if (!signal.aborted) this.retry = setTimeout(() => signal.aborted || this.load(), 2000);
    }
  }

  rows(news) {
    if (news.name !== this.name) return;
    if (!this.loaded) {
      if (this.early.length < 100) this.early.push(news);
      return;
    }
    this.history.add(news);
    this.arrived = performance.now();
    this.list();
    const row = this.history.rows.at(-1);
    if (row && !this.wrong) this.verdict(row);
    if (!CALM.matches) this.draw();
  }

  update() {
    this.stream = this.board.stream(this.name);
    const { stream } = this;
    if (!stream) return;
    const [wide, high] = stream.size ?? [16, 9];
    this.element.style.setProperty('--aspect', wide / high);
    this.wrong = this.live ? this.board.trouble(stream) : null;
    this.notice.tell(this.wrong, this.live && !this.screen.shown && performance.now() - this.made > SOON);
    this.element.classList.toggle('down', !!this.wrong);
    for (const state of ['ended', 'failed']) this.element.classList.toggle(state, this.live && stream.state === state);
    if (this.live) this.verdict(this.wrong ? null : this.history.rows.at(-1));
    this.tellFacts();
  }

  /** The label that is shown, and each label's confidence. */
  verdict(row) {
    const { stream, history } = this;
    if (!stream) return;
    const label = this.live ? stream.label : history.labels[row?.[1]] ?? null;
    const index = stream.labels.indexOf(label);
    const share = row && row[1] === index ? row[index + 2] : stream.confidence;
    const none = this.live ? (this.wrong ? 'no label' : 'computing…') : 'no label';
    const says = !this.wrong && index >= 0;
    say(this.shown, says ? label : none);
    this.shown.classList.toggle('none', !says);
    say(this.share, says ? percent(share) : '');
    this.swatch.hidden = !says;
    this.swatch.style.background = says ? colour(index) : '';
    this.meter(row);
    if (this.live) this.read(this.wrong ? `${this.wrong.title} ${this.wrong.reason}`.trim() : says ? `${label}, ${percent(share)}` : none, says ? label : none);
  }

  meter(row) {
    const { history } = this;
    const lines = history.lines();
    if (lines.join() !== this.metered || history.labels !== this.meteredLabels) {
      this.metered = lines.join();
      this.meteredLabels = history.labels;
      this.bars = lines.map(label => {
        const fill = element('span', { className: 'fill' });
        const share = element('span', { className: 'share' });
        const line = element('li', {}, element('bdi', { className: 'name', textContent: history.labels[label], title: history.labels[label] }),
          share, element('span', { className: 'bar' }, fill));
        line.style.setProperty('--hue', colour(label));
        return { label, line, fill, share };
      });
      this.meters.replaceChildren(...this.bars.map(bar => bar.line));
    }
    for (const { label, line, fill, share } of this.bars) {
      const value = row?.[label + 2];
      fill.style.scale = `${value ?? 0} 1`;
      say(share, value === undefined ? '–' : percent(value));
      line.classList.toggle('on', row?.[1] === label);
    }
  }

  /** Has a change read out, once it has stayed for a moment. `key` tells changes from mere other numbers. */
  read(text, key) {
    const now = this.wrong ? text : key;
    if (now === this.heard) return;
    this.heard = now;
    clearTimeout(this.reading);
    this.reading = setTimeout(() => this.board.announce(text), SETTLED);
  }

  tellFacts() {
    const { stream, board, wrong } = this;
    const since = Date.parse(stream.since);
    this.state.hidden = !this.live;
    say(this.state, wrong ? `${wrong.title} ${wrong.since}` : `Live since ${clock(since, board.now())} · ${lasting(board.now() - since)}`);
    const dropped = Object.entries(stream.frames?.dropped ?? {}).filter(([, number]) => number > 0);
    const facts = [];
    if (this.live) {
      facts.push(['Pictures', `${stream.frames_per_second?.toFixed(1) ?? '–'} / s`]);
      facts.push(['Latency, 95 %', stream.latency_ms ? `${Math.round(stream.latency_ms.p95)} ms` : '–']);
      facts.push(['Stride', stream.stride > 1 ? `1 in ${stream.stride}` : 'every one']);
      facts.push(['Dropped', dropped.length ? dropped.map(([why, number]) => `${number} ${why}`).join(', ') : 'none']);
      facts.push(['Reconnects', String(stream.reconnects)]);
      facts.push(['Gaps', String(stream.gaps)]);
    } else {
      facts.push(['Length', moment(stream.duration_ms)]);
      facts.push(['Intervals', String(this.history.intervals.length)]);
      if (this.history.gaps.length) facts.push(['Gaps', String(this.history.gaps.length)]);
    }
    if (stream.size) facts.push(['Picture', `${stream.size[0]} × ${stream.size[1]}`]);
    if (stream.threshold > 0) facts.push(['Threshold', percent(stream.threshold)]);
    if (stream.action) facts.push(['Looks for', stream.action]);
    if (stream.input) facts.push([this.live ? 'Input' : 'Clip', stream.input, 'whole']);
    const names = facts.map(([name]) => name).join();
    if (names !== this.told) {
      this.told = names;
      this.facts.replaceChildren(...facts.map(([name, , className = '']) => element('div', { className }, element('dt', { textContent: name }), element('dd'))));
    }
    facts.forEach(([, value], at) => say(this.facts.children[at].lastChild, value));
  }

  draw() {
    const { history, stream, live } = this;
    if (!this.loaded || !stream) return;
    let from = 0;
    let to = stream.duration_ms ?? history.last;
    if (live) {
      // Where pictures come, the last one is now; where they do not, the clock goes on.
      to = history.last + (this.arrived ? performance.now() - this.arrived : 0);
      if (stream.state !== 'running') to = Math.max(to, this.board.now() - this.start);
      if (this.board.away) to = history.last;
      const eldest = history.rows[0]?.[0] ?? to;
      from = Math.max(to - minutes * 60e3, Math.min(eldest, to - SHORTEST));
    }
    this.chart.update({ from, to, start: this.start, threshold: stream.threshold });
    if (this.player) this.chart.mark(this.player.position);
  }

  moved(ms) {
    this.chart.mark(ms);
    const row = this.history.at(ms);
    this.verdict(row);
    for (const { interval, row } of this.lines ?? []) {
      const here = interval.start <= ms && ms < interval.end;
      row.classList.toggle('here', here);
      if (here) row.setAttribute('aria-current', 'true');
      else row.removeAttribute('aria-current');
    }
  }

  list() {
    const { history, live } = this;
    const intervals = live ? history.intervals.slice(-LISTED).reverse() : history.intervals;
    const key = intervals.map(interval => `${interval.start} ${interval.label}`).join();
    if (key !== this.listed) {
      this.listed = key;
      this.lines = intervals.map(interval => this.line(interval));
      this.body.replaceChildren(...this.lines.map(line => line.row));
      this.noIntervals.hidden = intervals.length > 0;
      this.table.parentElement.hidden = intervals.length === 0;
    }
    intervals.forEach((interval, at) => {
      const line = this.lines[at];
      line.interval = interval;
      const end = this.chart.endOf(interval);
      say(line.long, interval.open ? `${lasting(end - interval.start)} …` : length(end - interval.start));
      say(line.mean, interval.mean == null ? '–' : percent(interval.mean));
    });
  }

  line(interval) {
    const swatch = element('i', { className: 'swatch' });
    swatch.style.background = colour(Math.max(0, this.history.labels.indexOf(interval.label)));
    const label = element('bdi', { textContent: interval.label, title: interval.label });
    const begin = this.live ? clock(this.start + interval.start, this.board.now()) : moment(interval.start);
    const named = element('td', { className: 'named' });
    if (this.player) {
      const open = element('button', { type: 'button', className: 'open', 'aria-label': `${interval.label} at ${begin}: show its start` }, swatch, label);
      open.addEventListener('click', () => this.player.seek(interval.start));
      named.append(open);
    } else named.append(element('span', {}, swatch, label));
    const long = element('td', { className: 'number' });
    const mean = element('td', { className: 'number' });
    const row = element('tr', {}, named, element('td', { textContent: begin }), long, mean);
    if (this.player) row.addEventListener('click', event => event.target.closest('button') || this.player.seek(interval.start));
    return { interval, row, long, mean };
  }
}
