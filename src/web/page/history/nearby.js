// The intervals around a moment of one stream, and those before and after.

import { utc } from '../client.js';
import { REST } from '../words.js';

const BEFORE = 60e3;
const AFTER = 5 * 60e3;
/** Later ones are loaded when the moment comes this near to what is not known yet. */
const AHEAD = 60e3;
/** Times of frames and of intervals are rounded apart, a few times each, in milliseconds. No two frames are this near. */
const ROUNDING = 3;
/** Addresses have whole seconds; an interval that begins within the second is meant. */
const SECOND = 1000;
/** Later intervals are looked for in stretches that grow, since the index answers with the latest first. */
const FORWARD = [1, 4, 16, 64, 256, 1024, 4096].map(times => times * 10 * 60e3);
const MOST = 1000;
const PAGES = 10;

export class Nearby {
  /** `now` returns the time, and `changed` is called when more is known. */
  constructor(client, now, changed) {
    Object.assign(this, { client, now, changed });
    this.forget();
  }

  forget() {
    this.loading?.abort();
    this.wanted = null;
    Object.assign(this, { from: 0, to: 0, intervals: [] });
  }

  close() {
    this.forget();
  }

  knows(stream, ms) {
    return this.stream === stream && ms >= this.from && ms < this.to;
  }

  /** Loads the intervals around a moment, unless they are known or on their way. What is still to come is not known. */
  async need(stream, ms) {
    const [from, to] = [ms - BEFORE, Math.max(ms + SECOND, Math.min(ms + AFTER, this.now()))];
    const known = this.knows(stream, ms);
    if (known && (ms < this.to - AHEAD || to < this.to + AHEAD / 2)) return;
    const { wanted } = this;
    if (wanted && wanted.stream === stream && ms >= wanted.from && ms < wanted.to) return;
    this.loading?.abort();
    const { signal } = (this.loading = new AbortController());
    this.wanted = { stream, from, to };
    try {
      const { intervals } = await this.client.get('/intervals', { stream, from: utc(from), to: utc(to), limit: MOST }, signal);
      Object.assign(this, { stream, from, to, intervals: intervals.map(read), wanted: null });
      this.changed();
    } catch {
      if (!signal.aborted) this.wanted = null;
    }
  }

  /** Returns the interval at a moment: a finding rather than the rest. */
  at(ms) {
    const time = ms + ROUNDING;
    const here = this.intervals.filter(({ start, end, open }) => start <= time && (time < end || open));
    return here.find(({ label }) => label !== REST) ?? here[0] ?? null;
  }

  /** Returns the intervals of some milliseconds before a moment, in order of time. */
  before(ms, span) {
    return this.intervals.filter(({ start, end, open }) => start < ms && (end > ms - span || open)).reverse();
  }

  /** Returns the finding that begins within the second after a moment of which nothing else is known. */
  beginsAt(ms) {
    if (this.at(ms) && this.at(ms).label !== REST) return null;
    return this.intervals.findLast(({ label, start }) => label !== REST && start > ms && start < ms + SECOND) ?? null;
  }

  /** Returns the interval before or after a moment that passes the filters, or null. */
  async beside(query, ms, by) {
    if (by < 0) {
      const { intervals } = await this.client.get('/intervals', { ...query, from: utc(0), to: utc(ms), limit: 2 });
      // The one that lasts at the moment began before it, but is not the one before.
      return intervals.map(read).find(({ start }) => start < ms - SECOND / 2) ?? null;
    }
    for (const stretch of FORWARD) {
      let found = null;
      for (let page = 0, before = null; page === 0 || (before && page < PAGES); page++) {
        const { intervals, next } = await this.client.get('/intervals', { ...query, from: utc(ms), to: utc(ms + stretch), limit: MOST, before });
        found = intervals.map(read).findLast(({ start }) => start > ms + SECOND / 2) ?? found;
        before = next;
      }
      if (found) return found;
    }
    return null;
  }
}

/** Reads the times of an interval. */
function read(interval) {
  return {
    ...interval, start: Date.parse(interval.start), end: Date.parse(interval.end),
    pictures: interval.pictures.map(picture => ({ ...picture, at: Date.parse(picture.at) })),
  };
}
