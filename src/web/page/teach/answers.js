// The answers on their way to the server. They are sent one after another in the background; one that cannot be sent is kept,
// also while the page is loaded again, and tried again; one that is refused waits for the user. None is lost silently.

const KEY = 'livelabel-answers';
/** At most this many answers wait. */
const MOST = 500;
/** At most this many steps can be undone. */
const STEPS = 200;
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30e3;

/** What stands for "cannot tell" among the answers. */
export const SKIPPED = '';

export class Answers {
  constructor(admin) {
    this.admin = admin;
    /** What is not settled, by frame: { frame, wanted, state, said }. `state` is waiting, sending, refused or conflict. */
    this.entries = new Map();
    /** Each step is what was answered at once: frames with their answers before. */
    this.steps = [];
    this.pausing = FIRST_WAIT;
    this.trouble = '';
    this.watch(null);
    this.restore();
    addEventListener('beforeunload', event => this.unsent > 0 && event.preventDefault());
  }

  /** `watcher.changed` is called after every change, and `settled` with a frame's number and what the server has of it. */
  watch(watcher) {
    this.watcher = watcher ?? { changed() {}, settled() {} };
  }

  /** Number of answers that the server does not have yet. */
  get unsent() {
    return [...this.entries.values()].filter(({ state }) => state === 'waiting' || state === 'sending').length;
  }

  /** What the user has to decide about. */
  get refused() {
    return [...this.entries.values()].filter(({ state }) => state === 'refused' || state === 'conflict');
  }

  get full() {
    return this.entries.size >= MOST;
  }

  /** Returns a frame's answer as the user sees it: null for none, SKIPPED, or a label. */
  of(frame) {
    const entry = this.entries.get(frame.id);
    return !entry || entry.state === 'refused' || entry.state === 'conflict' ? frame.answer : entry.next !== undefined ? entry.next : entry.wanted;
  }

  stateOf(frame) {
    return this.entries.get(frame.id)?.state ?? (frame.answer === null ? null : 'sent');
  }

  /** Answers frames at once: pairs of a frame and its answer. Undo takes them back together. */
  give(pairs) {
    this.steps.push(pairs.map(([frame]) => ({ frame, before: this.of(frame) })));
    this.steps.splice(0, this.steps.length - STEPS);
    for (const [frame, wanted] of pairs) this.enter(frame, wanted);
    this.changed();
  }

  /** Takes the last step back. Returns its frames, or none if there is nothing to undo. */
  undo() {
    const step = this.steps.pop() ?? [];
    for (const { frame, before } of step) this.enter(frame, before);
    if (step.length) this.changed();
    return step.map(({ frame }) => frame);
  }

  /** Answers a frame again whose answer was refused, or that another page answered first. */
  insist({ frame, wanted }) {
    this.enter(frame, wanted);
    this.changed();
  }

  /** Gives an answer up that was refused: what the server has counts. */
  drop({ frame }) {
    this.entries.delete(frame.id);
    this.forget(frame.id);
    this.changed();
  }

  enter(frame, wanted) {
    const entry = this.entries.get(frame.id);
    // What is on its way cannot be changed: this follows it.
    if (entry?.state === 'sending') entry.next = wanted;
    else this.enqueue(frame, wanted);
  }

  /** Makes an answer the last that waits. */
  enqueue(frame, wanted) {
    this.entries.delete(frame.id);
    this.entries.set(frame.id, { frame, wanted, state: 'waiting', said: '' });
  }

  changed() {
    this.store();
    this.watcher.changed();
    this.send();
  }

  /** Tries again at once, as after the server answers again or the page was unlocked. */
  resume() {
    if (this.trouble && this.admin.may) this.retry();
  }

  retry() {
    clearTimeout(this.timer);
    this.timer = null;
    this.trouble = '';
    this.send();
  }

  // --- sending --------------------------------------------------------------------------------------------------------

  async send() {
    if (this.running || this.timer) return;
    this.running = true;
    for (let entry; (entry = this.first());) if (!await this.post(entry)) break;
    this.running = false;
  }

  first() {
    return [...this.entries.values()].find(({ state }) => state === 'waiting');
  }

  /** Sends one answer. Returns whether others can follow. */
  async post(entry) {
    if (!this.admin.may) return this.pause('unlock the page to send them');
    const { frame, wanted } = entry;
    entry.state = 'sending';
    const { ok, status, text, answer } = await this.admin.send(`/api/teach/frames/${frame.id}`,
      wanted === SKIPPED ? { skip: true, version: frame.version } : { label: wanted, version: frame.version });
    if (!ok && (status === 0 || status === 401 || status === 429 || status >= 500)) {
      entry.state = 'waiting';
      if ('next' in entry) this.enqueue(frame, entry.next);
      return status === 401 ? this.pause('unlock the page to send them') : this.pause(text, this.pausing);
    }
    this.pausing = FIRST_WAIT;
    this.trouble = '';
    this.finish(entry, { ok, status, text, answer });
    this.store();
    this.watcher.changed();
    return true;
  }

  /** Takes over what the server said about an answer. */
  finish(entry, { ok, status, text, answer: current }) {
    const { frame, wanted } = entry;
    // A lost response was sent again, or another page said the same.
    const agreed = status === 409 && current.answer === wanted;
    const known = ok || status === 409;
    if (known) this.settle(frame, current);
    if ('next' in entry && (ok || agreed)) this.enqueue(frame, entry.next);
    else if (ok || agreed) this.entries.delete(frame.id);
    else {
      Object.assign(entry, { wanted: entry.next ?? wanted, state: status === 409 ? 'conflict' : 'refused', said: text });
      delete entry.next;
    }
  }

  settle(frame, { answer, version, contradicts, interval_answer: interval }) {
    const state = { answer, version, contradicts: contradicts ?? [], interval: interval ?? null };
    for (const { frame: other } of [{ frame }, ...this.steps.flat()]) if (other.id === frame.id) Object.assign(other, state);
    this.watcher.settled(frame.id, state);
  }

  forget(id) {
    this.steps = this.steps.map(step => step.filter(({ frame }) => frame.id !== id)).filter(step => step.length);
  }

  /** Waits before the next try; without a time, until something changes. Returns false. */
  pause(trouble, wait) {
    this.trouble = trouble;
    if (wait) {
      this.pausing = Math.min(2 * wait, LONGEST_WAIT);
      this.timer = setTimeout(() => this.retry(), wait);
    }
    this.store();
    this.watcher.changed();
    return false;
  }

  // --- while the page is loaded again ---------------------------------------------------------------------------------

  store() {
    const kept = [...this.entries.values()].map(({ frame, wanted, next, state, said }) =>
      ({ frame, wanted: next === undefined ? wanted : next, state: state === 'sending' ? 'waiting' : state, said }));
    if (kept.length) sessionStorage.setItem(KEY, JSON.stringify(kept));
    else sessionStorage.removeItem(KEY);
  }

  restore() {
    try {
      for (const entry of JSON.parse(sessionStorage.getItem(KEY) ?? '[]')) this.entries.set(entry.frame.id, entry);
    } catch {
      sessionStorage.removeItem(KEY);
    }
    this.trouble = this.unsent ? 'not sent yet' : '';
  }
}
