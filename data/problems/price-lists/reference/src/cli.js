/** The command line: arguments, commands, output. */

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { listProducts, loadBook, saveBook } from "./book.js";
import { InvalidList, LargeChanges, UserError } from "./errors.js";
import { applyPlan, findLargeChanges, formatChange, formatPlan, planImport } from "./importer.js";
import { formatPrice } from "./money.js";
import { readPriceList } from "./priceList.js";
import { formatTable } from "./table.js";

const USAGE = `Usage:
  pricebook import FILE --supplier NAME [--date YYYY-MM-DD] [--preview] [--complete] [--accept-large-changes]
  pricebook list [--supplier NAME] [--all] [--json]
  pricebook show SKU [--json]

All commands take --book FILE (pricebook.json).
`;
const OPTIONS = {
  "accept-large-changes": { type: "boolean" },
  all: { type: "boolean" },
  book: { type: "string", default: "pricebook.json" },
  complete: { type: "boolean" },
  date: { type: "string" },
  help: { type: "boolean" },
  json: { type: "boolean" },
  preview: { type: "boolean" },
  supplier: { type: "string" },
};
const COMMANDS = { import: importCommand, list: listCommand, show: showCommand };

/**
 * Run a command, and return the exit code.
 *
 * @param {string[]} args
 * @param {{write(text: string): unknown}} stdout
 * @param {{write(text: string): unknown}} stderr
 */
export function main(args, stdout, stderr) {
  try {
    const { values, positionals } = parseArguments(args);
    const [name, ...operands] = positionals;
    if (values.help || name === undefined) {
      stdout.write(USAGE);
      return 0;
    }
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (command === undefined) {
      throw new UserError(`There is no command "${name}". Try --help.`);
    }
    stdout.write(command(operands, values));
    return 0;
  } catch (error) {
    if (!(error instanceof UserError)) {
      throw error;
    }
    stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
}

function parseArguments(args) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UserError(error.message);
  }
}

function importCommand(operands, options) {
  const [file] = requireOperands(operands, "FILE");
  const supplier = options.supplier?.trim();
  if (!supplier) {
    throw new UserError("An import needs --supplier.");
  }
  const date = options.date ?? new Date().toISOString().slice(0, 10);
  if (!/^\d{4}-\d{2}-\d{2}$/.test(date)) {
    throw new UserError("--date must be YYYY-MM-DD.");
  }
  const book = loadBook(options.book);
  const rows = readPriceList(readText(file));
  const plan = planImport(book, supplier, rows, Boolean(options.complete));
  if (plan.errors.length > 0) {
    throw new InvalidList(file, plan.errors);
  }
  const largeChanges = findLargeChanges(plan);
  if (largeChanges.length > 0 && !options["accept-large-changes"]) {
    throw new LargeChanges(largeChanges.map(formatChange).join("\n"));
  }
  if (plan.changes.length > 0 && !options.preview) {
    applyPlan(book, supplier, plan, date);
    saveBook(options.book, book);
  }
  return formatPlan(plan);
}

function listCommand(operands, options) {
  requireOperands(operands);
  const products = listProducts(loadBook(options.book), options.supplier).filter(
    (product) => options.all || product.discontinued === null,
  );
  if (options.json) {
    return toJson(products);
  }
  const rows = products.map(({ sku, name, supplier, price }) => [sku, name, supplier, formatPrice(price)]);
  return formatTable([["SKU", "NAME", "SUPPLIER", "PRICE"], ...rows], new Set([3]));
}

function showCommand(operands, options) {
  const [sku] = requireOperands(operands, "SKU");
  const product = listProducts(loadBook(options.book)).find((each) => each.sku === sku);
  if (product === undefined) {
    throw new UserError(`There is no product ${sku}.`);
  }
  if (options.json) {
    return toJson(product);
  }
  const prices = product.history.map(({ date, price }) => [date, formatPrice(price)]);
  const discontinued = product.discontinued ? `, discontinued on ${product.discontinued}` : "";
  return `${sku}: ${product.name} (${product.supplier})${discontinued}\n${formatTable(prices, new Set([1]))}`;
}

function requireOperands(operands, ...names) {
  if (operands.length !== names.length) {
    throw new UserError(`Expected ${names.join(" ") || "no operands"}. Try --help.`);
  }
  return operands;
}

function readText(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    throw new UserError(`${file} cannot be read.`);
  }
}

function toJson(value) {
  return JSON.stringify(value, null, 2) + "\n";
}
