/** Reading CSV files: commas or semicolons, fields in quotes, every kind of line break. */

import { UserError } from "./errors.js";

/**
 * Split a CSV text into rows of fields. Blank lines are left out.
 *
 * @param {string} text
 * @returns {string[][]}
 */
export function parseCsv(text) {
  const source = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  const separator = findSeparator(source);
  const rows = [];
  let row = [];
  let field = "";
  let isQuoted = false;

  const endField = () => {
    row.push(field.trim());
    field = "";
  };
  const endRow = () => {
    endField();
    if (row.length > 1 || row[0] !== "") {
      rows.push(row);
    }
    row = [];
  };

  for (let index = 0; index < source.length; index++) {
    const character = source[index];
    if (isQuoted) {
      if (character !== '"') {
        field += character;
      } else if (source[index + 1] === '"') {
        field += '"';
        index++;
      } else {
        isQuoted = false;
      }
    } else if (character === '"' && field.trim() === "") {
      isQuoted = true;
      field = "";
    } else if (character === separator) {
      endField();
    } else if (character === "\n") {
      endRow();
    } else {
      field += character;
    }
  }
  if (isQuoted) {
    throw new UserError("The last quoted field has no end.");
  }
  endRow();
  return rows;
}

/** Return the separator of the header. A semicolon counts, since a comma can be part of a name. */
function findSeparator(text) {
  const [header] = text.trimStart().split("\n", 1);
  return header.includes(";") ? ";" : ",";
}
