/** The promises of the brief, on the command line. */

import assert from "node:assert/strict";
import { before, test } from "node:test";

import { Folder, HEADER, product, waitUntilReady } from "./pricebook.mjs";

const SOFA = product("Sofa", 89900);
const LAMP = product("Lamp", 3900, { supplier: "Lux" });

before(waitUntilReady);

test("prices: no cent is lost", async () => {
  const folder = new Folder();
  const prices = ["4.35", "1.15", "8.2", "19.99", "0.29", "1299", "7"];
  await folder.accepted(HEADER + prices.map((price, index) => `A-${index},Thing,${price}\n`).join(""));
  const stored = prices.map((_, index) => folder.products[`A-${index}`].price);
  assert.deepEqual(stored, [435, 115, 820, 1999, 29, 129900, 700]);
});

test("prices: commas between thousands", async () => {
  const folder = new Folder();
  await folder.accepted("sku;name;price\nA-1;Sofa;1,299.00\nA-2;Piano;12,345,678.9\n");
  await folder.accepted(`${HEADER}A-3,Bed,"2,499"\n`);
  const prices = Object.values(folder.products).map(({ price }) => price);
  assert.deepEqual(prices, [129900, 1234567890, 249900]);
});

test("prices: everything else is invalid", async () => {
  const texts = ["12.345", "7 EUR", "-1", "0", "0.00", "1,29", "12,34.00", "1e3", "0x10", "1.2.3", "free", ""];
  const rows = texts.map((text, index) => `A-${index};Thing;${text}\n`);
  const lines = await new Folder({ "SOFA-1": SOFA }).invalidLines(`sku;name;price\n${rows.join("")}`);
  assert.deepEqual(lines, texts.map((_, index) => index + 2));
});

test("invalid lists: one invalid row leaves the book unchanged", async () => {
  const folder = new Folder({ "SOFA-1": SOFA });
  const list = `${HEADER}SOFA-1,Sofa,949.00\nBED-3,Bed,1299.00\nCHAIR-4,Chair,free\n`;
  assert.deepEqual(await folder.invalidLines(list), [4]);
  assert.deepEqual(folder.products, { "SOFA-1": SOFA });
});

test("invalid lists: every invalid row is reported, in order", async () => {
  const rows = ["A-1,Thing,free", "A-2,Thing,1.00", ",Thing,1.00", "A-4,,1.00", "A-5,Thing,2.00", "A-6,,"];
  assert.deepEqual(await new Folder().invalidLines(`${HEADER}${rows.join("\n")}\n`), [2, 4, 5, 7]);
});

test("invalid lists: lines are counted as in the file", async () => {
  const list = [
    "\uFEFFsku,name,price",
    "",
    'A-1,"Sofa,',
    "grey,",
    'two seats",1.00',
    'A-2,"Bed,',
    'white",free',
    "",
    "A-3,Lamp,free",
  ];
  assert.deepEqual(await new Folder().invalidLines(list.join("\n")), [6, 9]);
  assert.deepEqual(await new Folder().invalidLines(list.join("\r\n")), [6, 9]);
});

test("invalid lists: a row has as many fields as the header", async () => {
  const list = `${HEADER}A-1,Sofa,1,299.00\nA-2,Bed,5.00\nA-3,Lamp\nA-4,Chair,5.00,\n`;
  assert.deepEqual(await new Folder().invalidLines(list), [2, 4, 5]);
});

test("invalid lists: a SKU is in a list once", async () => {
  const list = `${HEADER}A-1,Sofa,5.00\nA-2,Bed,5.00\nA-1,Sofa,6.00\nA-2,Bed,5.00\n`;
  assert.deepEqual(await new Folder().invalidLines(list), [4, 5]);
});

test("invalid lists: a product of another supplier is invalid", async () => {
  const folder = new Folder({ "LAMP-2": LAMP });
  assert.deepEqual(await folder.invalidLines(`${HEADER}A-1,Sofa,5.00\nLAMP-2,Lamp,39.00\n`), [3]);
});

test("changes: each change is printed, in the order of the list", async () => {
  const folder = new Folder({ "SOFA-1": SOFA, "BED-3": product("Bed", 5000), "RUG-7": product("Rug", 900) });
  const lines = await folder.accepted(
    `${HEADER}LAMP-9,Lamp,39\nSOFA-1,Sofa,949.00\nRUG-7,Rug,9.00\nBED-3,Bed for two,50.00\nA-1,Shelf,7.5\n`,
  );
  assert.deepEqual(lines, [
    "+ LAMP-9 39.00",
    "~ SOFA-1 899.00 -> 949.00",
    "~ BED-3 50.00 -> 50.00",
    "+ A-1 7.50",
    "2 added, 2 changed, 0 discontinued, 1 unchanged",
  ]);
});

test("changes: only a new price adds to the history", async () => {
  const folder = new Folder({ "SOFA-1": SOFA, "BED-3": product("Bed", 5000) });
  await folder.accepted(`${HEADER}SOFA-1,Sofa,949.00\nBED-3,Bed for two,50.00\n`);
  const { "SOFA-1": sofa, "BED-3": bed } = folder.products;
  assert.deepEqual(sofa.history, [...SOFA.history, { date: "2026-03-02", price: 94900 }]);
  assert.deepEqual([bed.name, bed.history], ["Bed for two", [{ date: "2026-01-12", price: 5000 }]]);
});

test("changes: fields of other programs stay", async () => {
  const folder = new Folder({ "SOFA-1": { ...SOFA, note: "heavy" }, "BED-3": product("Bed", 5000, { tags: ["new"] }) });
  await folder.accepted(`${HEADER}SOFA-1,Sofa,949.00\n`, "--complete");
  await folder.accepted(`${HEADER}BED-3,Bed,50.00\n`);
  assert.deepEqual([folder.products["SOFA-1"].note, folder.products["BED-3"].tags], ["heavy", ["new"]]);
});

test("changes: the same list again changes nothing", async () => {
  const folder = new Folder({ "LAMP-2": LAMP });
  const list = `${HEADER}SOFA-1,Sofa,949.00\nBED-3,Bed,50.00\n`;
  await folder.accepted(list, "--complete");
  const first = folder.book;
  folder.date = "2026-03-09";
  const lines = await folder.accepted(list, "--complete");
  assert.deepEqual(lines, ["0 added, 0 changed, 0 discontinued, 2 unchanged"]);
  assert.equal(folder.book, first);
});

test("preview: prints what the import prints, and writes nothing", async () => {
  const folder = new Folder({ "SOFA-1": SOFA, "BED-3": product("Bed", 5000) });
  const list = `${HEADER}SOFA-1,Sofa,949.00\nLAMP-9,Lamp,39\n`;
  const { book } = folder;
  const preview = await folder.accepted(list, "--complete", "--preview");
  assert.equal(folder.book, book);
  assert.deepEqual(await folder.accepted(list, "--complete"), preview);
  assert.deepEqual(await folder.invalidLines(`${HEADER}LAMP-9,Lamp,free\n`, "--preview"), [2]);
});

test("large changes: more than half is rejected, in both directions", async () => {
  const products = { "A-1": product("One", 1000), "A-2": product("Two", 1000), "A-3": product("Three", 1000) };
  const stderr = await new Folder(products).rejected(3, `${HEADER}A-1,One,15.01\nA-2,Two,4.99\nA-3,Three,14.00\n`);
  assert.deepEqual(stderr.match(/^A-.*->.*$/gm), ["A-1 10.00 -> 15.01", "A-2 10.00 -> 4.99"]);
});

test("large changes: exactly half is accepted", async () => {
  const folder = new Folder({ "A-1": product("One", 1001), "A-2": product("Two", 1000), "A-3": product("Three", 2) });
  await folder.accepted(`${HEADER}A-1,One,15.01\nA-2,Two,5.00\nA-3,Three,0.03\n`);
  assert.deepEqual(Object.values(folder.products).map(({ price }) => price), [1501, 500, 3]);
});

test("large changes: an option accepts them, but no invalid rows", async () => {
  const folder = new Folder({ "SOFA-1": SOFA });
  const list = `${HEADER}SOFA-1,Sofa,8.99\n`;
  assert.deepEqual(await folder.invalidLines(`${list}A-1,Bed,free\n`), [3]);
  assert.deepEqual(await folder.invalidLines(`${list}A-1,Bed,free\n`, "--accept-large-changes"), [3]);
  await folder.rejected(3, list, "--preview");
  await folder.accepted(list, "--accept-large-changes");
  assert.equal(folder.products["SOFA-1"].price, 899);
});

test("complete lists: only the supplier's missing products are discontinued", async () => {
  const folder = new Folder({ "SOFA-1": SOFA, "LAMP-2": LAMP, "BED-3": product("Bed", 5000), "A-1": product("Rug", 900) });
  const lines = await folder.accepted(`${HEADER}BED-3,Bed,50.00\n`, "--complete");
  assert.deepEqual(lines, [
    "- A-1 discontinued",
    "- SOFA-1 discontinued",
    "0 added, 0 changed, 2 discontinued, 1 unchanged",
  ]);
  const { stdout: listed } = await folder.run("list", "--json");
  assert.deepEqual(JSON.parse(listed).map(({ sku }) => sku), ["BED-3", "LAMP-2"]);
  const { stdout: all } = await folder.run("list", "--all", "--json");
  assert.deepEqual(
    JSON.parse(all).map(({ sku, discontinued }) => [sku, discontinued]),
    [["A-1", "2026-03-02"], ["BED-3", null], ["LAMP-2", null], ["SOFA-1", "2026-03-02"]],
  );
});

test("complete lists: a product that returns is added with its history", async () => {
  const folder = new Folder({ "SOFA-1": SOFA, "BED-3": product("Bed", 5000) });
  await folder.accepted(`${HEADER}BED-3,Bed,50.00\n`, "--complete");
  const lines = await folder.accepted(`${HEADER}SOFA-1,Sofa,949.00\n`);
  assert.deepEqual(lines, ["+ SOFA-1 949.00", "1 added, 0 changed, 0 discontinued, 0 unchanged"]);
  const { stdout } = await folder.run("show", "SOFA-1", "--json");
  const { discontinued, history } = JSON.parse(stdout);
  assert.deepEqual([discontinued, history.map(({ price }) => price)], [null, [89900, 94900]]);
});

test("complete lists: a list without rows is rejected", async () => {
  const folder = new Folder({ "SOFA-1": SOFA });
  await folder.rejected(2, HEADER, "--complete");
  assert.deepEqual(await folder.accepted(HEADER), ["0 added, 0 changed, 0 discontinued, 0 unchanged"]);
});
