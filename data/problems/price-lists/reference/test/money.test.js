import assert from "node:assert/strict";
import { test } from "node:test";

import { formatPrice, parsePrice } from "../src/money.js";

test("prices are read as cents", () => {
  assert.equal(parsePrice("12.50"), 1250);
  assert.equal(parsePrice("7"), 700);
  assert.equal(parsePrice("7.5"), 750);
  assert.equal(parsePrice("1,299.00"), 129900);
  for (let cents = 1; cents < 100_000; cents++) {
    assert.equal(parsePrice(formatPrice(cents)), cents);
  }
});

test("texts that are no prices", () => {
  for (const text of ["", "free", "0", "-1", "0.00", "12.345", "1,29", "1,2345", ",100", "7 EUR", "1e3", "0x10", "12.", ".5"]) {
    assert.equal(parsePrice(text), null, text);
  }
});

test("prices are written with two decimals", () => {
  assert.equal(formatPrice(700), "7.00");
  assert.equal(formatPrice(89905), "899.05");
});
