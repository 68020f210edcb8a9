// Who may write: keeps the admin token as long as the tab is open, and sends what changes something. The lock in the head
// opens a dialog: to unlock, and then to reload the pipeline file or to lock again.

import { element, icon, setText } from './words.js';

const KEY = 'livelabel-admin-token';
const LOCKED = 'M7 11V8a5 5 0 0 1 10 0v3M5.5 11h13v9h-13z';
const UNLOCKED = 'M7 11V8a5 5 0 0 1 9.6-2M5.5 11h13v9h-13z';

export class Admin {
  /** `changed` is called when the page was unlocked or locked. */
  constructor(button, changed) {
    Object.assign(this, { button, changed });
    this.token = sessionStorage.getItem(KEY);
    this.input = element('input', { id: 'admin-token', type: 'password', autocomplete: 'off', required: true });
    this.said = element('p', { className: 'said', role: 'status' });
    this.unlocking = element('form', {},
      element('p', { textContent: 'Whoever has the admin token may pause cameras, reload the settings and correct labels. It is kept until this tab is closed.' }),
      element('label', { htmlFor: 'admin-token', textContent: 'Admin token' }), this.input,
      element('button', { className: 'do', textContent: 'Unlock' }));
    this.reloading = element('button', { type: 'button', className: 'do', textContent: 'Reload settings' });
    const lock = element('button', { type: 'button', className: 'secondary', textContent: 'Lock' });
    this.unlocked = element('div', { className: 'actions' },
      element('p', { textContent: 'Reads the pipeline file again. What did not change goes on; what is wrong changes nothing.' }),
      this.reloading, lock);
    const close = element('button', { type: 'button', className: 'secondary', textContent: 'Close' });
    this.title = element('h2', { id: 'admin-title' });
    this.dialog = element('dialog', { className: 'admin', 'aria-labelledby': 'admin-title' },
      this.title, this.unlocking, this.unlocked, this.said, close);
    document.body.append(this.dialog);

    button.addEventListener('click', () => this.open());
    close.addEventListener('click', () => this.dialog.close());
    this.dialog.addEventListener('click', event => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener('close', () => {
      this.input.value = '';
      this.asked?.(this.may);
      this.asked = null;
    });
    this.unlocking.addEventListener('submit', event => {
      event.preventDefault();
      this.unlock();
    });
    this.reloading.addEventListener('click', () => this.reload());
    lock.addEventListener('click', () => this.setToken(null));
    this.update();
  }

  /** Whether changes can be made in this tab. */
  get may() {
    return !this.button.hidden && this.token !== null;
  }

  /** Shows the lock if the run takes changes. */
  offer(offered) {
    if (this.button.hidden === !offered) return;
    this.button.hidden = !offered;
    this.changed();
  }

  open() {
    setText(this.said, '');
    this.update();
    this.dialog.showModal();
    if (!this.token) this.input.focus();
  }

  /** Returns whether changes can be made, after asking for the token if it is not known. */
  async ask() {
    if (this.button.hidden || this.may) return this.may;
    this.open();
    return new Promise(resolve => { this.asked = resolve; });
  }

  setToken(token) {
    this.token = token;
    if (token === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, token);
    this.update();
    this.changed();
  }

  update() {
    const open = this.token !== null;
    this.unlocking.hidden = open;
    this.unlocked.hidden = !open;
    setText(this.title, open ? 'Change this run' : 'Unlock changes');
    this.button.ariaLabel = this.button.title = open ? 'Change this run' : 'Unlock changes';
    this.button.replaceChildren(icon(open ? UNLOCKED : LOCKED));
    this.button.classList.toggle('unlocked', open);
  }

  async unlock() {
    this.token = this.input.value;
    const { ok, text } = await this.send('/api/admin');
    this.setToken(ok ? this.token : null);
    this.input.value = '';
    this.say(ok, ok ? 'Unlocked.' : text);
    if (!ok) this.input.focus();
    // Who was asked goes on with what is to be done.
    else if (this.asked) this.dialog.close();
  }

  async reload() {
    this.reloading.disabled = true;
    this.say(true, 'Reloading…');
    const { ok, text } = await this.send('/api/reload');
    this.reloading.disabled = false;
    this.say(ok, ok ? `Done: ${text}.` : `Nothing was changed: ${text}`);
  }

  say(ok, text) {
    this.said.classList.toggle('wrong', !ok);
    setText(this.said, text);
  }

  /**
   * Posts a change. Returns whether it was made (`ok`), the `status` (0 if the server does not answer), its `text`, and its
   * `answer` if that is JSON.
   */
  async send(path, change = {}) {
    try {
      const headers = { 'Content-Type': 'application/json', 'X-Admin-Token': encodeToken(this.token ?? '') };
      const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(change), cache: 'no-store' });
      const text = await response.text();
      if (response.status === 401 && path !== '/api/admin') this.setToken(null);
      const answer = response.headers.get('Content-Type')?.startsWith('application/json') ? JSON.parse(text) : {};
      return { ok: response.ok, status: response.status, text: (answer.message ?? answer.error ?? text).trim(), answer };
    } catch {
      return { ok: false, status: 0, text: 'the server does not answer', answer: {} };
    }
  }
}

/** A header holds bytes: text beyond Latin-1 goes as UTF-8. */
const encodeToken = token => String.fromCharCode(...new TextEncoder().encode(token));

/** The button that pauses a camera, or resumes it. */
export class PauseButton {
  constructor(admin, name) {
    Object.assign(this, { admin, name });
    this.button = element('button', { type: 'button', className: 'secondary', hidden: true });
    this.said = element('p', { className: 'said wrong', role: 'status' });
    this.button.addEventListener('click', () => this.act());
    this.element = element('div', { className: 'pause' }, this.button, this.said);
  }

  update(stream) {
    this.paused = stream.state === 'paused';
    this.button.hidden = !this.admin.may || !stream.live || ['ended', 'failed'].includes(stream.state);
    setText(this.button, this.paused ? 'Resume' : 'Pause');
    this.button.ariaLabel = `${this.paused ? 'Resume' : 'Pause'} ${this.name}`;
    if (this.button.hidden) setText(this.said, '');
  }

  async act() {
    this.button.disabled = true;
    const { ok, text } = await this.admin.send(`/api/streams/${encodeURIComponent(this.name)}/${this.paused ? 'resume' : 'pause'}`);
    this.button.disabled = false;
    setText(this.said, ok ? '' : text);
  }
}
