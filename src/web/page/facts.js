// The facts about one stream, below its large view.

import { element, moment, percent, setText } from './words.js';

const seconds = ms => (ms / 1000).toFixed(1);

export class Facts {
  constructor() {
    this.element = element('dl');
  }

  /** `live` streams are analysed now, cameras and clips alike; of those, a clip may be `done`. */
  update(stream, timeline, { live, camera, done }) {
    const facts = live ? ofLive(stream, camera, done) : ofRecording(stream, timeline);
    if (stream.size) facts.push(['Picture', `${stream.size[0]} × ${stream.size[1]}`]);
    if (stream.threshold > 0) facts.push(['Threshold', percent(stream.threshold)]);
    if (stream.action) facts.push(['Action', stream.action]);
    if (stream.shortest_ms != null) facts.push(['Shortest activity', `nothing shorter than ${seconds(stream.shortest_ms)} s is reported`, 'whole']);
    if (stream.input) facts.push([live ? 'Input' : 'Clip', stream.input, 'whole']);
    const names = facts.map(([name]) => name).join();
    if (names !== this.names) {
      this.names = names;
      this.element.replaceChildren(...facts.map(([name, , className = '']) => element('div', { className }, element('dt', { textContent: name }), element('dd'))));
    }
    facts.forEach(([, value], at) => setText(this.element.children[at].lastChild, value));
  }
}

function ofLive(stream, camera, done) {
  const dropped = Object.entries(stream.frames?.dropped ?? {}).filter(([, number]) => number > 0);
  const facts = [];
  if (!done) facts.push(['Frame rate', `${stream.frames_per_second?.toFixed(1) ?? '–'} / s`]);
  if (camera) facts.push(['Latency, 95 %', stream.latency_ms ? `${Math.round(stream.latency_ms.p95)} ms` : '–']);
  if (stream.label_delay_ms != null) facts.push(['Label delay', `${seconds(stream.label_delay_ms)} s`]);
  facts.push(['Stride', stream.stride > 1 ? `1 in ${stream.stride}` : 'every frame']);
  facts.push(['Dropped', dropped.length ? dropped.map(([why, number]) => `${number} ${why}`).join(', ') : 'none']);
  if (camera) facts.push(['Reconnects', String(stream.reconnects)]);
  if (camera || stream.gaps) facts.push(['Gaps', String(stream.gaps)]);
  return facts;
}

function ofRecording(stream, timeline) {
  const facts = [['Length', moment(stream.duration_ms)], ['Intervals', String(timeline.intervals.length)]];
  if (timeline.gaps.length) facts.push(['Gaps', String(timeline.gaps.length)]);
  return facts;
}
