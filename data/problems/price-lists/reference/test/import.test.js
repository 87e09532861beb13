import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { test } from "node:test";

import { Folder } from "../support/folder.js";

const SOFA = { name: "Sofa", supplier: "Nordvik", price: 89900, history: [{ date: "2026-01-12", price: 89900 }] };

test("new products are added", (t) => {
  const folder = new Folder(t);
  const result = folder.import("sku,name,price\nSOFA-1,Sofa,899.00\nLAMP-2,Lamp,39.00\n");
  assert.deepEqual(result, {
    code: 0,
    stdout: "+ SOFA-1 899.00\n+ LAMP-2 39.00\n2 added, 0 changed, 0 discontinued, 0 unchanged\n",
    stderr: "",
  });
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
  assert.equal(stdout, "~ SOFA-1 899.00 -> 949.00\n0 added, 1 changed, 0 discontinued, 0 unchanged\n");
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
  assert.equal(stdout, "0 added, 0 changed, 0 discontinued, 1 unchanged\n");
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

const BED = { ...SOFA, name: "Bed", discontinued: "2026-02-01" };
const LAMP = { ...SOFA, name: "Lamp", supplier: "Lux" };

test("an invalid list is reported as a whole and imported not at all", (t) => {
  const folder = new Folder(t);
  folder.writeBook({ "SOFA-1": SOFA, "LAMP-2": LAMP });
  const list = [
    "sku,name,price",
    "BED-3,Bed,1299.00",
    'CHAIR-4,"Chair,\nwhite",free',
    ",Table,1.00",
    "TABLE-5,Table,1,299.00",
    "BED-3,Bed,1299.00",
    "LAMP-2,Lamp,39.00",
    "",
  ];
  const { code, stdout, stderr } = folder.import(list.join("\n"));
  assert.deepEqual([code, stdout], [2, ""]);
  const errors = stderr.trim().split("\n").map((line) => line.slice(line.indexOf("list.csv")));
  assert.deepEqual(errors, [
    'list.csv:3: "free" is not a price such as 12.50 or 1,299.00.',
    "list.csv:5: The row has no SKU or no name.",
    "list.csv:6: Expected 3 fields, found 4.",
    "list.csv:7: BED-3 is also in line 2.",
    "list.csv:8: LAMP-2 belongs to Lux.",
  ]);
  assert.deepEqual(folder.readBook().products, { "SOFA-1": SOFA, "LAMP-2": LAMP });
});

test("a preview prints the changes without making them", (t) => {
  const folder = new Folder(t);
  const list = "sku,name,price\nSOFA-1,Sofa,899.00\n";
  const preview = folder.import(list, "--preview");
  assert.equal(folder.readBook(), null);
  assert.deepEqual(folder.import(list), preview);
});

test("large changes must be accepted", (t) => {
  const folder = new Folder(t);
  const price = (text) => folder.import(`sku,name,price\nSOFA-1,Sofa,${text}\n`);
  for (const [text, code] of [["1348.50", 0], ["1348.51", 3], ["449.50", 0], ["449.49", 3]]) {
    folder.writeBook({ "SOFA-1": SOFA });
    assert.equal(price(text).code, code, text);
  }
  assert.equal(price("449.49").stderr, "SOFA-1 899.00 -> 449.49\n");
  assert.deepEqual(folder.readBook().products["SOFA-1"], SOFA);
  assert.equal(folder.import("sku,name,price\nSOFA-1,Sofa,1\n", "--accept-large-changes").code, 0);
});

test("a complete list discontinues the supplier's other products", (t) => {
  const folder = new Folder(t);
  folder.writeBook({ "SOFA-1": SOFA, "LAMP-2": LAMP, "BED-3": BED });
  const { stdout } = folder.import("sku,name,price\nCHAIR-4,Chair,80\n", "--complete");
  assert.equal(
    stdout,
    "+ CHAIR-4 80.00\n- SOFA-1 discontinued\n1 added, 0 changed, 1 discontinued, 0 unchanged\n",
  );
  const { products } = folder.readBook();
  assert.deepEqual(products["SOFA-1"], { ...SOFA, discontinued: "2026-03-02" });
  assert.deepEqual([products["LAMP-2"], products["BED-3"]], [LAMP, BED]);
  assert.equal(folder.import("sku,name,price\n", "--complete").code, 2);
});

test("a discontinued product can return", (t) => {
  const folder = new Folder(t);
  folder.writeBook({ "BED-3": BED });
  assert.match(folder.import("sku,name,price\nBED-3,Bed,899\n").stdout, /^\+ BED-3 899.00\n1 added/);
  assert.deepEqual(folder.readBook().products["BED-3"], { ...SOFA, name: "Bed" });
});

test("an import that changes nothing leaves the file alone", (t) => {
  const folder = new Folder(t);
  const list = "sku,name,price\nSOFA-1,Sofa,899.00\n";
  folder.import(list);
  const { ino } = statSync(folder.book);
  assert.equal(folder.import(list).code, 0);
  assert.equal(statSync(folder.book).ino, ino);
  assert.deepEqual(readdirSync(folder.path).sort(), ["book.json", "list.csv"]);
});
