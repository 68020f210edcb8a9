// The connection to the server: its events, and whether it answers. Reconnects with a backoff.

/** The server sends states each second. After this time without a message it counts as unreachable. */
const SILENCE = 3000;
const FIRST_WAIT = 250;
const LONGEST_WAIT = 5000;

export class Connection {
  /**
   * `events` are functions by the name of the event whose data they get. `back` is called when the server answers again after a
   * failure, and `changed` whenever `offline` or `cause` may have changed.
   */
  constructor({ events, back, changed }) {
    Object.assign(this, { events, back, changed });
    this.source = null;
    this.opened = 0;
    /** When the last message came. */
    this.received = Date.now();
    this.wait = FIRST_WAIT;
    this.failures = 0;
    /** Why the server refuses, if that is known. */
    this.cause = null;
  }

  get offline() {
    return this.failures > 1;
  }

  connect() {
    this.opened = Date.now();
    const source = (this.source = new EventSource('/api/events'));
    for (const [name, take] of Object.entries(this.events)) {
      source.addEventListener(name, event => {
        this.hear();
        take(JSON.parse(event.data));
      });
    }
    source.addEventListener('error', () => {
      // Replaces the browser's own retry, which has no backoff and no reason for the failure.
      if (source !== this.source) return;
      this.failures++;
      this.disconnect();
      if (this.failures % 4 === 2) this.findCause();
    });
  }

  hear() {
    this.received = Date.now();
    this.wait = FIRST_WAIT;
    if (this.failures === 0) return;
    this.failures = 0;
    this.cause = null;
    this.back();
    this.changed();
  }

  disconnect() {
    this.source?.close();
    this.source = null;
    setTimeout(() => this.connect(), this.wait);
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
    this.changed();
  }

  /** Finds out why the events failed, if the server answers at all. */
  async findCause() {
    try {
      const response = await fetch('/api/streams', { cache: 'no-store' });
      this.cause = response.status === 401 ? 'The token is missing or wrong: open the page with ?token=… again.'
        : response.ok ? null : `The server answers with status ${response.status}.`;
    } catch {
      this.cause = null;
    }
    this.changed();
  }

  /** Connects again after a silence. Called a few times a second. */
  check() {
    if (this.source && Date.now() - Math.max(this.received, this.opened) > SILENCE) {
      this.failures += 2;
      this.disconnect();
    }
    this.changed();
  }
}
