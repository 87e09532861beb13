/** Reading CSV files: commas or semicolons, fields in quotes, every kind of line break. */

import { UserError } from "./errors.js";

/**
 * Split a CSV text into rows of fields. Blank lines are left out. `line` is the line on which the row starts, from 1.
 *
 * @param {string} text
 * @returns {{line: number, fields: string[]}[]}
 */
export function parseCsv(text) {
  const source = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  const separator = findSeparator(source);
  const rows = [];
  let fields = [];
  let field = "";
  let isQuoted = false;
  let line = 1;
  let startLine = 1;

  const endField = () => {
    fields.push(field.trim());
    field = "";
  };
  const endRow = () => {
    endField();
    if (fields.length > 1 || fields[0] !== "") {
      rows.push({ line: startLine, fields });
    }
    fields = [];
    startLine = line;
  };

  for (let index = 0; index < source.length; index++) {
    const character = source[index];
    if (character === "\n") {
      line++;
    }
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
    throw new UserError(`The quoted field in the row of line ${startLine} has no end.`);
  }
  endRow();
  return rows;
}

/** Return the separator of the header. A semicolon counts, since a comma can be part of a name. */
function findSeparator(text) {
  const [header] = text.trimStart().split("\n", 1);
  return header.includes(";") ? ";" : ",";
}
