// The frame that is answered, large, with what the model said of it; of a contradiction both frames, side by side.

import { button } from '../controls.js';
import { element, percent, setText } from '../words.js';
import { Named, hue } from './choices.js';
import { isContradicted, pictureOf } from './frames.js';
import { nameOf, wholeReason, wholeTime } from './says.js';

/** A finger that moves this many pixels sideways leads to the next frame or to the one before. */
const SWIPE = 40;
/** Pictures that are loaded before they are shown. */
const AHEAD = 4;

export class Pane {
  /** `step` goes by a number of frames; `settle` is called with the frames of a contradiction and the label that is right. */
  constructor({ step, settle, now }) {
    Object.assign(this, { settle, now });
    this.ahead = new Map();
    this.shots = [new Shot(), new Shot()];
    this.question = element('p', { className: 'question', hidden: true });
    this.pair = element('div', { className: 'pair' }, ...this.shots.map(shot => shot.element));
    this.name = element('b', { className: 'at' });
    this.why = element('span', { className: 'why' });
    this.answer = new Named();
    this.given = element('span', { className: 'given' }, 'Your answer: ', this.answer.element);
    this.meters = element('ul', { className: 'meters', role: 'list', 'aria-label': 'What the model said' });
    this.about = element('div', { className: 'about-frame' },
      element('p', { className: 'moment', 'aria-live': 'polite' }, this.name, ' ', this.why, ' ', this.given), this.meters);
    this.element = element('div', { className: 'pane' }, this.question, this.pair, this.about);
    swipe(this.pair, step);
  }

  /** Shows a frame with its answer; `other` is one that contradicts it, or null. `next` are loaded ahead. */
  show({ frame, other, answer, labels, may, next }) {
    this.element.hidden = !frame;
    if (!frame) return;
    const [first, second] = this.shots;
    first.show(frame, this.picture(frame));
    second.show(other, other && this.picture(other));
    this.prepare([frame, other, ...next].filter(Boolean));
    this.pair.classList.toggle('two', !!other);
    this.ask(frame, other, { labels, may, now: this.now() });
    setText(this.name, `${frame.stream}, ${wholeTime(frame)}`);
    setText(this.why, wholeReason(frame));
    this.given.hidden = answer === null;
    this.answer.show(answer, labels);
    this.meter(frame, labels);
  }

  /** Asks which answer of a contradiction is right: that of the frame, or that of the other one or of an interval. */
  ask(frame, other, shown) {
    this.question.hidden = !isContradicted(frame);
    const more = frame.contradicts.length - 1;
    setText(this.question, frame.contradicts.length === 0 ? 'You gave this frame and the interval around it different answers. Which is right?'
      : `These were answered differently, so neither is learnt from. Which answer is right?${more > 0 ? ` ${more} more contradict the first.` : ''}`);
    const [first, second] = this.shots;
    const own = [frame.answer, ...(other ? [] : [frame.interval])];
    first.ask(frame, { ...shown, says: this.question.hidden ? [] : own, pick: label => this.settle(other ? [frame, other] : [frame], label) });
    if (other) second.ask(other, { ...shown, says: [other.answer], pick: label => this.settle([frame, other], label) });
  }

  meter({ id, said }, labels) {
    if (this.metered === id) return;
    this.metered = id;
    this.meters.replaceChildren(...said.map(([label, share], at) => {
      const fill = element('span', { className: 'fill' });
      fill.style.scale = `${share} 1`;
      const line = element('li', { className: at === 0 ? 'on' : '' }, element('bdi', { className: 'name', textContent: label, title: label }),
        element('span', { className: 'share', textContent: percent(share) }), element('span', { className: 'bar' }, fill));
      line.style.setProperty('--hue', hue(labels, label));
      return line;
    }));
  }

  // --- pictures -------------------------------------------------------------------------------------------------------

  picture(frame) {
    const picture = this.ahead.get(frame.id) ?? element('img', { src: pictureOf(frame.id), draggable: false });
    this.ahead.set(frame.id, picture);
    return picture;
  }

  /** Keeps the pictures of these frames, and drops the others. */
  prepare(frames) {
    const near = frames.slice(0, AHEAD);
    for (const frame of near) this.picture(frame);
    for (const id of this.ahead.keys()) if (!near.some(frame => frame.id === id)) this.ahead.delete(id);
  }
}

/** One large picture; of a contradiction with its answer, and the button that says it is right. */
class Shot {
  constructor() {
    this.missing = element('span', { className: 'notice', hidden: true }, element('b', { textContent: 'No picture' }), ' ',
      element('span', { className: 'reason', textContent: 'It is damaged, or no longer kept' }));
    this.stage = element('div', { className: 'stage' }, this.missing);
    this.when = element('span', { className: 'when' });
    this.label = new Named();
    this.right = [0, 1].map(at => button({ className: 'do' }, () => this.pick(this.says[at]), element('bdi'), ' is right'));
    this.caption = element('figcaption', { hidden: true }, element('span', { className: 'what-of' }, this.label.element, ' ', this.when), ...this.right);
    this.element = element('figure', { className: 'shot-of' }, this.stage, this.caption);
  }

  show(frame, picture) {
    this.element.hidden = !frame;
    if (picture === this.picture) return;
    this.picture?.remove();
    this.picture = picture;
    if (!picture) return;
    const settle = () => { if (picture === this.picture) this.missing.hidden = !picture.complete || picture.naturalWidth > 0; };
    picture.alt = `Frame of ${frame.stream}, ${wholeTime(frame)}`;
    picture.onload = picture.onerror = settle;
    this.stage.prepend(picture);
    this.missing.hidden = true;
    settle();
  }

  /** Asks which of the answers `says` is right; of none, nothing. */
  ask(frame, { labels, may, now, says, pick }) {
    const asked = says.filter(label => label !== null);
    Object.assign(this, { pick, says: asked });
    this.caption.hidden = asked.length === 0;
    this.label.show(frame.answer, labels);
    setText(this.when, nameOf(frame, now));
    this.right.forEach((made, at) => {
      made.hidden = !asked[at];
      made.disabled = !may;
      setText(made.firstChild, asked[at] ?? '');
    });
  }
}

/** Moves by a swipe. What goes up or down scrolls the page. */
function swipe(area, step) {
  let begin = null;
  area.addEventListener('pointerdown', event => { begin = event.isPrimary && event.pointerType === 'touch' ? event : null; });
  area.addEventListener('pointerup', event => {
    const by = begin && event.isPrimary ? event.clientX - begin.clientX : 0;
    if (Math.abs(by) > SWIPE && Math.abs(by) > 2 * Math.abs(event.clientY - begin.clientY)) step(by < 0 ? 1 : -1);
    begin = null;
  });
  area.addEventListener('pointercancel', () => { begin = null; });
}
