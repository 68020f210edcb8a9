// The page: receives all streams' states over server-sent events, shows a banner when the server is unreachable, and
// shows the wall of all streams, one stream, the history, what is taught, or a cluster's workers, as the URL says (#/stream/NAME,
// #/history, #/teach, #/workers).

import { Admin } from './admin.js';
import { Connection } from './connection.js';
import { updateHead } from './head.js';
import { isHistory } from './history/address.js';
import { HistoryView } from './history/view.js';
import { Large } from './large.js';
import { Pictures } from './pictures.js';
import { teachPlace } from './teach/address.js';
import { Answers } from './teach/answers.js';
import { ModelsView } from './teach/models.js';
import { FramesView } from './teach/view.js';
import { clock, element, icon, elapsed, setText, since, streamProblem } from './words.js';
import { Wall } from './wall.js';
import { WorkersView, isWorkers } from './workers.js';

/** A camera whose start moved by more was restarted, or the clock was set. */
const SHIFT = 1500;

const part = id => document.getElementById(id);
const main = part('main');

/** What the views share: the server's state, and functions of the page. */
const app = {
  mode: 'live',
  streams: [],
  offline: false,
  ahead: 0,
  losses: new Map(),
  /** What the index has; null if there is none. */
  past: null,
  /** What is kept for learning; null if nothing is. */
  teach: null,
  /** Whether the page is that of a cluster. */
  workers: false,
  /** The time by the server's clock. */
  now: () => Date.now() + app.ahead,
  stream: name => app.streams.find(stream => stream.name === name),
  /** Returns why a stream's picture is not live, or null. While the server is unreachable, the banner shows the reason. */
  problem(stream) {
    if (app.offline) return { title: 'Not live', since: since(connection.received, Date.now()), reason: '', inBanner: true };
    return streamProblem(stream, app.losses.get(stream.name) ?? Date.parse(stream.since), app.now());
  },
  watch: address => pictures.watch(address),
  loadPast: () => load('past', '/api/history'),
  loadTeach: () => load('teach', '/api/teach'),
  navigate: () => updateHead(app, navigation(), place()),
  announce: text => setText(part('announcement'), text),
};

let view = null;
let shown;
const loading = {};
const admin = (app.admin = new Admin(part('admin'), () => {
  view?.update();
  app.answers?.resume();
}));
app.answers = new Answers(admin);
let problem = null;
const pictures = new Pictures(picture => view?.show?.(picture), cause => {
  if (cause === problem) return;
  problem = cause;
  updateBanner();
});

// --- the connection -------------------------------------------------------------------------------------------------

const connection = new Connection({
  events: { streams: updateStreams, rows: update => view?.rows(update) },
  back() {
    app.offline = false;
    // Updates were missed meanwhile, and the picture connection may hang.
    view?.load?.();
    app.answers.resume();
    if (!document.hidden) pictures.restart();
  },
  changed: updateBanner,
});

/** Shows the banner while the server is unreachable or sends no pictures. */
function updateBanner() {
  const { offline } = connection;
  if (offline && !app.offline) pictures.stop();
  const changed = offline !== app.offline;
  app.offline = offline;
  part('banner').hidden = !offline && !problem;
  if (offline) {
    setText(part('trouble'), `The server has not answered since ${clock(connection.received)}.`);
    setText(part('lasting'), elapsed(Date.now() - connection.received));
    setText(part('remedy'), connection.cause ?? 'Reconnecting…');
  } else if (problem) {
    setText(part('trouble'), 'The server sends no pictures.');
    setText(part('lasting'), '');
    setText(part('remedy'), problem);
  }
  if (changed) view?.update();
}

/** Loads what the index or the folder for learning has. Where there is none, nothing leads to it. */
async function load(what, address) {
  try {
    const response = await fetch(address, { cache: 'no-store' });
    app[what] = response.ok ? await response.json() : response.status === 404 ? null : app[what];
  } catch {
    // The server is unreachable; the banner shows that.
  }
}

async function updateStreams({ server, mode, admin: offered, history: kept, teach, workers, streams }) {
  app.ahead = Date.parse(server.now) - Date.now();
  // The first state waits for the answers: they decide which view the URL means.
  if (kept) await (loading.past ??= app.loadPast());
  if (teach) await (loading.teach ??= app.loadTeach());
  else app.teach = loading.teach = null;
  app.mode = mode;
  app.workers = workers ?? false;
  restarted(streams);
  app.streams = streams;
  app.known = true;
  // A stream counts as lost from its last picture until it runs again.
  for (const { name, state, since } of streams) {
    if (state === 'running') app.losses.delete(name);
    else if (!app.losses.has(name)) app.losses.set(name, Date.parse(since));
  }
  part('home').title = `${server.program} ${server.version}, since ${clock(Date.parse(server.started), app.now())}`;
  route();
  admin.offer(offered ?? false);
  view?.update();
  app.navigate();
}

/** Begins anew with what a view shows of a stream that was restarted: its times count from another start. */
function restarted(streams) {
  const starts = new Map(app.streams.map(stream => [stream.name, Date.parse(stream.start_time)]));
  const again = streams.filter(({ name, start_time: start }) => Math.abs(Date.parse(start) - (starts.get(name) ?? Date.parse(start))) > SHIFT);
  if (again.length === 0) return;
  for (const { name } of again) view?.restart?.(name);
  view?.load?.();
  if (!document.hidden && !app.offline) pictures.restart();
}

// --- the views ------------------------------------------------------------------------------------------------------

const VIEWS = { history: HistoryView, frames: FramesView, models: ModelsView, workers: WorkersView };

/** Returns which of VIEWS is shown, as the URL says; null for the live streams. Without these, there is the history. */
function place() {
  if (app.workers && isWorkers(location.hash)) return 'workers';
  const taught = app.teach && teachPlace(location.hash);
  return taught || (app.past && (isHistory(location.hash) || app.streams.length === 0) ? 'history' : null);
}

/** Returns the stream that the URL names; null for the wall. */
function streamInUrl() {
  if (app.streams.length === 1) return app.streams[0].name;
  const { hash } = location;
  if (!hash.startsWith('#/stream/')) return null;
  try {
    return decodeURIComponent(hash.slice('#/stream/'.length));
  } catch {
    return hash.slice('#/stream/'.length);
  }
}

const hashOf = name => `#/stream/${encodeURIComponent(name)}`;

function route() {
  const shows = place();
  const name = shows ? null : streamInUrl();
  const key = JSON.stringify([app.mode, name, name !== null && !app.stream(name), shows]);
  if (key === shown) return;
  const before = shown && JSON.parse(shown)[1];
  shown = key;
  view?.close();
  pictures.watch(null);
  app.announce('');
  view = shows ? new VIEWS[shows](app) : name === null ? new Wall(app) : app.stream(name) ? new Large(app, name) : new Missing(name);
  main.replaceChildren(view.element);
  document.body.classList.toggle('one', shows !== null || name !== null);
  document.body.classList.toggle('several', app.streams.length > 1);
  view.update();
  pictures.watch(view.address());
  app.navigate();
  scrollTo(0, 0);
  if (before === undefined) return;
  // Keeps the keyboard focus where the user was.
  const tile = name === null && before !== null && main.querySelector(`a[href="${CSS.escape(hashOf(before))}"]`);
  (tile || part('title')).focus();
}

/** Returns what the head shows: a title, a link back or none, and the streams beside. */
function navigation() {
  if (view?.navigation) return view.navigation();
  const name = streamInUrl();
  const names = app.streams.map(stream => stream.name);
  const several = names.length > 1 || (name !== null && !names.includes(name));
  return {
    title: name ?? 'All streams', name, names: several ? names : [], href: hashOf,
    back: name !== null && several ? { href: '#/', text: 'All streams' } : null,
  };
}

/** The view for a URL that names no stream. */
class Missing {
  constructor(name) {
    this.element = element('section', { className: 'blank' },
      element('p', {}, 'No stream is named ', element('bdi', { textContent: name }), '.'),
      element('a', { href: '#/', textContent: 'Show all streams' }));
  }

  address = () => null;
  update() {}
  rows() {}
  close() {}
}

// --- user input -----------------------------------------------------------------------------------------------------

let cameFromWall = false;

function back() {
  if (part('back').hidden) return;
  if (cameFromWall && !place()) history.back();
  else location.hash = part('back').hash;
}

addEventListener('hashchange', event => {
  const { hash } = new URL(event.oldURL);
  cameFromWall = !hash.startsWith('#/stream/') && !isHistory(hash) && !teachPlace(hash) && !isWorkers(hash);
  if (!app.known) return;
  route();
  view?.read?.();
  app.navigate();
});
addEventListener('keydown', event => {
  if (event.key === 'Escape' && !event.defaultPrevented && !document.fullscreenElement && !document.querySelector('dialog[open]')) back();
});
document.addEventListener('visibilitychange', () => {
  if (document.hidden) pictures.stop();
  else if (!app.offline) pictures.restart();
  view?.player?.playback.suspend(document.hidden);
});
part('skip').addEventListener('click', event => {
  event.preventDefault();
  main.focus();
});

part('past').prepend(icon('M3.5 12a8.5 8.5 0 1 0 2.6-6.1L3.5 8.5M3.5 4v4.5H8M12 7.5V12l3 2'));
part('teach').prepend(icon('M12 5 2.5 9.5 12 14l9.5-4.5zM6.5 11.7V16c0 1.5 2.5 2.7 5.5 2.7s5.5-1.2 5.5-2.7v-4.3'));
part('workers').prepend(icon('M4 5h16v6H4zM4 13h16v6H4zM7.5 8h.01M7.5 16h.01'));
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

connection.connect();
setInterval(() => {
  connection.check();
  if (app.offline) view?.update();
}, 500);
