// The addresses of what is taught, which can be shared: #/teach, #/teach?state=answered&stream=door, #/teach/models.

const ROOT = '#/teach';
const MODELS = `${ROOT}/models`;

export const STATES = ['open', 'answered', 'contradictory'];

/** Returns what an address means: the `frames`, the `models`, or null for neither. */
export const teachPlace = hash =>
  hash === MODELS ? 'models' : hash === ROOT || hash.startsWith(`${ROOT}?`) || hash.startsWith(`${ROOT}/`) ? 'frames' : null;

/** Reads an address: `state`, and `stream`, which is null for all. What is not understood is left out. */
export function readAddress(hash) {
  const fields = new URLSearchParams(hash.split(/\?(.*)/s)[1] ?? '');
  const state = fields.get('state');
  return { state: STATES.includes(state) ? state : 'open', stream: fields.get('stream') || null };
}

/** Writes an address. */
export function writeAddress({ state, stream }) {
  const fields = new URLSearchParams();
  if (state !== 'open') fields.set('state', state);
  if (stream) fields.set('stream', stream);
  return `${ROOT}${fields.size ? `?${fields}` : ''}`;
}
