// A headless Chromium, and what all checks of the page have in common. CHROMIUM names another browser than /usr/bin/chromium.
import { chromium } from 'playwright-core';

/** How long is waited for anything, in milliseconds. */
export const TIMEOUT = 20e3;

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
}

/** Complains about errors on a page's console, in its scripts, and about requests to another server. `allowed` errors are none. */
export function listen(page, base, complain, allowed = () => false) {
  page.on('console', message => message.type() === 'error' && !allowed(message) && complain(`console: ${message.text()}`));
  page.on('pageerror', error => complain(`script: ${error.message}`));
  page.on('request', request => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith('http') && origin !== new URL(base).origin) complain(`outside request: ${request.url()}`);
  });
}

/** Waits until `read` returns what is wanted, and complains if it does not. */
export async function expect({ page, complain }, what, read, wanted) {
  let seen;
  for (const until = Date.now() + TIMEOUT; Date.now() < until; await page.waitForTimeout(50)) {
    seen = await read().catch(error => error.message.split('\n')[0]);
    if (JSON.stringify(seen) === JSON.stringify(wanted)) return;
  }
  complain(`${what}: ${JSON.stringify(seen)}, not ${JSON.stringify(wanted)}`);
}

/** The texts of the elements that are visible. */
export function texts(locator) {
  return locator.evaluateAll(nodes => nodes.filter(node => node.checkVisibility()).map(node => node.textContent.trim()));
}
