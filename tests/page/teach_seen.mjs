// What is kept in the checks of Teach, and what a page shows of it.

/** Frames of a stream, one a minute, the latest first. What `more` returns for a number is added. */
export function kept(number, more = () => ({})) {
  const latest = Date.parse('2025-11-20T14:03:05.120Z');
  return Array.from({ length: number }, (_, at) => ({
    stream: 'door', time: new Date(latest - at * 60e3).toISOString(), said: { drinking: 0.52, cooking: 0.41, other: 0.07 }, ...more(at),
  }));
}

/** What the tiles in sight say, in their order. */
export const tiles = page => page.locator('.shot:not([hidden])').evaluateAll(nodes =>
  nodes.sort((one, other) => one.dataset.at - other.dataset.at).map(node => node.getAttribute('aria-label')));

export const focused = page => page.locator('.shot.here').getAttribute('aria-posinset').then(Number);

/** Waits until the first tile is there. */
export const ready = page => page.locator('.shot').first().waitFor();
