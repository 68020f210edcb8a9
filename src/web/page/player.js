// Plays a finished recording: play, pause, seek, and single pictures while paused.

import { PlayButton, Playback } from './playback.js';
import { element, moment, setText } from './words.js';

const STEP = 1000;
const LEAP = 10e3;
/** A response that ends this close to the recording's end has played all of it. */
const NEARLY = 1000;

export class Player {
  /** `moved` is called with each new position. */
  constructor({ name, screen, length, moved }) {
    Object.assign(this, { screen, length, moved });
    this.position = 0;
    this.playback = new Playback({
      screen, frames: () => `/recording/pictures?from=${Math.round(this.position)}&speed=1`, ended: () => this.ended(),
    });
    this.button = new PlayButton(() => this.toggle());
    this.slider = element('input', { type: 'range', min: 0, max: Math.max(1, Math.round(length)), step: 1, value: 0, 'aria-label': `Position in ${name}` });
    this.slider.addEventListener('pointerdown', () => { this.held = true; });
    this.slider.addEventListener('input', () => this.seek(Number(this.slider.value)));
    this.slider.addEventListener('change', () => { this.held = false; if (this.playback.playing) this.playback.run(); });
    this.time = element('span', { className: 'time' });
    this.element = element('div', { className: 'player', role: 'group', 'aria-label': 'Playback' }, this.button.element, this.slider, this.time);
    this.keys = event => this.key(event);
    addEventListener('keydown', this.keys);
    this.render();
  }

  close() {
    removeEventListener('keydown', this.keys);
    this.playback.close();
  }

  begin() {
    if (!this.screen.shown) this.seek(this.position);
  }

  toggle() {
    if (this.playback.playing) this.pause();
    else this.play();
  }

  play() {
    if (this.position >= this.length - 50) this.position = 0;
    this.playback.play();
    this.render();
  }

  pause() {
    this.playback.pause();
    this.render();
  }

  ended() {
    if (this.position >= this.length - NEARLY) this.to(this.length);
    this.pause();
  }

  /** Goes to a position: continues playing there, or shows its picture. */
  seek(ms) {
    this.to(Math.max(0, Math.min(this.length, ms)));
    if (this.playback.playing && !this.held) return this.playback.run();
    this.playback.halt();
    this.screen.forget();
    this.playback.still(`/recording/picture.jpg?at=${this.position}`);
  }

  drawn({ ms, still }) {
    if (this.playback.playing && !this.held && !still) this.to(ms);
  }

  to(ms) {
    this.position = ms;
    this.render();
    this.moved(ms);
  }

  render() {
    const { playing } = this.playback;
    this.button.show(playing ? 'Pause' : this.position >= this.length - 50 ? 'Play again' : 'Play');
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
