// The board's search and filters. Their values are stored in the URL, so a link restores them.

import { field } from "../shared/dialogs.js";
import { h } from "../shared/dom.js";
import { t } from "../shared/texts.js";

const STATUSES = ["pending", "active", "completed", "expired", "hired"];
const DECISIONS = ["undecided", "advanced", "rejected", "hired"];
const HIDDEN_OUTCOMES = ["passed", "failed", "untrusted", "none"];
const FILTERS = ["q", "status", "decision", "hiddenTests"];
const SEARCH_DELAY_MS = 250;
const DEFAULT_SORT = { name: "redeemedAt", order: "desc" };

/** Read filters and sort order from the URL. */
export function readQuery(query) {
  const filters = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ""]));
  return { filters, sort: { name: query.get("sort") ?? DEFAULT_SORT.name, order: query.get("order") ?? DEFAULT_SORT.order } };
}

/** API query parameters, without empty filters. */
export function apiQuery({ filters, sort }) {
  const nonEmpty = Object.entries(filters).filter(([, value]) => value);
  return { ...Object.fromEntries(nonEmpty), sort: sort.name, order: sort.order };
}

/** URL query parameters, without defaults. */
export function urlQuery(state) {
  const isDefault = state.sort.name === DEFAULT_SORT.name && state.sort.order === DEFAULT_SORT.order;
  return isDefault ? state.filters : apiQuery(state);
}

export const isFiltered = ({ filters }) => Object.values(filters).some(Boolean);

/** Build the filter form. Calls `onChange(filters)` after each change. */
export function filterForm({ filters, onChange }) {
  let timer;
  const search = h("input", { type: "search", name: "q", value: filters.q, autocomplete: "off", maxlength: 255, placeholder: t("board.searchHint") });
  const form = h(
    "form",
    { class: "filters", role: "search", "aria-label": t("board.title") },
    field(t("board.search"), search),
    field(t("board.status"), choice("status", STATUSES, (name) => t(`board.statuses.${name}`), filters.status)),
    field(t("board.decision"), choice("decision", DECISIONS, (name) => t(`board.decisions.${name}`), filters.decision)),
    field(t("tests.hidden"), choice("hiddenTests", HIDDEN_OUTCOMES, (name) => t(`board.hiddenOutcomes.${name}`), filters.hiddenTests)),
  );
  const change = () => {
    clearTimeout(timer);
    onChange(Object.fromEntries(FILTERS.map((name) => [name, form.elements[name].value.trim()])));
  };
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(change, SEARCH_DELAY_MS);
  });
  form.addEventListener("change", (event) => event.target !== search && change());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    change();
  });
  return form;
}

function choice(name, values, label, selected) {
  const options = values.map((value) => h("option", { value, selected: value === selected }, label(value)));
  return h("select", { name }, h("option", { value: "" }, t("board.any")), options);
}

export function clearFilters(form) {
  for (const name of FILTERS) form.elements[name].value = "";
  form.requestSubmit();
}
