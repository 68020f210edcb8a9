// The visible stretch of a day, and the ticks under it.

import { hours } from './days.js';

/** The shortest stretch, in milliseconds. */
const SHORTEST = 10e3;
const HOUR = 3600e3;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600].map(seconds => seconds * 1000);

export class Scale {
  /** `changed` is called whenever the visible stretch is another. */
  constructor(changed) {
    this.changed = changed;
    this.width = 1;
    this.setDay('1970-01-01', 0, 86400e3);
  }

  /** Shows a whole day. */
  setDay(day, start, end) {
    Object.assign(this, { day, start, end, from: start, to: end });
  }

  get span() {
    return this.to - this.from;
  }

  get whole() {
    return this.span >= this.end - this.start;
  }

  /** The stretch if it is not the whole day. */
  get stretch() {
    return this.whole ? null : [this.from, this.to];
  }

  toX = ms => ((ms - this.from) / this.span) * this.width;
  toMs = x => this.from + (x / this.width) * this.span;

  /** Shows a stretch, as far as it lies in the day. */
  show(from, to) {
    const span = Math.min(this.end - this.start, Math.max(SHORTEST, to - from));
    const middle = (from + to) / 2;
    this.from = Math.max(this.start, Math.min(this.end - span, middle - span / 2));
    this.to = this.from + span;
    this.changed();
  }

  /** Makes the stretch `factor` times as long. The time `at` stays where it is. */
  zoom(factor, at) {
    const [from, to] = this.zoomed(factor, at);
    this.show(from, to);
  }

  zoomed(factor, at) {
    const span = Math.min(this.end - this.start, Math.max(SHORTEST, this.span * factor));
    const from = at - ((at - this.from) / this.span) * span;
    return [from, from + span];
  }

  pan(ms) {
    this.show(this.from + ms, this.to + ms);
  }
}

/** Returns the times of the ticks, at least `room` pixels apart, and the step between them. */
export function ticks(scale, room) {
  const step = STEPS.find(step => (step / scale.span) * scale.width >= room) ?? STEPS.at(-1);
  if (step >= HOUR) return { step, times: hours(scale.day, step / HOUR).filter(ms => ms >= scale.from && ms <= scale.to) };
  const times = [];
  for (let ms = scale.start + Math.ceil((scale.from - scale.start) / step) * step; ms <= scale.to; ms += step) times.push(ms);
  return { step, times };
}
