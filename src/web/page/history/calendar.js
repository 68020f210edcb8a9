// A month: which labels occurred on which day. The longer they lasted, the longer is the bar below the day.

import { count, element, icon, length, monthName, setText, weekday, wholeDate, REST } from '../words.js';
import { ZONE, addDays, addMonths, dayOf, firstDay, monthOf, startOf, weeks } from './days.js';

const KEPT = 24;
/** The present month is loaded again after this many milliseconds. */
const FRESH = 60e3;
/** The shortest bar, as a share of the longest. */
const LEAST = 0.22;
const MOST_MARKS = 5;

export class Calendar {
  /** `pick` is called with a day, `loaded` when more is known about a month. */
  constructor({ client, now, pick, loaded }) {
    Object.assign(this, { client, now, pick, loaded });
    this.months = new Map();
    const step = (name, keys, by, path) => {
      const made = element('button', { type: 'button', className: 'round', 'aria-label': name, title: `${name} (${keys})` }, icon(path));
      made.addEventListener('click', () => this.turn(by));
      return made;
    };
    this.title = element('h2', { id: 'title-calendar', 'aria-live': 'polite' });
    this.grid = element('div', { className: 'month', role: 'grid', 'aria-labelledby': 'title-calendar' });
    this.later = step('Next month', 'page down', 1, 'M9.5 5.5 16 12l-6.5 6.5');
    this.element = element('section', { className: 'calendar', 'aria-labelledby': 'title-calendar' },
      element('div', { className: 'over' }, this.title,
        element('div', { className: 'tools' }, step('Previous month', 'page up', -1, 'M14.5 5.5 8 12l6.5 6.5'), this.later)),
      this.grid);
    this.grid.addEventListener('keydown', event => this.key(event));
    this.grid.addEventListener('click', event => {
      const cell = event.target.closest('button');
      if (cell) this.pick(cell.dataset.day);
    });
  }

  close() {
    this.loading?.abort();
  }

  /** Shows the month of a day. `labels` are all labels, `chosen` those that are marked, `hue` a label's colour. */
  show({ stream, day, labels, chosen, hue }) {
    const month = monthOf(day);
    const other = month !== this.month || stream !== this.stream;
    Object.assign(this, { stream, day, labels, chosen, hue });
    if (other) this.setMonth(month);
    else this.fill();
  }

  turn(by) {
    this.setMonth(addMonths(this.month, by));
  }

  setMonth(month) {
    this.month = month;
    setText(this.title, monthName(startOf(firstDay(month))));
    this.later.disabled = month >= monthOf(dayOf(this.now()));
    const rows = weeks(month);
    const head = rows[0].map(day => element('span', { role: 'columnheader', 'aria-label': weekday(startOf(day)), textContent: weekday(startOf(day)).slice(0, 2) }));
    this.cells = rows.flat().map(day => {
      const marks = element('span', { className: 'marks' });
      const cell = element('button', { type: 'button', role: 'gridcell', tabIndex: -1, className: monthOf(day) === month ? '' : 'beside' },
        element('span', { textContent: String(Number(day.slice(8))) }), marks);
      cell.dataset.day = day;
      return { day, cell, marks };
    });
    this.grid.replaceChildren(element('div', { role: 'row' }, ...head),
      ...rows.map((_, week) => element('div', { role: 'row' }, ...this.cells.slice(7 * week, 7 * week + 7).map(({ cell }) => cell))));
    this.fill();
    this.load();
  }

  get shown() {
    return JSON.stringify([this.stream, this.month]);
  }

  /** Loads the month, unless it is known. */
  async load() {
    const key = this.shown;
    const known = this.months.get(key);
    const present = this.month >= monthOf(dayOf(this.now()));
    if (known && (!present || performance.now() - known.at < FRESH)) return;
    this.loading?.abort();
    const { signal } = (this.loading = new AbortController());
    const [from, to] = [this.cells[0].day, addDays(this.cells.at(-1).day, 1)];
    try {
      const { days } = await this.client.get('/days', { from, to, zone: ZONE, stream: this.stream }, signal);
      this.months.set(key, { at: performance.now(), days: byDay(days) });
      if (this.months.size > KEPT) this.months.delete(this.months.keys().next().value);
      if (key === this.shown) this.fill();
      this.loaded();
    } catch {
      // The view was closed, another month is shown, or the server is unreachable; the banner shows that.
    }
  }

  /** Loads the present month again from time to time. */
  update() {
    if (this.month) this.load();
  }

  /** Returns what is known about the selected day, or null. */
  get selected() {
    const { days } = this.months.get(JSON.stringify([this.stream, monthOf(this.day)])) ?? {};
    return days ? days.get(this.day) ?? { streams: 0 } : null;
  }

  fill() {
    const days = this.months.get(this.shown)?.days;
    const today = dayOf(this.now());
    const total = of => this.findings(of).reduce((sum, [, { duration }]) => sum + duration, 0);
    const longest = Math.max(1, ...[...(days?.values() ?? [])].map(total));
    const visible = this.cells.some(({ day }) => day === this.day);
    for (const { day, cell, marks } of this.cells) {
      const of = days?.get(day);
      const findings = of ? this.findings(of) : [];
      cell.classList.toggle('today', day === today);
      cell.classList.toggle('watched', !!of);
      cell.setAttribute('aria-selected', day === this.day);
      cell.disabled = day > today;
      cell.tabIndex = (visible ? day === this.day : day === firstDay(this.month)) ? 0 : -1;
      cell.setAttribute('aria-label', [wholeDate(startOf(day)), ...findings.map(([label, sum]) => `${label} ${count(sum.count, 'interval')}, ${length(sum.duration)}`),
        !days || findings.length ? '' : of ? 'nothing found' : 'not watched'].filter(Boolean).join('; '));
      cell.title = findings.map(([label, sum]) => `${label}: ${sum.count} · ${length(sum.duration)}`).join('\n');
      marks.style.width = `${100 * Math.max(LEAST, Math.sqrt((of ? total(of) : 0) / longest))}%`;
      marks.replaceChildren(...findings.slice(0, MOST_MARKS).map(([label, { duration }]) => {
        const mark = element('i');
        mark.style.background = this.hue(label);
        mark.style.flexGrow = Math.max(1, duration);
        return mark;
      }));
    }
  }

  /** Returns a day's labels that are marked, those that lasted longest first. */
  findings({ labels }) {
    const wanted = this.chosen.length ? label => this.chosen.includes(label) : label => label !== REST;
    return [...labels].filter(([label]) => wanted(label)).sort(([, one], [, other]) => other.duration - one.duration);
  }

  key(event) {
    const cell = event.target.closest('button');
    if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
    const { day } = cell.dataset;
    const column = this.cells.findIndex(cell => cell.day === day) % 7;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7, Home: -column, End: 6 - column }[event.key];
    const month = { PageUp: -1, PageDown: 1 }[event.key];
    if (by === undefined && !month) return;
    event.preventDefault();
    event.stopPropagation();
    const to = month ? sameDay(addMonths(monthOf(day), month), day) : addDays(day, by);
    if (to > dayOf(this.now())) return;
    if (monthOf(to) !== this.month) this.setMonth(monthOf(to));
    const next = this.cells.find(cell => cell.day === to).cell;
    for (const { cell } of this.cells) cell.tabIndex = cell === next ? 0 : -1;
    next.focus();
  }
}

/** Returns the day of a month with the same number, or its last one. */
function sameDay(month, day) {
  const last = addDays(firstDay(addMonths(month, 1)), -1);
  const same = `${month}-${day.slice(8)}`;
  return same > last ? last : same;
}

/** Sums up the streams of each day. */
function byDay(list) {
  const days = new Map();
  for (const { day, watched_ms: watched, recorded_ms: recorded, labels } of list) {
    const sum = days.get(day) ?? { watched: 0, recorded: 0, streams: 0, kept: 0, labels: new Map() };
    sum.watched += watched;
    sum.recorded += recorded;
    sum.streams++;
    sum.kept += recorded > 0;
    for (const [label, { count, duration_ms: duration }] of Object.entries(labels)) {
      const of = sum.labels.get(label) ?? { count: 0, duration: 0 };
      sum.labels.set(label, { count: of.count + count, duration: of.duration + duration });
    }
    days.set(day, sum);
  }
  return days;
}
