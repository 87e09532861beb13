// The scores of a session in words, on every page.

import { formatNumber } from "./numbers.js";
import { t } from "./texts.js";

/** `6.5 of 8`, of a session's scores or a result's. */
export const totalText = ({ total, highestTotal }) => t("scores.total", { total: formatNumber(total), highest: formatNumber(highestTotal) });

/** As the results have it: the largest difference of two reviewers on one criterion, or null. */
export function spreadOf({ criteria }) {
  const spreads = criteria.filter(({ scores }) => scores.length > 1).map(({ spread }) => spread);
  return spreads.length ? Math.max(...spreads) : null;
}

/** How far reviewers are apart on one criterion: `2 apart` */
export const spreadText = (spread) => (spread ? t("scores.apart", { n: spread }) : t("scores.agree"));
