// Looks at the page of a running livelabel in a headless Chromium, and says as JSON what it found; exit code 1 where
// something is not as promised.
//
// usage: node page.mjs http://127.0.0.1:8080/ [--expect LABEL] [--intervals] [--says NAME=TEXT]... [--shots DIR]
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launch, listen, TIMEOUT } from './browser.mjs';
import { inspect } from './inspect.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    expect: { type: 'string' },
    intervals: { type: 'boolean' },
    says: { type: 'string', multiple: true },
    shots: { type: 'string' },
  },
});
const base = positionals[0];
if (!base) {
  console.error('usage: node page.mjs URL [--expect LABEL] [--intervals] [--says NAME=TEXT]... [--shots DIR]');
  process.exit(2);
}
if (values.shots) mkdirSync(values.shots, { recursive: true });

/** As wide is a canvas that nothing was drawn on. */
const EMPTY = 16;
const VIEWS = [
  { name: 'desktop-light', width: 1440, height: 900, scheme: 'light' },
  { name: 'desktop-dark', width: 1440, height: 900, scheme: 'dark' },
  { name: 'phone-light', width: 360, height: 640, scheme: 'light' },
  { name: 'phone-dark', width: 390, height: 844, scheme: 'dark' },
];

const browser = await launch();
const found = { base, failures: [] };
const fail = text => found.failures.push(text);

try {
  for (const view of VIEWS) found[view.name] = await look(view);
} catch (error) {
  fail(error.message.split('\n')[0]);
} finally {
  await browser.close();
}
console.log(JSON.stringify(found, null, 2));
process.exitCode = found.failures.length > 0 ? 1 : 0;

async function look({ name, width, height, scheme }) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
  const page = await context.newPage();
  const complain = text => fail(`${name}: ${text}`);
  listen(page, base, complain);
  await page.goto(base);
  await page.locator('canvas').first().waitFor({ timeout: TIMEOUT });
  const { mode, history, streams } = await page.evaluate(async () => (await fetch('/api/streams')).json());

  const seen = { streams: streams.length, mode };
  if (mode === 'recording') {
    await page.getByRole('button', { name: 'Play' }).click();
  } else if (streams.length > 1) {
    seen.wall = await inspect(page, complain, 'wall');
    for (const said of values.says ?? []) await says(page, said, complain);
    if (values.intervals) {
      await fills(page, complain);
      await ribbon(page, complain);
      await opens(page, page.locator('.card').first(), complain, 'card');
    }
    if (values.shots) await page.screenshot({ path: join(values.shots, `${name}-wall.png`) });
    const first = page.locator('a.tile').first();
    await first.focus();
    await page.keyboard.press('Enter');
    await page.locator('article.large').waitFor({ timeout: TIMEOUT });
  }
  if (mode === 'recording' || streams[0].state === 'running') {
    seen.moves = await moves(page);
    if (!seen.moves) complain('the picture does not move');
  }
  if (values.expect) {
    const shown = page.locator('.shown').getByText(values.expect, { exact: true });
    await shown.waitFor({ timeout: TIMEOUT }).catch(() => complain(`the label ${values.expect} does not appear`));
  }
  seen.label = await page.locator('.shown').innerText();
  if (!seen.label.trim()) complain('no label is announced');
  seen.large = await inspect(page, complain, 'large view');
  if (values.intervals) await opens(page, page.locator('.intervals .open').nth(1), complain, 'row');
  if (mode !== 'recording') {
    await fact(page, 'Label delay', 'label_delay_ms', seconds => `${seconds} s`, complain);
    await fact(page, 'Shortest activity', 'shortest_ms', seconds => `nothing shorter than ${seconds} s is reported`, complain);
  }
  if (values.shots) await page.screenshot({ path: join(values.shots, `${name}.png`) });
  await entry(page, history, streams[0].name, complain);
  if (values.shots && history) await page.screenshot({ path: join(values.shots, `${name}-history.png`) });
  if (history) await page.goBack();
  if (mode !== 'recording' && streams.length > 1) {
    await page.locator('article.large').waitFor({ timeout: TIMEOUT });
    await page.keyboard.press('Escape');
    await page.locator('.wall').waitFor({ timeout: TIMEOUT }).catch(() => complain('Escape does not lead back'));
  }
  await context.close();
  return seen;
}

/** Whether a tile says this text, given as NAME=TEXT. */
async function says(page, said, complain) {
  const [name, text] = said.split(/=(.*)/s);
  const label = page.locator('a.tile').filter({ has: page.getByText(name, { exact: true }) }).locator('.says .label');
  const right = async () => (await label.innerText()) === text;
  for (const until = Date.now() + TIMEOUT; Date.now() < until; await page.waitForTimeout(100)) if (await right()) return;
  complain(`${name} says "${await label.innerText()}", not "${text}"`);
}

/** The way from a stream to its history; there is none if none is kept. */
async function entry(page, kept, name, complain) {
  const link = page.getByRole('link', { name: 'History' });
  if (await link.isVisible() !== !!kept) return complain(`the history is ${kept ? 'not ' : ''}linked`);
  if (!kept) return;
  await link.click();
  await page.locator('section.history').waitFor({ timeout: TIMEOUT });
  const shown = await page.locator('#title').innerText();
  if (shown !== name) complain(`the history is that of ${shown}, not of ${name}`);
  await page.locator('.ribbons canvas').waitFor({ timeout: TIMEOUT });
  await inspect(page, complain, 'history');
}

/** A fact about a time in milliseconds of the first stream is shown, or is not if it is not known. A measured time changes. */
async function fact(page, name, field, text, complain) {
  const facts = page.locator('.facts dl > div').filter({ has: page.getByText(name, { exact: true }) });
  let shown, wanted;
  for (const until = Date.now() + TIMEOUT; Date.now() < until; await page.waitForTimeout(100)) {
    const { streams: [{ [field]: ms }] } = await page.evaluate(async () => (await fetch('/api/streams')).json());
    shown = await facts.locator('dd').allInnerTexts();
    wanted = ms == null ? [] : [text((ms / 1000).toFixed(1))];
    if (shown.join() === wanted.join()) return;
  }
  complain(`${name} is "${shown}", not "${wanted}"`);
}

/** On a desktop, the tiles reach from edge to edge of the window, but for the margins. */
async function fills(page, complain) {
  const { width, height } = page.viewportSize();
  const boxes = await page.locator('.cell').evaluateAll(cells => cells.map(cell => cell.getBoundingClientRect().toJSON()));
  const [right, bottom] = ['right', 'bottom'].map(edge => Math.max(...boxes.map(box => box[edge])));
  if (width < 600) return;
  if (width - right > 40 || height - bottom > 40) complain(`wall: ${width - right} × ${height - bottom} px remain unused`);
}

/** The ribbon of the first tile has the colours of labels. */
async function ribbon(page, complain) {
  const image = () => page.locator('.ribbon').first().evaluate(node => node.style.backgroundImage);
  for (const until = Date.now() + TIMEOUT; Date.now() < until; await page.waitForTimeout(100)) {
    if (/var\(--label-\d\)/.test(await image())) return;
  }
  complain(`ribbon: ${await image()}`);
}

/** Opens an interval by keyboard, steps to an earlier one, and closes: the focus is where it was, and the view is live. */
async function opens(page, opener, complain, where) {
  // A new interval moves the others, so the element is kept.
  const button = await opener.elementHandle({ timeout: TIMEOUT });
  await button.$eval('img', image => image.decode()).catch(() => complain(`${where}: no thumbnail`));
  const label = (await button.$eval('bdi', node => node.textContent)).trim();
  await button.focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.waitFor({ timeout: TIMEOUT });
  const shown = async () => (await dialog.locator('.shown-label').innerText()).trim();
  if ((await shown()) !== label) complain(`${where}: the dialog shows ${await shown()}, not ${label}`);
  const size = await dialog.locator('img').evaluate(async image => (await image.decode(), [image.naturalWidth, image.naturalHeight])).catch(() => [0, 0]);
  if (size.join() !== '160,120') complain(`${where}: the kept picture has ${size.join(' × ')} pixels`);
  await inspect(page, complain, `dialog of a ${where}`);
  const when = () => dialog.locator('.about p').first().innerText();
  const before = await when();
  await page.keyboard.press('ArrowLeft');
  if ((await when()) === before || (await shown()) === label) complain(`${where}: the left arrow does not lead to an earlier interval`);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden', timeout: TIMEOUT });
  // If its interval is not shown any more, something beside it has the focus.
  const kept = await button.evaluate(node => (node.isConnected ? node : document.activeElement) === document.activeElement && document.activeElement !== document.body);
  if (!kept) complain(`${where}: the focus is lost`);
}

/** Whether the first picture's pixels change within the time that a picture may take. */
async function moves(page) {
  const look = () => page.locator('canvas[role=img]').first().evaluate(canvas => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let sum = 0;
    for (let at = 0; at < data.length; at += 4) sum = (sum * 31 + data[at] + data[at + 1] * 3 + data[at + 2] * 7) | 0;
    return [canvas.width, sum];
  });
  // A canvas takes its size with the first picture, and another when the page is laid out: only pictures of one size
  // are compared.
  const before = new Map();
  for (const until = Date.now() + TIMEOUT; Date.now() < until;) {
    const [width, sum] = await look();
    if (width > EMPTY && before.has(width) && before.get(width) !== sum) return true;
    before.set(width, sum);
    await page.waitForTimeout(100);
  }
  return false;
}
