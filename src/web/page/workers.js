// The workers of a cluster: what each has, and how it copes (#/workers).

import { element, setText } from './words.js';

const PLACE = '#/workers';
/** How often the workers are asked for, in milliseconds. */
const EVERY = 2000;

export const isWorkers = hash => hash === PLACE;

export class WorkersView {
  constructor() {
    this.rows = () => {};
    this.note = element('p', { className: 'blank', textContent: 'Asking for the workers…' });
    this.list = element('div', { className: 'workers' });
    this.element = element('section', { className: 'workers-view' }, this.note, this.list);
    this.timer = setInterval(() => this.load(), EVERY);
    this.load();
  }

  address = () => null;
  update() {}

  close() {
    clearInterval(this.timer);
  }

  navigation() {
    return { title: 'Workers', document: 'Workers', name: null, names: [], back: { href: '#/', text: 'All streams' } };
  }

  async load() {
    try {
      const response = await fetch('/api/workers', { cache: 'no-store' });
      if (response.ok) this.show((await response.json()).workers);
    } catch {
      // The server is unreachable; the banner shows that.
    }
  }

  show(workers) {
    setText(this.note, workers.length === 0 ? 'No worker is there. Start one with livelabel worker.' : '');
    this.note.hidden = workers.length > 0;
    this.list.replaceChildren(...workers.map(card));
  }
}

const number = (count, noun) => `${count} ${noun}${count === 1 ? '' : 's'}`;

function card(worker) {
  const { name, version, model, device, cameras, camera_capacity: room, clips, capacity, done, failed, moves } = worker;
  const facts = [
    ['Cameras', `${cameras.length} of ${room}`, cameras.length / Math.max(1, room)],
    ['Clips', `${clips.length} of ${capacity}`, clips.length / Math.max(1, capacity)],
  ];
  const delays = cameras.map(camera => camera.delay_ms);
  const strides = cameras.map(camera => camera.stride);
  const rest = [
    cameras.length > 0 && `labels within ${Math.round(Math.max(...delays))} ms, stride up to ${Math.max(...strides)}`,
    `${number(done, 'clip')} done${failed ? `, ${failed} failed` : ''}`,
    `${number(moves, 'camera')} handed over`,
  ];
  return element('article', { className: 'worker' },
    element('h2', {}, element('bdi', { textContent: name }), worker.draining ? element('span', { className: 'tag', textContent: 'draining' }) : ''),
    element('p', { className: 'small', textContent: `${version} · ${model} · ${device}` }),
    ...facts.map(([what, text, share]) => element('p', { className: 'load' },
      element('span', { textContent: what }), element('meter', { value: share, min: 0, max: 1, 'aria-label': `${what}: ${text}` }), element('b', { textContent: text }))),
    element('p', { className: 'small', textContent: rest.filter(Boolean).join(' · ') }),
    worker.problem ? element('p', { className: 'problem', textContent: worker.problem }) : '',
    element('ul', {}, ...cameras.map(camera => element('li', {},
      element('a', { href: `#/stream/${encodeURIComponent(camera.camera)}` }, element('bdi', { textContent: camera.camera })),
      element('span', { textContent: camera.label ?? [camera.state, camera.reason].filter(Boolean).join(', ') })))));
}
