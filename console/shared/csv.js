// Parse lists of people: CSV files, spreadsheet cells, and addresses copied from email programs.

const COLUMNS = {
  email: ["email", "emailaddress", "mail", "address", "candidateemail"],
  name: ["name", "fullname", "candidate", "candidatename", "displayname"],
  firstName: ["firstname", "givenname", "forename", "first"],
  lastName: ["lastname", "surname", "familyname", "last"],
  externalId: ["externalid", "id", "applicantid", "candidateid", "reference", "ref"],
};
const EMAIL = /^[^\s@<>,;]+@[^\s@<>,;]+$/;
const NAMED_EMAIL = /^(.*?)\s*<\s*([^<>]*?)\s*>$/s;
const MAX_EMAIL_CHARACTERS = 254;

/** True if the text looks like an email address. The service validates it. */
export function isEmailAddress(text) {
  return text.length <= MAX_EMAIL_CHARACTERS && /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/.test(text);
}

/** Decode a file: UTF-8, UTF-16 with a byte order mark, or Windows-1252 from older spreadsheets. */
export function decode(bytes) {
  const [first, second] = new Uint8Array(bytes);
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

/**
 * Parse people: `[{line, email, name, externalId}]`, with "" for missing values.
 *
 * Columns are separated by commas, semicolons or tabs, and named by a header. Without a header, the cell with an `@` is
 * the email address; name and external id are the other cells. A line can also be a list of email addresses:
 * `Alice <alice@example.com>, bob@example.com`.
 */
export function readPeople(text) {
  const clean = text.replace(/^\uFEFF/, "");
  const rows = readCells(clean, guessSeparator(clean));
  if (!rows.length) return [];
  const header = readHeader(rows[0].cells);
  const people = (header ? rows.slice(1) : rows).flatMap(({ line, cells }) =>
    (header ? [personByHeader(header, cells)] : peopleByContent(cells)).map((person) => ({ line, ...person })),
  );
  return people.filter(({ email, name, externalId }) => email || name || externalId);
}

/** Parse rows: `[{line, cells}]`, with the number of the row's first line. Quoted cells can contain separators and line breaks. */
export function readCells(text, separator) {
  const rows = [];
  let [row, cell, isQuoted, line, firstLine] = [[], "", false, 1, 1];
  const endCell = () => {
    row.push(cell.trim());
    cell = "";
  };
  const endRow = () => {
    endCell();
    if (row.some(Boolean)) rows.push({ line: firstLine, cells: row });
    row = [];
  };
  for (let n = 0; n < text.length; n += 1) {
    const character = text[n];
    if (character === "\n") line += 1;
    if (isQuoted) {
      if (character === '"' && text[n + 1] === '"') {
        cell += '"';
        n += 1;
      } else if (character === '"') isQuoted = false;
      else cell += character;
    } else if (character === '"' && !cell.trim()) isQuoted = true;
    else if (character === separator) endCell();
    else if (character === "\n" || character === "\r") {
      endRow();
      firstLine = line;
    } else cell += character;
  }
  endRow();
  return rows;
}

/** Guess the separator: the most frequent one outside quotes. A tab or semicolon takes precedence over commas. */
function guessSeparator(text) {
  const sample = text.slice(0, 10_000).replace(/"(?:[^"]|"")*"/g, "");
  const count = (separator) => sample.split(separator).length - 1;
  const [tabs, semicolons, commas] = ["\t", ";", ","].map(count);
  if (tabs && tabs >= semicolons) return "\t";
  return semicolons && semicolons * 2 >= commas ? ";" : ",";
}

/** Map fields to column indexes, or return null if the cells are not a header. */
function readHeader(cells) {
  if (cells.some((cell) => cell.includes("@"))) return null;
  const names = cells.map((cell) => cell.toLowerCase().replace(/[^a-z]/g, ""));
  const columns = Object.entries(COLUMNS).map(([field, aliases]) => [field, names.findIndex((name) => aliases.includes(name))]);
  const header = Object.fromEntries(columns.filter(([, column]) => column >= 0));
  return "email" in header || Object.keys(header).length > 1 ? header : null;
}

function personByHeader(header, cells) {
  const value = (field) => (field in header ? (cells[header[field]] ?? "") : "");
  const { email, name } = splitAddress(value("email"));
  const fullName = [value("firstName"), value("lastName")].filter(Boolean).join(" ");
  return { email, name: value("name") || fullName || name, externalId: value("externalId") };
}

function peopleByContent(cells) {
  const filled = cells.filter(Boolean).flatMap(splitList);
  const addresses = filled.filter((cell) => cell.includes("@"));
  // Email addresses separated by spaces only.
  const words = filled.length === 1 ? filled[0].split(/\s+/) : [];
  if (words.length > 1 && words.every((word) => EMAIL.test(word))) return words.map((word) => parsePerson(word));
  if (!addresses.length) return [{ email: "", name: filled[0], externalId: filled[1] ?? "" }];
  const { email, name } = splitAddress(addresses[0]);
  const morePeople = addresses.slice(1).map((cell) => parsePerson(cell));
  const others = filled.filter((cell) => !addresses.includes(cell));
  // A number is not a name.
  if (/^\d+$/.test(others[0])) others.reverse();
  const [first = "", second = ""] = name ? [name, ...others] : others;
  return [/^\d+$/.test(first) ? { email, name: "", externalId: first } : { email, name: first, externalId: second }, ...morePeople];
}

/** Split a cell that is a list of email addresses. Returns other cells unchanged. */
function splitList(cell) {
  const parts = cell.split(/[,;]/);
  return parts.every((part) => part.includes("@")) ? parts.map((part) => part.trim()) : cell;
}

function parsePerson(cell) {
  return { ...splitAddress(cell), externalId: "" };
}

/** Split `Alice Liddell <alice@example.com>` into name and email address. */
function splitAddress(cell) {
  const match = NAMED_EMAIL.exec(cell);
  if (!match) return splitWords(cell.trim().replace(/^mailto:/i, ""));
  return { email: match[2], name: match[1].trim().replace(/^"(.*)"$/s, "$1") };
}

/** Split `Alice Liddell alice@example.com` into name and email address. */
function splitWords(text) {
  const words = text.split(/\s+/);
  const addresses = words.filter((word) => EMAIL.test(word));
  if (addresses.length !== 1) return { email: text, name: "" };
  return { email: addresses[0], name: words.filter((word) => word !== addresses[0]).join(" ") };
}
