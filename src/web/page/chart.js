// The timeline: a line for each label, the threshold, intervals as shading and as a ribbon below, and gaps as hatching.
// uPlot draws it. This module supplies the data and handles pointer and keys.

import { clock, colour, dashed, element, moment, percent, setText } from './words.js';

/** The ribbon lies below 0, so that no line hides it. */
const RIBBON = { top: -0.04, bottom: -0.12 };
const LIVE_STEPS = [5, 10, 15, 30, 60, 120, 300, 600];
const RECORDED_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];

export class Chart {
  /**
   * With `live`, the axis shows the time of day and moves on. `seek` (recordings) is called with the selected time, `open`
   * with the interval whose part of the ribbon is clicked.
   */
  constructor({ timeline, live, seek, open }) {
    this.open = open;
    this.timeline = timeline;
    this.live = live;
    this.seek = seek;
    this.start = 0;
    this.from = 0;
    this.to = 60e3;
    this.threshold = 0;
    this.readout = element('div', { className: 'readout', hidden: true });
    this.playhead = element('div', { className: 'playhead', hidden: true });
    this.empty = element('p', { className: 'empty', textContent: 'No frames analysed yet.' });
    this.element = element('div', {
      className: seek ? 'chart seekable' : 'chart', tabIndex: 0, role: 'slider',
      'aria-label': 'Confidence over time: select a time', 'aria-valuemin': 0, 'aria-valuemax': 0, 'aria-valuenow': 0, 'aria-valuetext': 'no time selected',
    }, this.readout, this.empty);
    this.resized = new ResizeObserver(() => this.fit());
    this.resized.observe(this.element);
    this.themed = matchMedia('(prefers-color-scheme: dark)');
    this.retheme = () => this.build();
    this.themed.addEventListener('change', this.retheme);
    this.element.addEventListener('keydown', event => this.key(event));
    this.element.addEventListener('blur', () => this.leave());
  }

  close() {
    this.resized.disconnect();
    this.themed.removeEventListener('change', this.retheme);
    this.plot?.destroy();
  }

  // uPlot uses seconds: UTC for a camera, the clip's time for a recording.
  toX = ms => (this.live ? this.start : 0) / 1000 + ms / 1000;
  toMs = x => x * 1000 - (this.live ? this.start : 0);
  formatTime = ms => (this.live ? clock(this.start + ms) : moment(ms));

  /** Formats a tick; at whole minutes of the day without seconds, which are then 0. */
  formatTick = (ms, step) => (this.live && step % 60 === 0 ? this.formatTime(ms).slice(0, -3) : this.formatTime(ms));

  /** Shows the timeline between two times. */
  update({ from, to, start, threshold }) {
    Object.assign(this, { from, to, start, threshold });
    const lines = this.timeline.lines();
    this.empty.hidden = this.timeline.rows.length > 0;
    this.element.setAttribute('aria-valuemin', Math.round(from));
    this.element.setAttribute('aria-valuemax', Math.round(to));
    if (this.readout.hidden && !this.seek) this.element.setAttribute('aria-valuenow', Math.round(to));
    if (!this.plot || lines.join() !== this.lines.join()) return this.build();
    this.plot.batch(() => {
      this.plot.setData(this.timeline.columns(this.lines, this.from, this.toX), false);
      this.plot.setScale('x', { min: this.toX(from), max: this.toX(to) });
    });
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (this.plot && width && height) this.plot.setSize({ width, height });
    else if (!this.plot && width) this.build();
  }

  build() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    this.plot?.destroy();
    this.lines = this.timeline.lines();
    const style = getComputedStyle(this.element);
    this.ink = name => style.getPropertyValue(name).trim();
    this.hues = this.timeline.labels.map((_, label) => this.ink(colour(this.timeline.labels, label).slice(4, -1)));
    this.hatch = hatching(this.ink('--hatch'));
    this.plot = new uPlot(this.options(width, height), this.timeline.columns(this.lines, this.from, this.toX), this.element);
    this.plot.setScale('x', { min: this.toX(this.from), max: this.toX(this.to) });
    this.plot.over.append(this.playhead);
    this.listen(this.plot.over);
    this.buildReadout();
  }

  options(width, height) {
    const font = `12px ${this.ink('--font')}`;
    const axis = { stroke: this.ink('--muted'), font, ticks: { show: false }, grid: { stroke: this.ink('--line'), width: 1 } };
    return {
      width, height,
      legend: { show: false },
      padding: [8, 10, 0, 0],
      cursor: { drag: { x: false, y: false }, y: false, points: { size: 7 } },
      scales: { x: { time: false, auto: false }, y: { auto: false, range: [RIBBON.bottom, 1.02] } },
      axes: [
        { ...axis, size: 24, gap: 5, space: 78, incrs: this.live ? LIVE_STEPS : RECORDED_STEPS,
          values: (plot, all, axis, space, step) => all.map(x => (fits(plot, x) ? this.formatTick(this.toMs(x), step) : '')) },
        { ...axis, size: 50, gap: 6, splits: [0, 0.5, 1], values: (_, all) => all.map(percent) },
      ],
      series: [{}, ...this.lines.map(label => ({
        stroke: this.hues[label], width: 2, points: { show: false },
        dash: dashed(label) ? [6, 4] : undefined,
      }))],
      hooks: {
        drawClear: [plot => this.drawBands(plot)],
        draw: [plot => this.drawRibbon(plot), plot => this.drawThreshold(plot)],
        setCursor: [plot => this.updateReadout(plot)],
      },
    };
  }

  /** Draws the bands behind the lines: intervals and gaps. */
  drawBands(plot) {
    const { bbox } = plot;
    const top = plot.valToPos(RIBBON.top, 'y', true);
    this.paint(plot, band => {
      plot.ctx.globalAlpha = 0.14;
      this.eachInterval(plot, (start, end) => band(start, end, bbox.top, top - bbox.top));
      plot.ctx.globalAlpha = 1;
      for (const gap of this.timeline.gaps) {
        const end = gap.end ?? this.to;
        if (end < this.from || gap.start > this.to) continue;
        plot.ctx.fillStyle = this.hatch;
        band(gap.start, end, bbox.top, bbox.height);
      }
    });
  }

  drawRibbon(plot) {
    const [top, bottom] = [RIBBON.top, RIBBON.bottom].map(y => plot.valToPos(y, 'y', true));
    this.paint(plot, band => this.eachInterval(plot, (start, end) => band(start, end, top, bottom - top)));
  }

  eachInterval(plot, draw) {
    for (const interval of this.timeline.intervals) {
      const end = this.endOf(interval);
      if (end < this.from || interval.start > this.to) continue;
      plot.ctx.fillStyle = this.hues[this.timeline.labels.indexOf(interval.label)] ?? this.ink('--muted');
      draw(interval.start, end);
    }
  }

  /** Passes `draw` a function that fills a stretch of time, clipped to the plot. */
  paint(plot, draw) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    draw((start, end, y, height) => {
      const [left, right] = [start, end].map(ms => plot.valToPos(this.toX(ms), 'x', true));
      ctx.fillRect(left, y, Math.max(1, right - left), height);
    });
    ctx.restore();
  }

  endOf = interval => (interval.open ? Math.max(interval.end ?? 0, this.timeline.last) : interval.end);

  drawThreshold(plot) {
    if (!(this.threshold > 0)) return;
    const { ctx, bbox } = plot;
    const y = Math.round(plot.valToPos(this.threshold, 'y', true));
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = this.ink('--text');
    ctx.globalAlpha = 0.75;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.font = `${11 * devicePixelRatio}px ${this.ink('--font')}`;
    ctx.textAlign = 'right';
    ctx.strokeStyle = this.ink('--surface');
    ctx.lineWidth = 3 * devicePixelRatio;
    ctx.setLineDash([]);
    ctx.lineJoin = 'round';
    ctx.globalAlpha = 1;
    for (const draw of ['strokeText', 'fillText']) {
      ctx[draw](`threshold ${percent(this.threshold)}`, bbox.left + bbox.width - 6 * devicePixelRatio, y - 5 * devicePixelRatio);
    }
    ctx.restore();
  }

  /** Builds the readout's rows. They are rebuilt with the chart; `updateReadout` only fills them in. */
  buildReadout() {
    this.when = element('div', { className: 'when' });
    this.items = this.lines.map(label => {
      const share = element('span', { className: 'share' });
      const swatch = element('i', { className: 'swatch' });
      swatch.style.background = colour(this.timeline.labels, label);
      const line = element('div', { className: 'item' }, swatch, element('bdi', { textContent: this.timeline.labels[label] }), share);
      return { label, line, share };
    });
    this.nothing = element('div', { className: 'item' });
    this.readout.replaceChildren(this.when, ...this.items.map(item => item.line), this.nothing);
  }

  updateReadout(plot) {
    const { left } = plot.cursor;
    if (!this.items || left == null || left < 0) {
      this.readout.hidden = true;
      if (!this.seek) this.element.setAttribute('aria-valuetext', 'no time selected');
      return;
    }
    const ms = this.toMs(plot.posToVal(left, 'x'));
    const row = this.timeline.at(ms);
    setText(this.when, this.formatTime(ms));
    for (const { label, line, share } of this.items) {
      line.hidden = !row;
      if (!row) continue;
      setText(share, percent(row[label + 2]));
      line.classList.toggle('on', row[1] === label);
    }
    this.nothing.hidden = !!row;
    setText(this.nothing, row ? '' : this.noDataReason(ms));
    if (!this.seek) this.announce(ms, row);
    this.readout.hidden = false;
    const at = left + plot.over.offsetLeft;
    const room = this.element.clientWidth - this.readout.offsetWidth - 4;
    const beside = at + 14 <= room ? at + 14 : at - 14 - this.readout.offsetWidth;
    this.readout.style.translate = `${Math.max(4, Math.min(beside, room))}px 8px`;
  }

  /** Sets the slider's value text, for screen readers. */
  announce(ms, row) {
    const text = row ? this.items.map(({ label }) => `${this.timeline.labels[label]} ${percent(row[label + 2])}`).join(', ') : this.noDataReason(ms);
    this.element.setAttribute('aria-valuenow', Math.round(ms));
    this.element.setAttribute('aria-valuetext', `${this.formatTime(ms)}: ${text}`);
  }

  noDataReason(ms) {
    const gap = this.timeline.gapAt(ms);
    return gap ? `no picture${gap.reason ? `: ${gap.reason}` : ''}` : 'not analysed';
  }

  leave() {
    this.plot?.setCursor({ left: -10, top: -10 });
  }

  listen(over) {
    const place = event => event.clientX - over.getBoundingClientRect().left;
    const goTo = event => this.seek?.(Math.max(this.from, Math.min(this.to, this.toMs(this.plot.posToVal(place(event), 'x')))));
    over.addEventListener('pointerdown', event => {
      if (event.pointerType === 'touch') this.plot.setCursor({ left: place(event), top: 0 });
      if (event.button !== 0) return;
      const interval = this.ribbonAt(event, over);
      if (interval) return this.seek ? this.seek(interval.start) : this.open(interval);
      if (!this.seek) return;
      over.setPointerCapture(event.pointerId);
      goTo(event);
    });
    over.addEventListener('pointermove', event => {
      if (event.pointerType === 'touch') this.plot.setCursor({ left: place(event), top: 0 });
      if (over.hasPointerCapture(event.pointerId)) goTo(event);
      over.classList.toggle('on-ribbon', !!this.ribbonAt(event, over));
    });
  }

  /** Returns the interval whose part of the ribbon is under the pointer. */
  ribbonAt(event, over) {
    const box = over.getBoundingClientRect();
    if (this.plot.posToVal(event.clientY - box.top, 'y') > RIBBON.top) return null;
    return this.timeline.intervalAt(this.toMs(this.plot.posToVal(event.clientX - box.left, 'x')));
  }

  /** Moves the readout of a camera's timeline. A recording's keys belong to the player. */
  key(event) {
    if (!this.plot || this.seek) return;
    const { cursor, over } = this.plot;
    const width = over.clientWidth;
    const now = cursor.left >= 0 ? cursor.left : width - 1;
    const step = event.shiftKey ? width / 10 : width / 100;
    const to = { ArrowLeft: now - step, ArrowRight: now + step, Home: 0, End: width - 1 }[event.key];
    if (to === undefined) return;
    this.plot.setCursor({ left: Math.max(0, Math.min(width - 1, to)), top: 0 });
    event.preventDefault();
  }

  /** Moves the playhead. */
  mark(ms) {
    if (!this.plot) return;
    this.playhead.hidden = false;
    this.announce(ms, this.timeline.at(ms));
    this.playhead.style.translate = `${this.plot.valToPos(this.toX(ms), 'x')}px 0`;
  }
}

/** Returns whether a tick's time fits under the plot. */
const fits = (plot, x) => plot.valToPos(x, 'x') < plot.width - 50 - 30;

export function hatching(ink) {
  const size = 8 * Math.max(1, Math.round(devicePixelRatio));
  const tile = element('canvas', { width: size, height: size });
  const context = tile.getContext('2d');
  context.strokeStyle = ink;
  context.lineWidth = size / 8;
  for (const shift of [-size, 0, size]) {
    context.beginPath();
    context.moveTo(shift, size);
    context.lineTo(shift + size, 0);
    context.stroke();
  }
  return context.createPattern(tile, 'repeat');
}
