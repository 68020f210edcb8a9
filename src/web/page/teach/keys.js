// The keys of Teach: they work wherever the focus is, except in a field.

import { SKIPPED } from './answers.js';

/** Listens to keys for a view, and returns the listener. */
export function handleKeys(view) {
  const listener = event => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    if (event.target.closest?.('input:not([type=radio]), select, textarea')) return;
    if (!act(view, event)) return;
    event.preventDefault();
  };
  addEventListener('keydown', listener);
  return listener;
}

/** Does what a key says. Returns whether it says anything. */
function act(view, { key, repeat, target }) {
  const { columns } = view.grid;
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -Infinity, End: Infinity }[key];
  // Among radio buttons, arrows choose another.
  if (by) return !target.closest?.('input') && view.step(by);
  const name = key.toLowerCase();
  const label = view.choices.labelOf(name);
  // A key that is held down answers one frame.
  if (label !== undefined) return repeat || view.answer(label);
  switch (name) {
    case 'x':
      return repeat || view.answer(SKIPPED);
    case 'u':
      return repeat || view.undo();
    case '/':
      view.choices.find.focus();
      return !view.choices.find.hidden;
    case '?':
      view.help.open();
      return true;
    default:
      return false;
  }
}

/** The keys, and what they do. */
export const KEYS = [
  ['1 … 9, a …', 'answers with the label that has this key'],
  ['x', 'cannot tell: hides the frame'],
  ['u', 'takes the last answer back, then the one before'],
  ['arrows', 'go to other frames'],
  ['home, end', 'go to the first frame, the last that is loaded'],
  ['/', 'finds a label, where there are more than keys'],
  ['Escape', 'leads back'],
];
