// Teach: the kept frames, most useful first, and what the user says of them. What it shows stands in the address.

import { Client } from '../client.js';
import { button, radios, setOptions } from '../controls.js';
import { KeysDialog } from '../keys_dialog.js';
import { count, element, setText } from '../words.js';
import { STATES, readAddress, writeAddress } from './address.js';
import { SKIPPED } from './answers.js';
import { Choices } from './choices.js';
import { Frames } from './frames.js';
import { Grid } from './grid.js';
import { KEYS, handleKeys } from './keys.js';
import { NewLabel } from './new_label.js';
import { Notices } from './notices.js';
import { Pane } from './pane.js';
import { nameOf } from './says.js';
import { tabs } from './tabs.js';

const NAMES = { open: 'Open', answered: 'Answered', contradictory: 'Contradictory' };
const EMPTY = {
  open: 'Every kept frame is answered.',
  answered: 'No frame is answered yet.',
  contradictory: 'No answers contradict each other.',
};
/** The counts are loaded again after this many milliseconds, and this long after the last answer was sent. */
const FRESH = 10e3;
const SENT = 300;
/** The next page is loaded when so many frames or fewer follow. */
const NEAR = 20;
/** The next frames whose pictures are loaded ahead. */
const AHEAD = 2;

export class FramesView {
  /** `app.teach` is what is kept: labels and counts. */
  constructor(app) {
    this.app = app;
    this.answers = app.answers;
    const { answers } = this;
    const now = () => app.now();
    this.frames = new Frames(new Client('/api/teach'), () => this.changed());
    this.grid = new Grid({ frames: this.frames, answers, now, pick: frame => this.pick(frame) });
    this.pane = new Pane({ now, step: by => this.step(by), settle: (frames, label) => this.settle(frames, label) });
    this.choices = new Choices({ give: label => this.answer(label), undo: () => this.undo(), add: () => this.addLabel(), help: () => this.help.open() });
    this.notices = new Notices({ answers, admin: app.admin, now });
    this.newLabel = new NewLabel(app.admin, (name, labels) => this.added(name, labels));
    this.help = new KeysDialog(KEYS);
    this.build();
    answers.watch({ changed: () => this.answered(), settled: (id, state) => this.frames.settle(id, state) });
    this.keys = handleKeys(this);
    this.fetched = performance.now();
    this.read();
  }

  build() {
    this.states = radios('Which frames', 'state', STATES.map(state => [state, NAMES[state]]), state => this.set({ state }));
    this.streams = element('select', { 'aria-label': 'Stream', title: 'Stream' });
    this.streams.addEventListener('change', () => this.set({ stream: this.streams.value || null }));
    this.newer = button({ className: 'quiet', hidden: true }, () => this.restart());
    this.blank = element('p', { className: 'blank', hidden: true });
    this.panes = element('div', { className: 'panes' },
      element('div', { className: 'watch' }, this.pane.element, this.choices.element, this.notices.element),
      element('div', { className: 'details' }, this.grid.element));
    this.element = element('section', { className: 'teach', 'aria-label': 'Teach' },
      element('div', { className: 'controls' }, tabs('frames'), this.states.element,
        element('div', { className: 'filters', role: 'group', 'aria-label': 'Filters' }, this.newer, this.streams)),
      this.panes, this.blank, this.newLabel.element, this.help.element);
  }

  close() {
    this.closed = true;
    removeEventListener('keydown', this.keys);
    clearTimeout(this.counting);
    this.answers.watch(null);
    this.frames.close();
    this.grid.close();
  }

  address = () => null;
  rows() {}

  // --- what is shown --------------------------------------------------------------------------------------------------

  /** Shows what the address says. */
  read() {
    this.state = readAddress(location.hash);
    this.restart();
  }

  set(change) {
    Object.assign(this.state, change);
    history.pushState(null, '', writeAddress(this.state));
    this.restart();
    this.app.navigate();
  }

  restart() {
    this.focused = this.other = null;
    this.advancing = false;
    this.grid.element.scrollTop = 0;
    this.frames.start(this.state);
  }

  /** Takes over the frames that were loaded. */
  changed() {
    if (this.advancing) this.advance(this.focused);
    else if (!this.focused && this.frames.rows.length) this.focus(this.frames.rows.find(frame => this.needs(frame)) ?? this.frames.rows[0], false);
    this.show();
  }

  show() {
    const { app, frames, answers, focused, state } = this;
    if (!app.teach) return;
    const { labels, counts } = app.teach;
    const may = !app.admin.button.hidden;
    this.states.choose(state.state);
    STATES.forEach((name, at) => setText(this.states.texts[at], `${NAMES[name]} ${counts[name].toLocaleString('en-GB')}`));
    const names = new Set([...app.streams, ...app.past?.streams ?? []].map(({ name }) => name));
    if (state.stream) names.add(state.stream);
    setOptions(this.streams, [['', 'All streams'], ...[...names].map(name => [name, name])], state.stream ?? '');
    this.streams.classList.toggle('on', !!state.stream);
    this.panes.hidden = frames.rows.length === 0 && (frames.done || !frames.failed);
    this.blank.hidden = !this.panes.hidden;
    setText(this.blank, !frames.done ? 'Loading…' : counts.frames === 0
      ? 'No frames are kept yet. Kept are those of which the model is unsure, those around a change of the label, and a few at random.'
      : EMPTY[state.state]);
    this.grid.show({ labels, focused, dim: state.state === 'open' });
    const answer = focused ? answers.of(focused) : null;
    const at = frames.rows.indexOf(focused);
    this.pane.show({ frame: focused, other: this.otherOf(focused), answer, labels, may, next: frames.rows.slice(at + 1, at + 1 + AHEAD) });
    this.choices.show({ labels, answer, may: may && !!focused && !answers.full, undo: may && answers.steps.length > 0 });
    this.choices.add.disabled = !may;
    this.notices.update();
  }

  /** Returns the frame beside the focused one: the first that contradicts it. It is looked for where it is not in the list. */
  otherOf(frame) {
    const id = frame?.contradicts[0];
    if (id === undefined) return null;
    const other = this.frames.known.get(id);
    if (other || this.sought === id) return other ?? null;
    this.sought = id;
    this.frames.find(id, frame.stream).then(found => found && !this.closed && this.show());
    return null;
  }

  /** Called each second. */
  update() {
    const { frames, answers, app } = this;
    if (!app.teach) return;
    const open = frames.rows.filter(frame => answers.of(frame) === null).length;
    const newer = this.state.state === 'open' && !this.state.stream && frames.done && !answers.unsent ? app.teach.counts.open - open : 0;
    this.newer.hidden = newer <= 0;
    setText(this.newer, `Show ${count(newer, 'new frame')}`);
    if (performance.now() - this.fetched > FRESH) this.count();
    this.show();
  }

  /** Loads the labels and the counts. */
  async count() {
    this.fetched = performance.now();
    await this.app.loadTeach();
    if (!this.closed && this.app.teach) this.show();
  }

  /** Tries again what failed while the server was unreachable. */
  load() {
    if (this.frames.failed) this.frames.more();
    this.count();
  }

  // --- the focused frame ----------------------------------------------------------------------------------------------

  focus(frame, moved = true) {
    this.focused = frame;
    this.advancing = false;
    if (moved) this.grid.reveal(frame);
    if (this.frames.rows.indexOf(frame) > this.frames.rows.length - NEAR) this.frames.more();
    this.show();
  }

  /** Shows the frame of a tile. On a phone it stands further up. */
  pick(frame) {
    this.focus(frame);
    this.pane.element.scrollIntoView({ block: 'nearest' });
  }

  /** Goes by a number of frames, as far as there are any. Returns true: the key is used. */
  step(by) {
    const { rows } = this.frames;
    if (!rows.length) return false;
    const at = rows.indexOf(this.focused);
    const to = Math.max(0, Math.min(rows.length - 1, at + by));
    // Up and down stay in their column.
    if (Math.abs(by) > 1 && Number.isFinite(by) && to !== at + by) return true;
    this.focus(rows[to]);
    return true;
  }

  /** Goes to the next frame that needs an answer, which may have to be loaded first. */
  advance(frame) {
    const { rows } = this.frames;
    const at = rows.indexOf(frame);
    const next = rows.find((one, place) => place > at && this.needs(one)) ?? (this.frames.done && rows.find(one => this.needs(one)));
    this.advancing = !next && !this.frames.done;
    if (next) this.focus(next);
    else if (this.advancing) this.frames.more();
    else this.app.announce('There are no more frames here.');
  }

  needs(frame) {
    const { answers, state } = this;
    if (state.state === 'open') return answers.of(frame) === null;
    if (state.state === 'answered') return frame !== this.focused;
    return (frame.interval !== null && answers.stateOf(frame) === 'sent') || frame.contradicts.some(id => {
      const other = this.frames.known.get(id);
      return !other || answers.of(other) !== answers.of(frame);
    });
  }

  // --- answers --------------------------------------------------------------------------------------------------------

  /** Answers the focused frame. Returns whether there is one. */
  answer(label) {
    if (!this.focused) return false;
    this.give([[this.focused, label]]);
    return true;
  }

  /** Says that a label is right for all frames of a contradiction. */
  settle(frames, label) {
    this.give(frames.map(frame => [frame, label]));
  }

  async give(pairs) {
    const { answers, app } = this;
    if (answers.full || !await app.admin.ask() || this.closed) return;
    answers.give(pairs);
    const [[frame, label]] = pairs;
    app.announce(`${label === SKIPPED ? 'Cannot tell' : label}: ${nameOf(frame, app.now())}`);
    if (frame === this.focused) this.advance(frame);
    this.show();
  }

  undo() {
    this.takeBack();
    return true;
  }

  async takeBack() {
    const { answers, app } = this;
    if (!answers.steps.length || !await app.admin.ask() || this.closed) return;
    const frames = answers.undo();
    app.announce(`Taken back: ${frames.map(frame => nameOf(frame, app.now())).join(', ')}`);
    const listed = frames.map(({ id }) => this.frames.at(id)).find(Boolean);
    if (listed) this.focus(listed);
    this.show();
  }

  /** Called when something changed about the answers. */
  answered() {
    if (this.answers.unsent === 0) {
      clearTimeout(this.counting);
      this.counting = setTimeout(() => this.count(), SENT);
    }
    this.show();
  }

  async addLabel() {
    if (await this.app.admin.ask() && !this.closed) this.newLabel.open(this.app.teach.labels);
  }

  added(name, labels) {
    this.app.teach.labels = labels;
    this.show();
    const key = this.choices.keyOf(name);
    this.app.announce(`${name} is a label now${key ? `, with the key ${key}` : ''}.`);
  }

  /** What the page's head shows. */
  navigation() {
    return { title: 'Teach', back: { href: '#/', text: 'Live' }, names: [], name: null, href: () => '#/teach', document: 'Teach' };
  }
}
