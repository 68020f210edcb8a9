// One stream's timeline: recent confidences, intervals and gaps, loaded once, then updated. All lists are bounded, because a
// page may stay open for months.

import { COLOURS } from './words.js';

const LIVE_SPAN = 10 * 60e3;
const MOST_INTERVALS = 200;
const MOST_GAPS = 200;
/** A time further than this from any row (or than three mean distances, if rows are sparse) has no confidences. */
const NEAR = 2000;

export class Timeline {
  constructor(live) {
    this.span = live ? LIVE_SPAN : Infinity;
    this.most = live ? MOST_INTERVALS : Infinity;
    this.load({ labels: [], rows: [], intervals: [], gaps: [] });
  }

  load({ labels, rows, intervals, gaps }) {
    this.labels = labels;
    this.rows = [];
    this.intervals = [];
    this.gaps = [];
    this.peaks = labels.map(() => 0);
    this.add({ rows, intervals, gaps });
  }

  add({ rows = [], intervals = [], gaps = [] }) {
    for (const row of rows) {
      if (this.rows.length > 0 && row[0] <= this.last) continue;
      this.rows.push(row);
      for (let label = 0; label < this.peaks.length; label++) {
        if (row[label + 2] > this.peaks[label]) this.peaks[label] = row[label + 2];
      }
    }
    const expired = this.rows.findIndex(row => row[0] >= this.last - this.span);
    if (expired > 0) this.rows.splice(0, expired);
    for (const interval of intervals) insert(this.intervals, interval, this.most);
    for (const gap of gaps) insert(this.gaps, gap, this.most === Infinity ? Infinity : MOST_GAPS);
  }

  get last() {
    return this.rows.at(-1)?.[0] ?? 0;
  }

  /** Returns the indices of the labels that get a line: all, or of many those shown last and those with the highest peaks. */
  lines() {
    const all = this.labels.map((_, label) => label);
    if (all.length <= COLOURS) return all;
    const shown = this.intervals.slice(-COLOURS).map(interval => this.labels.indexOf(interval.label)).reverse();
    const highest = all.sort((a, b) => this.peaks[b] - this.peaks[a]).slice(0, COLOURS);
    return [...new Set([...shown, ...highest])].filter(label => label >= 0).slice(0, COLOURS).sort((a, b) => a - b);
  }

  gapAt(ms) {
    return this.gaps.find(gap => gap.start < ms && ms < (gap.end ?? Infinity));
  }

  intervalAt(ms) {
    return this.intervals.findLast(interval => interval.start <= ms && ms <= (interval.open ? Infinity : interval.end));
  }

  /** Returns the row nearest to a time; null if no frame was analysed there. */
  at(ms) {
    const { rows } = this;
    if (rows.length === 0 || this.gapAt(ms)) return null;
    const after = firstFrom(rows, ms);
    const before = rows[after - 1];
    const next = rows[after];
    const nearest = !next || (before && ms - before[0] < next[0] - ms) ? before : next;
    const usual = (this.last - rows[0][0]) / rows.length;
    return Math.abs(nearest[0] - ms) <= Math.max(NEAR, 3 * usual) ? nearest : null;
  }

  /** Returns columns for the chart: times, then one for each line. Lines break at gaps. */
  columns(lines, from, toX) {
    const columns = [[], ...lines.map(() => [])];
    let gap = 0;
    // Starts one row before the window, so that lines begin at its edge.
    for (let at = Math.max(0, firstFrom(this.rows, from) - 1); at < this.rows.length; at++) {
      const row = this.rows[at];
      while (gap < this.gaps.length && this.gaps[gap].start < row[0]) {
        const { start } = this.gaps[gap++];
        if (columns[0].length > 0 && toX(start) >= columns[0].at(-1)) {
          columns[0].push(toX(start));
          lines.forEach((_, line) => columns[line + 1].push(null));
        }
      }
      columns[0].push(toX(row[0]));
      lines.forEach((label, line) => columns[line + 1].push(row[label + 2]));
    }
    return columns;
  }
}

/** Returns the index of the first row at or after a time. */
function firstFrom(rows, ms) {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle][0] < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Inserts a span by its start, or replaces the same span: an interval by its number, a gap by its start. */
function insert(list, span, most) {
  const same = list.findLastIndex(other => (span.id === undefined ? other.start === span.start : other.id === span.id));
  if (same >= 0) {
    list[same] = span;
    return;
  }
  let at = list.length;
  while (at > 0 && list[at - 1].start > span.start) at--;
  list.splice(at, 0, span);
  if (list.length > most) list.splice(0, list.length - most);
}
