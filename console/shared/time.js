// Format times in the reader's time zone, and durations.

const LOCALE = "en-GB";
const DAY = { day: "numeric", month: "short", year: "numeric" };
const CLOCK = { hour: "2-digit", minute: "2-digit" };
const formats = {
  day: new Intl.DateTimeFormat(LOCALE, DAY),
  dayOfYear: new Intl.DateTimeFormat(LOCALE, { ...DAY, year: undefined }),
  clock: new Intl.DateTimeFormat(LOCALE, CLOCK),
  seconds: new Intl.DateTimeFormat(LOCALE, { ...CLOCK, second: "2-digit" }),
  dateTime: new Intl.DateTimeFormat(LOCALE, { ...DAY, ...CLOCK }),
  zone: new Intl.DateTimeFormat(LOCALE, { timeZoneName: "short" }),
  relative: new Intl.RelativeTimeFormat("en"),
  now: new Intl.RelativeTimeFormat("en", { numeric: "auto" }),
};
const MIN_SECONDS_IN_WHOLE_MINUTES = 600;
// [unit, its seconds, the smallest number of seconds shown in it]. Days start at two, because "in 1 day" is ambiguous.
const UNITS = [
  ["day", 86_400, 2 * 86_400],
  ["hour", 3_600, 3_600],
  ["minute", 60, 60],
];

/** `8 Apr 2026` */
export const formatDay = (timestamp) => formats.day.format(new Date(timestamp));

/** `8 Apr 2026, 11:00` */
export const formatDateTime = (timestamp) => formats.dateTime.format(new Date(timestamp));

/** `11:00`, or `11:00:07` */
export const formatClock = (timestamp, { seconds = false } = {}) =>
  (seconds ? formats.seconds : formats.clock).format(new Date(timestamp));

/** Return `formatClock`, or a version with the day if the times span several days: `8 Apr, 11:00`. */
export function clockFormat(first, last) {
  if (formatDay(first) === formatDay(last)) return formatClock;
  return (timestamp, options) => `${formats.dayOfYear.format(new Date(timestamp))}, ${formatClock(timestamp, options)}`;
}

/** `3 days ago`, `in 30 hours`, `now`. Never "tomorrow", which can be minutes away. */
export function formatRelative(timestamp, now = Date.now()) {
  const seconds = (new Date(timestamp).getTime() - now) / 1000;
  const unit = UNITS.find(([, , min]) => Math.abs(seconds) >= min);
  return unit ? formats.relative.format(Math.round(seconds / unit[1]), unit[0]) : formats.now.format(0, "second");
}

/** `1 h 12 min`, `7 min 5 s`, `48 s`. From ten minutes, rounded to minutes. */
export function formatDuration(seconds) {
  const whole = seconds < MIN_SECONDS_IN_WHOLE_MINUTES ? Math.round(seconds) : 60 * Math.round(seconds / 60);
  const [hours, minutes, secondsLeft] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (hours) return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
  if (minutes) return secondsLeft ? `${minutes} min ${secondsLeft} s` : `${minutes} min`;
  return `${secondsLeft} s`;
}

/** The reader's time zone: `GMT+2` */
export function zoneName(timestamp = Date.now()) {
  return formats.zone.formatToParts(new Date(timestamp)).find((part) => part.type === "timeZoneName").value;
}
