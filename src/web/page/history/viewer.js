// The picture of a moment: a still at first, then what was recorded from there on. Where nothing was recorded, the kept
// pictures of the interval.

import { fields, utc } from '../client.js';
import { Pictures, Screen } from '../pictures.js';
import { PAUSE, PLAY } from '../player.js';
import { describeReason, element, icon, percent, setText } from '../words.js';
import { KeptPictures } from './kept.js';
import { Nearby } from './nearby.js';
import { timeOf } from './days.js';

const SPEEDS = [0.5, 1, 2, 4, 8];

export class Viewer {
  /**
   * `moved` is called with each new moment, `settled` when it stays there, `step` to go to the interval before (-1) or after (1),
   * `changed` with the interval that is shown, `save` to export it, and `correct` to say what it was.
   */
  constructor({ client, moved, settled, step, changed, save, correct, hue }) {
    Object.assign(this, { moved, settled, changed, hue });
    this.at = null;
    this.playing = false;
    this.nearby = new Nearby(client, () => this.known());
    this.canvas = element('canvas', { width: 16, height: 9, role: 'img', 'aria-label': 'Recorded picture' });
    this.screen = new Screen(this.canvas, ms => this.drawn(ms));
    this.kept = new KeptPictures(at => { this.to(at); this.settled(at); });
    this.title = element('b');
    this.reason = element('span', { className: 'reason' });
    this.notice = element('span', { className: 'notice', hidden: true }, this.title, ' ', this.reason);
    this.stage = element('div', { className: 'stage' }, this.canvas, this.kept.element, this.notice);
    this.stage.addEventListener('click', event => !event.target.closest('button') && this.toggle());
    this.pictures = new Pictures(({ jpeg, ms }) => this.screen.show(jpeg, ms), () => {}, () => this.pause());
    const button = (className, name, path, act) => {
      const made = element('button', { type: 'button', className, 'aria-label': name, title: name }, icon(path));
      made.addEventListener('click', act);
      return made;
    };
    this.button = button('play', 'Play', PLAY, () => this.toggle());
    this.button.title = 'Play (space)';
    this.swatch = element('i', { className: 'swatch' });
    this.label = element('bdi');
    this.share = element('span', { className: 'share' });
    this.time = element('b', { className: 'at' });
    this.speed = element('select', { 'aria-label': 'Speed', title: 'Speed' },
      ...SPEEDS.map(value => element('option', { value, textContent: `${value} ×`, selected: value === 1 })));
    this.speed.addEventListener('change', () => this.playing && this.run());
    this.correct = element('button', { type: 'button', className: 'correct', title: 'Say what this interval was', hidden: true },
      icon('M14.5 6 18 9.5 8.5 19 4.5 19.5 5 15.5zM12.5 8l3.5 3.5'), element('span', { textContent: 'This was…' }));
    this.correct.addEventListener('click', correct);
    this.bar = element('div', { className: 'player', role: 'group', 'aria-label': 'Playback' },
      this.button,
      element('div', { className: 'steps' },
        button('round', 'Interval before (,)', 'M17.5 5.5 11 12l6.5 6.5M6.5 5.5v13', () => step(-1)),
        button('round', 'Interval after (.)', 'M6.5 5.5 13 12l-6.5 6.5M17.5 5.5v13', () => step(1))),
      element('p', { className: 'moment' }, this.time, ' ', element('span', { className: 'label' }, this.swatch, this.label, ' ', this.share)),
      this.correct, this.speed, button('round', 'Export video', 'M12 4v11m0 0-4.5-4.5M12 15l4.5-4.5M5 19.5h14', save));
    this.element = element('div', { className: 'viewer' }, this.stage, this.bar);
    this.render();
  }

  close() {
    this.pictures.stop();
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
    this.screen.forget();
    this.screen.shown = false;
    this.element.classList.remove('seen');
    this.still = null;
  }

  get query() {
    return { stream: this.name };
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
    this.playing = true;
    this.run();
    this.render();
  }

  pause() {
    this.playing = this.autoplay = false;
    this.pictures.watch(null);
    this.render();
  }

  /** Pauses playback while the page is hidden. */
  suspend(hidden) {
    if (!this.playing) return;
    if (hidden) this.pictures.watch(null);
    else this.run();
  }

  run() {
    this.pictures.watch(null);
    this.screen.forget();
    this.pictures.watch(`/api/history/frames?${fields({ stream: this.name, from: utc(this.at), speed: this.speed.value })}`);
  }

  /** Loads a single picture. Sends one request at a time, for the last moment. */
  async fetchStill(ms) {
    this.still = { name: this.name, ms };
    if (this.fetching) return;
    this.fetching = true;
    while (this.still) {
      const wanted = this.still;
      this.still = null;
      try {
        const response = await fetch(`/api/history/picture.jpg?${fields({ stream: wanted.name, at: utc(wanted.ms) })}`, { cache: 'no-store' });
        const current = wanted.name === this.name && this.recorded;
        if (response.ok && current && !(this.playing && this.screen.shown)) this.screen.show(await response.blob(), NaN);
        else if (response.status === 404 && current && !this.still) this.showKept();
      } catch {
        // The server is unreachable; the banner shows that, and the last picture stays.
      }
    }
    this.fetching = false;
  }

  drawn(ms) {
    this.element.classList.add('seen');
    if (!this.playing || !Number.isFinite(ms)) return;
    this.to(ms);
    this.nearby.need(this.name, ms);
  }

  to(ms) {
    this.at = ms;
    this.render();
    this.moved(ms);
  }

  render() {
    const { at, playing } = this;
    const name = playing ? 'Pause' : 'Play';
    if (this.button.dataset.path !== name) {
      this.button.dataset.path = name;
      this.button.ariaLabel = name;
      this.button.title = `${name} (space)`;
      this.button.replaceChildren(icon(playing ? PAUSE : PLAY));
    }
    this.button.disabled = !playing && !this.recorded;
    this.speed.disabled = this.button.disabled;
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
  }
}
