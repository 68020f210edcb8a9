// Live pictures. Browsers allow six connections to a host, so all streams share one multipart response, which is parsed
// here. Each picture goes to the screen of its stream. A newer one replaces one that is not drawn yet.

const LARGEST_HEAD = 4096;
const LARGEST_PICTURE = 64 << 20;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 5000;

/** Yields the parts of a multipart body: { name, ms, labelled, jpeg }. */
export async function* parts(body) {
  const reader = body.getReader();
  let held = new Uint8Array(1 << 18);
  let begin = 0;
  let end = 0;
  let head = null;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      if (end + value.length > held.length) {
        const room = end - begin + value.length;
        const larger = room > held.length ? new Uint8Array(room * 2) : held;
        larger.set(held.subarray(begin, end));
        held = larger;
        end -= begin;
        begin = 0;
      }
      held.set(value, end);
      end += value.length;
      for (;;) {
        if (!head) {
          const blank = blankLine(held, begin, end);
          if (blank < 0) {
            if (end - begin > LARGEST_HEAD) throw new Error('a part has no header');
            break;
          }
          head = readHead(held.subarray(begin, blank));
          begin = blank + 4;
        }
        if (end - begin < head.size) break;
        const jpeg = new Blob([held.slice(begin, begin + head.size)], { type: 'image/jpeg' });
        begin += head.size;
        const { size, ...frame } = head;
        yield { ...frame, jpeg };
        head = null;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function blankLine(bytes, begin, end) {
  const last = Math.min(end - 3, begin + LARGEST_HEAD);
  for (let at = begin; at < last; at++) {
    if (bytes[at] === 13 && bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at;
  }
  return -1;
}

function readHead(bytes) {
  const fields = {};
  for (const line of new TextDecoder().decode(bytes).split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const size = Number(fields['content-length']);
  if (!(size > 0 && size < LARGEST_PICTURE)) throw new Error('a part has no length');
  return { size, name: decodeURIComponent(fields['x-stream'] ?? ''), ...described(name => fields[name]) };
}

/** Reads when a frame is shown, and whether its label is drawn on it. `field` returns what is said about it. */
export function described(field) {
  // Frames of the history have a time of the day instead of the stream's time.
  const time = field('x-time');
  return { ms: time ? Date.parse(time) : Number(field('x-time-ms')), labelled: field('x-labelled') === 'true' };
}

const ready = new Set();
let drawing = 0;

function drawAll() {
  drawing = 0;
  for (const screen of ready) screen.draw();
  ready.clear();
}

/** Returns the largest size within a width that keeps the exact aspect ratio, so that no edge stays empty. */
function fitting({ width, height }, room) {
  if (!room || room >= width) return { width, height };
  const step = width / common(width, height);
  const fit = step <= room ? Math.floor(room / step) * step : room;
  return { width: fit, height: Math.max(1, Math.round((fit * height) / width)) };
}

const common = (a, b) => (b === 0 ? a : common(b, a % b));

/** Draws the newest picture on a canvas, no larger than it appears on the page. */
export class Screen {
  /** `drawn` is called with what was given beside each picture that is drawn. */
  constructor(canvas, drawn = () => {}) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d', { alpha: false });
    this.drawn = drawn;
    this.width = 0;
    this.generation = 0;
    this.resized = new ResizeObserver(([entry]) => {
      this.width = Math.round(entry.contentRect.width * devicePixelRatio);
    });
    this.resized.observe(canvas);
  }

  show(jpeg, frame) {
    this.next = { jpeg, frame };
    if (!this.decoding) this.decode();
  }

  async decode() {
    this.decoding = true;
    while (this.next) {
      const { jpeg, frame } = this.next;
      const { generation } = this;
      this.next = null;
      try {
        const bitmap = await createImageBitmap(jpeg);
        if (generation !== this.generation) {
          bitmap.close();
          continue;
        }
        this.bitmap?.close();
        this.bitmap = bitmap;
        this.frame = frame;
        ready.add(this);
        drawing ||= requestAnimationFrame(drawAll);
      } catch {
        // A damaged picture is skipped.
      }
    }
    this.decoding = false;
  }

  draw() {
    const { canvas, bitmap } = this;
    if (!bitmap) return;
    const { width, height } = fitting(bitmap, this.width);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    this.context.drawImage(bitmap, 0, 0, width, height);
    bitmap.close();
    this.bitmap = null;
    this.shown = true;
    this.drawn(this.frame);
  }

  /** Discards all pictures that are not drawn yet. */
  forget() {
    this.generation++;
    ready.delete(this);
    this.next = null;
    this.bitmap?.close();
    this.bitmap = null;
  }

  close() {
    this.resized.disconnect();
    this.forget();
  }
}

/** The picture connection, to one URL at a time. Reconnects with a backoff. */
export class Pictures {
  /**
   * `show` is called with each part; `report` with the reason why no pictures come, or null. With `ended`, the end of the
   * response calls it instead of reconnecting.
   */
  constructor(show, report, ended = null) {
    Object.assign(this, { show, report, ended });
    this.address = null;
    this.stopped = false;
  }

  /** Switches to another URL; null for none. */
  watch(address) {
    if (address === this.address) return;
    this.address = address;
    if (!this.stopped) this.restart();
  }

  restart() {
    this.halt();
    this.stopped = false;
    if (this.address) this.run(this.address, (this.running = new AbortController()).signal);
  }

  /** Stops until `restart`. */
  stop() {
    this.halt();
    this.stopped = true;
  }

  halt() {
    this.running?.abort();
    this.running = null;
    this.report(null);
  }

  async run(address, signal) {
    for (let wait = FIRST_WAIT; !signal.aborted; wait = Math.min(2 * wait, LONGEST_WAIT)) {
      try {
        const response = await fetch(address, { signal, cache: 'no-store' });
        if (!response.ok) throw new Error((await response.text()).trim().slice(0, 200) || `status ${response.status}`);
        for await (const part of parts(response.body)) {
          if (signal.aborted) return;
          wait = FIRST_WAIT;
          this.report(null);
          this.show(part);
        }
        if (this.ended) return this.ended();
      } catch (cause) {
        if (signal.aborted) return;
        if (this.ended) return this.ended();
        this.report(cause.message);
      }
      await new Promise(resolve => setTimeout(resolve, wait));
    }
  }
}
