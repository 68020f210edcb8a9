// The report of a trained model as a table: the model before and the new one on the same pictures, side by side.

import { count, element, percent } from '../words.js';
import { hue } from './choices.js';

const number = value => value.toLocaleString('en-GB');
const of = (right, all) => (all > 0 ? `${number(right)} of ${number(all)}` : '–');

/** Says how many more are right: between 8 and 26 more. */
function difference({ low, high }) {
  if (low > 0) return `between ${number(low)} and ${number(high)} more right`;
  if (high < 0) return `between ${number(-high)} and ${number(-low)} fewer right`;
  return low === 0 && high === 0 ? 'as many right' : `between ${number(-low)} fewer and ${number(high)} more right`;
}

/** Returns the table of a model's report. */
export function reportTable({ report, labels }) {
  const { corrections, kept } = report;
  const sections = [];
  if (corrections) {
    const { frames, visits, old, new: now } = corrections;
    sections.push(section(`On your corrections: ${count(frames, 'frame')} of ${count(visits, 'visit')}`, corrections.difference, [
      all(old, now, frames, corrections.difference), ...recalls(old, now, labels), changes(old, now),
    ]));
  }
  if (kept) {
    sections.push(section(`On what it knew: ${count(kept.rows, 'picture')}`, kept.difference, [all(kept.old, kept.new, kept.rows, kept.difference), ...recalls(kept.old, kept.new, labels)]));
  }
  return element('table', { className: 'report' }, element('thead', {}, element('tr', {},
    element('td'), ...['Before', 'This model'].map(textContent => element('th', { textContent, className: 'number', scope: 'col' })))), ...sections);
}

function section(title, change, rows) {
  const head = element('th', { colSpan: 3, scope: 'rowgroup' }, element('b', { textContent: title }),
    ...(change ? [' ', element('span', { textContent: difference(change) })] : []));
  return element('tbody', {}, element('tr', { className: 'about-rows' }, head), ...rows.filter(Boolean).map(row));
}

/** A line of the table. `better` is 1 if the new model was shown to be better in it, -1 if worse. */
function row({ name, before, now, better = 0, colour }) {
  const swatch = element('i', { className: 'swatch' });
  swatch.style.background = colour ?? '';
  const says = { 1: 'better', '-1': 'worse' }[better];
  return element('tr', {},
    element('th', { scope: 'row' }, element('span', {}, ...(colour ? [swatch] : []), element('bdi', { textContent: name }))),
    element('td', { className: 'number' }, before),
    element('td', { className: `number ${says ?? ''}`, title: says ?? '' }, now, ...(says ? [element('span', { className: 'hidden', textContent: `, ${says}` })] : [])));
}

function all(old, now, frames, change) {
  const share = ({ right, accuracy }) => element('span', {}, of(right, frames),
    ...(frames > 0 ? [element('span', { className: 'share', textContent: ` · ${percent(accuracy ?? right / frames)}` })] : []));
  return { name: 'Right in all', before: share(old), now: share(now), better: change?.low > 0 ? 1 : change?.high < 0 ? -1 : 0 };
}

/** A line for each label: how many of its pictures were recognised. */
function recalls(old, now, labels) {
  const names = new Set([...labels, ...Object.keys(old.recall), ...Object.keys(now.recall)]);
  const known = [...names].filter(label => (old.recall[label] ?? now.recall[label])?.[1] > 0);
  return known.map(label => {
    const [before, after] = [old, now].map(({ recall }) => recall[label]);
    return { name: label, colour: hue(labels, label), before: before ? of(...before) : '–', now: after ? of(...after) : '–' };
  });
}

function changes({ changes_per_hour: before }, { changes_per_hour: now }) {
  if (before == null && now == null) return null;
  const text = value => (value == null ? '–' : value.toFixed(1));
  return { name: 'Changes of the label an hour', before: text(before), now: text(now) };
}
