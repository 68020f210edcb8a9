// How frames are described in words.

import { timeOf } from '../history/days.js';
import { clock, date, moment } from '../words.js';

const REASONS = {
  unsure: ['not sure', 'the model was not sure'],
  change: ['label change', 'the label changed here'],
  random: ['at random', 'chosen at random'],
  interval: ['interval', 'of an interval that was corrected'],
};

/** Why a frame was kept, in a word or two. */
export const reasonOf = frame => REASONS[frame.reason]?.[0] ?? frame.reason;

/** Why a frame was kept. */
export const wholeReason = frame => REASONS[frame.reason]?.[1] ?? frame.reason;

/** When a frame was seen, with the day if that was not today. A clip has no day. */
export const timeOfFrame = (frame, now) => (frame.clip ? moment(frame.at) : clock(frame.at, now));

/** When a frame was seen, in full. */
export const wholeTime = frame => (frame.clip ? `${moment(frame.at)} in the clip` : `${date(frame.at)}, ${timeOf(frame.at)}`);

/** Which frame it is: door, 14:03:05. */
export const nameOf = (frame, now) => `${frame.stream}, ${timeOfFrame(frame, now)}`;
