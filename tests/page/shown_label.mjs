// Looks at recordings in the history of a running livelabel in a headless Chromium: whether the label over each picture is the
// one that was shown. Says as JSON what is not as promised; exit code 1 if there is anything.
//
// usage: node shown_label.mjs http://127.0.0.1:8080/ EXPECTED.json [--shots DIR]
//
// EXPECTED.json says what was recorded, with times in UTC like 2026-01-02T14:03:05:
//   stream      its name
//   intervals   label, start, end and share of each, in milliseconds since 1970
//   moments     some of the camera's own video, each with the label and share that are shown `at` it; null if none is
//   pairs       colours of pictures, each with a label that was shown with it; null if none was
//   labelled    a moment at which the label is drawn on the picture
//   kept        a moment of the first interval, of which only pictures are kept, with its label and share
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { expect, launch, listen, TIMEOUT } from './browser.mjs';
import { inspect } from './inspect.mjs';

const { values, positionals: [base, file] } = parseArgs({ allowPositionals: true, options: { shots: { type: 'string' } } });
const { stream, intervals, moments, pairs, labelled, kept } = JSON.parse(readFileSync(file, 'utf8'));
if (values.shots) mkdirSync(values.shots, { recursive: true });

const VIEWS = [
  { name: 'desktop-light', width: 1440, height: 900, scheme: 'light' },
  { name: 'desktop-dark', width: 1440, height: 900, scheme: 'dark' },
  { name: 'phone-light', width: 390, height: 844, scheme: 'light', phone: true },
  { name: 'phone-dark', width: 360, height: 640, scheme: 'dark', phone: true },
];
/** Times of frames and of intervals are rounded apart, in milliseconds. */
const ROUNDING = 3;
/** Steps of a tenth of a second: over two changes of the label at least. */
const STEPS = 65;

const browser = await launch();
const failures = [];
try {
  for (const view of VIEWS) await look(view);
} catch (error) {
  failures.push(error.message.split('\n').slice(0, 3).join(' '));
} finally {
  await browser.close();
}
console.log(JSON.stringify({ base, failures }, null, 2));
process.exitCode = failures.length > 0 ? 1 : 0;

async function look({ name, width, height, scheme, phone = false }) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, timezoneId: 'UTC', hasTouch: phone, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT);
  const complain = text => failures.push(`${name}: ${text}`);
  listen(page, base, complain);
  const view = { page, complain, shot: async what => values.shots && page.screenshot({ path: join(values.shots, `${name}-${what}.png`) }) };
  await atMoments(view);
  await keptPicture(view);
  await drawnOnPicture(view);
  await hidden(view);
  if (name === VIEWS[0].name) {
    await stepping(view);
    await playing(view);
  }
  await context.close();
}

async function open({ page }, at, rest = '') {
  await page.goto('about:blank');
  await page.goto(`${base}#/history/${encodeURIComponent(stream)}/${at}${rest}`);
  await page.locator('section.history').waitFor();
}

/** Runs in the page: what the plate says that is seen, or null. */
function plate() {
  const seen = [...document.querySelectorAll('.stage .plate')].find(node => node.checkVisibility());
  return seen ? [seen.querySelector('bdi').textContent, seen.querySelector('.share').textContent] : null;
}

/** Whether a picture, and a ribbon over it, are seen. */
function seen(page) {
  return page.evaluate(() => ({
    picture: !!document.querySelector('.viewer.seen'),
    ribbon: [...document.querySelectorAll('.stage .recent')].some(node => node.checkVisibility()),
  }));
}

function wanted({ label, share }) {
  return label ? [label, share] : null;
}

async function atMoments(view) {
  const { page, complain } = view;
  for (const moment of moments) {
    await open(view, moment.at);
    await expect(view, `picture at ${moment.at}`, () => seen(page).then(({ picture }) => picture), true);
    await expect(view, `plate at ${moment.at}`, () => page.evaluate(plate), wanted(moment));
    await inspect(page, complain, `plate of ${moment.label}`);
    await view.shot(`plate-${moment.label}`);
  }
}

async function keptPicture(view) {
  const { page, complain } = view;
  await open(view, kept.at);
  await expect(view, 'plate of a kept picture', () => page.evaluate(plate), wanted(kept));
  await inspect(page, complain, 'plate of a kept picture');
  await view.shot('kept');
  // Nothing was shown before.
  await page.locator('.kept .strip').getByRole('button', { name: /^Start/ }).click();
  await expect(view, 'the kept picture of the start', () => page.locator('.kept .strip [aria-pressed=true] b').innerText(), 'Start');
  await page.waitForFunction(() => document.querySelector('.kept .large-one img').complete);
  await expect(view, 'plate of the first frame', () => page.evaluate(plate), wanted(kept));
}

async function drawnOnPicture(view) {
  const { page } = view;
  await open(view, labelled);
  await expect(view, 'a picture that has its label', () => seen(page), { picture: true, ribbon: false });
  await expect(view, 'plate of a picture that has its label', () => page.evaluate(plate), null);
  await view.shot('labelled');
  const time = () => page.locator('.moment .at').innerText();
  const before = await time();
  await page.keyboard.press(' ');
  await expect(view, 'time while a labelled recording plays', () => time().then(now => now !== before), true);
  await expect(view, 'a labelled recording that plays', () => seen(page), { picture: true, ribbon: false });
  await page.keyboard.press(' ');
}

/** The label can be hidden, by key and by button, and the browser remembers it. */
async function hidden(view) {
  const { page } = view;
  const moment = moments.find(({ label }) => label);
  const button = page.getByRole('button', { name: 'Label over the picture' });
  const pressed = () => button.getAttribute('aria-pressed');
  await open(view, moment.at);
  await expect(view, 'plate', () => page.evaluate(plate), wanted(moment));
  await page.keyboard.press('l');
  await expect(view, 'plate that is hidden', () => page.evaluate(plate), null);
  await open(view, moment.at);
  await expect(view, 'picture without a plate', () => seen(page), { picture: true, ribbon: false });
  await expect(view, 'button that is remembered', pressed, 'false');
  await open(view, kept.at);
  await page.locator('.kept img').first().waitFor();
  await expect(view, 'plate of a kept picture that is hidden', () => page.evaluate(plate), null);
  await button.click();
  await expect(view, 'plate of a kept picture that is shown again', () => page.evaluate(plate), wanted(kept));
  await expect(view, 'button', pressed, 'true');
  await page.keyboard.press('?');
  await expect(view, 'key in the help', () => page.locator('.keys[open] kbd', { hasText: /^l$/ }).count(), 1);
  await page.getByRole('button', { name: 'Close' }).click();
}

/** From frame to frame, the plate says what the journal says of that frame. */
async function stepping(view) {
  const { page } = view;
  const [{ at }] = moments;
  const end = new Date(Date.parse(`${at}Z`) + 10e3).toISOString();
  await open(view, at, `?view=${at.slice(11)}-${end.slice(11, 19)}`);
  await expect(view, 'plate of the first', () => page.evaluate(plate), wanted(moments[0]));
  for (let step = 0; step < STEPS; step++) {
    const [answer] = await Promise.all([page.waitForResponse(response => response.url().includes('/picture.jpg')), page.keyboard.press('ArrowRight')]);
    const time = Date.parse(answer.headers()['x-time']) + ROUNDING;
    const interval = intervals.find(([, start, end]) => start <= time && time < end);
    await expect(view, `plate ${time} ms`, () => page.evaluate(plate), interval ? [interval[0], interval[3]] : null);
  }
}

/** While it plays, over the ends of files, no picture is seen with a label that was not shown with it. */
async function playing(view) {
  const { page, complain } = view;
  await open(view, moments[0].at);
  await expect(view, 'plate before playing', () => page.evaluate(plate), wanted(moments[0]));
  await page.evaluate(watch);
  await page.keyboard.press(' ');
  await page.getByRole('button', { name: 'Pause', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Play', exact: true }).waitFor();
  const known = new Set(pairs.map(pair => JSON.stringify(pair)));
  const found = await page.evaluate(() => [...window.pairs]);
  for (const pair of found) if (!known.has(pair)) complain(`while playing: ${pair} is none of ${[...known]}`);
  if (found.length < 3) complain(`while playing: only ${found}`);
}

/** Runs in the page: notes what is seen together, in each picture of the screen. */
function watch() {
  const canvas = document.querySelector('.stage canvas');
  const context = canvas.getContext('2d');
  window.pairs = new Set();
  const look = () => {
    const [red, green, blue] = context.getImageData(canvas.width >> 1, canvas.height >> 1, 1, 1).data;
    const most = Math.max(red, green, blue);
    const colour = most - Math.min(red, green, blue) < 40 ? 'gray' : { [red]: 'red', [green]: 'green', [blue]: 'blue' }[most];
    const plate = [...document.querySelectorAll('.stage .plate')].find(node => node.checkVisibility());
    window.pairs.add(JSON.stringify([colour, plate?.querySelector('bdi').textContent ?? null]));
    requestAnimationFrame(look);
  };
  look();
}
