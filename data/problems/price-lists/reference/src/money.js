/** Prices. They are integers, in cents. */

const PRICE = /^(\d+|\d{1,3}(?:,\d{3})+)(?:\.(\d{1,2}))?$/;

/**
 * Read a price such as "12.5" or "1,299.00". Returns cents, or null if the text is not a price above zero.
 *
 * The digits are never read as a fraction: 4.35 has no exact floating-point value, and 4.35 * 100 is below 435.
 *
 * @param {string} text
 * @returns {number | null}
 */
export function parsePrice(text) {
  const [, whole, decimals = ""] = text.match(PRICE) ?? [];
  if (whole === undefined) {
    return null;
  }
  const cents = Number(whole.replaceAll(",", "") + decimals.padEnd(2, "0"));
  return cents > 0 && Number.isSafeInteger(cents) ? cents : null;
}

/** @param {number} cents */
export function formatPrice(cents) {
  return (cents / 100).toFixed(2);
}
