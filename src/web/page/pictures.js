// The live pictures. Browsers allow six connections to a host, so all streams come over one, which is taken apart
// here; each picture goes to the screen of its stream, where a newer one replaces one that has not been drawn yet.

const LARGEST_HEAD = 4096;
const LARGEST_PICTURE = 64 << 20;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 5000;

/** Yields the parts of a multipart body: { name, ms, jpeg }. */
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
            if (end - begin > LARGEST_HEAD) throw new Error('a part has no head');
            break;
          }
          head = readHead(held.subarray(begin, blank));
          begin = blank + 4;
        }
        if (end - begin < head.size) break;
        const jpeg = new Blob([held.slice(begin, begin + head.size)], { type: 'image/jpeg' });
        begin += head.size;
        yield { name: head.name, ms: head.ms, jpeg };
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
  return { size, name: decodeURIComponent(fields['x-stream'] ?? ''), ms: Number(fields['x-time-ms']) };
}

const ready = new Set();
let drawing = 0;

function drawAll() {
  drawing = 0;
  for (const screen of ready) screen.draw();
  ready.clear();
}

/** The largest size within a width that keeps the picture's shape to the pixel, so that no edge is left bare. */
function fitting({ width, height }, room) {
  if (!room || room >= width) return { width, height };
  const step = width / common(width, height);
  const fit = step <= room ? Math.floor(room / step) * step : room;
  return { width: fit, height: Math.max(1, Math.round((fit * height) / width)) };
}

const common = (a, b) => (b === 0 ? a : common(b, a % b));

/** A canvas that shows the newest picture it was given, no larger than it appears on the page. */
export class Screen {
  constructor(canvas, drawn = () => {}) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d', { alpha: false });
    this.drawn = drawn;
    this.width = 0;
    this.turn = 0;
    this.resized = new ResizeObserver(([entry]) => {
      this.width = Math.round(entry.contentRect.width * devicePixelRatio);
    });
    this.resized.observe(canvas);
  }

  show(jpeg, ms) {
    this.next = { jpeg, ms };
    if (!this.decoding) this.decode();
  }

  async decode() {
    this.decoding = true;
    while (this.next) {
      const { jpeg, ms } = this.next;
      const { turn } = this;
      this.next = null;
      try {
        const bitmap = await createImageBitmap(jpeg);
        if (turn !== this.turn) {
          bitmap.close();
          continue;
        }
        this.bitmap?.close();
        this.bitmap = bitmap;
        this.ms = ms;
        ready.add(this);
        drawing ||= requestAnimationFrame(drawAll);
      } catch {
        // A damaged picture: the one after it is shown instead.
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
    this.drawn(this.ms);
  }

  /** Draws none of the pictures that are under way. */
  forget() {
    this.turn++;
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

/** The connection that brings the pictures of one address at a time; lost, it is made again until it holds. */
export class Pictures {
  /**
   * `show` takes each part; `told` takes why no pictures come, or null when they do. `ended` is for pictures that have
   * an end: it is called then, instead of asking for them again.
   */
  constructor(show, told, ended = null) {
    Object.assign(this, { show, told, ended });
    this.address = null;
    this.stopped = false;
  }

  /** Asks for other pictures from now on; null for none. */
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

  /** Takes none until `restart`, whatever is asked for meanwhile. */
  stop() {
    this.halt();
    this.stopped = true;
  }

  halt() {
    this.running?.abort();
    this.running = null;
    this.told(null);
  }

  async run(address, signal) {
    for (let wait = FIRST_WAIT; !signal.aborted; wait = Math.min(2 * wait, LONGEST_WAIT)) {
      try {
        const answer = await fetch(address, { signal, cache: 'no-store' });
        if (!answer.ok) throw new Error((await answer.text()).trim().slice(0, 200) || `status ${answer.status}`);
        for await (const part of parts(answer.body)) {
          if (signal.aborted) return;
          wait = FIRST_WAIT;
          this.told(null);
          this.show(part);
        }
        if (this.ended) return this.ended();
      } catch (cause) {
        if (signal.aborted) return;
        if (this.ended) return this.ended();
        this.told(cause.message);
      }
      await new Promise(resolve => setTimeout(resolve, wait));
    }
  }
}
