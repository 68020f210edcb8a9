// One model of the list: what it is, what its report says, and the button that uses it.

import { button } from '../controls.js';
import { clock, element } from '../words.js';
import { reportTable } from './report.js';

const VERDICTS = { better: 'Better', unproven: 'Not shown to be better', worse: 'Worse', unknown: 'Not known yet' };

/** Returns the element of a model. `back`: it was in use before. `use` is called with the model and whether it is to be used although not shown to be better. */
export function modelItem(model, { inUse, back, may, now, use, confirm }) {
  const { name, title, made, verdict, text, report } = model;
  const head = element('div', { className: 'model-head' },
    element('h3', {}, element('bdi', { textContent: title })),
    ...(inUse ? [element('span', { className: 'chip on', textContent: 'In use' })] : []),
    ...(verdict ? [element('span', { className: `chip ${verdict}`, textContent: VERDICTS[verdict] ?? verdict })] : []));
  const lines = [
    ...(made ? [element('p', { className: 'empty', textContent: `made ${clock(Date.parse(made), now)}` })] : []),
    ...(text ? [element('p', { textContent: sentence(text) })] : []),
  ];
  const item = element('li', { className: inUse ? 'model on' : 'model' }, head, ...lines);
  if (report) item.append(element('details', {}, element('summary', { textContent: 'Before and after' }), element('div', { className: 'scroll' }, reportTable(model))));
  if (!inUse) {
    // The model that the run started with, and the one before, need no proof.
    const proven = name === null || verdict === 'better';
    const act = proven || back
      ? button({ className: 'do', disabled: !may, 'aria-label': `Use ${title}` }, () => use(model, !proven), name === null || back ? 'Go back to this' : 'Use')
      : button({ className: 'secondary', disabled: !may, 'aria-label': `Use ${title} anyway` }, () => confirm(model), 'Use anyway…');
    item.append(element('p', { className: 'acts' }, act));
  }
  return item;
}

const sentence = text => `${text[0].toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;

/** Asks before a model is used that was not shown to be better. */
export class Confirm {
  constructor(use) {
    this.title = element('h2', { id: 'anyway-title' });
    this.text = element('p');
    this.element = element('dialog', { className: 'admin', 'aria-labelledby': 'anyway-title' }, this.title, this.text,
      element('div', { className: 'actions' },
        button({ className: 'do', textContent: 'Use anyway' }, () => { this.element.close(); use(this.model, true); }),
        button({ className: 'secondary', textContent: 'Cancel', autofocus: true }, () => this.element.close())));
    this.element.addEventListener('click', event => event.target === this.element && this.element.close());
  }

  open(model) {
    this.model = model;
    this.title.replaceChildren('Use ', element('bdi', { textContent: model.title }), ' anyway?');
    this.text.textContent = `${model.text ? sentence(model.text) : 'It was not shown to be better.'} The model in use now is kept: one click leads back.`;
    this.element.showModal();
  }
}
