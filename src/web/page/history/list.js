// The list of intervals. Only the rows in sight have elements, so that its length does not matter.

import { Sight } from '../sight.js';
import { element, length, percent, setText, wholeDate } from '../words.js';
import { dayOf, timeOf } from './days.js';
import { MOST, Pages } from './pages.js';

const ROW = 56;
const HEAD = 36;
/** The next page is loaded when the end is this near. */
const AHEAD = 2500;

let lists = 0;

export class List {
  /** `open` is called with a row and whether to play it. `hue` gives a label's colour. */
  constructor({ client, open, hue }) {
    Object.assign(this, { open, hue });
    this.id = `list-${lists++}`;
    this.pages = new Pages(client, () => this.changed());
    this.nodes = new Map();
    this.spare = { row: [], head: [] };
    this.items = [];
    this.begin();
    this.inner = element('div', { className: 'inner', role: 'presentation' });
    this.state = element('p', { className: 'empty' });
    this.again = element('button', { type: 'button', className: 'quiet', textContent: 'Try again', hidden: true });
    this.again.addEventListener('click', () => this.pages.more());
    this.box = element('div', { className: 'rows', tabIndex: 0, role: 'listbox', 'aria-label': 'Intervals, latest first' }, this.inner);
    this.element = element('div', { className: 'list' }, this.box, element('div', { className: 'end', role: 'status' }, this.state, this.again));
    this.box.addEventListener('keydown', event => this.key(event));
    this.inner.addEventListener('click', event => {
      const node = event.target.closest('[data-at]');
      if (node) this.activate(Number(node.dataset.at), true);
    });
    this.sight = new Sight({ element: this.element, inner: this.inner, draw: (from, to) => this.draw(from, to), settled: () => this.showPictures() });
  }

  close() {
    this.sight.close();
    this.pages.close();
  }

  /** Shows what a query finds: with the stream's name if it is about `several`, with headings if about several `days`. */
  show(query, { several, days }) {
    const key = JSON.stringify([query, several, days]);
    if (key === this.shown) return;
    Object.assign(this, { shown: key, several, days, active: -1 });
    this.element.scrollTop = 0;
    this.pages.start(query);
    this.begin();
    this.changed();
  }

  /** Loads what is new, if the list's beginning is in sight, or what could not be loaded. */
  refresh() {
    if (this.pages.failed) return this.pages.more();
    const top = Math.max(0, this.element.getBoundingClientRect().top);
    if (this.inner.getBoundingClientRect().top >= top && !this.box.contains(document.activeElement)) this.pages.refresh();
  }

  /** Takes over the rows that were loaded since. */
  changed() {
    const { rows } = this.pages;
    if (rows[0] !== this.items.find(item => item.row)?.row) this.begin();
    const push = (item, height) => {
      this.items.push(item);
      this.tops.push(this.tops.at(-1) + height);
    };
    for (; this.taken < rows.length; this.taken++) {
      const row = rows[this.taken];
      if (this.days && dayOf(row.start) !== this.last) push({ head: (this.last = dayOf(row.start)), start: row.start }, HEAD);
      push({ row }, ROW);
      this.pictured ||= !!row.picture;
    }
    this.element.classList.toggle('bare', !this.pictured);
    if (this.wanted != null) this.active = this.items.findIndex(item => item.row?.id === this.wanted);
    this.wanted = null;
    for (const [at, node] of this.nodes) if (node.row) this.fill(node, node.row, at);
    this.inner.style.height = `${this.tops.at(-1)}px`;
    this.say();
    this.sight.render();
  }

  /** Begins anew: the rows are others, or there are some before the first. */
  begin() {
    this.wanted = this.items[this.active]?.row?.id;
    Object.assign(this, { items: [], tops: [0], taken: 0, last: null, pictured: false, active: -1 });
    for (const [at, node] of this.nodes) this.recycle(at, node);
  }

  say() {
    const { failed, done, rows } = this.pages;
    setText(this.state, failed ? `The list could not be loaded: ${failed}.`.replace('..', '.')
      : !done ? 'Loading…' : rows.length === 0 ? 'No interval matches.' : rows.length >= MOST ? 'Earlier intervals are left out: choose a shorter time.' : '');
    this.again.hidden = !failed;
    this.box.tabIndex = rows.length ? 0 : -1;
  }

  // --- rows in sight --------------------------------------------------------------------------------------------------

  draw(from, to) {
    const first = this.indexAt(from);
    let last = first;
    while (last < this.items.length && this.tops[last] < to) last++;
    for (const [at, node] of this.nodes) if (at < first || at >= last) this.recycle(at, node);
    for (let at = first; at < last; at++) if (!this.nodes.has(at)) this.place(at);
    for (const { element } of [...this.spare.row, ...this.spare.head]) element.hidden = true;
    this.mark();
    if (to > this.tops.at(-1) - AHEAD && !this.pages.failed) this.pages.more();
  }

  indexAt(top) {
    let low = 0;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.tops[middle + 1] <= top) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  recycle(at, node) {
    this.nodes.delete(at);
    this.spare[node.kind].push(node);
  }

  place(at) {
    const item = this.items[at];
    const kind = item.row ? 'row' : 'head';
    const node = this.spare[kind].pop() ?? this.make(kind);
    this.nodes.set(at, node);
    node.element.style.translate = `0 ${this.tops[at]}px`;
    node.element.hidden = false;
    if (kind === 'head') setText(node.element, wholeDate(item.start));
    else this.fill(node, item.row, at);
  }

  make(kind) {
    if (kind === 'head') {
      const made = element('div', { className: 'head', role: 'presentation' });
      this.inner.append(made);
      return { kind, element: made };
    }
    const picture = element('img', { alt: '', hidden: true });
    picture.addEventListener('load', () => { picture.hidden = false; });
    const swatch = element('i', { className: 'swatch' });
    const [label, stream, begin, long, mean] = [element('bdi'), element('bdi', { className: 'of' }), element('span'), element('span'), element('span', { className: 'mean' })];
    const made = element('div', { className: 'row', role: 'option' },
      element('span', { className: 'thumbnail' }, picture),
      element('span', { className: 'what-of' }, element('span', { className: 'label' }, swatch, label), ' ', stream), ' ',
      element('span', { className: 'when-of' }, begin, ' ', long), ' ', mean);
    this.inner.append(made);
    return { kind, element: made, picture, swatch, label, stream, begin, long, mean };
  }

  fill(node, row, at) {
    node.row = row;
    node.element.dataset.at = at;
    node.element.id = `${this.id}-${at}`;
    node.element.setAttribute('aria-posinset', at + 1);
    node.element.setAttribute('aria-setsize', this.pages.done ? this.items.length : -1);
    node.element.title = row.label;
    node.swatch.style.background = this.hue(row.label);
    setText(node.label, row.label);
    setText(node.stream, this.several ? row.stream : row.recorded ? 'recorded' : row.picture ? 'pictures' : '');
    setText(node.begin, timeOf(row.start));
    setText(node.long, row.open ? `${length(Date.now() - row.start)} …` : length(row.duration));
    setText(node.mean, row.mean == null ? '' : percent(row.mean));
    if (node.url !== row.picture) {
      node.picture.hidden = true;
      node.picture.removeAttribute('src');
      node.url = null;
    }
  }

  showPictures() {
    for (const node of this.nodes.values()) {
      if (node.kind !== 'row' || node.url === node.row.picture) continue;
      node.url = node.row.picture;
      if (node.url) node.picture.src = node.url;
    }
  }

  // --- selection ------------------------------------------------------------------------------------------------------

  /** Marks the interval that is shown, by its number. */
  select(id) {
    this.selected = id;
    this.mark();
  }

  mark() {
    for (const [at, node] of this.nodes) {
      if (node.kind !== 'row') continue;
      const here = node.row.id === this.selected;
      node.element.classList.toggle('here', here);
      node.element.classList.toggle('active', at === this.active);
      node.element.setAttribute('aria-selected', here);
    }
    const active = this.nodes.get(this.active);
    if (active) this.box.setAttribute('aria-activedescendant', active.element.id);
    else this.box.removeAttribute('aria-activedescendant');
  }

  activate(at, play) {
    const row = this.items[at]?.row;
    if (!row) return;
    this.active = at;
    this.selected = row.id;
    this.sight.reveal(this.tops[at], this.tops[at + 1], this.days ? HEAD : 0);
    this.sight.now();
    this.open(row, play);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const now = this.active >= 0 ? this.active : this.items.findIndex(item => item.row?.id === this.selected);
    const page = Math.max(1, Math.floor(Math.min(this.element.clientHeight, innerHeight) / ROW) - 1);
    const [by, from] = {
      ArrowDown: [1, now], ArrowUp: [-1, now < 0 ? 0 : now], PageDown: [page, now], PageUp: [-page, now], Home: [1, -1], End: [-1, this.items.length],
    }[event.key] ?? [];
    if (event.key === 'Enter' || event.key === ' ') this.activate(now < 0 ? this.step(-1, 1) : now, true);
    else if (by) this.activate(this.step(from, by), false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Returns the row some steps from an item. Headings do not count. */
  step(from, by) {
    const last = this.items.length - 1;
    let at = Math.max(0, Math.min(last, from + by));
    const way = Math.sign(by);
    while (this.items[at] && !this.items[at].row) at = at + way > last || at + way < 0 ? from : at + way;
    return at;
  }
}
