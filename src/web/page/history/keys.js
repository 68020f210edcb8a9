// The keys of the history: they work wherever the focus is, except in a field, a list or the calendar.

const SMALL = 0.01;
const LARGE = 0.1;

/** The keys, and what they do. */
export const KEYS = [
  ['space', 'plays, pauses'],
  ['left, right', 'move by a hundredth of what is visible, with shift by a tenth'],
  [', .', 'go to the interval before, after'],
  ['l', 'shows the label over the picture, or hides it'],
  ['+ − 0', 'zoom in, out, to the whole day'],
  ['page up', 'goes to the day before; page down to the one after'],
  ['Escape', 'leads back'],
];

/** Listens to keys for a view, and returns the listener. */
export function handleKeys(view) {
  const listener = event => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    if (event.target.closest?.('input, select, textarea')) return;
    if (view.panes.hidden || !act(view, event)) return;
    event.preventDefault();
  };
  addEventListener('keydown', listener);
  return listener;
}

/** Does what a key says. Returns whether it says anything. */
function act(view, { key, shiftKey, target }) {
  const { ribbons, viewer, state } = view;
  const { scale } = ribbons;
  const arrow = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (arrow) {
    const by = arrow * scale.span * (shiftKey ? LARGE : SMALL);
    if (!state.stream) return !scale.whole && (ribbons.glide(scale.from + 10 * by, scale.to + 10 * by), true);
    const from = viewer.at ?? (scale.from + scale.to) / 2;
    const at = Math.max(scale.start, Math.min(scale.end - 1, from + by));
    view.go({ stream: state.stream, at: Math.round(at), play: viewer.playing, push: false });
    return true;
  }
  switch (key) {
    case ' ':
      if (target.closest?.('button, a, [role=listbox]')) return false;
      viewer.toggle();
      return true;
    case '+':
    case '=':
      ribbons.zoom(0.5);
      return true;
    case '-':
      ribbons.zoom(2);
      return true;
    case '0':
      ribbons.fit();
      return true;
    case ',':
      view.step(-1);
      return true;
    case '.':
      view.step(1);
      return true;
    case 'l':
      if (!state.stream) return false;
      viewer.labels.toggle();
      return true;
    case '?':
      view.help.open();
      return true;
    case 'PageUp':
    case 'PageDown':
      view.days.step(key === 'PageUp' ? -1 : 1);
      return true;
    default:
      return false;
  }
}
