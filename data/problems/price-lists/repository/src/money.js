/** Prices. They are integers, in cents. */

/**
 * Read a price such as "12.50". Returns cents, or null if the text is not a price above zero.
 *
 * @param {string} text
 * @returns {number | null}
 */
export function parsePrice(text) {
  const cents = Math.floor(parseFloat(text) * 100);
  return cents > 0 ? cents : null;
}

/** @param {number} cents */
export function formatPrice(cents) {
  return (cents / 100).toFixed(2);
}
