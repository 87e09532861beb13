// Metric names, formats and directions. Directions come from the API.

import { formatNumber, formatShare } from "./numbers.js";
import { t } from "./texts.js";
import { formatDuration } from "./time.js";

// The limit for a cohort's `small`, applied to the sessions that have a value.
const MIN_RANKED = 10;
const FEW_OBSERVATIONS = 10;
const RATES = new Set(["commandFailRate", "verifyIntensity", "manualEditRatio"]);
const COHORT_FORMATS = {
  durationMs: duration,
  promptCount: formatNumber,
  commandFailRate: formatShare,
  verifyIntensity: (value) => formatNumber(Math.round(10 * value) / 10),
  manualEditRatio: formatShare,
  firstChangeLatencyMs: duration,
};
const OTHER_FORMATS = {
  recordedLineRatio: formatShare,
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

/** Cohort metrics in API order: `[{name, label, definition, format(value)}]`. `format(null)` is a dash. */
export const METRICS = metrics(COHORT_FORMATS);

/** Metrics that are not compared with a cohort, in the same format as `METRICS`. */
export const OTHER_METRICS = metrics(OTHER_FORMATS);

/**
 * Describe a session's rank, including ties, or return null in small cohorts.
 *
 * cohort -- the session's `cohortStats`
 */
export function rankText(name, { small }, { n, below, equal, above }) {
  if (small || n < MIN_RANKED || (below ?? null) === null) return null;
  const values = { below, equal, above, n: n - 1 };
  if (name === "commandFailRate") return t(equal ? "metrics.failureRankWithEqual" : "metrics.failureRank", values);
  return t(equal ? "metrics.rankWithEqual" : "metrics.rank", values);
}

/** True if the API's 0 says nothing: only the candidate's client records what candidates type. */
export const isUnrecorded = (name, { coverage }) => name === "manualEditRatio" && coverage?.metricsFrom === "channels";

/** Describe a session's value of a metric. */
export const valueText = ({ name, format }, value, session) => {
  // Without events, the API's shares are 0.
  if (session.eventCount === 0) return t("metrics.none");
  return isUnrecorded(name, session) ? t("metrics.notRecorded") : format(value);
};

/** Describe the number of observations behind a session's value, or return null if it is unknown. */
export function observationsText(name, { value, valueObservations: n }) {
  return value === null || (n ?? null) === null ? null : t(`metrics.observations.${name}`, { n });
}

/** True if the session's value is a rate based on too few observations. */
export function isUnreliable(name, { value, valueObservations: n }) {
  return value !== null && RATES.has(name) && (n ?? FEW_OBSERVATIONS) < FEW_OBSERVATIONS;
}

/** Return warnings about a cohort that is small, or that has open sessions, sessions without events or without a value. */
export function cohortNotes({ smallNote, open, empty, summary }) {
  const leftOut = METRICS.map(({ name, label }) => summary[name].note && t("metrics.leftOut", { label, note: summary[name].note }));
  return [smallNote, open > 0 && t("metrics.open", { n: open }), empty > 0 && t("metrics.empty", { n: empty }), ...leftOut].filter(Boolean);
}

/** Describe the preferred direction from the cohort's `summary`. */
export const directionText = ({ direction }) => t(`metrics.${direction}`);

function duration(ms) {
  return formatDuration(ms / 1000);
}
