// A session's scores in words.

import { formatNumber } from "./numbers.js";
import { t } from "./texts.js";

/** `6.5 of 8`, from a session's scores or a result. */
export const totalText = ({ total, highestTotal }) => t("scores.total", { total: formatNumber(total), highest: formatNumber(highestTotal) });

/** A session's total score in words, even without a total. */
export function scoreText(scorecard) {
  const { rubric, othersHidden, total, rubricVersion, currentRubricVersion, reviewerCount } = scorecard;
  if (!rubric) return t("report.noRubric");
  if (!reviewerCount) return t("scoring.unscored");
  if (othersHidden) return t("report.scoreHidden");
  const text = total === null ? t("report.notScored") : totalText(scorecard);
  if (rubricVersion === currentRubricVersion) return text;
  return t("scores.ofVersion", { total: text, version: rubricVersion, current: currentRubricVersion });
}

/** The largest difference between two reviewers on one criterion, or null. */
export function spreadOf({ criteria }) {
  const spreads = criteria.filter(({ scores }) => scores.length > 1).map(({ spread }) => spread);
  return spreads.length ? Math.max(...spreads) : null;
}

/** The difference between reviewers on one criterion: `2 apart` */
export const spreadText = (spread) => (spread ? t("scores.apart", { n: spread }) : t("scores.agree"));
