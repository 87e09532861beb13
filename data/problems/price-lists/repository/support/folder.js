/** A temporary folder in which a test runs commands. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { main } from "../src/cli.js";

export class Folder {
  /** @param {import("node:test").TestContext} test which deletes the folder at its end */
  constructor(test) {
    this.path = mkdtempSync(join(tmpdir(), "pricebook-"));
    test.after(() => rmSync(this.path, { recursive: true }));
  }

  get book() {
    return join(this.path, "book.json");
  }

  readBook() {
    return existsSync(this.book) ? JSON.parse(readFileSync(this.book, "utf8")) : null;
  }

  writeBook(products) {
    writeFileSync(this.book, JSON.stringify({ version: 1, products }));
  }

  /** Run a command with this folder's book. Returns the exit code and the output. */
  run(...args) {
    const output = { stdout: "", stderr: "" };
    const stream = (name) => ({ write: (text) => (output[name] += text) });
    const code = main([...args, "--book", this.book], stream("stdout"), stream("stderr"));
    return { code, ...output };
  }

  /** Import a price list with this text. */
  import(text, ...args) {
    const file = join(this.path, "list.csv");
    writeFileSync(file, text);
    return this.run("import", file, "--supplier", "Nordvik", "--date", "2026-03-02", ...args);
  }
}
