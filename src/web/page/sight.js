// Which part of a long list is in sight: only that part has elements, so that the list's length does not matter.

/** Beyond what is visible, in pixels. */
const MARGIN = 300;
/** A list counts as settled when it has been still for this many milliseconds. */
const SETTLED = 120;

export class Sight {
  /**
   * `element` scrolls, or else the page does; `inner`, inside it, is as high as the whole list. `draw` is called with the
   * stretch of `inner` that is in sight, in pixels, and `settled` when it has been still.
   */
  constructor({ element, inner, draw, settled }) {
    Object.assign(this, { element, inner, draw, settled });
    this.scrolled = () => this.render();
    document.addEventListener('scroll', this.scrolled, { capture: true, passive: true });
    this.resized = new ResizeObserver(() => this.render());
    this.resized.observe(element);
  }

  close() {
    document.removeEventListener('scroll', this.scrolled, { capture: true });
    this.resized.disconnect();
    clearTimeout(this.settling);
    cancelAnimationFrame(this.drawing);
  }

  /** Draws before the next picture of the screen. */
  render() {
    this.drawing ||= requestAnimationFrame(() => {
      this.drawing = 0;
      this.now();
    });
  }

  /** Draws at once. */
  now() {
    const box = this.inner.getBoundingClientRect();
    const clip = this.element.getBoundingClientRect();
    this.draw(Math.max(clip.top, 0) - box.top - MARGIN, Math.min(clip.bottom, innerHeight) - box.top + MARGIN);
    clearTimeout(this.settling);
    this.settling = setTimeout(this.settled, SETTLED);
  }

  /** Scrolls as little as needed to show a stretch of `inner`, with `above` pixels over it if it was further up. */
  reveal(top, bottom, above = 0) {
    const box = this.inner.getBoundingClientRect();
    const clip = this.element.getBoundingClientRect();
    const hidden = Math.max(clip.top, 0) - (box.top + top);
    const below = box.top + bottom - Math.min(clip.bottom, innerHeight);
    const by = hidden > 0 ? -hidden - above : below > 0 ? below : 0;
    if (!by) return;
    if (this.element.scrollHeight > this.element.clientHeight + 1) this.element.scrollTop += by;
    else scrollBy(0, by);
  }
}
