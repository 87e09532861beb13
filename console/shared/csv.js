// Read lists of people: CSV files, cells of spreadsheets, and addresses in the format of email programs.

const COLUMNS = {
  email: ["email", "emailaddress", "mail", "address", "candidateemail"],
  name: ["name", "fullname", "candidate", "candidatename", "displayname"],
  firstName: ["firstname", "givenname", "forename", "first"],
  lastName: ["lastname", "surname", "familyname", "last"],
  externalId: ["externalid", "id", "applicantid", "candidateid", "reference", "ref"],
};
const ADDRESS = /^[^\s@<>,;]+@[^\s@<>,;]+$/;
const NAMED_ADDRESS = /^(.*?)\s*<\s*([^<>]*?)\s*>$/s;
const MAX_ADDRESS = 254;

/** True if a text looks like an address; the service checks the rest. */
export function isAddress(text) {
  return text.length <= MAX_ADDRESS && /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/.test(text);
}

/** The text of a file's bytes: UTF-8, UTF-16 with a byte order mark, or as older spreadsheets on Windows save it. */
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
 * The people in a text: `[{line, email, name, externalId}]`, with "" for what is missing.
 *
 * Columns are separated by commas, semicolons or tabs. They are named by a header, or recognized: the cell with an `@` is
 * the address, then come name and external id. A line can also be a list: `Alice <alice@example.com>, bob@example.com`.
 */
export function readPeople(text) {
  const clean = text.replace(/^\uFEFF/, "");
  const rows = readCells(clean, separatorOf(clean));
  if (!rows.length) return [];
  const header = readHeader(rows[0].cells);
  const people = (header ? rows.slice(1) : rows).flatMap(({ line, cells }) =>
    (header ? [byHeader(header, cells)] : byContent(cells)).map((person) => ({ line, ...person })),
  );
  return people.filter(({ email, name, externalId }) => email || name || externalId);
}

/** Rows of cells, each with the number of its first line; a quoted cell can contain separators and line breaks. */
function readCells(text, separator) {
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

/** The separator that occurs most in the first lines outside of quotes; a tab or semicolon wins over commas in names. */
function separatorOf(text) {
  const sample = text.slice(0, 10_000).replace(/"(?:[^"]|"")*"/g, "");
  const count = (separator) => sample.split(separator).length - 1;
  const [tabs, semicolons, commas] = ["\t", ";", ","].map(count);
  if (tabs && tabs >= semicolons) return "\t";
  return semicolons && semicolons * 2 >= commas ? ";" : ",";
}

/** The column of each field; null if the cells are no header. */
function readHeader(cells) {
  if (cells.some((cell) => cell.includes("@"))) return null;
  const names = cells.map((cell) => cell.toLowerCase().replace(/[^a-z]/g, ""));
  const found = Object.entries(COLUMNS).map(([field, known]) => [field, names.findIndex((name) => known.includes(name))]);
  const header = Object.fromEntries(found.filter(([, column]) => column >= 0));
  return "email" in header || Object.keys(header).length > 1 ? header : null;
}

function byHeader(header, cells) {
  const value = (field) => (field in header ? (cells[header[field]] ?? "") : "");
  const { email, name } = splitAddress(value("email"));
  const fullName = [value("firstName"), value("lastName")].filter(Boolean).join(" ");
  return { email, name: value("name") || fullName || name, externalId: value("externalId") };
}

function byContent(cells) {
  const filled = cells.filter(Boolean).flatMap(splitList);
  const addresses = filled.filter((cell) => cell.includes("@"));
  // Addresses without separators other than spaces.
  const spaced = filled.length === 1 ? filled[0].split(/\s+/) : [];
  if (spaced.length > 1 && spaced.every((each) => ADDRESS.test(each))) return spaced.map((email) => person(email));
  if (!addresses.length) return [{ email: "", name: filled[0], externalId: filled[1] ?? "" }];
  const { email, name } = splitAddress(addresses[0]);
  const further = addresses.slice(1).map((cell) => person(cell));
  const others = filled.filter((cell) => !addresses.includes(cell));
  // A number is no name.
  if (/^\d+$/.test(others[0])) others.reverse();
  const [first = "", second = ""] = name ? [name, ...others] : others;
  return [/^\d+$/.test(first) ? { email, name: "", externalId: first } : { email, name: first, externalId: second }, ...further];
}

/** The addresses of a cell that lists them with another separator than the text's; any other cell as it is. */
function splitList(cell) {
  const parts = cell.split(/[,;]/);
  return parts.every((part) => part.includes("@")) ? parts.map((part) => part.trim()) : cell;
}

function person(cell) {
  return { ...splitAddress(cell), externalId: "" };
}

/** `Alice Liddell <alice@example.com>` as name and address. */
function splitAddress(cell) {
  const match = NAMED_ADDRESS.exec(cell);
  if (!match) return splitWords(cell.trim().replace(/^mailto:/i, ""));
  return { email: match[2], name: match[1].trim().replace(/^"(.*)"$/s, "$1") };
}

/** `Alice Liddell alice@example.com` as name and address. */
function splitWords(text) {
  const words = text.split(/\s+/);
  const addresses = words.filter((word) => ADDRESS.test(word));
  if (addresses.length !== 1) return { email: text, name: "" };
  return { email: addresses[0], name: words.filter((word) => word !== addresses[0]).join(" ") };
}
