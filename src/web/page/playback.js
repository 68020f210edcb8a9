// Plays recorded frames on a screen, and shows single ones: what the player of a recording and the history's have in common.

import { Pictures, described } from './pictures.js';
import { button } from './controls.js';
import { icon } from './words.js';

const ICONS = {
  Play: 'M7 4.5v15l12-7.5z',
  Pause: 'M6.5 5h4v14h-4zM13.5 5h4v14h-4z',
  'Play again': 'M12 5V1.5L6.5 6.5 12 11.5V8a5.5 5.5 0 1 1-5.5 5.5h-3A8.5 8.5 0 1 0 12 5z',
};

/** The button that plays and pauses. */
export class PlayButton {
  constructor(act) {
    this.element = button({ className: 'play' }, act);
    this.show('Play');
  }

  /** Shows what a click does: one of ICONS. */
  show(does) {
    if (this.element.ariaLabel === does) return;
    this.element.ariaLabel = does;
    this.element.title = `${does} (space)`;
    this.element.replaceChildren(icon(ICONS[does]));
  }
}

export class Playback {
  /**
   * The `screen` gets frames, with `ms`, `labelled` and whether each is a `still`. `frames` returns the address of the frames
   * from the current moment on, and `ended` is called when they end; `missing` when there is no single one.
   */
  constructor({ screen, frames, ended, missing = () => {} }) {
    Object.assign(this, { screen, frames, missing });
    this.playing = false;
    this.wanted = null;
    this.pictures = new Pictures(({ jpeg, ...frame }) => screen.show(jpeg, frame), () => {}, ended);
  }

  close() {
    this.pictures.stop();
    this.forget();
  }

  play() {
    this.playing = true;
    this.run();
  }

  pause() {
    this.playing = false;
    this.halt();
  }

  /** Plays from the current moment on. */
  run() {
    this.halt();
    this.screen.forget();
    this.pictures.watch(this.frames());
  }

  /** Stops until `run`. */
  halt() {
    this.pictures.watch(null);
  }

  /** Pauses playback while the page is hidden. */
  suspend(hidden) {
    if (!this.playing) return;
    if (hidden) this.halt();
    else this.run();
  }

  /** Shows a single frame. Sends one request at a time, for the last address: a slider emits many. */
  async still(address) {
    this.wanted = address;
    if (this.fetching) return;
    this.fetching = true;
    while (this.wanted) {
      const asked = this.wanted;
      this.wanted = null;
      this.dropped = false;
      try {
        const response = await fetch(asked, { cache: 'no-store' });
        const jpeg = response.ok && await response.blob();
        if (this.dropped) continue;
        // A frame that plays is later than this one.
        if (jpeg && !(this.pictures.address && this.screen.shown)) {
          this.screen.show(jpeg, { ...described(name => response.headers.get(name)), still: true });
        } else if (response.status === 404 && !this.wanted) this.missing();
      } catch {
        // The server is unreachable; the banner shows that, and the last picture stays.
      }
    }
    this.fetching = false;
  }

  /** Drops all frames that are not shown yet. */
  forget() {
    this.screen.forget();
    this.wanted = null;
    this.dropped = true;
  }
}
