// Names, formats and directions of metrics, on every page. The direction is the API's.

import { formatNumber, formatShare } from "./numbers.js";
import { t } from "./texts.js";
import { formatDuration } from "./time.js";

// As `small` of a cohort, for a metric that not every session has.
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

/** The metrics that cohorts compare, in the order of the API: `[{name, label, definition, format(value)}]`; `format` of null is a dash. */
export const METRICS = metrics(COMPARED);

/** The session's other numbers, as `METRICS`. */
export const OTHER_METRICS = metrics(OTHERS);

/**
 * The rank of a session's value among the others', ties included; null in small cohorts.
 *
 * cohort -- `cohortStats` with the session's id
 */
export function rankText(name, { small }, { n, below, equal, above }) {
  if (small || n < MIN_RANKED || (below ?? null) === null) return null;
  const values = { below, equal, above, n: n - 1 };
  if (name === "commandFailRate") return t(equal ? "metrics.failureRankWithEqual" : "metrics.failureRank", values);
  return t(equal ? "metrics.rankWithEqual" : "metrics.rank", values);
}

/** The number of observations that the session's value is based on; null if it is unknown. */
export function observationsText(name, { valueObservations: n }) {
  return (n ?? null) === null ? null : t(`metrics.observations.${name}`, { n });
}

/** True if the session's value is a rate of too few observations. */
export function isUnreliable(name, { valueObservations: n }) {
  return RATES.has(name) && (n ?? FEW_OBSERVATIONS) < FEW_OBSERVATIONS;
}

/** Warnings about a cohort: small, unfinished, or with sessions that count as zeros. */
export function cohortNotes({ smallNote, open, empty }) {
  return [smallNote, open > 0 && t("metrics.open", { n: open }), empty > 0 && t("metrics.empty", { n: empty })].filter(Boolean);
}

/** The preferred direction in words, from `summary` of the cohort statistics. */
export const directionText = ({ direction }) => t(`metrics.${direction}`);

function duration(ms) {
  return formatDuration(ms / 1000);
}
