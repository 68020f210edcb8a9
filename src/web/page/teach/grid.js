// The kept frames as a grid of tiles. Only the tiles in sight have elements and pictures, so that the number of frames does not
// matter.

import { button } from '../controls.js';
import { Sight } from '../sight.js';
import { element, icon, percent, setText } from '../words.js';
import { SKIPPED } from './answers.js';
import { Named, hue } from './choices.js';
import { isContradicted, pictureOf } from './frames.js';
import { nameOf, reasonOf, timeOfFrame } from './says.js';

const GAP = 10;
/** The least width of a tile, and the height of what stands below its picture. */
const LEAST = 150;
const TEXT = 68;
/** The next page is loaded when the end is this near. */
const AHEAD = 2500;

const CLOCK = 'M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17M12 7.5V12l3 2';
const WARNING = 'M12 6v7m0 4v.5';
const MARKS = { sent: 'M5 12.5 10 17.5 19 7', waiting: CLOCK, sending: CLOCK, refused: WARNING, conflict: WARNING };
const STATES = { sent: 'saved', waiting: 'not sent yet', sending: 'being sent', refused: 'refused', conflict: 'another page was first' };

export class Grid {
  /** `pick` is called with a frame; `answers` has what the user said. */
  constructor({ frames, answers, pick, now }) {
    Object.assign(this, { frames, answers, pick, now });
    this.nodes = new Map();
    this.spare = [];
    this.labels = [];
    this.columns = 1;
    this.inner = element('div', { className: 'inner', role: 'presentation' });
    this.box = element('div', { className: 'tiles', tabIndex: 0, role: 'listbox', 'aria-label': 'Kept frames' }, this.inner);
    this.state = element('p', { className: 'empty' });
    this.again = button({ className: 'quiet', textContent: 'Try again', hidden: true }, () => frames.more());
    this.element = element('div', { className: 'grid' }, this.box, element('div', { className: 'end', role: 'status' }, this.state, this.again));
    this.inner.addEventListener('click', event => {
      const tile = event.target.closest('[data-at]');
      if (tile) pick(frames.rows[Number(tile.dataset.at)]);
    });
    this.sight = new Sight({ element: this.element, inner: this.inner, draw: (from, to) => this.draw(from, to), settled: () => this.showPictures() });
  }

  close() {
    this.sight.close();
  }

  /** Shows the frames that there are, and marks the focused one. `dim` those that are answered. */
  show({ labels, focused, dim }) {
    Object.assign(this, { labels, focused });
    this.element.classList.toggle('dim', dim);
    const { failed, done, full, rows } = this.frames;
    setText(this.state, failed ? `The frames could not be loaded: ${failed}.`.replace('..', '.')
      : !done ? 'Loading…' : full ? 'Further frames are left out: answer some of these first.' : '');
    this.again.hidden = !failed;
    this.box.tabIndex = rows.length ? 0 : -1;
    for (const [at, tile] of this.nodes) if (rows[at]) this.fill(tile, rows[at], at);
    this.sight.render();
  }

  measure() {
    const width = this.inner.clientWidth;
    const columns = Math.max(2, Math.floor((width + GAP) / (LEAST + GAP)));
    const tile = (width - GAP * (columns - 1)) / columns;
    if (tile !== this.tile) {
      for (const [at, node] of this.nodes) this.recycle(at, node);
      Object.assign(this, { columns, tile, height: Math.round((tile * 9) / 16) + TEXT });
    }
    const lines = Math.ceil(this.frames.rows.length / columns);
    this.inner.style.height = `${Math.max(0, lines * (this.height + GAP) - GAP)}px`;
  }

  draw(from, to) {
    this.measure();
    const { rows } = this.frames;
    const line = this.height + GAP;
    const first = Math.max(0, Math.floor(from / line)) * this.columns;
    const last = Math.min(rows.length, Math.ceil(to / line) * this.columns);
    for (const [at, node] of this.nodes) if (at < first || at >= last) this.recycle(at, node);
    for (let at = first; at < last; at++) if (!this.nodes.has(at)) this.place(at);
    for (const { element } of this.spare) element.hidden = true;
    const focused = this.nodes.get(rows.indexOf(this.focused));
    if (focused) this.box.setAttribute('aria-activedescendant', focused.element.id);
    else this.box.removeAttribute('aria-activedescendant');
    if (to > this.inner.clientHeight - AHEAD && !this.frames.failed) this.frames.more();
  }

  /** Scrolls to a frame. On a phone the page stays where it is, since the focused frame stands above the tiles. */
  reveal(frame) {
    const at = this.frames.rows.indexOf(frame);
    if (at < 0 || this.element.scrollHeight <= this.element.clientHeight + 1) return;
    const top = Math.floor(at / this.columns) * (this.height + GAP);
    this.sight.reveal(top - GAP, top + this.height + GAP);
  }

  // --- tiles ----------------------------------------------------------------------------------------------------------

  /** A tile out of sight gives its picture back. */
  recycle(at, node) {
    this.nodes.delete(at);
    this.spare.push(node);
    this.drop(node);
  }

  drop(node) {
    node.picture.hidden = true;
    node.picture.removeAttribute('src');
    node.shown = null;
  }

  place(at) {
    const node = this.spare.pop() ?? this.make();
    this.nodes.set(at, node);
    const [column, line] = [at % this.columns, Math.floor(at / this.columns)];
    node.element.style.translate = `${column * (this.tile + GAP)}px ${line * (this.height + GAP)}px`;
    node.element.style.width = `${this.tile}px`;
    node.element.style.height = `${this.height}px`;
    node.element.hidden = false;
    this.fill(node, this.frames.rows[at], at);
  }

  make() {
    const picture = element('img', { alt: '', hidden: true });
    picture.addEventListener('load', () => { picture.hidden = false; });
    const [said, answer] = [new Named(), new Named()];
    const [share, fill, when, why] = ['share', 'fill', 'when', 'why'].map(className => element('span', { className }));
    const stream = element('bdi');
    const mark = element('span', { className: 'mark' });
    const given = element('span', { className: 'given' }, mark, answer.element);
    const made = element('div', { className: 'shot', role: 'option' },
      element('span', { className: 'thumbnail' }, picture, given),
      element('span', { className: 'said-of' }, said.element, share),
      element('span', { className: 'bar' }, fill), when, element('span', { className: 'from' }, stream, why));
    this.inner.append(made);
    return { element: made, picture, said, answer, share, fill, when, stream, why, mark, given };
  }

  fill(node, frame, at) {
    const { labels, answers } = this;
    const [said, share] = frame.said[0] ?? ['', 0];
    const answer = answers.of(frame);
    const state = answers.stateOf(frame);
    const name = nameOf(frame, this.now());
    node.frame = frame;
    node.element.dataset.at = at;
    node.element.id = `shot-${at}`;
    node.said.show(said || null, labels);
    if (!said) setText(node.said.label, 'not analysed');
    setText(node.share, said ? percent(share) : '');
    node.fill.style.scale = `${share} 1`;
    node.fill.style.setProperty('--hue', said ? hue(labels, said) : '');
    setText(node.when, timeOfFrame(frame, this.now()));
    setText(node.stream, frame.stream);
    setText(node.why, isContradicted(frame) ? 'contradictory' : reasonOf(frame));
    node.given.hidden = state === null || (state === 'sent' && answer === null);
    node.answer.show(answer ?? 'taken back', labels);
    if (answer === null) node.answer.swatch.hidden = true;
    if (node.marked !== state && state) node.mark.replaceChildren(icon(MARKS[state]));
    node.marked = state;
    const { classList } = node.element;
    classList.toggle('done', !node.given.hidden && answer !== null);
    classList.toggle('wrong', state === 'refused' || state === 'conflict');
    classList.toggle('contrary', isContradicted(frame));
    classList.toggle('here', frame === this.focused);
    node.element.setAttribute('aria-selected', frame === this.focused);
    node.element.setAttribute('aria-posinset', at + 1);
    node.element.setAttribute('aria-setsize', this.frames.done ? this.frames.rows.length : -1);
    const given = node.given.hidden ? '' : `, your answer: ${answer === SKIPPED ? 'cannot tell' : answer ?? 'taken back'}, ${STATES[state]}`;
    node.element.setAttribute('aria-label', `${name}, ${said ? `${said} ${percent(share)}, ` : ''}${reasonOf(frame)}${given}`);
    node.element.title = name;
    if (node.shown !== null && node.shown !== frame.id) this.drop(node);
  }

  showPictures() {
    for (const node of this.nodes.values()) {
      if (node.shown === node.frame.id) continue;
      node.shown = node.frame.id;
      node.picture.src = pictureOf(node.frame.id);
    }
  }
}
