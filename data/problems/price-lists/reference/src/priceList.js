/** Price lists: the rows of a CSV file, by column. */

import { parseCsv } from "./csv.js";
import { UserError } from "./errors.js";

const COLUMNS = ["sku", "name", "price"];

/**
 * Read the rows of a price list. A row with more or fewer fields than the header has an `error`.
 *
 * @typedef {{line: number, sku: string, name: string, price: string, error?: string}} Row
 * @param {string} text
 * @returns {Row[]}
 */
export function readPriceList(text) {
  const [header = { line: 1, fields: [] }, ...rows] = parseCsv(text);
  const names = header.fields.map((name) => name.toLowerCase());
  for (const column of COLUMNS) {
    if (!names.includes(column)) {
      throw new UserError(`The list has no column "${column}".`);
    }
  }
  const positions = COLUMNS.map((column) => names.indexOf(column));
  return rows.map(({ line, fields }) => {
    const [sku, name, price] = positions.map((position) => fields[position] ?? "");
    const error =
      fields.length === names.length ? undefined : `Expected ${names.length} fields, found ${fields.length}.`;
    return { line, sku, name, price, error };
  });
}
