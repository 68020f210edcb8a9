// The day that is shown: its date, which opens the calendar where that has no place of its own, and the ways to others.

import { button, roundButton } from '../controls.js';
import { date, element, setText } from '../words.js';
import { addDays, dayOf, startOf } from './days.js';

export class DayBar {
  /** `now` returns the time, `pick` is called with a day, and `calendar` when the date is clicked: it returns whether that opened. */
  constructor({ now, pick, calendar }) {
    Object.assign(this, { now, pick });
    this.date = button({ className: 'date', 'aria-expanded': 'false', title: 'Calendar' }, () => this.date.setAttribute('aria-expanded', calendar()));
    this.later = roundButton('Next day', 'M9.5 5.5 16 12l-6.5 6.5', () => this.step(1), 'page down');
    this.today = button({ className: 'quiet', textContent: 'Today' }, () => this.pick(dayOf(this.now())));
    this.element = element('div', { className: 'days', role: 'group', 'aria-label': 'Day' },
      roundButton('Previous day', 'M14.5 5.5 8 12l6.5 6.5', () => this.step(-1), 'page up'), this.date, this.later, this.today);
  }

  step(by) {
    this.pick(addDays(this.day, by));
  }

  show(day) {
    this.day = day;
    const today = dayOf(this.now());
    setText(this.date, date(startOf(day)));
    this.later.disabled = day >= today;
    this.today.hidden = day === today;
  }

  /** The calendar was closed. */
  closed() {
    this.date.setAttribute('aria-expanded', 'false');
  }
}
