/** Runs the submission's commands through serve/serve.mjs. */

import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";

const URL = "http://127.0.0.1:8703";
const START_MS = 20_000;

export const BOOK = "pricebook.json";
export const HEADER = "sku,name,price\n";

/** Wait until the server responds, or START_MS have passed. */
export async function waitUntilReady() {
  for (const deadline = Date.now() + START_MS; Date.now() < deadline; await setTimeout(100)) {
    if (await fetch(URL).catch(() => null)) {
      return;
    }
  }
}

/** Build a product as version 1.4 writes it. */
export function product(name, price, fields = {}) {
  return { name, supplier: "Nordvik", price, history: [{ date: "2026-01-12", price }], ...fields };
}

/** A folder with a book. Each command starts with the files that the one before has left. */
export class Folder {
  date = "2026-03-02";

  constructor(products) {
    this.files = products ? { [BOOK]: `${JSON.stringify({ version: 1, products }, null, 2)}\n` } : {};
  }

  get book() {
    return this.files[BOOK];
  }

  get products() {
    return JSON.parse(this.book).products;
  }

  async run(...args) {
    const body = JSON.stringify({ files: this.files, args });
    const response = await fetch(URL, { method: "POST", body });
    assert.equal(response.status, 200);
    const { files, ...result } = await response.json();
    this.files = files;
    return result;
  }

  /** Import a list with this text. */
  async import(text, ...options) {
    this.files["list.csv"] = text;
    return this.run("import", "list.csv", "--supplier", "Nordvik", "--date", this.date, ...options);
  }

  /** Import a list that must be accepted. Returns the output's lines. */
  async accepted(text, ...options) {
    const { code, stdout, stderr } = await this.import(text, ...options);
    assert.equal(code, 0, stderr);
    return stdout.trim().split("\n");
  }

  /** Import a list that must be rejected without a change of the book. Returns stderr. */
  async rejected(code, text, ...options) {
    const before = this.book;
    const result = await this.import(text, ...options);
    assert.deepEqual([result.code, result.stdout], [code, ""], result.stderr);
    assert.equal(this.book, before, "The book has changed.");
    return result.stderr;
  }

  /** Import a list with invalid rows. Returns their line numbers; other lines of stderr are free. */
  async invalidLines(text, ...options) {
    const stderr = await this.rejected(2, text, ...options);
    return [...stderr.matchAll(/^list\.csv:(\d+): ./gm)].map((match) => Number(match[1]));
  }
}
