// The bar of the whole day: it shows which stretch of it is visible, and moves that.

import { element } from '../words.js';

export class WholeDay {
  constructor(scale) {
    this.scale = scale;
    this.frame = element('i');
    this.element = element('div', { className: 'whole-day', 'aria-hidden': 'true' }, this.frame);
    this.element.addEventListener('pointerdown', event => {
      this.element.setPointerCapture(event.pointerId);
      this.go(event);
    });
    this.element.addEventListener('pointermove', event => this.element.hasPointerCapture(event.pointerId) && this.go(event));
  }

  go(event) {
    const box = this.element.getBoundingClientRect();
    const { scale } = this;
    const at = scale.start + ((event.clientX - box.left) / box.width) * (scale.end - scale.start);
    scale.show(at - scale.span / 2, at + scale.span / 2);
  }

  draw() {
    const { scale } = this;
    const part = ms => `${(100 * (ms - scale.start)) / (scale.end - scale.start)}%`;
    Object.assign(this.frame.style, { left: part(scale.from), width: part(scale.start + scale.span) });
    this.element.classList.toggle('all', scale.whole);
  }
}
