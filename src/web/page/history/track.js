// What one stream's ribbon shows: the whole day, and more finely the visible stretch and what is beside it.

import { utc } from '../client.js';

/** A stretch is loaded more finely if it is shorter than this part of what is loaded. */
const FINER = 0.67;
/** Ribbons of past days, by their address, that are kept. */
const KEPT = 200;

const kept = new Map();

/** Forgets the ribbons of past days. */
export const forgetRibbons = () => kept.clear();

export class Track {
  /** `changed` is called when more is known. */
  constructor(client, name, changed) {
    Object.assign(this, { client, name, changed });
    this.clear();
  }

  clear() {
    this.day = this.fine = null;
    this.stale = false;
    this.loading?.abort();
    this.refining?.abort();
  }

  close() {
    this.clear();
  }

  /** Loads a whole day, at most up to `now`. What was known of the same day stays until then. */
  async load({ start, end, width }, now) {
    if (this.day && this.day.from !== start) this.clear();
    this.loading?.abort();
    const { signal } = (this.loading = new AbortController());
    this.day = (await this.get(start, end, width, now, signal)) ?? this.day;
    this.stale = !signal.aborted;
    this.changed();
  }

  /** Loads what is visible as finely as it is shown, unless it is already known. */
  async refine(scale, width, now) {
    const known = this.best(scale.from, scale.to);
    if (!known) return;
    if ((scale.span / width) > FINER * ((this.day.to - this.day.from) / this.day.width)) {
      this.fine = null;
      return;
    }
    if (!this.stale && (scale.span / width) > FINER * ((known.to - known.from) / known.width)) return;
    this.stale = false;
    const beside = scale.span / 2;
    const from = Math.floor(Math.max(scale.start, scale.from - beside));
    const to = Math.ceil(Math.min(scale.end, scale.to + beside));
    this.refining?.abort();
    const { signal } = (this.refining = new AbortController());
    this.fine = (await this.get(from, to, Math.ceil((width * (to - from)) / scale.span), now, signal)) ?? this.fine;
    this.changed();
  }

  /** Gets a ribbon; null if that was interrupted or failed. */
  async get(from, to, width, now, signal) {
    const query = { stream: this.name, from: utc(from), to: utc(to), width };
    const key = JSON.stringify(query);
    if (kept.has(key)) return kept.get(key);
    try {
      const answer = await this.client.get('/ribbon', query, signal);
      const ribbon = { ...answer, from, to, width };
      if (to < now - 60e3) {
        kept.set(key, ribbon);
        if (kept.size > KEPT) kept.delete(kept.keys().next().value);
      }
      this.failed = false;
      return signal.aborted ? null : ribbon;
    } catch {
      this.failed = !signal.aborted;
      return null;
    }
  }

  /** Returns the finest ribbon that has a stretch. */
  best(from, to = from) {
    return this.fine && this.fine.from <= from && to <= this.fine.to ? this.fine : this.day;
  }

  /** Returns the visible stretch in parts: [ribbon, from, to]. */
  parts({ from, to }) {
    const { day, fine } = this;
    if (!day) return [];
    if (!fine || fine.to <= from || fine.from >= to) return [[day, from, to]];
    return [[day, from, fine.from], [fine, Math.max(from, fine.from), Math.min(to, fine.to)], [day, fine.to, to]].filter(([, from, to]) => to > from);
  }

  /** Returns what is known about a time: { label, recorded, watched, gap }, or null if nothing is loaded. */
  at(ms, tolerance = 0) {
    const ribbon = this.best(ms);
    if (!ribbon) return null;
    const here = ms - ribbon.from;
    const found = list => list.find(([start, end]) => start - tolerance <= here && here < end + tolerance);
    const exact = ribbon.spans.filter(([start, end]) => start - tolerance <= here && here < end + tolerance);
    const nearest = exact.sort((one, other) => Math.abs(one[0] + one[1] - 2 * here) - Math.abs(other[0] + other[1] - 2 * here))[0];
    const gap = found(ribbon.gaps);
    return {
      label: nearest ? ribbon.labels[nearest[2]] : null,
      recorded: ribbon.recorded.some(([start, end]) => start <= here && here < end),
      watched: ribbon.watched.some(([start, end]) => start <= here && here < end),
      gap: gap ? { reason: gap[2] } : null,
    };
  }
}

/** Returns the index of the first entry that ends after a time. */
export function firstAfter(list, time) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle][1] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
