// Descriptions of a session's scores.

import { formatNumber } from "./numbers.js";
import { t } from "./texts.js";

/** A criterion's title with its weight, unless it is 1: `Design × 2` */
export const weighted = (title, weight = 1) => (weight === 1 ? title : t("scores.weighted", { title, weight: formatNumber(weight) }));

/** Describe the total of a scorecard or a result: `6.5 of 8` */
export const totalText = ({ total, highestTotal }) => t("scores.total", { total: formatNumber(total), highest: formatNumber(highestTotal) });

/** Describe a session's total score, or why there is none. */
export function scoreText(scorecard) {
  const { rubric, othersHidden, total, rubricVersion, currentRubricVersion, reviewerCount } = scorecard;
  if (!rubric) return t("report.noRubric");
  if (!reviewerCount) return t("scoring.unscored");
  if (othersHidden) return t("report.scoreHidden");
  const text = total === null ? t("report.notScored") : totalText(scorecard);
  if (rubricVersion === currentRubricVersion || currentRubricVersion === null) return text;
  return t("scores.totalWithVersion", { total: text, version: rubricVersion, current: currentRubricVersion });
}

/** Return the largest difference between two reviewers on one criterion, or null. */
export function largestSpread({ criteria }) {
  const spreads = criteria.filter(({ scores }) => scores.length > 1).map(({ spread }) => spread);
  return spreads.length ? Math.max(...spreads) : null;
}

/** Describe a difference between reviewers: `2 apart` */
export const spreadText = (spread) => (spread ? t("scores.apart", { n: spread }) : t("scores.agree"));
