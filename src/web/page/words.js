// How the page says things: times, shares, states, and the one way by which it makes elements. Names of streams and
// labels may hold anything, so text only ever enters the page as text.

/** So many colours there are for labels (--label-0 and on in the style sheet); labels beyond begin anew, dashed. */
export const COLOURS = 6;

export const colour = index => `var(--label-${index % COLOURS})`;

/** An element with properties, attributes (where the name holds a dash, or is `role`) and children. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes('-') || name === 'role') made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** A drawing of the page's own set, for a button that says in words what it does. */
export function icon(path) {
  const drawing = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  drawing.setAttribute('viewBox', '0 0 24 24');
  drawing.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  line.setAttribute('d', path);
  drawing.append(line);
  return drawing;
}

/** Sets a text where it differs, so that what stays costs the browser nothing. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const NEARLY_A_DAY = 20 * 3600e3;

/** The time of day, with the day where it is not about now. */
export function clock(utc, now = utc) {
  const time = TIME.format(utc);
  return Math.abs(now - utc) > NEARLY_A_DAY ? `${DAY.format(utc)}, ${time}` : time;
}

/** A place in a recording: 1:05, or 1:02:05 beyond an hour. */
export function moment(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = number => String(number).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes}:${two(seconds % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** How long something took, in two units at most. */
export function length(ms) {
  const seconds = Math.max(0, ms / 1000);
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  return whole(seconds);
}

/** How long something has lasted, in whole seconds, as it is told while it lasts. */
export const lasting = ms => whole(Math.max(0, ms / 1000));

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
  unauthorised: 'user or password is wrong',
  not_found: 'the camera has no such path',
  timeout: 'the camera does not answer',
  stalled: 'pictures stopped coming',
  end_of_stream: 'the camera ended the stream',
  decode_error: 'the pictures cannot be decoded',
  caps_change: 'the pictures changed their form',
  tls_refused: 'the certificate is not trusted, or there is no TLS',
  redirected: 'the camera sends its callers to another server',
  answer_too_large: 'the answer is larger than any camera has to give',
  no_frames: 'much data came, and no picture',
  frames_too_large: 'the pictures are too large',
  foreign_playlist: 'the playlist names another server',
  busy: 'another program uses the device',
};

export const because = reason => REASONS[reason] ?? reason ?? '';

/**
 * What keeps a stream from showing pictures, in words, or null while all is well; `told` where the page has
 * said so elsewhere. `lost` is when the last picture came (UTC): stalled, then reconnecting, it is lost since the same.
 */
export function trouble(stream, lost, now) {
  const reason = because(stream.reason);
  switch (stream.state) {
    case 'running':
      return null;
    case 'connecting':
      return { title: 'Connecting', since: since(lost, now), reason, told: false };
    case 'stalled':
      return { title: 'No picture', since: since(lost, now), reason, told: false };
    case 'reconnecting':
      return { title: 'No picture', since: since(lost, now), reason: `Reconnecting${reason && `: ${reason}`}`, told: false };
    case 'ended':
      return { title: 'Ended', since: `at ${clock(lost, now)}`, reason, told: false };
    default:
      return { title: 'Failed', since: since(lost, now), reason, told: false };
  }
}

export const since = (then, now) => `since ${clock(then, now)} · ${lasting(now - then)}`;
