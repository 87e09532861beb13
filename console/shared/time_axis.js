// A time axis on which long pauses take little room.

const PAUSE_MS = 5 * 60_000;
const PAUSE_SHARE = 0.03;
const MAX_PAUSES_SHARE = 0.3;
const STEPS_MS = [1, 5, 10, 30, 60, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400].map((seconds) => seconds * 1000);

/**
 * The axis of events in order: `at(time)` from 0 to 1, its `pauses` as `{start, end}`, and `ticks(count)`, at most about
 * so many round times outside pauses, as `{times, step}` in milliseconds.
 */
export function compress(events) {
  const first = events[0]?.time ?? 0;
  const last = Math.max(events.at(-1)?.time ?? 0, first + 1);
  const pauses = findPauses(events);
  const worked = Math.max(1, last - first - pauses.reduce((sum, { start, end }) => sum + end - start, 0));
  const share = pauses.length ? Math.min(PAUSE_SHARE, MAX_PAUSES_SHARE / pauses.length) : 0;
  const scale = (1 - share * pauses.length) / worked;
  const stretches = stretchesOf(first, last, pauses, scale, share);
  return { at: (time) => position(stretches, time), pauses, ticks: (count) => ticks(stretches, worked, count) };
}

function findPauses(events) {
  const pauses = [];
  for (let n = 1; n < events.length; n += 1) {
    const [start, end] = [events[n - 1].time, events[n].time];
    if (end - start > PAUSE_MS) pauses.push({ start, end });
  }
  return pauses;
}

/** Parts of the axis in order: from which time and position, and how fast it goes on. */
function stretchesOf(first, last, pauses, scale, share) {
  const stretches = [];
  let at = 0;
  let time = first;
  for (const { start, end } of [...pauses, { start: last, end: last }]) {
    stretches.push({ start: time, end: start, at, scale, isPause: false });
    at += (start - time) * scale;
    if (end > start) stretches.push({ start, end, at, scale: share / (end - start), isPause: true });
    at += end > start ? share : 0;
    time = end;
  }
  return stretches;
}

function position(stretches, time) {
  let [low, high] = [0, stretches.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (stretches[middle].start <= time) low = middle;
    else high = middle - 1;
  }
  const { start, at, scale } = stretches[low];
  return Math.max(0, Math.min(1, at + (time - start) * scale));
}

function ticks(stretches, worked, count) {
  const step =
    STEPS_MS.find((each) => worked / each <= count) ?? STEPS_MS.at(-1) * Math.ceil(worked / STEPS_MS.at(-1) / count);
  const times = stretches.filter((stretch) => !stretch.isPause).flatMap((stretch) => roundTimes(stretch, step, count));
  return { times, step };
}

function roundTimes({ start, end }, step, count) {
  const times = [];
  for (let time = Math.ceil(start / step) * step; time <= end && times.length <= count; time += step) times.push(time);
  return times.length ? times : [start];
}
