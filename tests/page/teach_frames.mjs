// The kept frames: the way to them, tiles, filters, the endless list, many labels, and what cannot be shown.
import { expect, texts } from './browser.mjs';
import { inspect } from './inspect.mjs';
import { focused, kept, ready, tiles } from './teach_seen.mjs';

const hash = page => page.evaluate(() => decodeURIComponent(location.hash));

/** The way there, the tiles, the large frame, and the way back. */
export async function entry({ open, taught, complain, shot }) {
  const reasons = ['unsure', 'change', 'random', 'interval'];
  taught.reset({ frames: kept(4, at => ({ reason: reasons[at], ...(at === 3 ? { stream: 'clip <b>.mp4', clip: true, time: '1970-01-01T00:01:05.000Z' } : {}) })) });
  const view = await open('');
  const { page } = view;
  await page.getByRole('link', { name: 'Teach' }).click();
  await ready(page);
  const first = 'door, 20 Nov, 15:03:05';
  await expect(view, 'tiles', () => tiles(page), [
    `${first}, drinking 52 %, not sure`, 'door, 20 Nov, 15:02:05, drinking 52 %, label change',
    'door, 20 Nov, 15:01:05, drinking 52 %, at random', 'clip <b>.mp4, 1:05, drinking 52 %, interval',
  ]);
  await expect(view, 'large frame', () => page.locator('.about-frame .moment').innerText().then(text => text.replace(/\s+/g, ' ')), 'door, Thu, 20 Nov 2025, 15:03:05 the model was not sure');
  await expect(view, 'meters', () => texts(page.locator('.meters li')), ['drinking52 %', 'cooking41 %', 'other7 %']);
  await expect(view, 'labels', () => texts(page.locator('.labels bdi')), ['cooking', 'drinking', 'other']);
  await expect(view, 'colours', () => page.evaluate(() => {
    const colour = node => getComputedStyle(node).backgroundColor;
    const bars = [...document.querySelectorAll('.meters .fill')].map(colour);
    const swatches = [...document.querySelectorAll('.labels .swatch')].map(colour);
    return [bars[0] === swatches[1], bars[1] === swatches[0], bars[2] === swatches[2], new Set(swatches).size];
  }), [true, true, true, 3]);
  await expect(view, 'title', () => page.title(), 'Teach · livelabel');
  await page.locator('.shot-of img').evaluate(img => img.decode());
  await inspect(page, complain, 'frames');
  await visibleFocus(view);
  await shot(page, 'frames');
  await page.keyboard.press('Escape');
  await expect(view, 'the way back', () => hash(page), '#/');
}
entry.everywhere = true;

/** Whatever has the keyboard's focus is marked. */
async function visibleFocus({ page, complain }) {
  await page.evaluate(() => document.activeElement.blur());
  for (let step = 0; step < 40; step++) {
    await page.keyboard.press('Tab');
    const bare = await page.evaluate(() => {
      const node = document.activeElement;
      if (node === document.body || node.matches('.tiles')) return '';
      const marked = node.matches('input[type=radio]') ? node.nextElementSibling : node;
      return getComputedStyle(marked).outlineStyle === 'none' ? node.outerHTML.slice(0, 80) : '';
    });
    if (bare) complain(`the focus is not seen: ${bare}`);
  }
}

/** Where nothing is kept for learning, nothing leads there. */
export async function nothing({ open, taught, complain, shot }) {
  taught.reset({});
  const view = await open('#/teach');
  const { page } = view;
  await expect(view, 'no frames', () => page.locator('.teach > .blank').innerText().then(text => text.split('. ')[0]), 'No frames are kept yet');
  await inspect(page, complain, 'no frames');
  await shot(page, 'nothing');
}
nothing.everywhere = true;

/** States and streams; each is an address of its own. */
export async function filters({ open, taught }) {
  taught.reset({ frames: kept(6, at => ({ stream: at % 2 ? 'küche & <b>' : 'door', ...(at < 2 ? { answer: at ? '' : 'cooking', given: at } : {}) })) });
  const view = await open('#/teach');
  const { page } = view;
  await ready(page);
  await expect(view, 'counts', () => texts(page.locator('.teach .windows span')), ['Open 4', 'Answered 2', 'Contradictory 0']);
  await page.getByRole('radio', { name: 'Answered' }).check();
  await expect(view, 'answered', () => tiles(page), [
    'küche & <b>, 20 Nov, 15:02:05, drinking 52 %, not sure, your answer: cannot tell, saved',
    'door, 20 Nov, 15:03:05, drinking 52 %, not sure, your answer: cooking, saved',
  ]);
  await expect(view, 'address', () => hash(page), '#/teach?state=answered');
  await page.getByRole('radio', { name: 'Contradictory' }).check();
  await expect(view, 'contradictory', () => page.locator('.teach > .blank').innerText(), 'No answers contradict each other.');
  await page.goBack();
  await page.goBack();
  await expect(view, 'open again', () => tiles(page).then(seen => seen.length), 4);
  const one = await open(`#/teach?stream=${encodeURIComponent('küche & <b>')}`);
  await expect(one, 'one stream', () => tiles(one.page), ['küche & <b>, 20 Nov, 15:00:05, drinking 52 %, not sure', 'küche & <b>, 20 Nov, 14:58:05, drinking 52 %, not sure']);
  await expect(one, 'selection', () => one.page.getByLabel('Stream', { exact: true }).inputValue(), 'küche & <b>');
}

/** The list goes on as far as there are frames; only tiles in sight are there. */
export async function endless({ open, taught }) {
  taught.reset({ frames: kept(250) });
  const view = await open('#/teach');
  const { page } = view;
  await ready(page);
  await page.evaluate(() => {
    window.most = 0;
    setInterval(() => { window.most = Math.max(window.most, document.querySelectorAll('.shot').length); }, 5);
  });
  await expect(view, 'last frame', async () => {
    await page.keyboard.press('End');
    return page.locator('.about-frame .at').innerText();
  }, 'door, Thu, 20 Nov 2025, 10:54:05');
  await expect(view, 'pages', async () => [...new Set(taught.gets)], [null, '60', '120', '180', '240']);
  await page.locator('.grid .end').scrollIntoViewIfNeeded();
  await expect(view, 'last tile', () => page.locator('.shot:not([hidden])[data-at="249"]').count(), 1);
  await expect(view, 'dropped tiles', () => page.locator('.shot:not([hidden])[data-at="0"]').count(), 0);
  await expect(view, 'dropped pictures', () => page.locator('.shot[hidden] img[src]').count(), 0);
  await expect(view, 'at most 60 tiles', () => page.evaluate(() => window.most <= 60), true);
}

/** A thousand labels, named oddly: they are text, the first have keys, a field finds the others. */
export async function manyLabels({ open, taught, complain, shot }) {
  const odd = ['../x', '<b>', '<img src=x onerror=alert(1)>', '&amp;', ' ', 'ünïcödé 🍳', 'x'.repeat(64), '"\'`', 'other'];
  const labels = [...odd, ...Array.from({ length: 991 }, (_, at) => `label ${at}`)];
  taught.reset({ labels, frames: kept(3, () => ({ said: { '<b>': 0.5, '../x': 0.3 } })) });
  const view = await open('#/teach');
  const { page } = view;
  await ready(page);
  await expect(view, 'labels', () => page.locator('.labels bdi').evaluateAll(nodes => nodes.map(node => node.textContent)), labels);
  await expect(view, 'keys', () => page.locator('.labels kbd').evaluateAll(nodes => nodes.map(node => node.textContent).join('')), '123456789abcdefghijklmnopqrstvwyz');
  await expect(view, 'no element of a label', () => page.locator('main b:not(.at, .notice b), main img[onerror]').count(), 0);
  await inspect(page, complain, 'many labels');
  await shot(page, 'many-labels');
  // The key of the tenth, and finding one without a key.
  await page.keyboard.press('a');
  await page.keyboard.press('/');
  await page.keyboard.type('LABEL 99');
  await expect(view, 'found', () => texts(page.locator('.labels bdi')), ['label 99', ...Array.from({ length: 10 }, (_, at) => `label ${990 + at}`)].filter(label => labels.includes(label)));
  await page.keyboard.press('Enter');
  await page.keyboard.press('2');
  await expect(view, 'answers', async () => taught.posts.map(([, { label }]) => label), ['label 0', 'label 99', '<b>']);
}

/** A frame whose picture is damaged or gone says so, and can be answered. */
export async function damaged({ open, taught }) {
  taught.reset({ frames: kept(2, at => ({ damaged: at === 0 })) });
  const view = await open('#/teach');
  const { page } = view;
  await ready(page);
  await expect(view, 'notice', () => page.locator('.shot-of .notice').first().innerText().then(text => text.replace(/\s+/g, ' ')), 'No picture It is damaged, or no longer kept');
  await page.keyboard.press('ArrowRight');
  await expect(view, 'the next picture', () => page.locator('.shot-of .notice').first().isVisible(), false);
  await page.keyboard.press('ArrowLeft');
  await expect(view, 'the damaged one again', () => page.locator('.shot-of .notice').first().isVisible(), true);
}
