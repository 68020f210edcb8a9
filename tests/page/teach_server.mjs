// A server that speaks the API of Teach, for the page of a livelabel that runs: everything else comes from there. What it keeps
// can be set, and it can be told to fail.
import { readFileSync } from 'node:fs';
import { createServer, request as send } from 'node:http';
import { join } from 'node:path';

const KINDS = { html: 'text/html', js: 'text/javascript', css: 'text/css' };
const PAGE = 60;

/**
 * Serves in front of `base`. `admin` is the token of who may write. `page` is the folder of the page's files if they are to be
 * read from there instead of the program.
 */
export async function serve(base, { admin, page }) {
  const taught = new Taught();
  const files = page ? filesOf(page) : new Map();
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, base);
    if (url.pathname === '/api/teach' || url.pathname.startsWith('/api/teach/')) {
      return answer(response, await taught.respond(request, url, request.headers['x-admin-token'] === admin));
    }
    if (files.has(url.pathname)) return answer(response, files.get(url.pathname)());
    forward(base, request, response);
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`, taught,
    close: () => { server.closeAllConnections(); server.close(); },
  };
}

/** The page's files by their paths, as src/web/page.rs has them. */
function filesOf(page) {
  const found = readFileSync(join(page, '../page.rs'), 'utf8').matchAll(/\("(\/[^"]*)", \w+, include_str!\("page\/([^"]+)"\)\)/g);
  return new Map([...found].map(([, path, file]) => [path, () => [200, readFileSync(join(page, file), 'utf8'), KINDS[file.split('.').pop()] ?? 'text/plain']]));
}

function answer(response, result) {
  // No answer at all: as a network that fails.
  if (!result) return response.destroy();
  const [status, body, kind] = result;
  response.writeHead(status, { 'Content-Type': kind ?? (typeof body === 'string' ? 'text/plain' : 'application/json'), 'Cache-Control': 'no-store' });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** Passes a request on, and says among the states that frames are kept. */
function forward(base, request, response) {
  const { method, url, headers } = request;
  const passed = send(new URL(url, base), { method, headers: { ...headers, connection: 'close' } }, from => {
    response.writeHead(from.statusCode, { ...from.headers, connection: 'close' });
    if (!url.startsWith('/api/events')) return from.pipe(response);
    let text = '';
    from.setEncoding('utf8').on('data', chunk => {
      const lines = `${text}${chunk}`.split('\n');
      text = lines.pop();
      for (const line of lines) {
        const [, states] = /^data: ?(\{"server".*)$/.exec(line) ?? [];
        response.write(`${states ? `data: ${JSON.stringify({ ...JSON.parse(states), teach: true })}` : line}\n`);
      }
    }).on('end', () => response.end());
  });
  response.on('close', () => passed.destroy());
  passed.on('error', () => response.destroy());
  request.pipe(passed);
}

/** What is kept, and what was said of it. */
class Taught {
  constructor() {
    this.reset({});
  }

  reset({ labels = ['cooking', 'drinking', 'other'], frames = [], models = [], inUse = null, training = {} }) {
    this.model = labels.slice();
    this.labels = labels.slice();
    // Frames of one `group` show the same.
    this.frames = frames.map((frame, at) => ({ id: at + 1, clip: false, reason: 'unsure', model: 'drinking-cooking', answer: null, version: 1, given: 0, ...frame }));
    Object.assign(this, { models, inUse, given: 0, posts: [], gets: [], fault: null });
    this.training = { available: true, command: 'livelabel-train adapt --model drinking-cooking.onnx --data learn --output new.onnx', state: 'idle', lines: [], model: null, ...training };
  }

  contradicts(frame) {
    const others = this.frames.filter(other => other.group != null && other.group === frame.group && other.answer && other.answer !== frame.answer);
    return frame.answer ? others.map(({ id }) => id) : [];
  }

  /** What an interval's answer says otherwise. */
  disputed(frame) {
    return frame.answer ? frame.interval ?? null : null;
  }

  inState(state) {
    const all = this.frames.filter(frame => state === 'open' ? frame.answer === null : state === 'answered' ? frame.answer !== null : this.contradicts(frame).length > 0 || this.disputed(frame) !== null);
    return state === 'open' ? all : all.sort((one, other) => other.given - one.given || one.id - other.id);
  }

  counts() {
    return { frames: this.frames.length, ...Object.fromEntries(['open', 'answered', 'contradictory'].map(state => [state, this.inState(state).length])) };
  }

  view(frame) {
    const { id, stream, time, clip, reason, said, model, answer, version } = frame;
    return { id, stream, time, clip, reason, said, model, answer, version, contradicts: this.contradicts(frame), interval_answer: this.disputed(frame) };
  }

  async respond(request, { pathname, searchParams }, admin) {
    const path = pathname.slice('/api/teach'.length);
    if (request.method !== 'POST') return this.get(path, searchParams);
    let body = '';
    for await (const chunk of request) body += chunk;
    if (this.fault === 'drop') return null;
    if (!admin) return [401, 'the admin token is missing or wrong\n'];
    this.posts.push([path, JSON.parse(body)]);
    if (this.fault) return this.fault;
    return this.post(path, JSON.parse(body));
  }

  get(path, query) {
    const picture = /^\/frames\/(\d+)\.jpg$/.exec(path);
    if (picture) return this.picture(Number(picture[1]));
    switch (path) {
      case '':
        return [200, { labels: this.labels, model_labels: this.model, counts: this.counts(), kept_bytes: 412e6, limit_bytes: 2e9 }];
      case '/frames': {
        const [state, stream, after] = ['state', 'stream', 'after'].map(name => query.get(name));
        this.gets.push(after);
        const all = this.inState(state).filter(frame => !stream || frame.stream === stream);
        // In the order of their numbers, a frame that was answered since is no longer among the open ones.
        const rest = after === null ? all : state === 'open' ? all.filter(({ id }) => id > Number(after)) : all.slice(all.findIndex(({ id }) => id === Number(after)) + 1);
        const frames = rest.slice(0, Number(query.get('limit') ?? PAGE));
        return [200, { frames: frames.map(frame => this.view(frame)), next: frames.length < rest.length ? String(frames.at(-1).id) : null }];
      }
      case '/models':
        return [200, { in_use: this.inUse, models: this.models }];
      case '/training':
        return [200, this.train()];
      default:
        return [404, 'not found\n'];
    }
  }

  /** A training says one line each time it is asked, and then has ended. */
  train() {
    const { training } = this;
    const { script, ...seen } = training;
    if (training.state === 'running' && training.hold !== training.lines.length) {
      if (training.lines.length < script.lines.length) training.lines.push(script.lines[training.lines.length]);
      else {
        Object.assign(training, { state: script.ends, model: script.model?.name ?? null });
        if (script.model) this.models = [script.model, ...this.models];
      }
    }
    return { ...seen, state: training.state, lines: [...training.lines], model: training.model };
  }

  /** A picture of a colour, with the frame's number. */
  picture(id) {
    const frame = this.frames.find(frame => frame.id === id);
    if (!frame) return [404, 'not found\n'];
    if (frame.damaged) return [200, 'no picture', 'image/jpeg'];
    return [200, `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="360"><rect width="640" height="360" fill="hsl(${(id * 47) % 360} 30% 35%)"/>
      <circle cx="${200 + (id * 31) % 240}" cy="170" r="90" fill="hsl(${(id * 47 + 40) % 360} 40% 60%)"/><text x="24" y="330" fill="#fff" font-size="48">${id}</text></svg>`, 'image/svg+xml'];
  }

  post(path, body) {
    const frame = /^\/frames\/(\d+)$/.exec(path);
    if (frame) return this.correct(this.frames.find(({ id }) => id === Number(frame[1])), body);
    switch (path) {
      case '/labels': {
        const refused = body.label.includes('/') ? 'a label has no /' : ['.', '..'].includes(body.label) ? 'this is no name for a label' : null;
        if (refused) return [422, { error: refused }];
        this.labels.push(body.label);
        return [200, { labels: this.labels }];
      }
      case '/intervals':
        return this.interval(body);
      case '/models/use': {
        const model = this.models.find(({ name }) => name === body.name);
        if (model.name !== null && model.verdict !== 'better' && !body.anyway) return [422, { error: 'the model was not shown to be better' }];
        this.inUse = body.name;
        return [200, { message: `${model.title} is in use` }];
      }
      case '/training':
        if (this.training.state === 'running') return [409, { error: 'a training runs' }];
        Object.assign(this.training, { state: 'running', lines: [], model: null });
        return [200, {}];
      default:
        return [404, 'not found\n'];
    }
  }

  correct(frame, { label, skip, version }) {
    if (!frame) return [404, { error: 'the frame is no longer kept' }];
    const { id } = frame;
    const state = () => ({ id, answer: frame.answer, version: frame.version, contradicts: this.contradicts(frame), interval_answer: this.disputed(frame) });
    if (version !== frame.version) return [409, state()];
    if (!skip && label !== null && !this.labels.includes(label)) return [422, { error: `no label is named ${label}` }];
    Object.assign(frame, { answer: skip ? '' : label, version: version + 1, given: ++this.given, interval: null });
    return [200, state()];
  }

  interval({ stream, from, to, label }) {
    const within = this.frames.filter(frame => frame.stream === stream && frame.time >= from && frame.time <= to);
    const open = within.filter(({ answer }) => answer === null);
    for (const frame of open) Object.assign(frame, { answer: label, version: frame.version + 1, given: ++this.given });
    const contrary = within.filter(({ answer }) => answer !== label);
    for (const frame of contrary) Object.assign(frame, { interval: label, version: frame.version + 1 });
    return [200, { frames: open.length, contradictory: contrary.length }];
  }
}
