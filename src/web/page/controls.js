// Controls that several views have.

import { element, icon } from './words.js';

/** A button that does something. */
export function button(properties, act, ...children) {
  const made = element('button', { type: 'button', ...properties }, ...children);
  made.addEventListener('click', act);
  return made;
}

/** A round button with an icon. `keys`, if there are any, stand in its hint. */
export const roundButton = (name, path, act, keys) =>
  button({ className: 'round', 'aria-label': name, title: keys ? `${name} (${keys})` : name }, act, icon(path));

/** A round button that switches something on or off. The browser keeps what was chosen, by `key`; at first it is on. */
export class RoundSwitch {
  /** `changed` is called with whether it is on, at once and after each change. */
  constructor({ name, path, keys, key, changed }) {
    Object.assign(this, { key, changed });
    this.element = roundButton(name, path, () => this.toggle(), keys);
    this.set(localStorage.getItem(key) !== 'off');
  }

  toggle() {
    this.set(!this.on);
    localStorage.setItem(this.key, this.on ? 'on' : 'off');
  }

  set(on) {
    this.on = on;
    this.element.ariaPressed = on;
    this.changed(on);
  }
}

/**
 * A row of choices of which one is chosen. `choices` are values with their texts; `pick` is called with the value that is
 * chosen. Returns the `element`; `inputs` and `texts`, the elements of the choices in their order; and `choose`.
 */
export function radios(legend, name, choices, pick) {
  const fieldset = element('fieldset', { className: 'windows' }, element('legend', { className: 'hidden', textContent: legend }));
  const made = choices.map(([value, textContent]) => {
    const input = element('input', { type: 'radio', name, value });
    input.addEventListener('change', () => pick(value));
    const text = element('span', { textContent });
    fieldset.append(element('label', {}, input, text));
    return { value, input, text };
  });
  return {
    element: fieldset,
    texts: made.map(({ text }) => text),
    choose: chosen => made.forEach(({ value, input }) => { input.checked = value === chosen; }),
  };
}

/** Makes `options`, values with their texts, those of a selection, and selects one. */
export function setOptions(select, options, value) {
  const key = JSON.stringify(options);
  if (select.dataset.options !== key) {
    select.dataset.options = key;
    select.replaceChildren(...options.map(([value, textContent]) => element('option', { value, textContent })));
  }
  select.value = value;
}
