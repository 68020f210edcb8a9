// The picture of a moment: a still at first, then what was recorded from there on. Where nothing was recorded, the kept
// pictures of the interval.

import { fields, utc } from '../client.js';
import { RoundSwitch, button, roundButton } from '../controls.js';
import { Screen } from '../pictures.js';
import { PlayButton, Playback } from '../playback.js';
import { describeReason, element, icon, percent, setText } from '../words.js';
import { KeptPictures } from './kept.js';
import { Nearby } from './nearby.js';
import { ShownLabel } from './shown_label.js';
import { timeOf } from './days.js';

const SPEEDS = [0.5, 1, 2, 4, 8];

export class Viewer {
  /**
   * `moved` is called with each new moment, `settled` when it stays there, `step` to go to the interval before (-1) or after (1),
   * `changed` with the interval that is shown, `save` to export it, and `correct` to say what it was. `now` returns the time, and
   * `hue` a label's colour.
   */
  constructor({ client, now, moved, settled, step, changed, save, correct, hue }) {
    Object.assign(this, { moved, settled, changed, hue });
    this.at = null;
    this.nearby = new Nearby(client, now, () => this.known());
    this.canvas = element('canvas', { width: 16, height: 9, role: 'img', 'aria-label': 'Recorded picture' });
    this.screen = new Screen(this.canvas, frame => this.drawn(frame));
    this.shownLabel = new ShownLabel(hue);
    this.kept = new KeptPictures(this.nearby, hue, at => { this.to(at); this.settled(at); });
    this.title = element('b');
    this.reason = element('span', { className: 'reason' });
    this.notice = element('span', { className: 'notice', hidden: true }, this.title, ' ', this.reason);
    this.stage = element('div', { className: 'stage' }, this.canvas, this.shownLabel.element, this.kept.element, this.notice);
    this.stage.addEventListener('click', event => !event.target.closest('button') && this.toggle());
    this.playback = new Playback({
      screen: this.screen, ended: () => this.pause(), missing: () => this.showKept(),
      frames: () => `/api/history/frames?${fields({ stream: this.name, from: utc(this.at), speed: this.speed.value })}`,
    });
    this.button = new PlayButton(() => this.toggle());
    this.labels = new RoundSwitch({
      name: 'Label over the picture', path: 'M3.5 5.5h17v13h-17zM7 9.5h5M3.5 15.5h17', keys: 'l', key: 'label-over-picture',
      changed: on => this.stage.classList.toggle('clean', !on),
    });
    this.swatch = element('i', { className: 'swatch' });
    this.label = element('bdi');
    this.share = element('span', { className: 'share' });
    this.time = element('b', { className: 'at' });
    this.speed = element('select', { 'aria-label': 'Speed', title: 'Speed' },
      ...SPEEDS.map(value => element('option', { value, textContent: `${value} ×`, selected: value === 1 })));
    this.speed.addEventListener('change', () => this.playing && this.playback.run());
    this.correct = button({ className: 'correct', title: 'Say what this interval was', hidden: true }, correct,
      icon('M14.5 6 18 9.5 8.5 19 4.5 19.5 5 15.5zM12.5 8l3.5 3.5'), element('span', { textContent: 'This was…' }));
    this.bar = element('div', { className: 'player', role: 'group', 'aria-label': 'Playback' },
      this.button.element,
      element('div', { className: 'steps' },
        roundButton('Interval before', 'M17.5 5.5 11 12l6.5 6.5M6.5 5.5v13', () => step(-1), ','),
        roundButton('Interval after', 'M6.5 5.5 13 12l-6.5 6.5M17.5 5.5v13', () => step(1), '.')),
      element('p', { className: 'moment' }, this.time, ' ', element('span', { className: 'label' }, this.swatch, this.label, ' ', this.share)),
      this.correct, this.speed, this.labels.element, roundButton('Export video', 'M12 4v11m0 0-4.5-4.5M12 15l4.5-4.5M5 19.5h14', save));
    this.element = element('div', { className: 'viewer' }, this.stage, this.bar);
    this.render();
  }

  close() {
    this.playback.close();
    this.screen.close();
    this.nearby.close();
  }

  /** Shows a moment of a stream, and plays from there if it is to and can. `track` knows what is recorded. */
  show({ name, track, at, play }) {
    if (name !== this.name) {
      this.pause();
      this.clear();
      this.nearby.forget();
    }
    Object.assign(this, { name, track, pending: true, autoplay: play || this.playing });
    this.canvas.ariaLabel = `Picture of ${name}`;
    this.to(at);
    this.decide();
  }

  /** Forgets the moment. */
  hide() {
    this.pause();
    Object.assign(this, { at: null, pending: false, recorded: false });
    this.clear();
    this.kept.show(null);
    this.say('Choose a moment', 'in the day below, or an interval of the list');
    this.render();
  }

  say(title, reason) {
    this.notice.hidden = !title;
    setText(this.title, title);
    setText(this.reason, reason);
  }

  clear() {
    this.playback.forget();
    this.screen.shown = false;
    this.frame = null;
    this.element.classList.remove('seen');
  }

  /** Called when more is known about ribbon or intervals. */
  known() {
    if (this.at == null) return;
    const begins = this.pending ? this.nearby.beginsAt(this.at) : null;
    if (begins) this.to(begins.start);
    this.decide();
    this.render();
  }

  /** Decides what is shown at the moment, once that is known. */
  decide() {
    if (this.at == null || !this.pending) return;
    this.nearby.need(this.name, this.at);
    const here = this.track?.at(this.at);
    if (!here || !this.nearby.knows(this.name, this.at)) return;
    this.pending = false;
    this.recorded = here.recorded;
    this.here = here;
    this.kept.show(null);
    this.say('', '');
    if (here.recorded) {
      if (this.autoplay) this.play();
      else this.fetchStill(this.at);
    } else this.showKept();
    this.render();
  }

  /** Shows the kept pictures of the interval, or says why there are none. */
  showKept() {
    this.pause();
    this.clear();
    this.recorded = false;
    const interval = this.nearby.at(this.at);
    this.kept.show(interval, this.at);
    const { gap, watched } = this.here ?? {};
    if (interval?.pictures.length) this.say('', '');
    else this.say(gap ? 'No picture' : watched ? 'Not recorded' : 'Not watched', gap ? describeReason(gap.reason) : interval ? 'No picture of this interval is kept' : '');
    this.render();
  }

  // --- playback -------------------------------------------------------------------------------------------------------

  get playing() {
    return this.playback.playing;
  }

  toggle() {
    if (this.playing) {
      this.pause();
      this.settled(this.at);
    } else if (this.recorded) this.play();
  }

  play() {
    if (this.at == null) return;
    // A picture of the moment is there before the first of the video.
    if (!this.screen.shown) this.fetchStill(this.at);
    this.playback.play();
    this.render();
  }

  pause() {
    this.autoplay = false;
    this.playback.pause();
    this.render();
  }

  fetchStill(ms) {
    this.playback.still(`/api/history/picture.jpg?${fields({ stream: this.name, at: utc(ms) })}`);
  }

  drawn(frame) {
    this.frame = frame;
    this.element.classList.add('seen');
    this.shownLabel.fit(this.canvas);
    if (!this.playing || frame.still) return this.renderLabel();
    this.to(frame.ms);
    this.nearby.need(this.name, frame.ms);
  }

  to(ms) {
    this.at = ms;
    this.render();
    this.moved(ms);
  }

  render() {
    const { at, playing } = this;
    this.button.show(playing ? 'Pause' : 'Play');
    this.button.element.disabled = !playing && !this.recorded;
    this.speed.disabled = this.button.element.disabled;
    setText(this.time, at == null ? '' : timeOf(at));
    const interval = at == null ? null : this.nearby.at(at);
    setText(this.label, interval?.label ?? '');
    setText(this.share, interval?.mean == null ? '' : percent(interval.mean));
    this.swatch.hidden = !interval;
    this.swatch.style.background = interval ? this.hue(interval.label) : '';
    this.correct.disabled = !interval;
    if (interval?.id !== this.interval?.id) {
      this.interval = interval;
      this.changed(interval);
    }
    this.renderLabel();
  }

  /** Shows the label of the frame that is drawn, unless that has it already. */
  renderLabel() {
    this.labels.element.disabled = !!this.frame?.labelled;
    if (!this.frame || this.frame.labelled) this.shownLabel.hide();
    else this.shownLabel.show(this.nearby, this.frame.ms);
  }
}
