/** Price lists: the rows of a CSV file, by column. */

import { parseCsv } from "./csv.js";
import { UserError } from "./errors.js";

const COLUMNS = ["sku", "name", "price"];

/**
 * Read the rows of a price list.
 *
 * @param {string} text
 * @returns {{sku: string, name: string, price: string}[]}
 */
export function readPriceList(text) {
  const [header = [], ...rows] = parseCsv(text);
  const names = header.map((name) => name.toLowerCase());
  for (const column of COLUMNS) {
    if (!names.includes(column)) {
      throw new UserError(`The list has no column "${column}".`);
    }
  }
  const positions = COLUMNS.map((column) => names.indexOf(column));
  return rows.map((row) => {
    const [sku, name, price] = positions.map((position) => row[position] ?? "");
    return { sku, name, price };
  });
}
