// Times in the reader's time zone, durations and spans.

const LOCALE = "en-GB";
const DAY = { day: "numeric", month: "short", year: "numeric" };
const CLOCK = { hour: "2-digit", minute: "2-digit" };
const formats = {
  day: new Intl.DateTimeFormat(LOCALE, DAY),
  dayOfYear: new Intl.DateTimeFormat(LOCALE, { ...DAY, year: undefined }),
  clock: new Intl.DateTimeFormat(LOCALE, CLOCK),
  seconds: new Intl.DateTimeFormat(LOCALE, { ...CLOCK, second: "2-digit" }),
  moment: new Intl.DateTimeFormat(LOCALE, { ...DAY, ...CLOCK }),
  zone: new Intl.DateTimeFormat(LOCALE, { timeZoneName: "short" }),
  relative: new Intl.RelativeTimeFormat("en"),
  now: new Intl.RelativeTimeFormat("en", { numeric: "auto" }),
};
const WHOLE_MINUTES_FROM_SECONDS = 600;
// Each unit's seconds, and the smallest value that uses it. "In 1 day" would be ambiguous.
const UNITS = [
  ["day", 86_400, 2 * 86_400],
  ["hour", 3_600, 3_600],
  ["minute", 60, 60],
];

/** `8 Apr 2026` */
export const formatDay = (text) => formats.day.format(new Date(text));

/** `8 Apr 2026, 11:00` */
export const formatDateTime = (text) => formats.moment.format(new Date(text));

/** `11:00`, or `11:00:07` */
export const formatClock = (text, { seconds = false } = {}) =>
  (seconds ? formats.seconds : formats.clock).format(new Date(text));

/** Like `formatClock`, with the day if the times span several days: `8 Apr, 11:00`. */
export function clockFormat(first, last) {
  if (formatDay(first) === formatDay(last)) return formatClock;
  return (text, options) => `${formats.dayOfYear.format(new Date(text))}, ${formatClock(text, options)}`;
}

/** `3 days ago`, `in 30 hours`, `now`: never "tomorrow", which depends on the hour. */
export function formatRelative(text, now = Date.now()) {
  const seconds = (new Date(text).getTime() - now) / 1000;
  const unit = UNITS.find(([, , from]) => Math.abs(seconds) >= from);
  return unit ? formats.relative.format(Math.round(seconds / unit[1]), unit[0]) : formats.now.format(0, "second");
}

/** `1 h 12 min`, `7 min 5 s`, `48 s`. Ten minutes and more are rounded to minutes. */
export function formatDuration(seconds) {
  const whole = seconds < WHOLE_MINUTES_FROM_SECONDS ? Math.round(seconds) : 60 * Math.round(seconds / 60);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (hours) return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
  if (minutes) return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
  return `${rest} s`;
}

/** The reader's time zone: `GMT+2` */
export function zoneName(text = Date.now()) {
  return formats.zone.formatToParts(new Date(text)).find((part) => part.type === "timeZoneName").value;
}
