// Draws ribbons and the axis on canvases.

import { hatching } from '../chart.js';
import { REST } from '../words.js';
import { timeOf } from './days.js';
import { firstAfter } from './track.js';
import { ticks } from './scale.js';

/** A finding is at least this wide, in pixels, so that it is seen. */
const SEEN = 2;
/** Least distance of two labels of the axis. */
const ROOM = 74;
const FAINT = 0.2;
const MINUTE = 60e3;

/** Reads the theme's colours. */
export function inks(node) {
  const style = getComputedStyle(node);
  const of = name => style.getPropertyValue(name).trim();
  const [text, muted, line, track, accent, rest] = ['--text', '--muted', '--line', '--track', '--accent', '--label-rest'].map(of);
  return { text, muted, line, track, accent, rest, hatch: hatching(of('--hatch')), font: of('--font'), hue: name => of(name.slice(4, -1)) };
}

/** Makes a canvas as large as it appears, and returns its context, in CSS pixels. */
function context(canvas, width, height) {
  const ratio = devicePixelRatio;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const made = canvas.getContext('2d');
  made.setTransform(ratio, 0, 0, ratio, 0, 0);
  made.clearRect(0, 0, width, height);
  return made;
}

/**
 * Draws one ribbon: where the stream was watched, its gaps, its labels, and a line where it was recorded. `hues` are the colours
 * of labels; those that `chosen` refuses are faint. `top` is where the ribbon begins.
 */
export function paintRibbon(canvas, track, scale, { ink, hues, chosen, top = 0, height, full }) {
  const { width } = scale;
  const draw = context(canvas, width, full);
  const line = top + height + 2;
  for (const ms of ticks(scale, ROOM).times) {
    draw.fillStyle = ink.line;
    draw.fillRect(Math.round(scale.toX(ms)), 0, 1, full);
  }
  for (const [ribbon, from, to] of track.parts(scale)) {
    draw.save();
    draw.beginPath();
    draw.rect(scale.toX(from), 0, scale.toX(to) - scale.toX(from), full);
    draw.clip();
    const fill = (list, style, y, high, least = 0) => {
      draw.fillStyle = style;
      each(list, ribbon, from, to, scale, least, (x, wide) => draw.fillRect(x, y, wide, high));
    };
    fill(ribbon.watched, ink.track, top, height);
    fill(ribbon.gaps, ink.hatch, top, height, 1);
    for (const [index, name] of layers(ribbon)) {
      const rest = name === REST;
      draw.globalAlpha = chosen(name) ? 1 : rest ? 0.45 : FAINT;
      const own = ribbon.spans.filter(span => span[2] === index);
      fill(own, hues(name), top + (rest ? height * 0.36 : 0), height * (rest ? 0.28 : 1), rest ? 0 : SEEN);
      draw.globalAlpha = 1;
    }
    draw.globalAlpha = 0.6;
    fill(ribbon.recorded, ink.muted, line, 2);
    draw.globalAlpha = 1;
    draw.restore();
  }
}

/** Returns the ribbon's labels in the order in which they are drawn: findings over the rest. */
function layers({ labels, spans }) {
  const present = new Set(spans.map(span => span[2]));
  return labels.map((name, index) => [index, name]).filter(([index]) => present.has(index))
    .sort(([, one], [, other]) => (other === REST) - (one === REST));
}

function each(list, ribbon, from, to, scale, least, draw) {
  for (let at = firstAfter(list, from - ribbon.from); at < list.length && list[at][0] <= to - ribbon.from; at++) {
    const x = scale.toX(ribbon.from + list[at][0]);
    draw(x, Math.max(least, scale.toX(ribbon.from + list[at][1]) - x));
  }
}

/** Draws the times below or above the ribbons. */
export function paintAxis(canvas, scale, ink, height) {
  const draw = context(canvas, scale.width, height);
  const { step, times } = ticks(scale, ROOM);
  draw.font = `12px ${ink.font}`;
  draw.textBaseline = 'middle';
  draw.fillStyle = ink.muted;
  for (const ms of times) {
    const text = step < MINUTE ? timeOf(ms) : timeOf(ms).slice(0, 5);
    const wide = draw.measureText(text).width;
    const x = scale.toX(ms);
    const left = Math.max(0, Math.min(scale.width - wide, x - wide / 2));
    // At an edge, a time is moved a little; further, it would lie beside its line.
    if (Math.abs(left + wide / 2 - x) > wide / 2 + 1) continue;
    draw.fillText(ms === scale.end ? '24:00' : text, left, height / 2);
  }
}
