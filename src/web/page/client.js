// Asks the server's API. Few requests run at once, so that connections remain for pictures.

const AT_ONCE = 3;

export class Client {
  /** `root` is what all paths begin with, as `/api/history`. */
  constructor(root) {
    this.root = root;
    this.running = 0;
    this.waiting = [];
  }

  /** Gets a path below the root. A value that is a list is repeated. Throws what the server says if it refuses. */
  async get(path, query = {}, signal) {
    await this.turn(signal);
    try {
      const response = await fetch(`${this.root}${path}?${fields(query)}`, { signal, cache: 'no-store' });
      if (!response.ok) throw new Error((await response.text()).trim().slice(0, 200) || `status ${response.status}`);
      return await response.json();
    } finally {
      this.running--;
      this.waiting.shift()?.();
    }
  }

  async turn(signal) {
    if (this.running >= AT_ONCE) await new Promise(resolve => this.waiting.push(resolve));
    this.running++;
    // A request that nobody waits for any more makes room at once.
    if (signal?.aborted) {
      this.running--;
      this.waiting.shift()?.();
      throw signal.reason;
    }
  }
}

/** Formats a query. Values that are null are left out. */
export function fields(query) {
  const made = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) if (one != null) made.append(name, one);
  }
  return made;
}

export const utc = ms => new Date(ms).toISOString();
