// The kept frames that a filter finds, in the order of the server, loaded page by page as they are scrolled to.

const PAGE = 60;
/** The list ends here, so that a page that stays open has bounds. */
const MOST = 20_000;
/** Labels that are kept of what the model said. */
const SAID = 3;
/** A frame that is contradicted is looked for among this many. */
const CONTRADICTORY = 500;

export class Frames {
  /** `changed` is called when there are more frames, or fewer. */
  constructor(client, changed) {
    Object.assign(this, { client, changed });
    this.clear();
  }

  clear() {
    Object.assign(this, { rows: [], known: new Map(), next: undefined, failed: null });
  }

  close() {
    this.running?.abort();
  }

  /** Begins anew, with another query: `state`, and `stream` or null. */
  start(query) {
    this.running?.abort();
    this.running = null;
    this.query = query;
    this.clear();
    this.changed();
    this.more();
  }

  get done() {
    return this.next === null || this.full;
  }

  get full() {
    return this.rows.length >= MOST;
  }

  /** Loads the next page, unless one is on its way. */
  async more() {
    if (this.running || this.done) return;
    const { signal } = (this.running = new AbortController());
    this.failed = null;
    try {
      const { frames, next } = await this.client.get('/frames', { ...this.query, limit: PAGE, after: this.next }, signal);
      this.running = null;
      this.next = next;
      // A frame that moved since in the order may be on two pages.
      for (const frame of frames) if (!this.at(frame.id)) this.rows.push(this.keep(frame));
    } catch (cause) {
      if (signal.aborted) return;
      this.running = null;
      this.failed = cause.message;
    }
    this.changed();
  }

  /** Returns the frame with a number if it is loaded. */
  at(id) {
    const frame = this.known.get(id);
    return frame?.listed ? frame : null;
  }

  keep(frame) {
    const kept = this.known.get(frame.id) ?? compact(frame);
    kept.listed = true;
    this.known.set(frame.id, kept);
    return kept;
  }

  /** Returns a frame that another contradicts, which need not be in the list; null if it is not known. */
  async find(id, stream) {
    if (this.known.has(id)) return this.known.get(id);
    try {
      const { frames } = await this.client.get('/frames', { state: 'contradictory', stream, limit: CONTRADICTORY });
      const found = frames.find(frame => frame.id === id);
      if (found && !this.known.has(id)) this.known.set(id, compact(found));
    } catch {
      // The server is unreachable; the banner shows that.
    }
    return this.known.get(id) ?? null;
  }

  /** Takes over what the server has of a frame; those that it contradicts no longer contradict it either. */
  settle(id, state) {
    const frame = this.known.get(id);
    if (frame) Object.assign(frame, state);
    for (const other of this.known.values()) {
      const is = state.contradicts.includes(other.id);
      if (other.contradicts.includes(id) === is) continue;
      other.contradicts = is ? [...other.contradicts, id] : other.contradicts.filter(one => one !== id);
    }
  }
}

/** Keeps of a frame what is shown. */
function compact({ id, stream, time, clip, reason, said, answer, version, contradicts, interval_answer: interval }) {
  const labels = Object.entries(said ?? {}).sort(([, one], [, other]) => other - one).slice(0, SAID);
  return { id, stream, at: Date.parse(time), clip, reason, said: labels, answer, version, contradicts: contradicts ?? [], interval: interval ?? null };
}

/** Whether another frame, or the answer of an interval, contradicts a frame's answer. */
export const isContradicted = frame => frame.contradicts.length > 0 || frame.interval !== null;

export const pictureOf = id => `/api/teach/frames/${id}.jpg`;
