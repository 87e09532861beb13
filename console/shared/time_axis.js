// A time axis that compresses long pauses.

const PAUSE_MS = 5 * 60_000;
const PAUSE_SHARE = 0.03;
const MAX_PAUSES_SHARE = 0.3;
const STEPS_MS = [1, 5, 10, 30, 60, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400].map((seconds) => seconds * 1000);

/**
 * Build the axis for sorted events:
 *
 * at(time) -- position from 0 to 1
 * pauses -- `[{start, end}]`
 * ticks(count) -- `{times, step}` in milliseconds: about `count` round times outside pauses
 */
export function buildTimeAxis(events) {
  const first = events[0]?.time ?? 0;
  const last = Math.max(events.at(-1)?.time ?? 0, first + 1);
  const pauses = findPauses(events);
  const activeMs = Math.max(1, last - first - pauses.reduce((sum, { start, end }) => sum + end - start, 0));
  const share = pauses.length ? Math.min(PAUSE_SHARE, MAX_PAUSES_SHARE / pauses.length) : 0;
  const scale = (1 - share * pauses.length) / activeMs;
  const segments = axisSegments(first, last, pauses, scale, share);
  return { at: (time) => position(segments, time), pauses, ticks: (count) => ticks(segments, activeMs, count) };
}

function findPauses(events) {
  const pauses = [];
  for (let n = 1; n < events.length; n += 1) {
    const [start, end] = [events[n - 1].time, events[n].time];
    if (end - start > PAUSE_MS) pauses.push({ start, end });
  }
  return pauses;
}

/** Split the axis into segments, each with a start time, a start position and a scale. */
function axisSegments(first, last, pauses, scale, share) {
  const segments = [];
  let at = 0;
  let time = first;
  for (const { start, end } of [...pauses, { start: last, end: last }]) {
    segments.push({ start: time, end: start, at, scale, isPause: false });
    at += (start - time) * scale;
    if (end > start) segments.push({ start, end, at, scale: share / (end - start), isPause: true });
    at += end > start ? share : 0;
    time = end;
  }
  return segments;
}

function position(segments, time) {
  let [low, high] = [0, segments.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (segments[middle].start <= time) low = middle;
    else high = middle - 1;
  }
  const { start, at, scale } = segments[low];
  return Math.max(0, Math.min(1, at + (time - start) * scale));
}

function ticks(segments, activeMs, count) {
  const maxStep = STEPS_MS.at(-1);
  const step = STEPS_MS.find((ms) => activeMs / ms <= count) ?? maxStep * Math.ceil(activeMs / maxStep / count);
  const times = segments.filter(({ isPause }) => !isPause).flatMap((segment) => roundTimes(segment, step, count));
  return { times, step };
}

function roundTimes({ start, end }, step, count) {
  const times = [];
  for (let time = Math.ceil(start / step) * step; time <= end && times.length <= count; time += step) times.push(time);
  return times.length ? times : [start];
}
