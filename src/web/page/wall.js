// The wall: all streams as tiles. Each tile links to its stream's large view.

import { Screen } from './pictures.js';
import { colour, element, percent, setText } from './words.js';

const RATE = 8;
const GAP = 15;
const CAPTION = 48;
/** Tiles narrower than this, because height is scarce, have their caption on the picture. */
const ROOMY = 480;
const SMALLEST = 232;
/** Scrolling counts as settled after this many milliseconds. */
const SETTLED = 200;
/** "Waiting for a picture" appears only after this many milliseconds. */
export const SOON = 1000;
/** Below this width, as on a phone: one column for a few streams, two for many. */
const PHONE = 600;

export class Wall {
  constructor(app) {
    this.app = app;
    this.tiles = new Map();
    this.list = element('ul', { className: 'wall', role: 'list' });
    this.none = element('p', { className: 'blank', textContent: 'No streams.' });
    this.element = element('section', { 'aria-label': 'All streams' }, this.list, this.none);
    this.resized = new ResizeObserver(() => this.arrange());
    this.resized.observe(this.element);
    // Tiles out of sight get no pictures. The margin loads pictures before a tile scrolls into view.
    this.seen = new IntersectionObserver(entries => this.updateVisible(entries), { rootMargin: '200px' });
    this.refit = () => this.arrange();
    addEventListener('resize', this.refit);
  }

  close() {
    removeEventListener('resize', this.refit);
    this.resized.disconnect();
    this.seen.disconnect();
    clearTimeout(this.settling);
    for (const tile of this.tiles.values()) tile.close();
  }

  update() {
    const { streams } = this.app;
    const names = streams.map(stream => stream.name);
    if (JSON.stringify(names) !== JSON.stringify([...this.tiles.keys()])) this.layOut(names);
    for (const stream of streams) this.tiles.get(stream.name).update(stream);
    this.none.hidden = streams.length > 0;
  }

  layOut(names) {
    for (const [name, tile] of this.tiles) {
      if (names.includes(name)) continue;
      this.seen.unobserve(tile.element);
      tile.close();
      this.tiles.delete(name);
    }
    const tiles = names.map(name => [name, this.tiles.get(name) ?? new Tile(this.app, name)]);
    this.tiles = new Map(tiles);
    this.list.replaceChildren(...tiles.map(([, tile]) => tile.element));
    for (const [, tile] of tiles) this.seen.observe(tile.element);
    this.arrange();
  }

  updateVisible(entries) {
    for (const entry of entries) {
      const tile = [...this.tiles.values()].find(tile => tile.element === entry.target);
      if (tile) tile.visible = entry.isIntersecting;
    }
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.app.watch(this.address()), this.visibleKnown ? SETTLED : 0);
    this.visibleKnown = true;
  }

  /** Returns the URL of the pictures of all visible tiles, over one connection. */
  address() {
    const names = [...this.tiles].filter(([, tile]) => tile.visible).map(([name]) => `stream=${encodeURIComponent(name)}`);
    return names.length > 0 ? `/pictures?${names.join('&')}&fps=${RATE}` : null;
  }

  show({ name, jpeg, ms }) {
    this.tiles.get(name)?.screen.show(jpeg, ms);
  }

  rows({ name, rows }) {
    const row = rows?.at(-1);
    if (row) this.tiles.get(name)?.updateConfidence(row);
  }

  /** Chooses the number of columns that makes the tiles largest while all fit. Below a minimum size, the wall scrolls. */
  arrange() {
    const tiles = this.tiles.size;
    const room = this.element.clientWidth;
    if (!tiles || !room) return;
    const height = innerHeight - this.element.getBoundingClientRect().top - scrollY - GAP;
    let best = largest(tiles, room, height, CAPTION);
    const tight = room >= PHONE && best.width < ROOMY && best.columns > 1;
    if (tight) best = largest(tiles, room, height, 0);
    if (room < PHONE) best = tiles > 4 ? { columns: 2, width: room } : { columns: 1, width: room };
    else if (best.width < SMALLEST) best = { columns: Math.floor((room + GAP) / (SMALLEST + GAP)), width: room };
    this.list.classList.toggle('tight', tight);
    this.list.style.setProperty('--columns', best.columns);
    this.list.style.setProperty('--tile', `${Math.floor(best.width)}px`);
  }
}

function largest(tiles, room, height, caption) {
  let best = { columns: 1, width: 0 };
  for (let columns = 1; columns <= tiles; columns++) {
    const rows = Math.ceil(tiles / columns);
    const wide = (room - GAP * (columns - 1)) / columns;
    const high = (((height - GAP * (rows - 1)) / rows - caption) * 16) / 9;
    const width = Math.min(wide, high);
    if (width > best.width) best = { columns, width };
  }
  return best;
}

class Tile {
  constructor(app, name) {
    this.app = app;
    this.name = name;
    this.visible = false;
    this.made = performance.now();
    this.canvas = element('canvas', { width: 16, height: 9, role: 'img', 'aria-label': `Live picture of ${name}` });
    this.notice = notice();
    this.fill = element('span', { className: 'fill' });
    this.swatch = element('i', { className: 'swatch' });
    this.label = element('bdi', { className: 'label' });
    this.share = element('span', { className: 'share' });
    this.link = element('a', { className: 'tile', href: `#/stream/${encodeURIComponent(name)}` },
      element('span', { className: 'stage' }, this.canvas, this.notice.element),
      element('span', { className: 'bar' }, this.fill),
      element('span', { className: 'caption' },
        element('bdi', { className: 'name', textContent: name, title: name }),
        element('span', { className: 'says' }, this.swatch, this.label, ' ', this.share)));
    this.element = element('li', {}, this.link);
    this.screen = new Screen(this.canvas, () => this.notice.update(this.problem, false));
  }

  close() {
    this.screen.close();
  }

  update(stream) {
    this.stream = stream;
    const problem = this.app.problem(stream);
    this.problem = problem;
    this.notice.update(problem, !this.screen.shown && performance.now() - this.made > SOON);
    this.link.classList.toggle('down', !!problem);
    for (const state of ['ended', 'failed']) this.link.classList.toggle(state, stream.state === state);
    const index = stream.labels.indexOf(stream.label);
    setText(this.label, problem ? problem.title.toLowerCase() : (stream.label ?? 'computing…'));
    this.label.classList.toggle('none', !problem && stream.label === null);
    this.link.style.setProperty('--hue', !problem && index >= 0 ? colour(index) : 'transparent');
    this.swatch.hidden = !!problem || index < 0;
    this.confidence(!problem && stream.label !== null ? stream.confidence : null);
  }

  /** Updates the confidence of the shown label from a row, between two state messages. */
  updateConfidence(row) {
    const { stream } = this;
    if (this.problem || row[1] < 0 || stream?.labels[row[1]] !== stream?.label) return;
    this.confidence(row[row[1] + 2]);
  }

  confidence(share) {
    setText(this.share, share === null ? '' : percent(share));
    this.fill.style.scale = `${share ?? 0} 1`;
  }
}

/** Creates the notice over a picture: a problem, or waiting for a picture. */
export function notice() {
  const title = element('b');
  const since = element('span');
  const reason = element('span', { className: 'reason' });
  const made = element('span', { className: 'notice', hidden: true }, title, ' ', since, ' ', reason);
  return {
    element: made,
    update(problem, waiting) {
      made.hidden = problem ? problem.inBanner : !waiting;
      if (problem) [[title, problem.title], [since, problem.since], [reason, problem.reason]].forEach(([node, text]) => setText(node, text));
      else if (waiting) [[title, 'Waiting for a picture'], [since, ''], [reason, '']].forEach(([node, text]) => setText(node, text));
    },
  };
}
