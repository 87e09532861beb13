/** The book: products with their prices, in a JSON file. */

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

import { UserError } from "./errors.js";

const VERSION = 1;

/**
 * @typedef {{date: string, price: number}} Price
 * @typedef {{name: string, supplier: string, price: number, history: Price[], discontinued?: string}} Product
 * @typedef {{version: number, products: Record<string, Product>}} Book
 */

/**
 * Read a book. A file that does not exist is an empty book.
 *
 * @param {string} path
 * @returns {Book}
 */
export function loadBook(path) {
  if (!existsSync(path)) {
    return { version: VERSION, products: {} };
  }
  let book;
  try {
    book = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    throw new UserError(`${path} is not a JSON file.`);
  }
  if (book?.version !== VERSION) {
    throw new UserError(`${path} is not a book of version ${VERSION}.`);
  }
  return book;
}

/**
 * Write a book. Other programs see the old file or the new one, never a part, also if this process is killed.
 *
 * @param {string} path
 * @param {Book} book
 */
export function saveBook(path, book) {
  // In the same folder, since a file can't be renamed to another file system.
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, JSON.stringify(book, null, 2) + "\n");
  renameSync(temporary, path);
}

/**
 * List a book's products by SKU. `discontinued` is a date or null.
 *
 * @param {Book} book
 * @param {string} [supplier] only this supplier's products
 */
export function listProducts(book, supplier) {
  return Object.entries(book.products)
    .filter(([, product]) => supplier === undefined || product.supplier === supplier)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([sku, product]) => ({ sku, ...product, discontinued: product.discontinued ?? null }));
}
