/** Importing price lists into a book. */

import { UserError } from "./errors.js";
import { parsePrice } from "./money.js";

/**
 * Import the rows of a price list, and call `save` after each of them, so that nothing is lost if the import stops.
 *
 * @param {import("./book.js").Book} book
 * @param {string} supplier
 * @param {{sku: string, name: string, price: string}[]} rows
 * @param {string} date the date of new prices
 * @param {() => void} save
 */
export function importRows(book, supplier, rows, date, save) {
  const counts = { added: 0, changed: 0, unchanged: 0 };
  rows.forEach((row, index) => {
    const price = parsePrice(row.price);
    if (row.sku === "" || row.name === "") {
      throw new UserError(`Row ${index + 1} has no SKU or no name.`);
    }
    if (price === null) {
      throw new UserError(`Row ${index + 1}: "${row.price}" is not a price.`);
    }
    counts[importRow(book, supplier, row, price, date)]++;
    save();
  });
  return counts;
}

function importRow(book, supplier, { sku, name }, price, date) {
  const product = book.products[sku];
  if (product === undefined) {
    book.products[sku] = { name, supplier, price, history: [{ date, price }] };
    return "added";
  }
  if (product.name === name && product.price === price) {
    return "unchanged";
  }
  if (product.price !== price) {
    product.price = price;
    product.history.push({ date, price });
  }
  product.name = name;
  product.supplier = supplier;
  return "changed";
}
