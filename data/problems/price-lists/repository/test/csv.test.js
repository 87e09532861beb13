import assert from "node:assert/strict";
import { test } from "node:test";

import { parseCsv } from "../src/csv.js";

test("rows and fields", () => {
  assert.deepEqual(parseCsv("a,b\n1, 2 \n"), [["a", "b"], ["1", "2"]]);
  assert.deepEqual(parseCsv("a;b\r\n1,5;2\r\n"), [["a", "b"], ["1,5", "2"]]);
});

test("fields in quotes", () => {
  assert.deepEqual(parseCsv('a,b\n"1,5","say ""hi"""\n'), [["a", "b"], ["1,5", 'say "hi"']]);
  assert.deepEqual(parseCsv('a,b\n"two\nlines",2\n'), [["a", "b"], ["two\nlines", "2"]]);
  assert.throws(() => parseCsv('a,b\n"1,2\n'), /no end/);
});

test("blank lines and a byte-order mark are ignored", () => {
  assert.deepEqual(parseCsv("\uFEFFa,b\n\n1,2\n\n"), [["a", "b"], ["1", "2"]]);
});
