// The models: how many corrections there are, training, and the models made of them with what they are worth.

import { Client } from '../client.js';
import { count, element, setText } from '../words.js';
import { Confirm, modelItem } from './model.js';
import { tabs } from './tabs.js';
import { Training } from './training.js';

/** The training is asked about after this many milliseconds, sooner while it runs; the models with it. */
const FRESH = { running: 1000, idle: 10e3 };

/** The model that was in use before the last change: the way back needs no question. */
let before;

export class ModelsView {
  constructor(app) {
    this.app = app;
    this.client = new Client('/api/teach');
    this.training = new Training({ client: this.client, admin: app.admin, done: () => this.loadModels() });
    this.training.changed = () => this.load();
    this.confirm = new Confirm((model, anyway) => this.use(model, anyway));
    this.said = element('p', { className: 'said', role: 'status' });
    this.list = element('ul', { className: 'models', role: 'list' });
    this.kept = element('p', { className: 'empty' });
    const found = element('section', { className: 'made', 'aria-labelledby': 'models-title' },
      element('h2', { id: 'models-title', textContent: 'Models' }), this.said, this.list);
    this.element = element('section', { className: 'teach models-view', 'aria-label': 'Models' },
      element('div', { className: 'controls' }, tabs('models'), this.kept),
      element('div', { className: 'sides' }, this.training.element, found), this.confirm.element);
    this.running = new AbortController();
    this.load();
  }

  close() {
    this.running.abort();
  }

  address = () => null;
  rows() {}
  read() {}

  /** Loads the training, the models and the counts. */
  async load() {
    this.fetched = performance.now();
    const { signal } = this.running;
    try {
      await Promise.all([this.training.load(signal), this.loadModels(), this.app.loadTeach()]);
    } catch {
      // The view was closed, or the server is unreachable; the banner shows that.
    }
    if (!signal.aborted) this.show();
  }

  async loadModels() {
    try {
      this.models = await this.client.get('/models', {}, this.running.signal);
      this.show();
    } catch {
      // As above.
    }
  }

  /** Called each second. */
  update() {
    if (performance.now() - this.fetched > FRESH[this.training.running ? 'running' : 'idle'] - 100) this.load();
    this.show();
  }

  show() {
    const { app, models } = this;
    if (!app.teach) return;
    const may = !app.admin.button.hidden;
    const { counts, kept_bytes: kept, limit_bytes: limit } = app.teach;
    this.training.show(counts, may);
    setText(this.kept, `${count(counts.frames, 'frame')} kept · ${megabytes(kept)} of ${megabytes(limit)} MB`);
    if (!models) return;
    const key = JSON.stringify([models, may, before]);
    if (key === this.shown) return;
    this.shown = key;
    const { in_use: used } = models;
    const open = new Set([...this.list.querySelectorAll('details[open]')].map(node => node.closest('[data-name]').dataset.name));
    this.list.replaceChildren(...models.models.map((model, at) => {
      const item = modelItem(model, {
        inUse: model.name === used, back: model.name === before, may, now: app.now(), use: (model, anyway) => this.use(model, anyway), confirm: model => this.confirmed(model),
      });
      item.dataset.name = model.name ?? '';
      const details = item.querySelector('details');
      // The newest one's report is what one comes for.
      if (details) details.open = open.has(item.dataset.name) || (at === 0 && !this.listed);
      return item;
    }));
    this.listed = true;
  }

  async confirmed(model) {
    if (await this.app.admin.ask() && !this.running.signal.aborted) this.confirm.open(model);
  }

  async use({ name }, anyway) {
    if (!await this.app.admin.ask()) return;
    this.say('Changing the model…');
    const { ok, text } = await this.app.admin.send('/api/teach/models/use', { name, anyway });
    if (ok) before = this.models.in_use;
    this.say(ok ? text : `Nothing was changed: ${text}`, !ok);
    this.load();
  }

  say(text, wrong = false) {
    setText(this.said, text);
    this.said.classList.toggle('wrong', wrong);
  }

  /** What the page's head shows. */
  navigation() {
    return { title: 'Models', back: { href: '#/', text: 'Live' }, names: [], name: null, href: () => '#/teach', document: 'Models · Teach' };
  }
}

const megabytes = bytes => Math.round(bytes / 1e6).toLocaleString('en-GB');
