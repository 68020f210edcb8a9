// The page itself: hears of all streams over server-sent events, says so when it hears nothing, and shows either the
// wall of all streams or one of them, as the address says (#/stream/NAME).

import { Large } from './large.js';
import { Pictures } from './pictures.js';
import { clock, element, icon, lasting, percent, say, since, trouble } from './words.js';
import { Wall } from './wall.js';

/** The server tells of its streams each second; silent for so long, it is away. */
const SILENCE = 3000;
const FIRST_WAIT = 250;
const LONGEST_WAIT = 5000;

const part = id => document.getElementById(id);
const main = part('main');

/** What the views know of the server, and what they may ask of the page. */
const board = {
  mode: 'live',
  streams: [],
  away: false,
  ahead: 0,
  losses: new Map(),
  /** The server's clock, which need not be this machine's. */
  now: () => Date.now() + board.ahead,
  stream: name => board.streams.find(stream => stream.name === name),
  /** What keeps a stream's picture from being live, or null. While the server is away the banner has told why. */
  trouble(stream) {
    if (board.away) return { title: 'Not live', since: since(line.heard, Date.now()), reason: '', told: true };
    return trouble(stream, board.losses.get(stream.name) ?? Date.parse(stream.since), board.now());
  },
  watch: address => pictures.watch(address),
  announce: text => say(part('said'), text),
};

let view = null;
let shown;
let problem = null;
const pictures = new Pictures(picture => view?.show?.(picture), cause => {
  if (cause === problem) return;
  problem = cause;
  tellServer();
});

// --- what the server says -------------------------------------------------------------------------------------------

const line = { source: null, called: 0, heard: Date.now(), wait: FIRST_WAIT, failures: 0, cause: null };

function listen() {
  line.called = Date.now();
  const source = (line.source = new EventSource('/api/events'));
  source.addEventListener('streams', event => {
    heard();
    tellStreams(JSON.parse(event.data));
  });
  source.addEventListener('rows', event => {
    heard();
    view?.rows(JSON.parse(event.data));
  });
  source.addEventListener('error', () => {
    // A browser's own retry neither grows nor tells why: ours does both.
    if (source !== line.source) return;
    line.failures++;
    hangUp();
    if (line.failures % 4 === 2) ask();
  });
}

function heard() {
  line.heard = Date.now();
  line.wait = FIRST_WAIT;
  if (line.failures === 0) return;
  line.failures = 0;
  line.cause = null;
  board.away = false;
  // What came meanwhile was missed, and the pictures' connection may hang.
  view?.load?.();
  if (!document.hidden) pictures.restart();
  tellServer();
}

function hangUp() {
  line.source?.close();
  line.source = null;
  setTimeout(listen, line.wait);
  line.wait = Math.min(2 * line.wait, LONGEST_WAIT);
  tellServer();
}

/** Why the server does not let us listen, where it answers at all. */
async function ask() {
  try {
    const answer = await fetch('/api/streams', { cache: 'no-store' });
    line.cause = answer.status === 401 ? 'It asks for its token: open the page with ?token=… once more.'
      : answer.ok ? null : `It answers with status ${answer.status}.`;
  } catch {
    line.cause = null;
  }
  tellServer();
}

function tick() {
  if (line.source && Date.now() - Math.max(line.heard, line.called) > SILENCE) {
    line.failures += 2;
    hangUp();
  }
  tellServer();
  if (board.away) view?.update();
}

/** The banner: there while the server is away, or sends no pictures. */
function tellServer() {
  const away = line.failures > 1;
  if (away && !board.away) pictures.stop();
  const changed = away !== board.away;
  board.away = away;
  part('banner').hidden = !away && !problem;
  if (away) {
    say(part('trouble'), `The server has not answered since ${clock(line.heard)}.`);
    say(part('lasting'), lasting(Date.now() - line.heard));
    say(part('remedy'), line.cause ?? 'Trying again until it does.');
  } else if (problem) {
    say(part('trouble'), 'The server sends no pictures.');
    say(part('lasting'), '');
    say(part('remedy'), problem);
  }
  if (changed) view?.update();
}

function tellStreams({ server, mode, streams }) {
  board.ahead = Date.parse(server.now) - Date.now();
  board.mode = mode;
  board.streams = streams;
  // A stream is lost since its last picture, through all states until it runs again.
  for (const { name, state, since } of streams) {
    if (state === 'running') board.losses.delete(name);
    else if (!board.losses.has(name)) board.losses.set(name, Date.parse(since));
  }
  part('home').title = `${server.program} ${server.version}, since ${clock(Date.parse(server.started), board.now())}`;
  route();
  view?.update();
  tellTitle();
}

// --- what is shown --------------------------------------------------------------------------------------------------

/** The stream that the address names; null for the wall. */
function named() {
  if (board.streams.length === 1) return board.streams[0].name;
  const { hash } = location;
  if (!hash.startsWith('#/stream/')) return null;
  try {
    return decodeURIComponent(hash.slice('#/stream/'.length));
  } catch {
    return hash.slice('#/stream/'.length);
  }
}

const place = name => `#/stream/${encodeURIComponent(name)}`;

function route() {
  const name = named();
  const key = JSON.stringify([board.mode, name, name !== null && !board.stream(name)]);
  if (key === shown) return;
  const before = shown && JSON.parse(shown)[1];
  shown = key;
  view?.close();
  pictures.watch(null);
  board.announce('');
  view = name === null ? new Wall(board) : board.stream(name) ? new Large(board, name) : new Missing(name);
  main.replaceChildren(view.element);
  document.body.classList.toggle('one', name !== null);
  document.body.classList.toggle('several', board.streams.length > 1);
  view.update();
  pictures.watch(view.address());
  tellBeside(name);
  tellTitle();
  scrollTo(0, 0);
  if (before === undefined) return;
  // The keyboard goes on where the eye is.
  const tile = name === null && before !== null && main.querySelector(`a[href="${CSS.escape(place(before))}"]`);
  (tile || part('title')).focus();
}

/** The way back and to the streams beside this one. */
function tellBeside(name) {
  const names = board.streams.map(stream => stream.name);
  const at = names.indexOf(name);
  const several = names.length > 1 || (name !== null && at < 0);
  part('back').hidden = name === null || !several;
  part('beside').hidden = at < 0 || names.length < 2;
  if (part('beside').hidden) return;
  for (const [id, step, says] of [['previous', -1, 'Previous'], ['next', 1, 'Next']]) {
    const other = names[(at + step + names.length) % names.length];
    part(id).href = place(other);
    part(id).ariaLabel = `${says} stream: ${other}`;
    part(id).title = other;
  }
}

function tellTitle() {
  const name = named();
  const { streams } = board;
  const down = streams.filter(stream => !['running', 'ended'].includes(stream.state)).length;
  const stream = name !== null && board.stream(name);
  say(part('title'), name ?? 'All streams');
  part('title').title = name ?? '';
  const several = streams.length > 1;
  say(part('count'), board.mode === 'recording' ? 'Recording' : several ? `${streams.length} streams${down ? ' · ' : ''}` : '');
  say(part('without'), several && down ? `${down} without picture` : '');
  part('summary').classList.toggle('down', several && down > 0);
  const says = stream?.label ? `${stream.label} ${percent(stream.confidence)} · ` : '';
  const title = `${board.mode === 'live' ? says : ''}${name === null ? (down ? `${down} of ${streams.length} down · ` : '') : `${name} · `}livelabel`;
  if (document.title !== title) document.title = title;
}

/** An address that names no stream. */
class Missing {
  constructor(name) {
    this.element = element('section', { className: 'blank' },
      element('p', {}, 'There is no stream named ', element('bdi', { textContent: name }), '.'),
      element('a', { href: '#/', textContent: 'Show all streams' }));
  }

  address = () => null;
  update() {}
  rows() {}
  close() {}
}

// --- what the user does ---------------------------------------------------------------------------------------------

let cameFromWall = false;

function back() {
  if (part('back').hidden) return;
  if (cameFromWall) history.back();
  else location.hash = '#/';
}

addEventListener('hashchange', event => {
  cameFromWall = !new URL(event.oldURL).hash.startsWith('#/stream/');
  if (board.streams.length > 0) route();
});
addEventListener('keydown', event => {
  if (event.key === 'Escape' && !event.defaultPrevented && !document.fullscreenElement) back();
});
document.addEventListener('visibilitychange', () => {
  if (document.hidden) pictures.stop();
  else if (!board.away) pictures.restart();
  view?.player?.rest(document.hidden);
});
part('skip').addEventListener('click', event => {
  event.preventDefault();
  main.focus();
});

part('back').prepend(icon('M14.5 5.5 8 12l6.5 6.5'));
part('previous').append(icon('M14.5 5.5 8 12l6.5 6.5'));
part('next').append(icon('M9.5 5.5 16 12l-6.5 6.5'));
part('full').append(icon('M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5'));
part('full').hidden = !document.fullscreenEnabled;
part('full').addEventListener('click', () => {
  const done = document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
  done.catch(() => {});
});
document.addEventListener('fullscreenchange', () => {
  part('full').ariaLabel = part('full').title = document.fullscreenElement ? 'Leave full screen' : 'Full screen';
});

listen();
setInterval(tick, 500);
