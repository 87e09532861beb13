import assert from "node:assert/strict";
import { test } from "node:test";

import { Folder } from "../support/folder.js";

const SOFA = { name: "Sofa", supplier: "Nordvik", price: 89900, history: [{ date: "2026-01-12", price: 89900 }] };

test("new products are added", (t) => {
  const folder = new Folder(t);
  const result = folder.import("sku,name,price\nSOFA-1,Sofa,899.00\nLAMP-2,Lamp,39.00\n");
  assert.deepEqual(result, { code: 0, stdout: "2 added, 0 changed, 0 unchanged\n", stderr: "" });
  assert.deepEqual(folder.readBook().products["LAMP-2"], {
    name: "Lamp",
    supplier: "Nordvik",
    price: 3900,
    history: [{ date: "2026-03-02", price: 3900 }],
  });
});

test("a new price is added to the history", (t) => {
  const folder = new Folder(t);
  folder.writeBook({ "SOFA-1": { ...SOFA, note: "heavy" } });
  const { stdout } = folder.import("price;sku;name;stock\n949.00;SOFA-1;Sofa;3\n");
  assert.equal(stdout, "0 added, 1 changed, 0 unchanged\n");
  const product = folder.readBook().products["SOFA-1"];
  assert.equal(product.note, "heavy");
  assert.deepEqual(product.history, [
    { date: "2026-01-12", price: 89900 },
    { date: "2026-03-02", price: 94900 },
  ]);
});

test("an equal row changes nothing", (t) => {
  const folder = new Folder(t);
  folder.writeBook({ "SOFA-1": SOFA });
  const { stdout } = folder.import("sku,name,price\nSOFA-1,Sofa,899.00\n");
  assert.equal(stdout, "0 added, 0 changed, 1 unchanged\n");
  assert.deepEqual(folder.readBook().products["SOFA-1"], SOFA);
});

test("invalid lists and options", (t) => {
  const folder = new Folder(t);
  assert.match(folder.import("sku,name\nSOFA-1,Sofa\n").stderr, /no column "price"/);
  assert.match(folder.import("sku,name,price\nSOFA-1,Sofa,free\n").stderr, /"free" is not a price/);
  assert.match(folder.import("sku,name,price\n", "--date", "today").stderr, /--date/);
  assert.equal(folder.run("import", "missing.csv", "--supplier", "Nordvik").code, 1);
  assert.equal(folder.run("import", "missing.csv").stderr, "An import needs --supplier.\n");
});
