/** Importing price lists into a book: first a plan, which changes nothing, then the changes. */

import { formatPrice, parsePrice } from "./money.js";

/**
 * `before` and `after` are prices in cents; null without one.
 *
 * @typedef {{kind: "added" | "changed" | "discontinued", sku: string, name: string,
 *     before: number | null, after: number | null}} Change
 * @typedef {{changes: Change[], unchanged: number, errors: {line: number, message: string}[]}} Plan
 */

/**
 * Compare a price list with a book. A plan with errors must not be applied.
 *
 * @param {import("./book.js").Book} book
 * @param {string} supplier
 * @param {import("./priceList.js").Row[]} rows
 * @param {boolean} isComplete whether the supplier's products that are not in the list are discontinued
 * @returns {Plan}
 */
export function planImport(book, supplier, rows, isComplete) {
  const plan = { changes: [], unchanged: 0, errors: [] };
  const lines = new Map();
  for (const row of rows) {
    const message = row.error ?? findError(book, supplier, row, lines);
    if (message !== undefined) {
      plan.errors.push({ line: row.line, message });
      continue;
    }
    lines.set(row.sku, row.line);
    const change = compare(findProduct(book, row.sku), row);
    if (change) {
      plan.changes.push(change);
    } else {
      plan.unchanged++;
    }
  }
  if (isComplete) {
    if (rows.length === 0) {
      plan.errors.push({ line: 1, message: "A complete list without rows would discontinue every product." });
    }
    plan.changes.push(...findMissing(book, supplier, lines));
  }
  return plan;
}

/** Describe the first error of a row. `lines` are the lines of earlier rows, by SKU. */
function findError(book, supplier, { sku, name, price }, lines) {
  if (sku === "" || name === "") {
    return "The row has no SKU or no name.";
  }
  if (parsePrice(price) === null) {
    return `"${price}" is not a price such as 12.50 or 1,299.00.`;
  }
  if (lines.has(sku)) {
    return `${sku} is also in line ${lines.get(sku)}.`;
  }
  const owner = findProduct(book, sku)?.supplier ?? supplier;
  return owner === supplier ? undefined : `${sku} belongs to ${owner}.`;
}

/** Return the change that a row makes to its product, or null. */
function compare(product, { sku, name, price }) {
  const after = parsePrice(price);
  const before = product?.price ?? null;
  if (product === undefined || product.discontinued) {
    return { kind: "added", sku, name, before, after };
  }
  return product.name === name && before === after ? null : { kind: "changed", sku, name, before, after };
}

function findMissing(book, supplier, lines) {
  return Object.entries(book.products)
    .filter(([sku, product]) => product.supplier === supplier && !product.discontinued && !lines.has(sku))
    .map(([sku, { name, price }]) => ({ kind: "discontinued", sku, name, before: price, after: null }))
    .sort((one, other) => (one.sku < other.sku ? -1 : 1));
}

/** @returns {import("./book.js").Product | undefined} */
function findProduct(book, sku) {
  return Object.hasOwn(book.products, sku) ? book.products[sku] : undefined;
}

/**
 * Find the prices that rise or fall by more than half.
 *
 * @param {Plan} plan
 */
export function findLargeChanges(plan) {
  return plan.changes.filter(
    ({ before, after }) => before !== null && after !== null && 2 * Math.abs(after - before) > before,
  );
}

/**
 * Apply a plan to the book that it was made for.
 *
 * @param {import("./book.js").Book} book
 * @param {string} supplier
 * @param {Plan} plan
 * @param {string} date the date of new prices and of discontinued products
 */
export function applyPlan(book, supplier, plan, date) {
  for (const { kind, sku, name, before, after } of plan.changes) {
    // Products have fields of other programs, which stay.
    const product = findProduct(book, sku) ?? { name, supplier, price: after, history: [] };
    if (kind === "discontinued") {
      product.discontinued = date;
    } else {
      delete product.discontinued;
      product.name = name;
      if (before !== after) {
        product.price = after;
        product.history.push({ date, price: after });
      }
    }
    book.products[sku] = product;
  }
}

/**
 * Describe a plan: a line for each change, and the counts.
 *
 * @param {Plan} plan
 */
export function formatPlan({ changes, unchanged }) {
  const lines = changes.map(({ kind, sku, before, after }) => {
    if (kind === "added") {
      return `+ ${sku} ${formatPrice(after)}`;
    }
    return kind === "changed" ? `~ ${formatChange({ sku, before, after })}` : `- ${sku} discontinued`;
  });
  const count = (kind) => `${changes.filter((change) => change.kind === kind).length} ${kind}`;
  const counts = [...["added", "changed", "discontinued"].map(count), `${unchanged} unchanged`];
  return [...lines, counts.join(", ")].map((line) => `${line}\n`).join("");
}

/** Describe a product's old and new price. */
export function formatChange({ sku, before, after }) {
  return `${sku} ${formatPrice(before)} -> ${formatPrice(after)}`;
}
