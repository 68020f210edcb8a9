// The table of one stream's intervals: of a live one the last, latest first; of a recording all.

import { Thumbnail } from './intervals.js';
import { clock, colour, element, length, moment, percent, setChildren, setText } from './words.js';

const LISTED = 30;

export class IntervalTable {
  /** Of a `live` stream, intervals have pictures, and no mean. `open` is called with the interval of a row that is clicked. */
  constructor({ name, live, open }) {
    Object.assign(this, { name, live, open });
    this.lines = [];
    this.body = element('tbody');
    this.none = element('p', { className: 'empty', textContent: 'No intervals yet.' });
    const table = element('table', {},
      element('caption', { className: 'hidden', textContent: live ? 'Intervals, latest first' : 'Intervals' }),
      element('thead', {}, element('tr', {}, ...['Label', 'Start', 'Length', ...(live ? [] : ['Mean'])].map(
        (textContent, column) => element('th', { scope: 'col', textContent, className: column > 1 ? 'number' : '' })))),
      this.body);
    this.element = element('div', { className: 'scroll', tabIndex: 0, role: 'region', 'aria-label': 'Intervals' }, table);
  }

  /** `time` formats when an interval begins, and `endOf` returns when one ends. */
  update(timeline, { time, endOf }) {
    const intervals = this.live ? timeline.intervals.slice(-LISTED).reverse() : timeline.intervals;
    const key = intervals.map(interval => interval.id).join();
    if (key !== this.listed) {
      this.listed = key;
      const known = new Map(this.lines.map(line => [line.interval.id, line]));
      this.lines = intervals.map(interval => known.get(interval.id) ?? this.line(interval, timeline.labels, time(interval.start)));
      setChildren(this.body, this.lines.map(line => line.row));
      this.none.hidden = intervals.length > 0;
      this.element.hidden = intervals.length === 0;
    }
    intervals.forEach((interval, at) => {
      const line = this.lines[at];
      line.interval = interval;
      line.thumbnail?.update(this.name, interval);
      setText(line.begin, time(interval.start));
      const lasted = endOf(interval) - interval.start;
      setText(line.long, interval.open ? `${moment(lasted)} …` : length(lasted));
      setText(line.mean, interval.mean == null ? '–' : percent(interval.mean));
    });
  }

  line(interval, labels, at) {
    const swatch = element('i', { className: 'swatch' });
    swatch.style.background = colour(labels, Math.max(0, labels.indexOf(interval.label)));
    const label = element('bdi', { textContent: interval.label, title: interval.label });
    const thumbnail = this.live ? new Thumbnail() : null;
    const what = this.live ? 'show its picture' : 'show its start';
    const open = element('button', { type: 'button', className: 'open', 'aria-label': `${interval.label} at ${at}: ${what}` },
      ...(thumbnail ? [thumbnail.element] : []), swatch, label);
    const line = { interval, thumbnail };
    const act = () => this.open(line.interval);
    open.addEventListener('click', act);
    const named = element('td', { className: 'named' }, open);
    const [begin, long, mean] = [element('td'), element('td', { className: 'number' }), element('td', { className: 'number' })];
    const row = element('tr', {}, named, begin, long, ...(this.live ? [] : [mean]));
    row.addEventListener('click', event => event.target.closest('button') || act());
    return Object.assign(line, { row, begin, long, mean });
  }

  /** Marks the interval of a moment. */
  mark(ms) {
    for (const { interval, row } of this.lines) {
      const here = interval.start <= ms && ms < interval.end;
      row.classList.toggle('here', here);
      if (here) row.setAttribute('aria-current', 'true');
      else row.removeAttribute('aria-current');
    }
  }
}
