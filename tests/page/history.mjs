// Looks at the history of a running livelabel in a headless Chromium, and says as JSON what is not as promised; exit code 1 if
// there is anything.
//
// usage: node history.mjs http://127.0.0.1:8080/ EXPECTED.json [--shots DIR]
//
// EXPECTED.json says what is to be seen, in the time of Berlin:
//   stream, day     the stream and the day that are looked at
//   streams         the names of all streams
//   calendar        days, each with its accessible name
//   rows            the list of the day: label, time, length and mean of each interval
//   sum, watched    the lines below the totals
//   totals          label, number and length of each
//   moments         times of the day, each with what the ribbon says of it; and a label, whose colour the ribbon has there
//   pictures        of the interval that has some: what each is of, and its time; the first one's is the interval's
//   filtered        label, rows and sum when the list is filtered for it; longer: seconds, and the rows that last as long
//   month, all      the number of rows of the month and of all time
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { expect, launch, listen, texts, TIMEOUT } from './browser.mjs';
import { inspect } from './inspect.mjs';

const { values, positionals: [base, file] } = parseArgs({ allowPositionals: true, options: { shots: { type: 'string' } } });
const expected = JSON.parse(readFileSync(file, 'utf8'));
if (values.shots) mkdirSync(values.shots, { recursive: true });

const ZONE = 'Europe/Berlin';
const VIEWS = [
  { name: 'desktop-light', width: 1440, height: 900, scheme: 'light' },
  { name: 'desktop-dark', width: 1440, height: 900, scheme: 'dark' },
  { name: 'phone-light', width: 390, height: 844, scheme: 'light', phone: true },
  { name: 'phone-dark', width: 360, height: 640, scheme: 'dark', phone: true },
];
const { stream, day } = expected;
const home = `#/history/${encodeURIComponent(stream)}/${day}`;

const browser = await launch();
const failures = [];
try {
  for (const view of VIEWS) await look(view);
} catch (error) {
  // What was waited for stands in the lines after the first.
  failures.push(error.message.split('\n').slice(0, 3).join(' '));
} finally {
  await browser.close();
}
console.log(JSON.stringify({ base, failures }, null, 2));
process.exitCode = failures.length > 0 ? 1 : 0;

async function look({ name, width, height, scheme, phone = false }) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, timezoneId: ZONE, hasTouch: phone, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT);
  const complain = text => failures.push(`${name}: ${text}`);
  listen(page, base, complain);
  const view = { page, complain, phone, shot: async what => values.shots && page.screenshot({ path: join(values.shots, `${name}-${what}.png`) }) };
  await everything(view);
  await oneStream(view);
  await filters(view);
  await keyboard(view);
  await addresses(view);
  await keptPictures(view);
  await context.close();
}

function hash(page) {
  return page.evaluate(() => decodeURIComponent(location.hash));
}

function plain(address) {
  return decodeURIComponent(address);
}

/** The rows of the list that is shown: label, time, length and mean. */
function rows(page) {
  return page.locator('.list:not([hidden]) .row:not([hidden])').evaluateAll(nodes => nodes
    .sort((one, other) => one.dataset.at - other.dataset.at)
    .map(node => [node.querySelector('.label').textContent, ...[...node.querySelectorAll('.when-of span, .mean')].map(part => part.textContent)].map(text => text.trim())));
}

/** The totals: label, number and length. */
function totals(page) {
  return page.locator('.totals button').evaluateAll(nodes => nodes.map(node => [...node.querySelectorAll('bdi, b, .long')].map(part => part.textContent)));
}

async function open({ page }, address) {
  await page.goto('about:blank');
  await page.goto(base + address);
  await page.locator('section.history').waitFor();
}

/** All streams: the entry that leads there, their ribbons, and the way to one of them. */
async function everything(view) {
  const { page, complain } = view;
  await page.goto(base);
  const entry = page.getByRole('link', { name: 'History' });
  await entry.or(page.locator('section.history')).first().waitFor();
  if (await entry.isVisible()) await entry.click();
  await page.locator('section.history').waitFor();
  await open(view, `#/history?day=${day}`);
  await expect(view, 'streams', () => texts(page.locator('.ribbons .name')), expected.streams);
  await inspect(page, complain, 'all streams');
  await view.shot('all');
  await page.locator('.ribbons .name').nth(expected.streams.indexOf(stream)).click();
  await expect(view, 'link of a ribbon', () => hash(page), plain(home));
  await expect(view, 'title', () => page.title(), `${stream}, ${expected.date} · History · livelabel`);
}

/** A day of one stream: calendar, totals, list and ribbon. */
async function oneStream(view) {
  const { page, complain, phone } = view;
  await open(view, home);
  await expect(view, 'totals', () => totals(page), expected.totals);
  await expect(view, 'sum', () => page.locator('.sum').innerText(), expected.sum);
  await expect(view, 'how long it was watched', () => page.locator('.known').innerText(), expected.watched);
  if (phone) await page.locator('.days .date').click();
  for (const [day, says] of Object.entries(expected.calendar)) {
    await expect(view, `calendar, ${day}`, () => page.locator(`.month [data-day="${day}"]`).getAttribute('aria-label'), says);
  }
  await inspect(page, complain, 'calendar');
  if (phone) await page.locator('.days .date').click();
  // On a phone, only the rows in sight are there.
  await page.locator('.list:not([hidden])').scrollIntoViewIfNeeded();
  await page.locator('.list:not([hidden]) .end').scrollIntoViewIfNeeded();
  await expect(view, 'rows', () => rows(page), expected.rows);
  await inspect(page, complain, 'one stream');
  await page.locator('.ribbons canvas').scrollIntoViewIfNeeded();
  for (const { at, says, label } of expected.moments) {
    await open(view, `${home}?view=${around(at)}`);
    const slider = page.getByRole('slider', { name: `Moment of the day of ${stream}` });
    // The middle of the stretch is the moment.
    await slider.focus();
    await expect(view, `ribbon at ${at}`, async () => {
      // What is above may still arrive and move it.
      const box = await page.locator('.ribbons canvas').boundingBox();
      await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2 + Math.random());
      return texts(page.locator('.tracks .readout .item'));
    }, says);
    if (label) await expect(view, `colour at ${at}`, () => colours(page, label), { ribbon: true });
  }
  await view.shot('moment');
}

/** A stretch of twenty seconds around a time of day. */
function around(at) {
  const ms = Date.parse(`1970-01-01T${at}Z`);
  return [-10e3, 10e3].map(by => new Date(ms + by).toISOString().slice(11, 19)).join('-');
}

/** Whether the middle of the ribbon has the colour of a label, as its button in the totals has. */
function colours(page, label) {
  return page.evaluate(label => {
    const canvas = document.querySelector('.ribbons canvas');
    const rgb = [...canvas.getContext('2d').getImageData(canvas.width >> 1, canvas.height >> 1, 1, 1).data].slice(0, 3).join(', ');
    const swatch = [...document.querySelectorAll('.totals button')].find(node => node.querySelector('bdi').textContent === label).querySelector('.swatch');
    return { ribbon: getComputedStyle(swatch).backgroundColor === `rgb(${rgb})` };
  }, label);
}

/** The filters change list, sum and address; the way back undoes them. */
async function filters(view) {
  const { page } = view;
  const { filtered, longer, month, all } = expected;
  await open(view, home);
  await page.locator('.totals button').filter({ hasText: filtered.label }).click();
  await expect(view, 'address with a label', () => hash(page), `${plain(home)}?label=${filtered.label}`);
  await expect(view, 'filtered sum', () => page.locator('.sum').innerText(), filtered.sum);
  await page.locator('.list:not([hidden]) .end').scrollIntoViewIfNeeded();
  await expect(view, 'filtered rows', () => rows(page), filtered.rows);
  await page.goBack();
  await expect(view, 'sum after the way back', () => page.locator('.sum').innerText(), expected.sum);
  await page.goForward();
  await expect(view, 'sum after the way forward', () => page.locator('.sum').innerText(), filtered.sum);
  await open(view, `${home}?min=${longer.seconds}`);
  await page.locator('.list:not([hidden]) .end').scrollIntoViewIfNeeded();
  await expect(view, 'rows of a length', () => rows(page), longer.rows);
  for (const [period, number] of [['Month', month], ['All', all]]) {
    await page.goto('about:blank');
    await open(view, home);
    await page.getByRole('radio', { name: period, exact: true }).check();
    await page.locator('.list:not([hidden]) .end').scrollIntoViewIfNeeded();
    await expect(view, period, async () => (await page.locator('.sum').innerText()).split(' · ')[0], number);
  }
  const [table] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Save this list as CSV' }).click()]);
  const lines = readFileSync(await table.path(), 'utf8').trim().split('\n');
  await expect(view, 'lines of the table', async () => `${lines.length - 1} intervals`, all);
}

/** Zoom, days, intervals and the calendar work by keyboard. */
async function keyboard(view) {
  const { page, phone } = view;
  await open(view, home);
  await expect(view, 'rows', () => page.locator('.list:not([hidden]) .row').count().then(number => number > 0), true);
  await page.keyboard.press('+');
  await expect(view, 'zoomed in', () => hash(page), `${plain(home)}?view=06:00:00-18:00:00`);
  await page.keyboard.press('0');
  await expect(view, 'whole day', () => hash(page), plain(home));
  await page.keyboard.press('.');
  const [, first] = expected.rows.at(-1);
  await expect(view, 'first interval', () => hash(page), `${plain(home)}T${first}`);
  await page.keyboard.press('.');
  await expect(view, 'second interval', () => hash(page), `${plain(home)}T${expected.rows.at(-2)[1]}`);
  await page.keyboard.press(',');
  await expect(view, 'first interval again', () => hash(page), `${plain(home)}T${first}`);
  await expect(view, 'the label there', () => page.locator('.moment bdi').innerText(), expected.rows.at(-1)[0]);
  // The list: its first row is the last interval.
  await page.locator('.list:not([hidden]) .rows').focus();
  await page.keyboard.press('Home');
  await expect(view, 'first row', () => hash(page), `${plain(home)}T${expected.rows[0][1]}`);
  await page.locator('.days .date').focus();
  await page.keyboard.press('PageUp');
  await expect(view, 'the day before', () => hash(page), plain(home).replace(day, expected.before));
  if (phone) await page.locator('.days .date').click();
  await page.locator(`.month [data-day="${expected.before}"]`).focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await expect(view, 'the day by the calendar', () => hash(page), plain(home));
  await page.keyboard.press('Escape');
  await expect(view, 'all streams by Escape', () => hash(page), `#/history?day=${day}`);
}

/** An address leads to its moment; one that is wrong says so, or is read as far as it can be. */
async function addresses(view) {
  const { page, complain } = view;
  // An interval that begins within the second of an address is meant.
  for (const [label, time] of expected.rows) {
    await open(view, `${home}T${time}`);
    await expect(view, 'time of an address', () => page.locator('.moment .at').innerText(), time);
    await expect(view, 'label of an address', () => page.locator('.moment bdi').innerText(), label);
  }
  await inspect(page, complain, 'a moment');
  await view.shot('address');
  await open(view, '#/history/nobody/2026-01-02');
  await expect(view, 'unknown stream', () => page.locator('.history > .blank span').innerText(), 'The history has no stream named nobody.');
  await open(view, `#/history/${encodeURIComponent(stream)}/2026-13-45T99:99`);
  await expect(view, 'a day that does not exist', () => page.locator('.days .date').innerText(), expected.lastDate);
}

/** An interval that was not recorded shows the pictures that are kept of it; each leads to its moment. */
async function keptPictures(view) {
  const { page, complain } = view;
  const { pictures } = expected;
  const buttons = page.locator('.kept .strip button');
  const chosen = () => page.locator('.kept .strip button[aria-pressed=true]').allInnerTexts().then(found => found.map(says));
  const sizes = () => page.locator('.kept img').evaluateAll(nodes => nodes.map(node => node.naturalWidth));
  await open(view, `${home}T${pictures[0][1]}`);
  await expect(view, 'kept pictures', () => buttons.allInnerTexts().then(found => found.map(says)), pictures);
  await expect(view, 'the kept picture that is shown first', chosen, [pictures[1]]);
  await expect(view, 'widths of the kept pictures', sizes, [320, 320, 320, 320]);
  await inspect(page, complain, 'kept pictures');
  await view.shot('kept');
  for (const picture of pictures.toReversed()) {
    await buttons.nth(pictures.indexOf(picture)).click();
    await expect(view, `chosen ${picture[0]}`, chosen, [picture]);
    await expect(view, `address of ${picture[0]}`, () => hash(page), `${plain(home)}T${picture[1]}`);
    await expect(view, `moment of ${picture[0]}`, () => page.locator('.moment .at').innerText(), picture[1]);
  }
  // The pictures stay while another moment of the interval is looked at; the nearest one is shown.
  await open(view, `${home}T${pictures[2][1]}`);
  await expect(view, 'the nearest kept picture', chosen, [pictures[2]]);
}

/** What a kept picture is of, and its time. */
function says(text) {
  return text.trim().split(/\s+/);
}
