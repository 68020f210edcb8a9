// How the wall's tiles are arranged: as large as all can be at once. The room that remains is for cards of intervals.

export const GAP = 16;
/** Below a picture: the ribbon and the caption. */
const CAPTION = 52;
/** Tiles narrower than this, because height is scarce, have their caption on the picture. */
const ROOMY = 480;
const SMALLEST = 232;
/** Below this width, as on a phone: one column for a few streams, two for many. */
const PHONE = 600;
/** A card's smallest width below a picture and beside one, and the height of the text below its picture. */
const CARD = 132;
const SIDE_CARD = 112;
const CARD_TEXT = 46;
const CARD_GAP = 8;
/** Space around the cards of a tile. */
const MARGIN = 24;
/** One row of tiles, with cards below, is preferred to rows with an empty place if its pictures are this much as wide. */
const SINGLE = 0.7;
/** On a phone, one row of cards below each of a few tiles. */
const PHONE_CARDS = 3;

/**
 * Returns the CSS values `columns`, `tile` (its width), `height` (its least one), `picture` (its width) and `cards` (their
 * columns); `tight` and `side` (cards beside the picture instead of below); and how many cards are `shown`. `found`: some
 * stream has findings.
 */
export function arrange(tiles, room, height, found) {
  if (room < PHONE) {
    const columns = tiles > 4 ? 2 : 1;
    return layout({ columns, tile: room, picture: room, cards: PHONE_CARDS, shown: columns === 1 ? PHONE_CARDS : 0 });
  }
  let best = largest(tiles, room, height, CAPTION);
  const single = { columns: tiles, width: (room - GAP * (tiles - 1)) / tiles };
  if (found && single.width < best.width && single.width >= SINGLE * best.width) best = single;
  else if (best.width < ROOMY && best.columns > 1) {
    const tight = largest(tiles, room, height, 0);
    if (tight.width >= SMALLEST) return layout({ columns: tight.columns, tile: tight.width, picture: tight.width, tight: true });
    return layout({ columns: Math.floor((room + GAP) / (SMALLEST + GAP)), tile: room, picture: room, tight: true });
  }
  const { columns, width } = best;
  const column = (room - GAP * (columns - 1)) / columns;
  const row = (height - GAP * (Math.ceil(tiles / columns) - 1)) / Math.ceil(tiles / columns);
  const beside = column - width - MARGIN;
  const below = row - (width * 9) / 16 - CAPTION - MARGIN;
  if (beside >= SIDE_CARD) {
    const shown = Math.floor((row - MARGIN + CARD_GAP) / (cardHeight(beside) + CARD_GAP));
    return layout({ columns, tile: column, picture: width, cards: 1, shown, side: true, height: row });
  }
  const cards = Math.max(1, Math.floor((width - MARGIN + CARD_GAP) / (CARD + CARD_GAP)));
  const rows = Math.floor((below + CARD_GAP) / (cardHeight((width - MARGIN - CARD_GAP * (cards - 1)) / cards) + CARD_GAP));
  return layout({ columns, tile: width, picture: width, cards, shown: Math.max(0, rows) * cards, height: rows > 0 ? row : 0 });
}

const cardHeight = width => (width * 9) / 16 + CARD_TEXT;

function layout({ columns, tile, picture, height = 0, cards = 1, shown = 0, tight = false, side = false }) {
  const px = size => `${Math.floor(size)}px`;
  return { columns, tile: px(tile), height: px(height), picture: px(picture), cards, shown, tight, side };
}

/** Chooses the number of columns that makes the pictures largest while all tiles fit. */
function largest(tiles, room, height, caption) {
  let best = { columns: 1, width: 0 };
  for (let columns = 1; columns <= tiles; columns++) {
    const rows = Math.ceil(tiles / columns);
    const wide = (room - GAP * (columns - 1)) / columns;
    const high = (((height - GAP * (rows - 1)) / rows - caption) * 16) / 9;
    const width = Math.min(wide, high);
    if (width > best.width) best = { columns, width };
  }
  return best;
}
