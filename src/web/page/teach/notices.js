// What became of the answers: how many wait and why, and those about which the user has to decide.

import { button } from '../controls.js';
import { count, element, setText } from '../words.js';
import { SKIPPED } from './answers.js';
import { nameOf } from './says.js';

/** At most this many are listed at once. */
const LISTED = 5;

const named = answer => (answer === null ? 'nothing' : answer === SKIPPED ? '“cannot tell”' : answer);

export class Notices {
  constructor({ answers, admin, now }) {
    Object.assign(this, { answers, admin, now });
    this.text = element('span');
    this.again = button({ className: 'quiet' }, () => this.act());
    this.line = element('p', { className: 'sending' }, element('span', { role: 'status' }, this.text), this.again);
    this.list = element('ul', { className: 'notices', role: 'list', 'aria-label': 'Answers that were not taken', 'aria-live': 'polite' });
    this.element = element('div', { className: 'outcome' }, this.line, this.list);
  }

  async act() {
    if (await this.admin.ask()) this.answers.retry();
  }

  update() {
    const { answers, admin } = this;
    const { unsent, trouble, refused } = answers;
    this.sent ||= unsent > 0;
    const stuck = unsent > 0 && trouble !== '';
    const closed = admin.button.hidden;
    const text = stuck ? `${count(unsent, 'answer')} not sent yet: ${trouble.replace(/\.$/, '')}. ${unsent === 1 ? 'It is' : 'They are'} kept.`
      : closed ? 'Answers need an admin token: start livelabel with --web-admin-token-file FILE.'
        : unsent > 1 ? `Sending ${count(unsent, 'answer')}…` : this.sent && unsent === 0 && refused.length === 0 ? 'All answers are saved.' : '';
    setText(this.text, text);
    this.line.hidden = text === '' && refused.length > 0;
    this.line.classList.toggle('stuck', stuck);
    this.again.hidden = !stuck || closed;
    setText(this.again, admin.may ? 'Send now' : 'Unlock');
    const key = JSON.stringify(refused.map(({ frame, state, wanted, said }) => [frame.id, state, wanted, said, frame.answer]));
    if (key === this.shown) return;
    this.shown = key;
    const more = refused.length - LISTED;
    this.list.replaceChildren(...refused.slice(0, LISTED).map(entry => this.notice(entry)),
      ...(more > 0 ? [element('li', { textContent: `and ${more} more` })] : []));
  }

  notice(entry) {
    const { frame, wanted, state, said } = entry;
    const conflict = state === 'conflict';
    const bdi = text => element('bdi', { textContent: text });
    const text = conflict
      ? [' Another page was first: ', bdi(named(frame.answer)), '. You said ', bdi(named(wanted)), '.']
      : [' ', bdi(named(wanted)), ` was refused: ${said.replace(/\.$/, '')}.`];
    return element('li', {}, element('p', {}, element('b', { textContent: `${nameOf(frame, this.now())}:` }), ...text),
      element('span', { className: 'acts' },
        button({ className: 'quiet' }, () => this.answers.drop(entry), ...(conflict ? ['Keep ', bdi(named(frame.answer))] : ['Give it up'])),
        button({ className: 'quiet' }, () => this.answers.insist(entry), ...(conflict ? ['Say ', bdi(named(wanted))] : ['Try again']))));
  }
}
