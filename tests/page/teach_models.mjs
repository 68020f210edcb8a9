// The models made of the answers, their training, and the correction of an interval in the history.
import { expect, texts } from './browser.mjs';
import { inspect } from './inspect.mjs';
import { kept } from './teach_seen.mjs';

const LABELS = ['cooking', 'drinking', 'other', 'washing <b>'];
const REPORT = {
  verdict: 'better', text: 'better: 61 of 64 instead of 44 (between 8 and 26 more)', labels: LABELS, new_labels: ['washing <b>'],
  corrections: {
    frames: 64, visits: 9, difference: { low: 8, high: 26 },
    old: { right: 44, accuracy: 0.6875, recall: { cooking: [20, 24], drinking: [14, 22], other: [10, 12] }, changes_per_hour: 14.2 },
    new: { right: 61, accuracy: 0.953, recall: { cooking: [23, 24], drinking: [22, 22], other: [11, 12], 'washing <b>': [5, 6] }, changes_per_hour: null },
  },
  kept: {
    rows: 1200, difference: { low: -9, high: 4 },
    old: { right: 1131, recall: { cooking: [380, 400], drinking: [371, 400], other: [380, 400] } },
    new: { right: 1128, recall: { cooking: [378, 400], drinking: [371, 400], other: [379, 400] } },
  },
};
const BETTER = { name: 'three.onnx', title: 'drinking-cooking, third', made: '2025-11-20T20:14:00Z', labels: LABELS, verdict: 'better', text: REPORT.text, report: REPORT };
const UNPROVEN = { name: 'two.onnx', title: 'drinking-cooking, second', made: '2025-11-19T20:14:00Z', labels: LABELS, verdict: 'unproven', text: 'not shown to be better', report: null };
const WORSE = { name: 'one.onnx', title: 'drinking-cooking, <i>first</i>', made: '2025-11-18T20:14:00Z', labels: LABELS, verdict: 'worse', text: 'worse on cooking', report: null };
const BASE = { name: null, title: 'drinking-cooking (started with)', made: null, labels: LABELS.slice(0, 3), verdict: null, text: null, report: null };

/** Each model's title, its marks, and its button. */
const models = page => page.locator('.model').evaluateAll(nodes => nodes.map(node =>
  [node.querySelector('h3'), ...node.querySelectorAll('.chip'), node.querySelector('.acts button')].filter(Boolean).map(part => part.textContent)));
const said = page => page.locator('.made .said').innerText();

/** The list with its verdicts, the table, and what is in use. */
export async function list({ open, taught, complain, shot }) {
  taught.reset({ labels: LABELS, models: [BETTER, UNPROVEN, WORSE, BASE], frames: kept(5, at => (at < 2 ? { answer: 'cooking' } : {})) });
  const view = await open('#/teach/models');
  const { page } = view;
  await expect(view, 'models', () => models(page), [
    ['drinking-cooking, third', 'Better', 'Use'], ['drinking-cooking, second', 'Not shown to be better', 'Use anyway…'],
    ['drinking-cooking, <i>first</i>', 'Worse', 'Use anyway…'], ['drinking-cooking (started with)', 'In use'],
  ]);
  await expect(view, 'table', () => page.locator('.report tr').evaluateAll(rows => rows.map(row => [...row.children].map(cell => cell.textContent))), [
    ['', 'Before', 'This model'],
    ['On your corrections: 64 frames of 9 visits between 8 and 26 more right'],
    ['Right in all', '44 of 64 · 69 %', '61 of 64 · 95 %, better'],
    ['cooking', '20 of 24', '23 of 24'], ['drinking', '14 of 22', '22 of 22'], ['other', '10 of 12', '11 of 12'], ['washing <b>', '–', '5 of 6'],
    ['Changes of the label an hour', '14.2', '–'],
    ['On what it knew: 1,200 pictures between 9 fewer and 4 more right'],
    ['Right in all', '1,131 of 1,200 · 94 %', '1,128 of 1,200 · 94 %'],
    ['cooking', '380 of 400', '378 of 400'], ['drinking', '371 of 400', '371 of 400'], ['other', '380 of 400', '379 of 400'],
  ]);
  await expect(view, 'corrections', () => page.locator('.corrected').innerText(), '2 frames answered');
  await expect(view, 'kept', () => page.locator('.teach .controls > .empty').innerText(), '5 frames kept · 412 of 2,000 MB');
  await inspect(page, complain, 'models');
  await shot(page, 'models');
}
list.everywhere = true;

/** A better model is used by a click, another after a question; the way back is a click. */
export async function use({ open, taught, complain, shot }) {
  taught.reset({ labels: LABELS, models: [BETTER, UNPROVEN, BASE] });
  const view = await open('#/teach/models');
  const { page } = view;
  await page.getByRole('button', { name: 'Use drinking-cooking, third' }).click();
  await expect(view, 'in use', () => models(page).then(([first]) => first), ['drinking-cooking, third', 'In use', 'Better']);
  await expect(view, 'what was done', () => said(page), 'drinking-cooking, third is in use');
  await page.getByRole('button', { name: 'Use drinking-cooking, second anyway' }).click();
  await expect(view, 'question', () => page.locator('#anyway-title').innerText(), 'Use drinking-cooking, second anyway?');
  await inspect(page, complain, 'a question');
  await shot(page, 'anyway');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await expect(view, 'cancelled', async () => taught.inUse, 'three.onnx');
  await page.getByRole('button', { name: 'Use drinking-cooking, second anyway' }).click();
  await page.getByRole('button', { name: 'Use anyway', exact: true }).click();
  await expect(view, 'used anyway', () => models(page), [
    ['drinking-cooking, third', 'Better', 'Go back to this'], ['drinking-cooking, second', 'In use', 'Not shown to be better'], ['drinking-cooking (started with)', 'Go back to this'],
  ]);
  await page.getByRole('button', { name: 'Use drinking-cooking (started with)' }).click();
  await expect(view, 'back', async () => taught.inUse, null);
  await page.getByRole('button', { name: 'Use drinking-cooking, second', exact: true }).click();
  await expect(view, 'back to what was in use before', async () => taught.inUse, 'two.onnx');
  taught.fault = [422, { error: 'the model cannot be read' }];
  await page.getByRole('button', { name: 'Use drinking-cooking, third' }).click();
  await expect(view, 'refused', () => said(page), 'Nothing was changed: the model cannot be read');
}

/** Training says what it does, also after the page is loaded again, and its model is the first then. */
export async function training({ open, taught, complain, shot }) {
  const script = { lines: ['214 frames of 31 visits', 'features: 12 s', 'better: 61 of 64 instead of 44'], ends: 'done', model: BETTER };
  taught.reset({ labels: LABELS, models: [BASE], frames: kept(2, () => ({ answer: 'cooking' })), training: { script, hold: 2 } });
  const view = await open('#/teach/models');
  const { page } = view;
  const lines = () => page.locator('.lines').innerText().then(text => text.split('\n'));
  await page.getByRole('button', { name: 'Train' }).click();
  await expect(view, 'lines', lines, script.lines.slice(0, 2));
  await page.reload();
  await expect(view, 'lines again', lines, script.lines.slice(0, 2));
  await expect(view, 'it runs', () => texts(page.locator('.training .said')), ['Training…']);
  await expect(view, 'not twice', () => page.getByRole('button', { name: 'Train' }).isDisabled(), true);
  await inspect(page, complain, 'training');
  await shot(page, 'training');
  taught.training.hold = null;
  await expect(view, 'done', () => texts(page.locator('.training .said')), ['Done: the new model is the first of the list.']);
  await expect(view, 'its model', () => models(page), [['drinking-cooking, third', 'Better', 'Use'], ['drinking-cooking (started with)', 'In use']]);
  await expect(view, 'all lines', lines, script.lines);
  taught.training.script = { lines: ['error: the disk is full'], ends: 'failed' };
  await page.getByRole('button', { name: 'Train' }).click();
  await expect(view, 'failed', () => texts(page.locator('.training .said')), ['The training failed.']);
  await expect(view, 'why', lines, ['error: the disk is full']);
}

/** Where the trainer is not installed, the command stands there. */
export async function noTrainer({ open, taught }) {
  taught.reset({ models: [BASE], frames: kept(1, () => ({ answer: 'cooking' })), training: { available: false, command: "livelabel-train adapt --data 'a <b>'" } });
  const view = await open('#/teach/models');
  const { page } = view;
  await expect(view, 'command', () => page.locator('.typed code').innerText(), "livelabel-train adapt --data 'a <b>'");
  await expect(view, 'no button', () => page.getByRole('button', { name: 'Train' }).isVisible(), false);
}

/** In the history, an interval is said to be something else, and what came of it is told. */
export async function interval({ open, taught, complain, shot }) {
  const at = second => ({ time: new Date(Date.parse('2025-01-02T13:01:00.500Z') + second * 1000).toISOString() });
  taught.reset({ frames: kept(12, second => ({ ...at(second), ...(second < 2 ? { answer: 'drinking' } : {}) })) });
  const address = '#/history/door/2025-01-02T14:01:00';
  const locked = await open(address, { unlocked: false });
  await expect(locked, 'time', () => locked.page.locator('.moment bdi').innerText(), 'drinking');
  await expect(locked, 'no correction without the token', () => locked.page.locator('.correct').isVisible(), false);
  const view = await open(address);
  const { page } = view;
  await page.locator('.correct').click();
  await expect(view, 'interval', () => page.locator('.correction p').first().innerText(), 'livelabel said drinking 14:01:00 – 14:01:05');
  await page.locator('.correction').getByRole('button', { name: 'cooking' }).click();
  await expect(view, 'what came of it', () => page.locator('.correction .said').innerText(), '3 frames corrected, 2 contradict answers you gave.');
  await inspect(page, complain, 'a correction');
  await shot(page, 'correction');
  await expect(view, 'sent', async () => taught.posts, [['/intervals', { stream: 'door', from: '2025-01-02T13:01:00.120Z', to: '2025-01-02T13:01:05.320Z', label: 'cooking' }]]);
  await page.getByRole('link', { name: 'Show in Teach' }).click();
  await expect(view, 'the contradictory ones', () => page.getByRole('radio', { name: 'Contradictory' }).isChecked(), true);
  await expect(view, 'question', () => page.locator('.question').innerText(), 'You gave this frame and the interval around it different answers. Which is right?');
  await shot(page, 'disputed');
  await expect(view, 'answers', () => texts(page.locator('.shot-of .do')), ['drinking is right', 'cooking is right']);
  await page.getByRole('button', { name: 'drinking is right' }).click();
  await page.getByRole('button', { name: 'cooking is right' }).click();
  await expect(view, 'settled', async () => taught.frames.slice(0, 2).map(({ answer }) => answer), ['drinking', 'cooking']);
  await expect(view, 'none is left', () => texts(page.locator('.teach .windows span')), ['Open 7', 'Answered 5', 'Contradictory 0']);
}
