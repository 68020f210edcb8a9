// Days and months of the viewer's time zone, written 2026-01-02 and 2026-01. Where the clocks change, a day has 23 or 25 hours.

export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const WEEKS = 6;
const two = number => String(number).padStart(2, '0');
const numbers = written => written.split('-').map(Number);
const local = date => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;

/** Returns the day of a time in UTC. */
export const dayOf = utc => local(new Date(utc));

/** Returns the time of day, 14:03:05. */
export function timeOf(utc) {
  const date = new Date(utc);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Returns the time of day at which a stretch ends: midnight is 24:00:00. */
export const endTimeOf = utc => (timeOf(utc) === '00:00:00' ? '24:00:00' : timeOf(utc));

export function startOf(day) {
  const [year, month, number] = numbers(day);
  return new Date(year, month - 1, number).getTime();
}

export const endOf = day => startOf(addDays(day, 1));

export function addDays(day, by) {
  const [year, month, number] = numbers(day);
  return local(new Date(year, month - 1, number + by));
}

export const monthOf = day => day.slice(0, 7);

export function addMonths(month, by) {
  const [year, number] = numbers(month);
  return local(new Date(year, number - 1 + by, 1)).slice(0, 7);
}

export const firstDay = month => `${month}-01`;

/** Returns the days of the weeks, from Monday on, that a month touches. There are always six weeks, so that no month is higher. */
export function weeks(month) {
  const [year, number] = numbers(month);
  const before = (new Date(year, number - 1, 1).getDay() + 6) % 7;
  return Array.from({ length: WEEKS }, (_, week) =>
    Array.from({ length: 7 }, (_, day) => local(new Date(year, number - 1, 1 - before + 7 * week + day))));
}

/** Reads a day; null if there is no such day. */
export function readDay(written) {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(written)) return null;
  const [year, month, day] = numbers(written);
  return local(new Date(year, month - 1, day)) === written ? written : null;
}

/** Reads a time of that day, 14:03 or 14:03:05; null if there is no such time. */
export function readTime(day, written) {
  const found = /^(\d{2}):(\d{2})(?::(\d{2}))?$/.exec(written);
  if (!found) return null;
  const [hours, minutes, seconds = 0] = found.slice(1).map(number => Number(number ?? 0));
  if (hours > 24 || minutes > 59 || seconds > 59) return null;
  const [year, month, number] = numbers(day);
  return new Date(year, month - 1, number, hours, minutes, seconds).getTime();
}

/** Returns the full hours of a day, every `step`th, as times in UTC. */
export function hours(day, step) {
  const [year, month, number] = numbers(day);
  return Array.from({ length: 24 / step + 1 }, (_, at) => new Date(year, month - 1, number, at * step).getTime());
}
