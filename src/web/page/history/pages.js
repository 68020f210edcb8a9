// The intervals that a filter finds, latest first, loaded page by page as they are scrolled to.

const FIRST = 100;
const PAGE = 500;
/** The list ends here, so that a page that stays open has bounds. */
export const MOST = 200_000;

export class Pages {
  /** `changed` is called when there are more rows. */
  constructor(client, changed) {
    Object.assign(this, { client, changed });
    this.rows = [];
    this.next = null;
  }

  close() {
    this.running?.abort();
  }

  /** Begins anew, with another query. */
  start(query) {
    this.running?.abort();
    this.running = null;
    Object.assign(this, { query, rows: [], next: undefined, failed: null });
    this.more();
  }

  get done() {
    return this.next === null || this.rows.length >= MOST;
  }

  /** Loads the next page, unless one is on its way. */
  async more() {
    if (this.running || this.done) return;
    const { signal } = (this.running = new AbortController());
    this.failed = null;
    try {
      const page = await this.client.get('/intervals', { ...this.query, limit: this.rows.length ? PAGE : FIRST, before: this.next }, signal);
      this.running = null;
      this.next = page.next;
      for (const interval of page.intervals) this.rows.push(compact(interval));
    } catch (cause) {
      if (signal.aborted) return;
      this.running = null;
      this.failed = cause.message;
    }
    this.changed();
  }

  /** Loads what is new since. */
  async refresh() {
    if (this.running || this.next === undefined || !this.query) return;
    const { signal } = (this.running = new AbortController());
    try {
      const page = await this.client.get('/intervals', { ...this.query, limit: FIRST }, signal);
      this.running = null;
      const rows = page.intervals.map(compact);
      const known = this.rows.length ? rows.findIndex(row => row.id === this.rows[0].id) : -1;
      if (known < 0) Object.assign(this, { rows, next: page.next });
      else {
        // One that goes on has grown.
        rows.slice(known).forEach((row, at) => Object.assign(this.rows[at], row));
        this.rows.unshift(...rows.slice(0, known));
      }
      this.changed();
    } catch {
      if (!signal.aborted) this.running = null;
    }
  }
}

/** Keeps of an interval what the list shows. */
function compact({ id, stream, label, start, end, duration_ms: duration, mean, open, recorded, pictures }) {
  const picture = pictures.find(({ kind }) => kind === 'peak') ?? pictures[0];
  return { id, stream, label, start: Date.parse(start), end: Date.parse(end), duration, mean, open, recorded, picture: picture?.url ?? null };
}
