// Teaches a run as a person does, in a headless Chromium: answers the open frames with keys, trains, and uses the new model. Says as
// JSON what came of it.
//
// usage: node learn.mjs http://127.0.0.1:8080/ TOKEN ANSWERS.json [--shots FOLDER]
//
// ANSWERS.json has for each stream its stretches, [[from, to, label]…] in milliseconds since the clip's begin. Other frames are passed
// over as "cannot tell".
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launch, listen, TIMEOUT } from './browser.mjs';

/** A training may take this long, in milliseconds. */
const TRAINING = 600e3;

const { values, positionals: [base, token, answers] } = parseArgs({ allowPositionals: true, options: { shots: { type: 'string' } } });
if (values.shots) mkdirSync(values.shots, { recursive: true });
const truth = JSON.parse(readFileSync(answers, 'utf8'));
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
page.setDefaultTimeout(TIMEOUT);
const failures = [];
listen(page, base, text => failures.push(text));
await page.addInitScript(given => sessionStorage.setItem('livelabel-admin-token', given), token);
const shot = async name => values.shots && page.screenshot({ path: join(values.shots, `${name}.png`) });
const get = path => page.evaluate(address => fetch(address).then(response => response.json()), path);

await page.goto(`${base}#/teach`);
await page.locator('.shot').first().waitFor();
const open = (await get('/api/teach/frames?state=open&limit=500')).frames;
const frames = new Map(open.map(frame => [String(frame.id), frame]));
const { labels } = await get('/api/teach');
const said = {};
await shot('frames');
for (let answered = 0; answered < frames.size; answered++) {
  const id = await shown();
  const { stream, time } = frames.get(id);
  const ms = Date.parse(time);
  const label = truth[stream]?.find(([from, to]) => from <= ms && ms < to)?.[2];
  await page.keyboard.press(label === undefined ? 'x' : String(labels.indexOf(label) + 1));
  said[label ?? 'cannot tell'] = (said[label ?? 'cannot tell'] ?? 0) + 1;
  if (answered + 1 < frames.size) await page.waitForFunction(before => !document.querySelector('.teach .pane img')?.src.endsWith(`/${before}.jpg`), id);
}
await page.getByText('All answers are saved.').waitFor();
await shot('answered');

await page.goto(`${base}#/teach/models`);
await page.getByRole('button', { name: 'Train', exact: true }).click();
const training = await until('/api/teach/training', ({ state }) => state === 'done' || state === 'failed', TRAINING);
const { models: [made] } = await get('/api/teach/models');
let used = false;
if (training.model) {
  const button = page.locator('.model').first().locator('.acts button');
  await button.waitFor();
  await shot('models');
  await button.click();
  if (made.verdict !== 'better') await page.getByRole('button', { name: 'Use anyway', exact: true }).click();
  await until('/api/teach/models', found => found.in_use === made.name, TIMEOUT);
  used = true;
}
await browser.close();
console.log(JSON.stringify({ said, training: { state: training.state, lines: training.lines }, verdict: made.verdict, text: made.text, report: made.report, used, failures }, null, 2));
process.exitCode = used && failures.length === 0 ? 0 : 1;

/** The id of the frame that is focused. */
async function shown() {
  const source = await page.locator('.teach .pane img').first().getAttribute('src');
  return source.match(/\/(\d+)\.jpg/)[1];
}

/** Asks again and again until the answer is what is wanted. */
async function until(path, wanted, time) {
  for (const end = Date.now() + time; Date.now() < end; await page.waitForTimeout(500)) {
    const found = await get(path);
    if (wanted(found)) return found;
  }
  throw new Error(`${path}: not what is wanted`);
}
