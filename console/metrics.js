// How the metrics that cohorts compare are named, formatted, and judged. The direction is the API's.

import { t } from "./texts.js";
import { formatDuration } from "./time.js";

const MINUTES_FROM_SECONDS = 600;

const FORMATS = {
  durationMs: duration,
  promptCount: String,
  commandFailRate: percentage,
  verifyIntensity: (value) => value.toFixed(2),
  manualEditRatio: percentage,
  firstChangeLatencyMs: duration,
};

/** In the order of the API: `[{name, label, definition, format(value)}]`; `format` of null is a dash. */
export const METRICS = Object.keys(FORMATS).map((name) => ({
  name,
  label: t(`metrics.${name}.label`),
  definition: t(`metrics.${name}.definition`),
  format: (value) => formatMetric(name, value),
}));

export function formatMetric(name, value) {
  return value === null || value === undefined ? t("metrics.none") : FORMATS[name](value);
}

/** In words: whether a higher or a lower value is better, from `summary` of the cohort statistics. */
export const directionText = ({ direction }) => t(`metrics.${direction}`);

/** Whole minutes from ten minutes on. */
function duration(ms) {
  const seconds = ms / 1000;
  return formatDuration(seconds < MINUTES_FROM_SECONDS ? seconds : Math.round(seconds / 60) * 60);
}

function percentage(ratio) {
  return `${Number((ratio * 100).toFixed(1))} %`;
}
