// Formats times, durations, shares and problems, and creates elements. Names of streams and labels may contain anything,
// so text is only ever inserted as text, never as HTML.

/** Number of label colours (--label-0 and so on in the style sheet). Further labels reuse them with dashed lines. */
export const COLOURS = 6;

/** The label of everything that no other label covers. It is grey, and no finding. */
export const REST = 'other';

/** Returns the colour of the label with an index. */
export const colour = (labels, index) => (labels[index] === REST ? 'var(--label-rest)' : `var(--label-${index % COLOURS})`);

/** Whether lines of the label with an index are dashed, because a label before it has the same colour. */
export const dashed = label => Math.floor(label / COLOURS) % 2 === 1;

/** Creates an element with properties, attributes (names with a dash, and `role`) and children. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes('-') || name === 'role') made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** Creates an SVG icon from a path. It is hidden from screen readers; the button has a label. */
export function icon(path) {
  const drawing = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  drawing.setAttribute('viewBox', '0 0 24 24');
  drawing.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  line.setAttribute('d', path);
  drawing.append(line);
  return drawing;
}

/** Sets an element's text if it differs, to avoid needless layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Makes `nodes` the children of an element, without detaching those that stay: they keep the focus. */
export function setChildren(parent, nodes) {
  for (const child of [...parent.children]) if (!nodes.includes(child)) child.remove();
  nodes.forEach((node, at) => {
    if (parent.children[at] !== node) parent.insertBefore(node, parent.children[at] ?? null);
  });
}

const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const NEARLY_A_DAY = 20 * 3600e3;

/** Formats the time of day, with the date if it is not about now. */
export function clock(utc, now = utc) {
  const time = TIME.format(utc);
  return Math.abs(now - utc) > NEARLY_A_DAY ? `${DAY.format(utc)}, ${time}` : time;
}

const DATE = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' });
const WHOLE_DATE = new Intl.DateTimeFormat('en-GB', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const MONTH = new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric' });
const WEEKDAY = new Intl.DateTimeFormat('en-GB', { weekday: 'short' });

/** Formats a day: Fri, 2 Jan 2026. */
export const date = utc => DATE.format(utc);

/** Formats a day in full: Friday, 2 January 2026. */
export const wholeDate = utc => WHOLE_DATE.format(utc).replace(/^(\w+) /, '$1, ');

export const monthName = utc => MONTH.format(utc);
export const weekday = utc => WEEKDAY.format(utc);

/** Formats a number of things: 1 interval, 1,204 intervals. */
export const count = (number, thing) => `${number.toLocaleString('en-GB')} ${thing}${number === 1 ? '' : 's'}`;

/** Formats a position in a recording: 1:05, or 1:02:05 from an hour on. */
export function moment(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = number => String(number).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes}:${two(seconds % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** Formats a duration, in two units at most. */
export function length(ms) {
  const seconds = Math.max(0, ms / 1000);
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  return whole(seconds);
}

/** Formats a duration as `length`, without a second unit that is 0: 24 h instead of 24 h 0 min. */
export const brief = ms => length(ms).replace(/(\.0| 0 min| 0 s)(?= s$|$)/, '');

/** Formats the time elapsed so far, in whole seconds. */
export const elapsed = ms => whole(Math.max(0, ms / 1000));

function whole(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

export const percent = share => `${Math.round(share * 100)} %`;

const REASONS = {
  refused: 'the camera refuses the connection',
  unauthorised: 'wrong user or password',
  not_found: 'the camera does not know the path',
  timeout: 'the camera does not answer',
  stalled: 'the camera stopped sending frames',
  end_of_stream: 'the camera ended the stream',
  decode_error: 'the frames cannot be decoded',
  caps_change: 'the video format changed',
  tls_refused: 'the certificate is not trusted, or the camera has no TLS',
  redirected: 'the camera redirects to another server',
  response_too_large: 'the response is too large',
  no_frames: 'data arrived, but no frame',
  frames_too_large: 'the frames are too large',
  foreign_playlist: 'the playlist refers to another server',
  busy: 'another program uses the device',
  paused: 'it was paused',
};

export const describeReason = reason => REASONS[reason] ?? reason ?? '';

/**
 * Describes why a stream shows no live picture; null if it does. `inBanner`: it needs no notice over the picture. `calm`:
 * nothing is wrong. `lost` is the time of the last picture (UTC), the same while stalled and then reconnecting.
 */
export function streamProblem(stream, lost, now) {
  const reason = describeReason(stream.reason);
  switch (stream.state) {
    case 'running':
      return null;
    case 'waiting':
      return { title: 'Waiting', since: '', reason: 'Starts when a clip before it has ended', inBanner: false, calm: true };
    case 'connecting':
      return { title: 'Connecting', since: since(lost, now), reason, inBanner: false };
    case 'paused':
      return { title: 'Paused', since: since(lost, now), reason: '', inBanner: false, calm: true };
    case 'stalled':
      return { title: 'No picture', since: since(lost, now), reason, inBanner: false };
    case 'reconnecting':
      return { title: 'No picture', since: since(lost, now), reason: `Reconnecting${reason && `: ${reason}`}`, inBanner: false };
    case 'ended':
      return { title: 'Ended', since: `at ${clock(lost, now)}`, reason, inBanner: !stream.live, calm: !stream.live };
    default:
      return { title: 'Failed', since: since(lost, now), reason, inBanner: false };
  }
}

export const since = (then, now) => `since ${clock(then, now)} · ${elapsed(now - then)}`;

/** Says why no label is shown: no confidence is known yet, or none is high enough; then with the best guess. */
export function unsure(stream, row) {
  if (!row) return { text: 'warming up', guess: '' };
  const shares = row.slice(2);
  const best = stream.action ? stream.labels.indexOf(stream.action) : shares.indexOf(Math.max(...shares));
  return { text: 'not sure', guess: best < 0 ? '' : `${stream.labels[best]} ${percent(shares[best])}` };
}

/** Formats when an interval was: by the clock for a camera that started at `start`, otherwise in the clip's time. */
export function span(interval, stream, start, now) {
  const { open } = interval;
  if (stream.live) return open ? `since ${clock(start + interval.start, now)}` : `${clock(start + interval.start, now)} · ${length(interval.end - interval.start)}`;
  const [from, to] = [moment(interval.start), moment(interval.end)];
  return open ? `${from} –` : from === to ? from : `${from}–${to}`;
}

/** Number of intervals of a label that a result names. */
const NAMED = 6;

/** Says what was found in a clip that has ended, like "drinking 0:16–0:18, 2:40–2:47". */
export function result(stream, intervals) {
  const found = stream.labels.filter(label => label !== REST).map(label => {
    const own = intervals.filter(interval => interval.label === label);
    const more = own.length > NAMED ? ` and ${own.length - NAMED} more` : '';
    return own.length ? `${label} ${own.slice(0, NAMED).map(interval => span(interval, stream)).join(', ')}${more}` : '';
  }).filter(Boolean);
  return found.join('; ') || (intervals.length ? `only ${REST}` : 'nothing found');
}
