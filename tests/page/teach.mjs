// Looks at Teach in a headless Chromium, and says as JSON what is not as promised; exit code 1 if there is anything.
//
// The page comes from a running livelabel, whose admin token is TOKEN, and which has the history of a stream `door` with the
// interval `drinking` from 2025-01-02 14:01:00 to 14:01:05 in the time of Berlin. What is taught comes from a server of the test.
//
// usage: node teach.mjs http://127.0.0.1:8080/ TOKEN [--only CHECK] [--page FOLDER] [--shots FOLDER]
//
// --page takes the page's files from src/web/page instead of the program, --only does one of the checks.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launch, listen, TIMEOUT } from './browser.mjs';
import * as answers from './teach_answers.mjs';
import * as frames from './teach_frames.mjs';
import * as models from './teach_models.mjs';
import { serve } from './teach_server.mjs';

const option = { type: 'string' };
const { values, positionals: [base, admin] } = parseArgs({ allowPositionals: true, options: { only: option, page: option, shots: option } });
if (values.shots) mkdirSync(values.shots, { recursive: true });

const VIEWS = [
  { name: 'desktop-light', width: 1440, height: 900, scheme: 'light' },
  { name: 'desktop-dark', width: 1440, height: 900, scheme: 'dark', looks: true },
  { name: 'phone-light', width: 360, height: 640, scheme: 'light', phone: true, looks: true },
  { name: 'phone-dark', width: 390, height: 844, scheme: 'dark', phone: true },
];
/** What a browser logs of a response that the page expects. */
const EXPECTED = /^Failed to load resource: (the server responded with a status of (401|404|409|422|503)|net::ERR_EMPTY_RESPONSE)/;

const checks = Object.entries({ ...frames, ...answers, ...models }).filter(([check]) => !values.only || check === values.only);
const browser = await launch();
const server = await serve(base, { admin, page: values.page });
const failures = [];
for (const view of VIEWS) for (const [check, look] of checks) if (!view.looks || look.everywhere) await run(view, check, look);
await browser.close();
server.close();
console.log(JSON.stringify({ base, failures }, null, 2));
process.exitCode = failures.length > 0 ? 1 : 0;

async function run({ name, width, height, scheme, phone = false }, check, look) {
  const complain = text => failures.push(`${name}, ${check}: ${text}`);
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, timezoneId: 'Europe/Berlin', hasTouch: phone, reducedMotion: 'reduce' });
  const view = {
    context, complain, phone, admin, taught: server.taught, url: server.url,
    /** Opens another page; `unlocked` if it knows the admin token. */
    async open(address, { unlocked = true } = {}) {
      const page = await context.newPage();
      page.setDefaultTimeout(TIMEOUT);
      listen(page, server.url, complain, message => EXPECTED.test(message.text()) && new URL(message.location().url).pathname.startsWith('/api/'));
      if (unlocked) await page.addInitScript(token => location.protocol === 'http:' && sessionStorage.setItem('livelabel-admin-token', token), admin);
      await page.goto(server.url + address);
      return { page, complain };
    },
    shot: async (page, what) => values.shots && page.screenshot({ path: join(values.shots, `${name}-${what}.png`) }),
  };
  try {
    await look(view);
  } catch (error) {
    // What was waited for stands in the lines after the first.
    complain(error.message.split('\n').slice(0, 3).join(' '));
  } finally {
    await context.close();
  }
}
