// Answers: keys, undo, other pages, a network that fails, refusals, contradictions, new labels, touch, and the admin token.
import { expect, texts } from './browser.mjs';
import { inspect } from './inspect.mjs';
import { focused, kept, ready, tiles } from './teach_seen.mjs';

const sending = page => page.locator('.sending').innerText().then(text => text.replace(/\s+/g, ' ').trim());
const notices = page => page.locator('.notices li p').evaluateAll(nodes => nodes.map(node => node.textContent));
const answersOf = taught => taught.frames.map(({ answer }) => answer);

/** Arrows move, a key answers and leads on, x skips, u takes back; a key that is held answers one frame. */
export async function keys({ open, taught, complain, shot }) {
  taught.reset({ frames: kept(8) });
  const view = await open('#/teach');
  const { page } = view;
  await ready(page);
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowLeft');
  await expect(view, 'arrows', () => focused(page), 2);
  const columns = await page.locator('.shot:not([hidden])').evaluateAll(nodes => new Set(nodes.map(node => node.getBoundingClientRect().left)).size);
  await page.keyboard.press('ArrowDown');
  await expect(view, 'a line down', () => focused(page), 2 + columns);
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Home');
  await expect(view, 'home', () => focused(page), 1);
  await page.keyboard.press('1');
  await page.keyboard.down('2');
  for (let held = 0; held < 5; held++) await page.keyboard.down('2');
  await page.keyboard.up('2');
  await page.keyboard.press('x');
  await page.keyboard.press('3');
  await expect(view, 'the next open frame', () => focused(page), 5);
  await expect(view, 'answers', async () => answersOf(taught), ['cooking', 'drinking', '', 'other', null, null, null, null]);
  await expect(view, 'state', () => sending(page), 'All answers are saved.');
  await expect(view, 'first tile', () => tiles(page).then(([first]) => first), 'door, 20 Nov, 15:03:05, drinking 52 %, not sure, your answer: cooking, saved');
  await expect(view, 'counts', () => texts(page.locator('.teach .windows span')), ['Open 4', 'Answered 4', 'Contradictory 0']);
  await inspect(page, complain, 'answered frames');
  await shot(page, 'answered');
  // A frame that was answered is answered again; undo goes back through everything, and no further.
  await page.keyboard.press('Home');
  await page.keyboard.press('2');
  await expect(view, 'answered again', async () => answersOf(taught)[0], 'drinking');
  await page.keyboard.press('u');
  await expect(view, 'first undo', async () => answersOf(taught), ['cooking', 'drinking', '', 'other', null, null, null, null]);
  for (let step = 0; step < 6; step++) await page.keyboard.press('u');
  await expect(view, 'all taken back', async () => answersOf(taught), Array(8).fill(null));
  await expect(view, 'the focus after undo', () => focused(page), 1);
  const sent = taught.posts.map(([path, { label, skip, version }]) => `${path.slice(8)} ${skip ? 'skip' : label} ${version}`);
  const wanted = ['1 cooking 1', '2 drinking 1', '3 skip 1', '4 other 1', '1 drinking 2', '1 cooking 3', '4 null 2', '3 null 2', '2 null 2', '1 null 4'];
  if (JSON.stringify(sent) !== JSON.stringify(wanted)) complain(`sent: ${JSON.stringify(sent)}`);
  await page.keyboard.press('?');
  await expect(view, 'keys', () => page.locator('dialog.keys').isVisible(), true);
  await inspect(page, complain, 'keys');
  await page.keyboard.press('1');
  await page.keyboard.press('Escape');
  await expect(view, 'no answer while the keys are shown', async () => [answersOf(taught)[0], await page.locator('section.teach').count()], [null, 1]);
}

/** Of two pages that answer the same frame, the second is told, and decides. */
export async function twoPages({ open, taught, complain, shot }) {
  taught.reset({ frames: kept(4) });
  const [one, other] = [await open('#/teach'), await open('#/teach')];
  for (const { page } of [one, other]) await ready(page);
  for (let answer = 0; answer < 3; answer++) await one.page.keyboard.press('1');
  await expect(one, 'first page', async () => answersOf(taught), ['cooking', 'cooking', 'cooking', null]);
  await other.page.bringToFront();
  for (const key of ['2', '3', '1']) await other.page.keyboard.press(key);
  await expect(other, 'second page', () => notices(other.page), [
    'door, 20 Nov, 15:03:05: Another page was first: cooking. You said drinking.',
    'door, 20 Nov, 15:02:05: Another page was first: cooking. You said other.',
  ]);
  await expect(other, 'marks', () => tiles(other.page).then(seen => seen.map(name => name.split('your answer: ')[1])),
    ['cooking, another page was first', 'cooking, another page was first', 'cooking, saved', undefined]);
  await inspect(other.page, complain, 'a conflict');
  await shot(other.page, 'conflict');
  await other.page.getByRole('button', { name: 'Say drinking' }).click();
  await expect(other, 'one notice less', () => notices(other.page).then(({ length }) => length), 1);
  await other.page.getByRole('button', { name: 'Keep cooking' }).click();
  await expect(other, 'no notice', () => notices(other.page), []);
  await expect(other, 'answers', async () => answersOf(taught), ['drinking', 'cooking', 'cooking', null]);
}

/** Without the network answers are kept, also while the page is loaded again, and sent later, each once. */
export async function offline({ open, taught, complain, shot }) {
  taught.reset({ frames: kept(5) });
  const view = await open('#/teach');
  const { page } = view;
  await ready(page);
  taught.fault = 'drop';
  for (const key of ['1', '2', '3', 'u']) await page.keyboard.press(key);
  await page.keyboard.press('x');
  await expect(view, 'what waits', () => sending(page), '3 answers not sent yet: the server does not answer. They are kept. Send now');
  await expect(view, 'marks', () => tiles(page).then(seen => seen.map(name => name.split('your answer: ')[1])), ['cooking, not sent yet', 'drinking, not sent yet', 'cannot tell, not sent yet', undefined, undefined]);
  await inspect(page, complain, 'answers that wait');
  await shot(page, 'offline');
  page.on('dialog', dialog => dialog.accept());
  await page.reload();
  await ready(page);
  await expect(view, 'kept', () => sending(page), '3 answers not sent yet: the server does not answer. They are kept. Send now');
  await expect(view, 'nothing was taken', async () => answersOf(taught), Array(5).fill(null));
  taught.fault = null;
  await page.getByRole('button', { name: 'Send now' }).click();
  await expect(view, 'all sent', async () => answersOf(taught), ['cooking', 'drinking', '', null, null]);
  await expect(view, 'state', () => sending(page), 'All answers are saved.');
  if (taught.posts.length !== 3) complain(`sent: ${JSON.stringify(taught.posts)}`);
  // A server that cannot write is tried again by itself.
  taught.fault = [503, { error: 'the disk is full' }];
  await page.keyboard.press('1');
  await expect(view, 'full disk', () => sending(page), '1 answer not sent yet: the disk is full. It is kept. Send now');
  taught.fault = null;
  await expect(view, 'sent by itself', async () => answersOf(taught)[3], 'cooking');
}

/** An answer that is refused is told, and can be tried again or given up. */
export async function refused({ open, taught }) {
  taught.reset({ frames: kept(3) });
  const view = await open('#/teach');
  const { page } = view;
  await ready(page);
  taught.labels = ['cooking'];
  await page.keyboard.press('2');
  await expect(view, 'refused', () => notices(page), ['door, 20 Nov, 15:03:05: drinking was refused: no label is named drinking.']);
  taught.labels = ['cooking', 'drinking', 'other'];
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(view, 'tried again', async () => answersOf(taught), ['drinking', null, null]);
  taught.frames.splice(1, 1);
  await page.keyboard.press('1');
  await expect(view, 'gone', () => notices(page), ['door, 20 Nov, 15:02:05: cooking was refused: the frame is no longer kept.']);
  await page.getByRole('button', { name: 'Give it up' }).click();
  await expect(view, 'given up', () => notices(page), []);
}

/** Two frames that were answered differently stand side by side; what is right counts for both. */
export async function contradictions({ open, taught, complain, shot }) {
  taught.reset({ frames: kept(6, at => (at < 4 ? { group: at >> 1, answer: at % 2 ? 'drinking' : 'cooking', given: 10 - at } : {})) });
  const view = await open('#/teach?state=contradictory');
  const { page } = view;
  await ready(page);
  await expect(view, 'pair', () => texts(page.locator('.shot-of figcaption .label')), ['cooking', 'drinking']);
  await expect(view, 'question', () => page.locator('.question').innerText(), 'These were answered differently, so neither is learnt from. Which answer is right?');
  await inspect(page, complain, 'a contradiction');
  await shot(page, 'contradiction');
  await page.getByRole('button', { name: 'drinking is right' }).click();
  await expect(view, 'settled', async () => answersOf(taught).slice(0, 4), ['drinking', 'drinking', 'cooking', 'drinking']);
  await expect(view, 'the next pair', () => focused(page), 3);
  // A key answers the first of both.
  await page.keyboard.press('2');
  await expect(view, 'settled by a key', async () => answersOf(taught).slice(0, 4), Array(4).fill('drinking'));
  await expect(view, 'one picture', () => page.locator('.shot-of:visible').count(), 1);
  await page.keyboard.press('u');
  await page.keyboard.press('u');
  await expect(view, 'both taken back', async () => answersOf(taught).slice(0, 4), ['cooking', 'drinking', 'cooking', 'drinking']);
  await expect(view, 'contradictory again', () => page.locator('.shot.contrary').count(), 4);
}

/** A new label has a key at once; a name that cannot be is refused with the reason. */
export async function newLabel({ open, taught, complain, shot }) {
  taught.reset({ frames: kept(2) });
  const view = await open('#/teach');
  const { page } = view;
  await ready(page);
  await page.getByRole('button', { name: 'New label…' }).click();
  const says = () => page.locator('#new-label-said').innerText();
  for (const [name, wrong] of [
    [' ', 'Enter a name.'], ['cooking', 'There is a label with this name.'], ['🍳'.repeat(65), 'A name has at most 64 characters.'],
    ['../x', 'a label has no /'], ['..', 'this is no name for a label'],
  ]) {
    await page.locator('#new-label').fill(name);
    await page.keyboard.press('Enter');
    await expect(view, `the name ${name}`, says, wrong);
  }
  await inspect(page, complain, 'new label');
  await shot(page, 'new-label');
  await page.locator('#new-label').fill('<b>washing');
  await page.keyboard.press('Enter');
  await expect(view, 'labels', () => texts(page.locator('.labels bdi')), ['cooking', 'drinking', 'other', '<b>washing']);
  await page.keyboard.press('4');
  await expect(view, 'answer', async () => answersOf(taught), ['<b>washing', null]);
}

/** On a phone a swipe leads to other frames, and buttons answer. */
export async function touch({ open, taught, phone }) {
  if (!phone) return;
  taught.reset({ frames: kept(4) });
  const view = await open('#/teach');
  const { page } = view;
  await ready(page);
  const swipe = async (from, to) => {
    const client = await page.context().newCDPSession(page);
    const begin = Date.now() / 1000;
    const send = (type, x, second) => client.send('Input.dispatchTouchEvent', { type, timestamp: begin + second, touchPoints: x === null ? [] : [{ x, y: 220 }] });
    await send('touchStart', from, 0);
    for (let step = 1; step <= 5; step++) await send('touchMove', from + ((to - from) * step) / 5, step / 50);
    // The finger rests before it is lifted: the browser would take the next tap as the end of a fling.
    await send('touchMove', to, 1);
    await send('touchEnd', null, 2);
  };
  await swipe(300, 100);
  await expect(view, 'the next frame', () => focused(page), 2);
  await swipe(100, 300);
  await expect(view, 'the frame before', () => focused(page), 1);
  await page.locator('.labels').getByRole('button', { name: 'drinking' }).tap();
  await expect(view, 'answer', async () => answersOf(taught)[0], 'drinking');
  await expect(view, 'the page stays', () => page.evaluate(() => scrollY), 0);
  await page.locator('.shot[data-at="3"]').tap();
  await expect(view, 'the frame of a tile', () => focused(page), 4);
  await expect(view, 'the picture is in sight', () => page.locator('.shot-of img').first().evaluate(img => Math.round(img.getBoundingClientRect().top) >= 0), true);
}

/** Without the token everything can be looked at; the first answer asks for it, and is given then. */
export async function token({ open, taught, admin }) {
  taught.reset({ frames: kept(3) });
  const view = await open('#/teach', { unlocked: false });
  const { page } = view;
  await ready(page);
  await page.keyboard.press('2');
  await page.locator('#admin-token').fill('wrong');
  await page.keyboard.press('Enter');
  await expect(view, 'a wrong token', () => page.locator('dialog[open] .said').innerText(), 'the admin token is missing or wrong');
  await page.keyboard.press('Escape');
  await expect(view, 'no answer', async () => taught.posts, []);
  await page.locator('.labels').getByRole('button', { name: 'drinking' }).click();
  await page.locator('#admin-token').fill(admin);
  await page.keyboard.press('Enter');
  await expect(view, 'the answer', async () => answersOf(taught), ['drinking', null, null]);
  await page.keyboard.press('1');
  await expect(view, 'the next', async () => answersOf(taught), ['drinking', 'cooking', null]);
}
