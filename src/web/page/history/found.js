// What was found: the labels with their totals, and the list of intervals, both of a day, a month or all time.

import { fields, utc } from '../client.js';
import { radios } from '../controls.js';
import { REST, brief, count, element, setText } from '../words.js';
import { PERIODS } from './address.js';
import { Totals } from './filters.js';
import { List } from './list.js';

const NAMES = { day: 'Day', month: 'Month', all: 'All' };
/** The totals and the list of a stretch that is not over are loaded again after this many milliseconds. */
const FRESH = 15e3;
/** More labels than these are not asked for one by one. */
const MOST_LABELS = 100;

export class Found {
  /** `set` is called with what is to change, `open` with an interval of the list and whether to play it. */
  constructor({ client, hue, set, open }) {
    Object.assign(this, { client, hue });
    this.sums = null;
    this.totals = new Totals(label => {
      const chosen = this.chosen.includes(label) ? this.chosen.filter(other => other !== label) : [...this.chosen, label];
      set({ labels: chosen });
    });
    // All streams and one stream have a list each, so that the way back leads to the same place in the list.
    this.lists = [0, 1].map(() => new List({ client, open, hue }));
    this.periods = radios('Time of the list', 'period', PERIODS.map(period => [period, NAMES[period]]), period => set({ period }));
    this.csv = element('a', { className: 'save-list', textContent: 'CSV', title: 'Save this list as CSV', 'aria-label': 'Save this list as CSV', download: 'intervals.csv' });
    this.watched = element('p', { className: 'known' });
    this.element = element('section', { className: 'found', 'aria-labelledby': 'title-found' },
      element('div', { className: 'over' }, element('h2', { id: 'title-found', textContent: 'Intervals' }), this.periods.element),
      this.totals.list,
      element('div', { className: 'sums' }, element('div', {}, this.totals.sum, this.watched), this.csv),
      ...this.lists.map(list => list.element));
  }

  close() {
    for (const list of this.lists) list.close();
    this.summing?.abort();
  }

  show({ stream, labels, chosen, min, confidence, period, range, several }) {
    Object.assign(this, { labels, chosen, range, period, several });
    this.periods.choose(period);
    const findings = labels.filter(label => label !== REST);
    const usual = findings.length > 0 && findings.length < labels.length && findings.length <= MOST_LABELS ? findings : null;
    const limits = { min_duration_ms: min ? min * 1000 : null, min_confidence: confidence ? confidence / 100 : null };
    this.filter = { ...limits, label: chosen.length ? chosen : usual };
    const about = { stream, from: utc(range[0]), to: utc(range[1]) };
    this.lists.forEach((list, at) => { list.element.hidden = (at === 0) !== several; });
    this.list = this.lists[several ? 0 : 1];
    this.list.show({ ...about, ...this.filter }, { several, days: period !== 'day' });
    this.csv.href = `/api/history/intervals.csv?${fields({ ...about, ...this.filter })}`;
    const query = { ...about, ...limits };
    if (JSON.stringify(query) !== JSON.stringify(this.query)) {
      this.query = query;
      this.sums = null;
      this.sum();
    }
    this.render();
  }

  /** Places the lists below something else; null for below the totals. */
  place(parent) {
    const to = parent ?? this.element;
    if (this.lists[0].element.parentElement !== to) to.append(...this.lists.map(list => list.element));
  }

  /** Loads the totals of all labels. */
  async sum() {
    this.summed = performance.now();
    this.summing?.abort();
    const { signal } = (this.summing = new AbortController());
    try {
      const { labels } = await this.client.get('/intervals/summary', this.query, signal);
      this.sums = labels;
      this.render();
    } catch {
      // The view was closed, something else is shown, or the server is unreachable; the banner shows that.
    }
  }

  render() {
    const { labels, chosen, hue, sums } = this;
    this.totals.show({ labels, chosen, hue, sums });
  }

  /** Says how long the selected day was watched and recorded, or how many streams were. */
  day(known) {
    const parts = this.period !== 'day' || !known ? []
      : !known.streams ? ['not watched']
        : this.several ? [`${count(known.streams, 'stream')} watched`, known.kept > 0 && `${known.kept} recorded`]
          : [`watched ${brief(known.watched)}`, known.recorded > 0 && `recorded ${brief(known.recorded)}`];
    setText(this.watched, parts.filter(Boolean).join(' · '));
  }

  select(id) {
    for (const list of this.lists) list.select(id);
  }

  /** Loads what is new. */
  load() {
    if (!this.query) return;
    this.sum();
    this.list.refresh();
  }

  /** Called each second while the stretch goes on. */
  update() {
    if (performance.now() - this.summed > FRESH) this.load();
  }
}
