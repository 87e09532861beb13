// Tables with sorting, selection and keyboard access.

import { fill, h, newId } from "./dom.js";
import { t } from "./texts.js";

const CONTROLS = "a, button, input, summary";
// Adding more rows at once blocks slow computers for more than 100 ms.
const ROWS_AT_ONCE = 20;
const tables = new WeakMap();

/**
 * Build a table in a scrolling region, with its row count.
 *
 * caption -- the table's content; also the region's label
 * columns -- `[{name, label, value(row), render(row), sortable, numeric, wide, hint, initialOrder}]`. `render` returns
 *   nodes, and defaults to `value`. The first column is the row header. Narrow screens hide `wide` columns.
 *   `initialOrder` is the sort order after the first click, by default `asc`
 * rows -- any objects
 * sort -- `{name, order}`; `order` is `asc` or `desc`
 * onSort -- called with the new `{name, order}`; without it, the table sorts its rows by `value`, nulls last
 * rowHref -- `(row) => "#/sessions/…"`, or null for a row without a page
 * rowId -- `(row) => id`, for `selection`
 * selection -- `{selected, label(row), onChange(selected)}`: adds a checkbox to each row, and one for all rows; `selected`
 *   is a Set of ids
 * empty -- nodes to show instead of an empty table
 * count -- `(n) => text`, by default "3 rows"
 */
export function dataTable(options) {
  const element = h("div", { class: "table" });
  const state = { ...options };
  const parts = { byId: new Map(), status: h("p", { class: "quiet", role: "status" }), body: h("tbody"), head: h("thead") };
  const captionId = newId("table");
  parts.table = h("table", { class: "data" }, h("caption", { class: "visually-hidden", id: captionId }, options.caption), parts.head, parts.body);
  parts.region = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": captionId }, parts.table);
  parts.emptyState = h("div", { class: "table-empty" });
  fill(element, parts.status, parts.region, parts.emptyState);
  tables.set(element, { state, parts });
  listen(parts.body);
  showRows(element);
  return element;
}

/** Update a table's rows, sort order or other options, and announce the row count. The focus does not move. */
export function showRows(element, changes = {}) {
  const { state, parts } = tables.get(element);
  Object.assign(state, changes);
  if (!parts.head.firstChild) fill(parts.head, headRow(element, state));
  showOrder(parts.head, state);
  const rows = state.onSort || !state.sort ? state.rows : sorted(state);
  parts.byId.clear();
  parts.shown = rows;
  fillBody(parts, rows.map((row) => bodyRow(row, state, parts)));
  const all = parts.head.querySelector(".select input");
  if (all) all.checked = rows.length > 0 && rows.every((row) => state.selection.selected.has(state.rowId(row)));
  showCount(element, rows.length);
}

/** Replace the rows. Restores the focus to the same control, in the row that follows if its row is gone, or to the table. */
function fillBody({ body, byId, region }, rows) {
  const { activeElement } = document;
  const focusedRow = body.contains(activeElement) && activeElement.closest("tr");
  const at = focusedRow && [...focusedRow.querySelectorAll(CONTROLS)].indexOf(activeElement);
  const next = focusedRow && rows[Math.min(focusedRow.sectionRowIndex, rows.length - 1)];
  fill(body, rows);
  if (focusedRow) ((byId.get(focusedRow.dataset.id) ?? next)?.querySelectorAll(CONTROLS)[at] ?? region).focus({ preventScroll: true });
}

/** Append rows to a table, a few at a time, until other rows are shown. */
export async function addRows(element, rows) {
  const { state, parts } = tables.get(element);
  const { shown } = parts;
  for (let n = 0; n < rows.length; n += ROWS_AT_ONCE) {
    await new Promise((resolve) => setTimeout(resolve));
    if (parts.shown !== shown) return;
    const added = rows.slice(n, n + ROWS_AT_ONCE);
    state.rows = [...state.rows, ...added];
    parts.body.append(...added.map((row) => bodyRow(row, state, parts)));
  }
  showCount(element, state.rows.length);
}

/** Return the element of the row with the focus. */
export function focusedRow(element) {
  return element.contains(document.activeElement) ? document.activeElement.closest("tr") : null;
}

/** Focus the next row (`step` 1), or the previous one (-1); from outside the table, the first. */
export function focusRow(element, step) {
  const { body } = tables.get(element).parts;
  const at = body.contains(document.activeElement) ? document.activeElement.closest("tr").sectionRowIndex + step : 0;
  (body.rows[at]?.querySelector("th a") ?? body.rows[at]?.querySelector(".select input"))?.focus();
}

function showCount(element, n) {
  const { state, parts } = tables.get(element);
  parts.region.hidden = n === 0 && Boolean(state.empty);
  fill(parts.emptyState, n === 0 ? state.empty : null);
  const count = state.count?.(n) ?? t("table.rows", { n });
  if (parts.status.textContent !== count) parts.status.textContent = count;
}

// -- Head

function headRow(element, state) {
  const box = () => h("input", { type: "checkbox", "aria-label": t("table.selectAll"), onchange: (event) => selectAll(element, state, event.target.checked) });
  const selectCell = state.selection && h("th", { scope: "col", class: "select" }, h("label", {}, box()));
  return h("tr", {}, selectCell, state.columns.map((column) => headCell(element, state, column)));
}

function headCell(element, state, column) {
  const attributes = { scope: "col", class: classes(column), "data-name": column.name, title: column.hint };
  if (!column.sortable) return h("th", attributes, column.label);
  const change = () => {
    const isSame = state.sort?.name === column.name;
    const order = isSame && state.sort.order === "asc" ? "desc" : isSame ? "asc" : (column.initialOrder ?? "asc");
    state.sort = { name: column.name, order };
    if (state.onSort) {
      showOrder(element.querySelector("thead"), state);
      state.onSort(state.sort);
    } else showRows(element);
  };
  const arrow = h("span", { class: "arrow", "aria-hidden": "true" });
  return h("th", attributes, h("button", { type: "button", onclick: change }, column.label, arrow));
}

function showOrder(head, { sort }) {
  for (const cell of head.querySelectorAll("th[data-name]")) {
    const isSorted = sort?.name === cell.dataset.name;
    if (isSorted) cell.setAttribute("aria-sort", sort.order === "asc" ? "ascending" : "descending");
    else cell.removeAttribute("aria-sort");
    const arrow = cell.querySelector(".arrow");
    if (arrow) arrow.textContent = isSorted ? (sort.order === "asc" ? "↑" : "↓") : "";
  }
}

function sorted({ rows, columns, sort }) {
  const { value } = columns.find(({ name }) => name === sort.name) ?? {};
  if (!value) return rows;
  const sign = sort.order === "desc" ? -1 : 1;
  const isMissing = (cell) => cell === null || cell === undefined || cell === "";
  return rows
    .map((row) => [value(row), row])
    .sort(([a], [b]) => isMissing(a) - isMissing(b) || sign * compare(a, b))
    .map(([, row]) => row);
}

function compare(a, b) {
  if (typeof a === "string" && typeof b === "string") return a.localeCompare(b);
  return a < b ? -1 : a > b ? 1 : 0;
}

// -- Body

function bodyRow(row, state, { byId }) {
  const id = state.rowId?.(row);
  const href = state.rowHref?.(row);
  const cells = state.columns.map((column, n) => {
    const content = (column.render ?? column.value)(row);
    if (n > 0) return h("td", { class: classes(column) }, content ?? "");
    return h("th", { scope: "row", class: classes(column) }, href ? h("a", { href }, content ?? "") : (content ?? ""));
  });
  const isSelected = state.selection?.selected.has(id);
  const names = [href && "has-link", isSelected && "selected"].filter(Boolean).join(" ");
  const element = h("tr", { class: names || null, "data-id": id, "data-href": href }, state.selection && checkbox(row, id, isSelected, state), cells);
  byId.set(id, element);
  return element;
}

function selectAll(element, { rows, rowId, selection }, isSelected) {
  for (const row of rows) selection.selected[isSelected ? "add" : "delete"](rowId(row));
  for (const row of element.querySelectorAll("tbody tr")) {
    row.classList.toggle("selected", isSelected);
    row.querySelector(".select input").checked = isSelected;
  }
  selection.onChange(selection.selected);
}

function checkbox(row, id, isSelected, { selection }) {
  const change = (event) => {
    if (event.target.checked) selection.selected.add(id);
    else selection.selected.delete(id);
    event.target.closest("tr").classList.toggle("selected", event.target.checked);
    selection.onChange(selection.selected);
  };
  const box = h("input", { type: "checkbox", "aria-label": selection.label(row), onchange: change });
  box.checked = Boolean(isSelected);
  return h("td", { class: "select" }, h("label", {}, box));
}

function classes({ numeric, wide }) {
  return [numeric && "numeric", wide && "wide"].filter(Boolean).join(" ") || null;
}

/** A click anywhere in a row follows its link. */
function listen(body) {
  body.addEventListener("click", (event) => {
    if (event.target.closest("a, button, input, label, select, summary, [role=menu]") || getSelection().toString()) return;
    const href = event.target.closest("tr")?.dataset.href;
    if (href) location.assign(href);
  });
}
