/** The book: products with their prices, in a JSON file. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";

import { UserError } from "./errors.js";

const VERSION = 1;

/**
 * @typedef {{date: string, price: number}} Price
 * @typedef {{name: string, supplier: string, price: number, history: Price[]}} Product
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
 * @param {string} path
 * @param {Book} book
 */
export function saveBook(path, book) {
  writeFileSync(path, JSON.stringify(book, null, 2) + "\n");
}

/**
 * List a book's products by SKU.
 *
 * @param {Book} book
 * @param {string} [supplier] only this supplier's products
 */
export function listProducts(book, supplier) {
  return Object.entries(book.products)
    .filter(([, product]) => supplier === undefined || product.supplier === supplier)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([sku, product]) => ({ sku, ...product }));
}
