// The page's head: the title, the links back, to the streams beside, to the history, to Teach and to a cluster's workers, and how many
// streams there are.

import { percent, setText } from './words.js';

const part = id => document.getElementById(id);

/** Updates the head, and the title of the window. `place` is what is shown instead of live streams, or null. */
export function updateHead(app, navigation, place) {
  const { title, back, name } = navigation;
  setText(part('title'), title);
  part('title').title = name ?? '';
  // Without live streams, nothing lies before the history.
  part('back').hidden = !back || (app.streams.length === 0 && back.href === '#/');
  if (back) {
    part('back').href = back.href;
    setText(part('back').lastElementChild, back.text);
  }
  const known = name !== null && app.past?.streams.some(stream => stream.name === name);
  part('past').hidden = !app.past || place === 'history';
  part('teach').hidden = !app.teach || place === 'frames' || place === 'models';
  part('workers').hidden = !app.workers || place === 'workers';
  part('past').href = known ? `#/history/${encodeURIComponent(name)}` : '#/history';
  showBeside(navigation);
  showSummary(app, place);
  const text = place ? `${navigation.document} · livelabel` : windowTitle(app, name);
  if (document.title !== text) document.title = text;
}

/** Shows the links to the previous and the next stream. */
function showBeside({ names, name, href }) {
  const at = names.indexOf(name);
  part('beside').hidden = at < 0 || names.length < 2;
  if (part('beside').hidden) return;
  for (const [id, step, text] of [['previous', -1, 'Previous'], ['next', 1, 'Next']]) {
    const other = names[(at + step + names.length) % names.length];
    part(id).href = href(other);
    part(id).ariaLabel = `${text} stream: ${other}`;
    part(id).title = other;
  }
}

const isDown = stream => !['running', 'ended', 'waiting', 'paused'].includes(stream.state);

/** Shows how many streams there are, and how many without picture. */
function showSummary({ mode, streams }, place) {
  const down = streams.filter(isDown).length;
  const several = streams.length > 1;
  setText(part('count'), place ? '' : mode === 'recording' ? 'Recording' : several ? `${streams.length} streams${down ? ' · ' : ''}` : '');
  const failed = streams.filter(stream => stream.state === 'failed').length;
  const problems = [down > failed && `${down - failed} without picture`, failed && `${failed} failed`];
  setText(part('without'), !place && several && down ? problems.filter(Boolean).join(' · ') : '');
  part('summary').classList.toggle('down', several && down > 0);
}

function windowTitle({ mode, streams, stream: find }, name) {
  const down = streams.filter(isDown).length;
  const stream = name !== null && find(name);
  const text = stream?.label && mode === 'live' ? `${stream.label} ${percent(stream.confidence)} · ` : '';
  return `${text}${name === null ? (down ? `${down} of ${streams.length} down · ` : '') : `${name} · `}livelabel`;
}
