// Looks at an overview in a headless Chromium, and says as JSON what is not as promised; exit code 1 if there is anything.
//
// usage: node overview.mjs FILE.html --filter TEXT --expect CLIPS [--shots DIR]
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { launch } from './browser.mjs';

const option = { type: 'string' };
const { values, positionals } = parseArgs({ allowPositionals: true, options: { filter: option, expect: option, shots: option } });
const url = pathToFileURL(resolve(positionals[0])).href;
const VIEWS = [
  { name: 'desktop-light', width: 1280, height: 900, scheme: 'light' },
  { name: 'desktop-dark', width: 1280, height: 900, scheme: 'dark' },
  { name: 'phone-light', width: 360, height: 640, scheme: 'light' },
];

const browser = await launch();
const failures = [];
try {
  for (const view of VIEWS) await look(view, text => failures.push(`${view.name}: ${text}`));
} catch (error) {
  failures.push(error.message.split('\n')[0]);
} finally {
  await browser.close();
}
console.log(JSON.stringify({ failures }, null, 2));
process.exitCode = failures.length > 0 ? 1 : 0;

async function look({ name, width, height, scheme }, fail) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
  const page = await context.newPage();
  page.on('console', message => message.type() === 'error' && fail(`console: ${message.text()}`));
  page.on('pageerror', error => fail(`script: ${error.message}`));
  page.on('request', request => request.url() !== url && !request.url().startsWith('data:') && fail(`request: ${request.url()}`));
  await page.goto(url);
  const broken = await page.evaluate(async () => {
    const pictures = [...document.images];
    for (const picture of pictures) picture.loading = 'eager';
    const decoded = await Promise.allSettled(pictures.map(picture => picture.decode()));
    return decoded.filter(({ status }) => status === 'rejected').length;
  });
  if (broken > 0) fail(`${broken} pictures are broken`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  if (wide) fail('it is wider than the window');
  if (values.shots) await page.screenshot({ path: join(values.shots, `overview-${name}.png`) });

  const shown = () => page.locator('.clip:visible').count();
  const all = await shown();
  await page.getByLabel('Filter').fill(values.filter);
  if (await shown() !== Number(values.expect)) fail(`the filter shows ${await shown()} of ${all} clips`);
  await page.getByLabel('Filter').fill('');
  // The label's button does the same, by keyboard.
  const button = page.getByRole('button', { name: values.filter });
  await button.focus();
  await page.keyboard.press('Enter');
  if (await shown() !== Number(values.expect)) fail(`the button shows ${await shown()} of ${all} clips`);
  if (await button.getAttribute('aria-pressed') !== 'true') fail('the button is not pressed');
  await page.keyboard.press('Enter');
  if (await shown() !== all) fail('the button does not show all clips again');
  await context.close();
}
