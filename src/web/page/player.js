// Plays a finished recording: play, pause, seek, and single pictures while paused.

import { Pictures } from './pictures.js';
import { element, icon, moment, setText } from './words.js';

export const PLAY = 'M7 4.5v15l12-7.5z';
export const PAUSE = 'M6.5 5h4v14h-4zM13.5 5h4v14h-4z';
const AGAIN = 'M12 5V1.5L6.5 6.5 12 11.5V8a5.5 5.5 0 1 1-5.5 5.5h-3A8.5 8.5 0 1 0 12 5z';
const STEP = 1000;
const LEAP = 10e3;
/** A response that ends this close to the recording's end has played all of it. */
const NEARLY = 1000;

export class Player {
  /** `moved` is called with each new position. */
  constructor({ name, screen, length, moved }) {
    Object.assign(this, { screen, length, moved });
    this.position = 0;
    this.playing = false;
    this.button = element('button', { type: 'button', className: 'play' });
    this.button.addEventListener('click', () => this.toggle());
    this.slider = element('input', { type: 'range', min: 0, max: Math.max(1, Math.round(length)), step: 1, value: 0, 'aria-label': `Position in ${name}` });
    this.slider.addEventListener('pointerdown', () => { this.held = true; });
    this.slider.addEventListener('input', () => this.seek(Number(this.slider.value)));
    this.slider.addEventListener('change', () => { this.held = false; if (this.playing) this.run(); });
    this.time = element('span', { className: 'time' });
    this.element = element('div', { className: 'player', role: 'group', 'aria-label': 'Playback' }, this.button, this.slider, this.time);
    this.pictures = new Pictures(({ jpeg, ms }) => this.screen.show(jpeg, ms), () => {}, () => this.ended());
    this.keys = event => this.key(event);
    addEventListener('keydown', this.keys);
    this.render();
  }

  close() {
    removeEventListener('keydown', this.keys);
    this.pictures.stop();
    this.still = null;
  }

  begin() {
    if (!this.screen.shown) this.seek(this.position);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    if (this.position >= this.length - 50) this.position = 0;
    this.playing = true;
    this.run();
    this.render();
  }

  pause() {
    this.playing = false;
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
    this.pictures.watch(`/recording/pictures?from=${Math.round(this.position)}&speed=1`);
  }

  ended() {
    if (this.position >= this.length - NEARLY) this.to(this.length);
    this.pause();
  }

  /** Goes to a position: continues playing there, or shows its picture. */
  seek(ms) {
    this.to(Math.max(0, Math.min(this.length, ms)));
    if (this.playing && !this.held) this.run();
    else {
      this.pictures.watch(null);
      this.screen.forget();
      this.fetchStill(this.position);
    }
  }

  /** Loads a single picture. Sends one request at a time, for the last position: a slider emits many. */
  async fetchStill(ms) {
    this.still = ms;
    if (this.fetching) return;
    this.fetching = true;
    while (this.still != null) {
      const at = this.still;
      this.still = null;
      try {
        const response = await fetch(`/recording/picture.jpg?at=${at}`, { cache: 'no-store' });
        if (response.ok && (!this.playing || this.held)) this.screen.show(await response.blob(), NaN);
      } catch {
        // The server is unreachable; the banner shows that, and the last picture stays.
      }
    }
    this.fetching = false;
  }

  drawn(ms) {
    if (this.playing && !this.held && Number.isFinite(ms)) this.to(ms);
  }

  to(ms) {
    this.position = ms;
    this.render();
    this.moved(ms);
  }

  render() {
    const over = !this.playing && this.position >= this.length - 50;
    const name = this.playing ? 'Pause' : over ? 'Play again' : 'Play';
    if (this.button.ariaLabel !== name) {
      this.button.ariaLabel = name;
      this.button.title = `${name} (space)`;
      this.button.replaceChildren(icon(this.playing ? PAUSE : over ? AGAIN : PLAY));
    }
    if (!this.held) this.slider.value = this.position;
    this.slider.style.setProperty('--done', this.length ? this.position / this.length : 0);
    const text = `${moment(this.position)} / ${moment(this.length)}`;
    this.slider.setAttribute('aria-valuetext', text.replace('/', 'of'));
    setText(this.time, text);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { target } = event;
    const busy = target.closest?.('button, a, select, textarea') || target.matches?.('input:not([type=range])');
    if (event.key === ' ' && !busy) this.toggle();
    else if (event.key === 'Home') this.seek(0);
    else if (event.key === 'End') this.seek(this.length);
    else if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
      const step = event.shiftKey ? LEAP : STEP;
      this.seek(this.position + (event.key === 'ArrowLeft' ? -step : step));
    } else return;
    event.preventDefault();
  }
}
