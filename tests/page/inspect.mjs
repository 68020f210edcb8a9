// What every view must have: a name for each control, text with enough contrast, and nothing wider than the window.

/** Inspects what a page shows. `complain` is called with what is wrong, which begins with `where`. */
export async function inspect(page, complain, where) {
  const seen = await page.evaluate(measure);
  for (const control of seen.nameless) complain(`${where}: no accessible name: ${control}`);
  if (seen.overflow > 0) complain(`${where}: ${seen.overflow} px wider than the window`);
  for (const { text, ratio, needed } of seen.contrasts) {
    if (ratio < needed) complain(`${where}: contrast ${ratio} of "${text}" is below ${needed}`);
  }
  const lowest = Math.min(...seen.contrasts.map(pair => pair.ratio));
  return { controls: seen.controls, texts: seen.contrasts.length, lowestContrast: lowest, overflow: seen.overflow };
}

/** Runs in the page: controls without a name, how far the page sticks out, and the contrast of every text. */
function measure() {
  const visible = node => node.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && node.getClientRects().length > 0;
  const named = node => {
    const labelled = (node.getAttribute('aria-labelledby') ?? '').split(' ').map(id => document.getElementById(id)?.textContent ?? '').join('');
    const inside = [...node.querySelectorAll('[aria-label]')].map(child => child.getAttribute('aria-label')).join('');
    const label = node.labels ? [...node.labels].map(label => label.textContent).join('') : '';
    return `${node.getAttribute('aria-label') ?? ''}${labelled}${label}${node.textContent}${inside}`.trim();
  };
  const controls = [...document.querySelectorAll('a[href], button, input, select, canvas[role], [tabindex="0"], nav, [role=slider], [role=region], [role=group], [role=listbox], [role=grid]')]
    .filter(node => node.getClientRects().length > 0);
  const nameless = controls.filter(node => !named(node)).map(node => node.outerHTML.slice(0, 120));

  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = css => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (top, below) => [0, 1, 2].map(at => top[at] * top[3] + below[at] * (1 - top[3])).concat(1);
  // What lies over a picture must be legible whatever it shows, so white and black are tried under it.
  const grounds = node => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
      if (at.matches('.notice, .strip button, .tight .caption, .plate')) {
        return [[255, 255, 255, 1], [0, 0, 0, 1]].map(base => layers.reduceRight((below, top) => over(top, below), base));
      }
    }
    return [layers.reduceRight((below, top) => over(top, below), [255, 255, 255, 1])];
  };
  const light = colour => {
    const [red, green, blue] = colour.slice(0, 3).map(value => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (a, b) => {
    const [high, low] = [light(a), light(b)].sort((one, other) => other - one);
    return (high + 0.05) / (low + 0.05);
  };
  const contrasts = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim();
    const node = walk.currentNode.parentElement;
    if (!text || !visible(node) || node.closest('.hidden, :disabled, script, noscript')) continue;
    const style = getComputedStyle(node);
    let opacity = 1;
    for (let at = node; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const colour = rgba(style.color);
    colour[3] *= opacity;
    const ratio = Math.min(...grounds(node).map(ground => contrast(over(colour, ground), ground)));
    contrasts.push({ text: text.slice(0, 40), ratio: Math.floor(ratio * 100) / 100, needed: large ? 3 : 4.5 });
  }
  return {
    controls: controls.length, nameless, contrasts,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  };
}
