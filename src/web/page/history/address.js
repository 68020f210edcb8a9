// The addresses of the history, which can be shared:
// #/history, #/history/STREAM/2026-01-02, #/history/STREAM/2026-01-02T14:03:05?label=drinking&min=2
// All streams of a day are #/history?day=2026-01-02. Times are those of the viewer's zone.

import { dayOf, endOf, endTimeOf, readDay, readTime, startOf, timeOf } from './days.js';

const ROOT = '#/history';
export const PERIODS = ['day', 'month', 'all'];

export const isHistory = hash => hash === ROOT || hash.startsWith(`${ROOT}/`) || hash.startsWith(`${ROOT}?`);

/**
 * Reads an address: `stream` (null for all), `day` (null for the last one), `at` (the moment that is shown, in UTC, or null),
 * `stretch` (the visible part of the day, or null for all of it), and the filters `labels` (empty for all findings), `min`
 * (seconds), `confidence` (percent) and `period` of the list. What is not understood is left out.
 */
export function readAddress(hash) {
  const [path, query = ''] = hash.slice(ROOT.length).split(/\?(.*)/s);
  const [, name = '', when = ''] = path.split('/');
  const fields = new URLSearchParams(query);
  const [written, time] = when.split('T');
  const day = readDay(written || fields.get('day') || '');
  const number = (key, most) => {
    const value = Number(fields.get(key));
    return value > 0 && value <= most ? value : 0;
  };
  return {
    stream: decoded(name) || null,
    day,
    at: day && time ? readTime(day, time) : null,
    stretch: day && readStretch(day, fields.get('view') ?? ''),
    labels: [...new Set(fields.getAll('label'))],
    min: number('min', 86_400),
    confidence: number('confidence', 100),
    period: PERIODS.includes(fields.get('period')) ? fields.get('period') : 'day',
  };
}

function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function readStretch(day, written) {
  const [from, to] = written.split('-').map(time => readTime(day, time));
  return from != null && to != null && from < to ? [from, to] : null;
}

/** Writes an address. */
export function writeAddress({ stream, day, at, stretch, labels, min, confidence, period }) {
  const fields = new URLSearchParams();
  const moment = at != null && dayOf(at) === day;
  const path = stream ? `/${encodeURIComponent(stream)}/${day}${moment ? `T${timeOf(at)}` : ''}` : '';
  if (!stream && day) fields.set('day', day);
  for (const label of labels) fields.append('label', label);
  if (min) fields.set('min', min);
  if (confidence) fields.set('confidence', confidence);
  if (period !== 'day') fields.set('period', period);
  if (stretch && day) fields.set('view', writeStretch(day, stretch));
  const query = fields.toString().replaceAll('%3A', ':');
  return `${ROOT}${path}${query && `?${query}`}`;
}

function writeStretch(day, [from, to]) {
  return `${timeOf(Math.max(from, startOf(day)))}-${endTimeOf(Math.min(endOf(day), Math.ceil(to / 1000) * 1000))}`;
}
