// Trains a model of the corrections, and shows what the trainer says meanwhile. It goes on while nobody looks.

import { button } from '../controls.js';
import { count, element, setText } from '../words.js';

const STATES = { running: 'Training…', done: 'Done.', failed: 'The training failed.' };
const DONE = { true: 'Done: the new model is the first of the list.', false: 'Done. No model was kept: it was not shown to be better.' };

export class Training {
  /** `done` is called when a training has ended. */
  constructor({ client, admin, done }) {
    Object.assign(this, { client, admin, done });
    this.counts = element('p', { className: 'corrected' });
    this.note = element('p', { className: 'empty' });
    this.train = button({ className: 'do', textContent: 'Train' }, () => this.start());
    this.said = element('p', { className: 'said', role: 'status' });
    this.lines = element('pre', { className: 'lines', tabIndex: 0, role: 'log', 'aria-label': 'Output of the training', hidden: true });
    this.command = element('code');
    this.typed = element('div', { className: 'typed', hidden: true },
      element('p', { textContent: 'livelabel-train is not installed here. Where it is, type:' }), element('pre', {}, this.command),
      button({ className: 'quiet', textContent: 'Copy', hidden: !navigator.clipboard }, () => navigator.clipboard.writeText(this.command.textContent)));
    this.element = element('section', { className: 'training', 'aria-labelledby': 'training-title' },
      element('h2', { id: 'training-title', textContent: 'Corrections' }), this.counts, this.note, this.typed,
      (this.acts = element('div', { className: 'acts' }, this.train, this.said)), this.lines);
  }

  get running() {
    return this.state?.state === 'running';
  }

  async load(signal) {
    const before = this.state;
    this.state = await this.client.get('/training', {}, signal);
    if (before?.state === 'running' && !this.running) this.done();
  }

  show({ answered, contradictory, open }, offered) {
    this.answered = answered;
    setText(this.counts, `${count(answered, 'frame')} answered`);
    setText(this.note, [contradictory > 0 && `${contradictory} contradict each other and are left out until they are settled`, open > 0 && `${open.toLocaleString('en-GB')} still open`]
      .filter(Boolean).join(' · '));
    const { state } = this;
    if (!state) return;
    this.typed.hidden = state.available;
    setText(this.command, state.command);
    this.acts.hidden = !state.available;
    this.train.disabled = !offered || this.running || answered === 0;
    const says = state.state === 'done' ? DONE[state.model !== null] : STATES[state.state] ?? '';
    this.say(this.refused ?? says, this.refused ? true : state.state === 'failed');
    this.lines.hidden = state.lines.length === 0;
    const text = state.lines.join('\n');
    if (this.lines.textContent === text) return;
    const atEnd = this.lines.scrollTop + this.lines.clientHeight >= this.lines.scrollHeight - 4;
    setText(this.lines, text);
    if (atEnd) this.lines.scrollTop = this.lines.scrollHeight;
  }

  say(text, wrong) {
    setText(this.said, text);
    this.said.classList.toggle('wrong', wrong);
  }

  async start() {
    if (!await this.admin.ask()) return;
    this.refused = null;
    this.train.disabled = true;
    const { ok, status, text } = await this.admin.send('/api/teach/training');
    // It was started by another page: what it says is shown.
    if (!ok && status !== 409) this.refused = text;
    // Whatever came before has ended: the end of this one is news.
    else if (this.state) this.state = { ...this.state, state: 'running', lines: [] };
    this.changed?.();
  }
}
