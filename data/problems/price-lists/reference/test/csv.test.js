import assert from "node:assert/strict";
import { test } from "node:test";

import { parseCsv } from "../src/csv.js";

const fieldsOf = (text) => parseCsv(text).map((row) => row.fields);

test("rows and fields", () => {
  assert.deepEqual(fieldsOf("a,b\n1, 2 \n"), [["a", "b"], ["1", "2"]]);
  assert.deepEqual(fieldsOf("a;b\r\n1,5;2\r\n"), [["a", "b"], ["1,5", "2"]]);
});

test("fields in quotes", () => {
  assert.deepEqual(fieldsOf('a,b\n"1,5","say ""hi"""\n'), [["a", "b"], ["1,5", 'say "hi"']]);
  assert.deepEqual(fieldsOf('a,b\n"two\nlines",2\n'), [["a", "b"], ["two\nlines", "2"]]);
  assert.throws(() => parseCsv('a,b\n"1,2\n'), /no end/);
});

test("blank lines and a byte-order mark are ignored", () => {
  assert.deepEqual(fieldsOf("\uFEFFa,b\n\n1,2\n\n"), [["a", "b"], ["1", "2"]]);
});

test("rows have the line on which they start", () => {
  const rows = parseCsv('\uFEFFa,b\r\n\r\n"two\r\nlines",2\r\n3,4');
  assert.deepEqual(rows.map((row) => row.line), [1, 3, 5]);
});
