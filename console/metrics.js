// How metrics are named, formatted, and judged, on every page. The direction is the API's.

import { t } from "./texts.js";
import { formatDuration } from "./time.js";

const COMPARED = {
  durationMs: duration,
  promptCount: count,
  commandFailRate: percentage,
  verifyIntensity: rate,
  manualEditRatio: percentage,
  firstChangeLatencyMs: duration,
};
const OTHERS = {
  manualLineRatio: percentage,
  commandCount: count,
  fileChangeCount: count,
  uniqueFilesTouched: count,
  testRunCount: count,
  decisionCount: count,
  errorEpisodes: count,
  aiAttributionPct: (value) => percentage(value / 100),
};

const metrics = (formats) =>
  Object.entries(formats).map(([name, format]) => ({
    name,
    label: t(`metrics.${name}.label`),
    definition: t(`metrics.${name}.definition`),
    format: (value) => (value === null || value === undefined ? t("metrics.none") : format(value)),
  }));

/** Those that cohorts compare, in the order of the API: `[{name, label, definition, format(value)}]`; `format` of null is a dash. */
export const METRICS = metrics(COMPARED);

/** The session's other numbers, as `METRICS`. */
export const OTHER_METRICS = metrics(OTHERS);

/** In words: whether a higher or a lower value is better, from `summary` of the cohort statistics. */
export const directionText = ({ direction }) => t(`metrics.${direction}`);

function duration(ms) {
  return formatDuration(ms / 1000);
}

function count(value) {
  return value.toLocaleString("en", { maximumFractionDigits: 2 });
}

function rate(value) {
  return value.toFixed(2);
}

function percentage(ratio) {
  return `${Number((ratio * 100).toFixed(1))} %`;
}
