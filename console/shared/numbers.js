// Number formats.

import { t } from "./texts.js";

const UNITS = ["B", "KiB", "MiB", "GiB"];

/** `1,234.57` */
export const formatNumber = (value) => value.toLocaleString("en", { maximumFractionDigits: 2 });

/** Like `formatNumber`, with a dash for null. */
export const numberOrDash = (value) => (value === null ? t("metrics.none") : formatNumber(value));

/** `12.5 %`, from a ratio or from two counts. */
export const formatShare = (part, whole = 1) => `${formatNumber(Math.round((1000 * part) / whole) / 10)} %`;

/** `$1,234.50`, or `<$0.01` for smaller amounts. */
export function formatDollars(amount) {
  if (amount > 0 && amount < 0.005) return "<$0.01";
  return `$${amount.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

/** `20 KiB` */
export function formatBytes(bytes) {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}
