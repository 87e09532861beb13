import assert from "node:assert/strict";
import { test } from "node:test";

import { formatPrice, parsePrice } from "../src/money.js";

test("prices are read as cents", () => {
  assert.equal(parsePrice("12.50"), 1250);
  assert.equal(parsePrice("7"), 700);
});

test("texts that are no prices", () => {
  for (const text of ["", "free", "0", "-1"]) {
    assert.equal(parsePrice(text), null, text);
  }
});

test("prices are written with two decimals", () => {
  assert.equal(formatPrice(700), "7.00");
  assert.equal(formatPrice(89905), "899.05");
});
