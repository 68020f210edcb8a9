// The history: days as ribbons, a calendar, a list of intervals, and the recorded pictures. What it shows stands in the address.

import { Client } from '../client.js';
import { KeysDialog } from '../keys_dialog.js';
import { REST, brief, colour, date, element, setText } from '../words.js';
import { readAddress, writeAddress } from './address.js';
import { Calendar } from './calendar.js';
import { CorrectionDialog } from './correction.js';
import { DayBar } from './day_bar.js';
import { dayOf, endOf, startOf } from './days.js';
import { ExportDialog } from './export.js';
import { Found } from './found.js';
import { Filters } from './filters.js';
import { KEYS, handleKeys } from './keys.js';
import { Ribbons } from './ribbons.js';
import { forgetRibbons } from './track.js';
import { Viewer } from './viewer.js';

/** The list of streams is loaded again after this many milliseconds, sooner while the index is rebuilt. */
const FRESH = { usual: 60e3, rebuilding: 3e3 };
/** While it plays, the address follows the moment in this many milliseconds. */
const FOLLOW = 5000;
const WIDE = matchMedia('(min-width: 1000px) and (min-height: 560px)');
/** The list is placed below the ribbons if it gets at least this height. */
const LIST = 260;

export class HistoryView {
  /** `app.past` is what the index has: its streams, and whether it is being rebuilt. */
  constructor(app) {
    this.app = app;
    this.client = new Client('/api/history');
    const { client } = this;
    const now = () => app.now();
    const hue = label => colour(this.labels, this.labels.indexOf(label));
    const link = stream => writeAddress({ ...this.state, stream, at: null });
    this.ribbons = new Ribbons({ client, now, link, pick: (stream, at) => this.go({ stream, at, play: true }), zoomed: stretch => this.zoomed(stretch) });
    this.ribbons.moment = () => this.viewer.known();
    this.viewer = new Viewer({
      client, now, hue, moved: at => this.moved(at), settled: () => this.write(), step: by => this.step(by),
      changed: interval => this.found.select(interval?.id), save: () => this.save(),
      correct: () => this.correction.open(this.state.stream, this.viewer.interval),
    });
    this.calendar = new Calendar({ client, now, pick: day => this.showDay(day), loaded: () => this.found.day(this.calendar.selected) });
    this.found = new Found({ client, hue, set: change => this.set(change), open: (row, play) => this.openRow(row, play) });
    this.filters = new Filters(change => this.set('stream' in change ? { ...change, at: null } : change));
    this.days = new DayBar({ now, pick: day => this.showDay(day), calendar: () => this.openCalendar() });
    this.dialog = new ExportDialog();
    this.help = new KeysDialog(KEYS);
    this.correction = new CorrectionDialog(app);
    this.build();
    this.keys = handleKeys(this);
    this.fetched = performance.now();
    this.read();
  }

  build() {
    this.note = element('p', { className: 'note', role: 'status', hidden: true });
    this.blank = element('p', { className: 'blank', hidden: true });
    this.controls = element('div', { className: 'controls' }, this.days.element, this.note, this.filters.element);
    this.results = element('section', { className: 'results', 'aria-label': 'Intervals', hidden: true });
    this.panes = element('div', { className: 'panes' },
      element('div', { className: 'watch' }, this.viewer.element, this.ribbons.element, this.results),
      element('div', { className: 'details' }, this.calendar.element, this.found.element));
    this.element = element('section', { className: 'history', 'aria-label': 'History' }, this.controls, this.panes, this.blank, this.dialog.element, this.correction.element, this.help.element);
    this.resized = new ResizeObserver(() => this.arrange());
    this.resized.observe(this.panes);
  }

  close() {
    this.closed = true;
    this.resized.disconnect();
    removeEventListener('keydown', this.keys);
    for (const part of [this.ribbons, this.viewer, this.calendar, this.found]) part.close();
  }

  address = () => null;
  rows() {}

  get player() {
    return this.viewer;
  }

  // --- the address ----------------------------------------------------------------------------------------------------

  /** Shows what the address says. */
  read() {
    const state = readAddress(location.hash);
    this.restored = false;
    const { streams } = this.app.past;
    if (streams.length === 1 && !state.stream) state.stream = streams[0].name;
    const scope = streams.filter(({ name }) => !state.stream || name === state.stream);
    const last = Math.max(...scope.map(stream => Date.parse(stream.last)).filter(Number.isFinite));
    state.day ??= dayOf(Number.isFinite(last) ? last - 1 : this.app.now());
    this.state = state;
    this.show();
  }

  write(push = false) {
    const address = writeAddress({ ...this.state, at: this.viewer.at ?? this.state.at });
    if (address === location.hash) return;
    history[push ? 'pushState' : 'replaceState'](null, '', address);
    this.followed = performance.now();
  }

  /** Changes what is shown, as a new entry of the browser's history. */
  set(change, push = true) {
    const { stream, day } = this.state;
    Object.assign(this.state, change);
    if (this.state.stream !== stream || this.state.day !== day) this.viewer.hide();
    // Another stream is shown over the same stretch.
    if (this.state.stream !== stream) this.restored = false;
    this.show();
    this.write(push);
    this.app.navigate();
  }

  /** Opens or closes the calendar where it has no place of its own. Returns whether it is open. */
  openCalendar() {
    const open = this.element.classList.toggle('choosing');
    this.calendar.element.querySelector('[tabindex="0"]')?.focus();
    return open;
  }

  showDay(day) {
    this.element.classList.remove('choosing');
    this.days.closed();
    if (day > dayOf(this.app.now())) return;
    this.set({ day, at: null, stretch: null });
  }

  /** Shows a moment of a stream. */
  go({ stream, at, play = false, push = true }) {
    const day = dayOf(at);
    const other = day !== this.state.day;
    this.play = play;
    const first = this.state.at == null || stream !== this.state.stream || other;
    this.set({ stream, day, at, ...(other ? { stretch: null } : {}) }, push && first);
    this.ribbons.reveal(at);
  }

  /** Shows an interval of the list. Of all streams, moving in the list leads to none of them. */
  openRow(row, play) {
    if (!play && !this.state.stream) return;
    this.go({ stream: row.stream, at: row.start, play, push: play });
  }

  // --- what is shown --------------------------------------------------------------------------------------------------

  show() {
    const { state, app } = this;
    const { streams } = app.past;
    const stream = streams.find(({ name }) => name === state.stream);
    const unknown = state.stream && !stream;
    this.panes.hidden = this.controls.hidden = unknown || streams.length === 0;
    this.blank.hidden = !this.panes.hidden;
    this.blank.replaceChildren(...(unknown
      ? [element('span', {}, 'The history has no stream named ', element('bdi', { textContent: state.stream }), '.'), element('a', { href: '#/history', textContent: 'Show all streams' })]
      : ['No history yet. It begins with the first labels.']));
    if (this.panes.hidden) return this.viewer.hide();
    const scope = stream ? [stream] : streams;
    const labels = [...new Set(streams.flatMap(({ labels }) => labels))];
    this.labels = labels;
    const chosen = state.labels;
    const own = [...new Set(scope.flatMap(({ labels }) => labels))];
    this.element.classList.toggle('single', !!stream);
    this.days.show(state.day);
    this.filters.show({ names: streams.map(({ name }) => name), ...state });
    this.ribbons.blank = 'Nothing was watched on this day.';
    this.ribbons.show({
      streams: scope, one: !!stream, day: state.day, stretch: this.restored ? undefined : state.stretch, labels,
      chosen: label => (chosen.length ? chosen.includes(label) : label !== REST),
    });
    this.restored = true;
    const hue = label => colour(labels, labels.indexOf(label));
    this.calendar.show({ stream: state.stream, day: state.day, labels, chosen, hue });
    this.found.show({ ...state, labels: own, chosen, range: this.range(scope), several: !stream });
    this.found.day(this.calendar.selected);
    if (stream && state.at != null) this.showMoment();
    else this.viewer.hide();
    this.viewer.element.hidden = !stream;
    this.arrange();
    this.ribbons.mark(this.viewer.at);
  }

  /** A few streams leave room below their ribbons: the list takes it. */
  arrange() {
    if (!this.state) return;
    const below = WIDE.matches && !this.state.stream && this.ribbons.below > LIST;
    this.results.hidden = !below;
    this.found.place(below ? this.results : null);
  }

  showMoment() {
    const { stream: name, at } = this.state;
    if (name === this.viewer.name && at === this.viewer.at && !this.play) return;
    this.viewer.show({ name, track: this.ribbons.track(name), at, play: this.play });
    this.play = false;
  }

  /** Returns the stretch that the list is about. */
  range(scope) {
    const { period, day } = this.state;
    if (period === 'day') return [startOf(day), endOf(day)];
    const [year, month] = day.split('-').map(Number);
    if (period === 'month') return [new Date(year, month - 1, 1).getTime(), new Date(year, month, 1).getTime()];
    const firsts = scope.map(stream => Date.parse(stream.first)).filter(Number.isFinite);
    return [firsts.length ? Math.min(...firsts) : 0, endOf(dayOf(this.app.now()))];
  }

  /** Called each second. */
  update() {
    this.ribbons.update();
    this.calendar.update();
    const now = this.app.now();
    const [, to] = this.found.range ?? [0, 0];
    if (to > now) this.found.update();
    this.viewer.correct.hidden = !this.app.teach || !this.app.admin.may;
    this.notice();
    this.refresh();
  }

  /** Loads from time to time which streams there are; and everything, when the index is complete again. */
  async refresh() {
    const { rebuilding } = this.app.past;
    if (performance.now() - this.fetched < FRESH[rebuilding ? 'rebuilding' : 'usual']) return;
    this.fetched = performance.now();
    await this.app.loadPast();
    if (this.closed || !this.app.past) return;
    if (rebuilding && !this.app.past.rebuilding) this.load();
    else this.show();
  }

  /** Says what is odd about the index. */
  notice() {
    const { rebuilding, streams } = this.app.past;
    const back = streams.find(({ name, clock_back_ms: back }) => back > 0 && (!this.state.stream || name === this.state.stream));
    const text = rebuilding ? 'The index is being rebuilt; earlier days are still missing.'
      : back ? `The clock of ${back.name} went back by ${brief(back.clock_back_ms)}; until the next run, its times count on.` : '';
    this.note.hidden = !text;
    setText(this.note, text);
  }

  /** Loads everything again, as after the server was unreachable. */
  load() {
    forgetRibbons();
    this.found.load();
    this.ribbons.load();
    this.calendar.months.clear();
    this.show();
  }

  // --- the moment -----------------------------------------------------------------------------------------------------

  moved(at) {
    if (!this.state) return;
    this.ribbons.mark(at);
    if (!this.viewer.playing) {
      this.state.at = at;
      return;
    }
    this.ribbons.follow(this.state.at, at);
    this.state.at = at;
    if (dayOf(at) !== this.state.day) {
      Object.assign(this.state, { day: dayOf(at), stretch: null });
      this.show();
    }
    if (performance.now() - (this.followed ?? 0) > FOLLOW) this.write();
  }

  zoomed(stretch) {
    if (!this.state || this.panes.hidden || String(stretch) === String(this.state.stretch)) return;
    this.state.stretch = stretch;
    this.write();
  }

  /** Goes to the interval before or after the moment that passes the filters. */
  async step(by) {
    const { stream, day } = this.state;
    if (!stream) return;
    const at = this.viewer.at ?? (by < 0 ? endOf(day) : startOf(day));
    try {
      const found = await this.viewer.nearby.beside({ ...this.found.filter, stream }, at, by);
      if (found && this.state.stream === stream) this.go({ stream, at: found.start, play: this.viewer.playing, push: false });
      else if (!found) this.app.announce(by < 0 ? 'There is no interval before.' : 'There is no interval after.');
    } catch {
      // The server is unreachable; the banner shows that.
    }
  }

  save() {
    const { scale } = this.ribbons;
    this.dialog.open({ name: this.state.stream, interval: this.viewer.interval, at: this.viewer.at, stretch: [scale.from, scale.to] });
  }

  /** What the page's head shows: the title, the link back, and the streams beside. */
  navigation() {
    const { stream, day } = this.state;
    const { streams } = this.app.past;
    const several = streams.length > 1;
    return {
      title: stream ?? 'History',
      back: stream && several ? { href: writeAddress({ ...this.state, stream: null, at: null, stretch: null }), text: 'History' } : { href: '#/', text: 'Live' },
      names: stream && several ? streams.map(({ name }) => name) : [],
      name: stream,
      href: name => writeAddress({ ...this.state, stream: name, at: null }),
      live: stream && this.app.stream(stream) ? stream : null,
      document: `${stream ? `${stream}, ` : ''}${date(startOf(day))} · History`,
    };
  }
}
