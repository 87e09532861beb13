import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";

import { Folder } from "../support/folder.js";

const PRODUCTS = {
  "SOFA-1": {
    name: "Sofa",
    supplier: "Nordvik",
    price: 94900,
    history: [
      { date: "2026-01-12", price: 89900 },
      { date: "2026-03-02", price: 94900 },
    ],
  },
  "LAMP-2": { name: "Lamp", supplier: "Lux", price: 3900, history: [{ date: "2026-01-12", price: 3900 }] },
};

test("list", (t) => {
  const folder = new Folder(t);
  folder.writeBook(PRODUCTS);
  assert.equal(
    folder.run("list").stdout,
    "SKU     NAME  SUPPLIER   PRICE\nLAMP-2  Lamp  Lux        39.00\nSOFA-1  Sofa  Nordvik   949.00\n",
  );
  const products = JSON.parse(folder.run("list", "--supplier", "Lux", "--json").stdout);
  assert.deepEqual(products, [{ sku: "LAMP-2", ...PRODUCTS["LAMP-2"], discontinued: null }]);
});

test("discontinued products", (t) => {
  const folder = new Folder(t);
  folder.writeBook({ ...PRODUCTS, "SOFA-1": { ...PRODUCTS["SOFA-1"], discontinued: "2026-04-01" } });
  const skus = (...args) => JSON.parse(folder.run("list", "--json", ...args).stdout).map(({ sku }) => sku);
  assert.deepEqual(skus(), ["LAMP-2"]);
  assert.deepEqual(skus("--all"), ["LAMP-2", "SOFA-1"]);
  assert.match(folder.run("show", "SOFA-1").stdout, /discontinued on 2026-04-01/);
});

test("show", (t) => {
  const folder = new Folder(t);
  folder.writeBook(PRODUCTS);
  assert.equal(
    folder.run("show", "SOFA-1").stdout,
    "SOFA-1: Sofa (Nordvik)\n2026-01-12  899.00\n2026-03-02  949.00\n",
  );
  assert.deepEqual(JSON.parse(folder.run("show", "SOFA-1", "--json").stdout), {
    sku: "SOFA-1",
    ...PRODUCTS["SOFA-1"],
    discontinued: null,
  });
  assert.deepEqual(folder.run("show", "BED-3"), { code: 1, stdout: "", stderr: "There is no product BED-3.\n" });
});

test("invalid command lines", (t) => {
  const folder = new Folder(t);
  for (const args of [["sell"], ["list", "SOFA-1"], ["show"], ["list", "--loud"], ["toString"]]) {
    assert.equal(folder.run(...args).code, 1, args.join(" "));
  }
  assert.match(folder.run("--help").stdout, /^Usage:/);
});

test("a file that is not a book is rejected", (t) => {
  const folder = new Folder(t);
  for (const content of ["{", "[]", '{"version": 2, "products": {}}']) {
    writeFileSync(folder.book, content);
    assert.equal(folder.run("list").code, 1, content);
  }
});
