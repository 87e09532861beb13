// Metrics' names, formats and directions. Directions come from the API.

import { formatNumber, formatShare } from "./numbers.js";
import { t } from "./texts.js";
import { formatDuration } from "./time.js";

// Like a cohort's `small`, for a metric that some sessions lack.
const MIN_RANKED = 10;
const FEW_OBSERVATIONS = 10;
const RATES = new Set(["commandFailRate", "verifyIntensity", "manualEditRatio"]);
const COMPARED = {
  durationMs: duration,
  promptCount: formatNumber,
  commandFailRate: formatShare,
  verifyIntensity: formatNumber,
  manualEditRatio: formatShare,
  firstChangeLatencyMs: duration,
};
const OTHERS = {
  manualLineRatio: formatShare,
  commandCount: formatNumber,
  fileChangeCount: formatNumber,
  uniqueFilesTouched: formatNumber,
  testRunCount: formatNumber,
  decisionCount: formatNumber,
  errorEpisodes: formatNumber,
  aiAttributionPct: (value) => formatShare(value, 100),
};

const metrics = (formats) =>
  Object.entries(formats).map(([name, format]) => ({
    name,
    label: t(`metrics.${name}.label`),
    definition: t(`metrics.${name}.definition`),
    format: (value) => (value === null || value === undefined ? t("metrics.none") : format(value)),
  }));

/** The cohort metrics in API order: `[{name, label, definition, format(value)}]`. `format(null)` is a dash. */
export const METRICS = metrics(COMPARED);

/** The session's other numbers, shaped like `METRICS`. */
export const OTHER_METRICS = metrics(OTHERS);

/**
 * Describe a session's rank, including ties; null in small cohorts.
 *
 * cohort -- `cohortStats` with the session's id
 */
export function rankText(name, { small }, { n, below, equal, above }) {
  if (small || n < MIN_RANKED || (below ?? null) === null) return null;
  const values = { below, equal, above, n: n - 1 };
  if (name === "commandFailRate") return t(equal ? "metrics.failureRankWithEqual" : "metrics.failureRank", values);
  return t(equal ? "metrics.rankWithEqual" : "metrics.rank", values);
}

/** Describe the number of observations behind a session's value; null if it is unknown. */
export function observationsText(name, { valueObservations: n }) {
  return (n ?? null) === null ? null : t(`metrics.observations.${name}`, { n });
}

/** True if the session's value is a rate based on too few observations. */
export function isUnreliable(name, { valueObservations: n }) {
  return RATES.has(name) && (n ?? FEW_OBSERVATIONS) < FEW_OBSERVATIONS;
}

/** Warnings about a cohort: small, with open sessions, or with sessions without events. */
export function cohortNotes({ smallNote, open, empty }) {
  return [smallNote, open > 0 && t("metrics.open", { n: open }), empty > 0 && t("metrics.empty", { n: empty })].filter(Boolean);
}

/** The preferred direction in words, from the cohort's `summary`. */
export const directionText = ({ direction }) => t(`metrics.${direction}`);

function duration(ms) {
  return formatDuration(ms / 1000);
}
