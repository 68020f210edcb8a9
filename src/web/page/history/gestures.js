// Wheel, pinch and drag on the ribbons: they zoom and move the visible stretch. A click or a tap selects a time.

/** A pointer that moves less than this many pixels clicks. */
const STILL = 5;
const LINE = 16;
const SPEED = { wheel: 0.0018, pinch: 0.01 };

/**
 * `area` is the element; `place` turns a pointer's position into pixels of the scale. `pick` is called with a click's event,
 * `hover` with each movement's, and with null when the pointer leaves.
 */
export function followPointer(area, { scale, place, pick, hover }) {
  const down = new Map();
  let begin = null;
  let moved = false;

  area.addEventListener('wheel', event => {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? LINE : event.deltaMode === 2 ? scale.width : 1;
    const sideways = event.shiftKey ? event.deltaX || event.deltaY : Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : 0;
    if (sideways) scale.pan((sideways * unit * scale.span) / scale.width);
    else scale.zoom(Math.exp(event.deltaY * unit * (event.ctrlKey ? SPEED.pinch : SPEED.wheel)), scale.toMs(place(event)));
    hover(event);
  }, { passive: false });

  area.addEventListener('pointerdown', event => {
    if (event.button !== 0 || event.target.closest('a, button')) return;
    down.set(event.pointerId, place(event));
    if (down.size > 1) moved = true;
    else [begin, moved] = [place(event), false];
  });
  area.addEventListener('pointermove', event => {
    if (!down.has(event.pointerId)) {
      if (event.pointerType !== 'touch') hover(event);
      return;
    }
    const x = place(event);
    if (down.size === 1) drag(event, x);
    else if (down.size === 2) pinch(event, x);
    down.set(event.pointerId, x);
  });
  const up = event => {
    if (!down.delete(event.pointerId)) return;
    area.classList.remove('held');
    if (event.type === 'pointerup' && !moved) pick(event);
  };
  area.addEventListener('pointerup', up);
  area.addEventListener('pointercancel', up);
  area.addEventListener('pointerleave', event => {
    if (!down.has(event.pointerId)) hover(null);
  });

  function drag(event, x) {
    if (!moved && Math.abs(x - begin) < STILL) return;
    if (!moved) {
      moved = true;
      area.setPointerCapture(event.pointerId);
      area.classList.add('held');
      hover(null);
    }
    scale.pan(((down.get(event.pointerId) - x) * scale.span) / scale.width);
  }

  /** The times under both fingers stay under them. */
  function pinch(event, x) {
    const other = [...down].find(([id]) => id !== event.pointerId)[1];
    const before = down.get(event.pointerId);
    const least = 12;
    const factor = Math.max(least, Math.abs(before - other)) / Math.max(least, Math.abs(x - other));
    scale.zoom(factor, scale.toMs(other));
  }
}
