// The dialog that makes a new label.

import { button } from '../controls.js';
import { element, setText } from '../words.js';

const LONGEST = 64;

export class NewLabel {
  /** `made` is called with the name of a label that was made, and all labels. */
  constructor(admin, made) {
    this.admin = admin;
    this.made = made;
    this.input = element('input', { id: 'new-label', autocomplete: 'off', spellcheck: true });
    this.input.addEventListener('input', () => this.say(''));
    this.said = element('p', { id: 'new-label-said', className: 'said wrong', role: 'alert' });
    this.input.setAttribute('aria-describedby', this.said.id);
    this.add = element('button', { className: 'do', textContent: 'Add label' });
    const form = element('form', {},
      element('p', { textContent: 'For what none of the labels names. The next model that is trained can tell it.' }),
      element('label', { htmlFor: 'new-label', textContent: 'Name' }), this.input, this.said, this.add);
    form.addEventListener('submit', event => {
      event.preventDefault();
      this.send();
    });
    this.element = element('dialog', { className: 'admin', 'aria-labelledby': 'new-label-title' },
      element('h2', { id: 'new-label-title', textContent: 'New label' }), form,
      button({ className: 'secondary', textContent: 'Cancel' }, () => this.element.close()));
    this.element.addEventListener('click', event => event.target === this.element && this.element.close());
  }

  open(labels) {
    this.labels = labels;
    this.input.value = '';
    this.say('');
    this.element.showModal();
    this.input.focus();
  }

  say(text) {
    setText(this.said, text);
    this.input.setAttribute('aria-invalid', text !== '');
  }

  /** Makes the label. What else is wrong with a name, the server says. */
  async send() {
    const name = this.input.value.trim();
    const wrong = !name ? 'Enter a name.' : [...name].length > LONGEST ? `A name has at most ${LONGEST} characters.`
      : this.labels.includes(name) ? 'There is a label with this name.' : '';
    this.say(wrong);
    if (wrong) return;
    this.add.disabled = true;
    const { ok, text, answer } = await this.admin.send('/api/teach/labels', { label: name });
    this.add.disabled = false;
    if (!ok) return this.say(text);
    this.element.close();
    this.made(name, answer.labels);
  }
}
