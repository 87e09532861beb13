// The board's views, search and filter. Their values are stored in the URL, so a link restores them.

import { field } from "../shared/dialogs.js";
import { h } from "../shared/dom.js";
import { formatNumber } from "../shared/numbers.js";
import { t } from "../shared/texts.js";

const VIEWS = ["undecided", "to_score", "disagreement", "findings", "advanced", "rejected", "hired", "not_started", "all"];
const HIDDEN_OUTCOMES = ["passed", "failed", "untrusted", "none"];
const FILTERS = ["q", "hiddenTests"];
const SEARCH_DELAY_MS = 250;
const DEFAULTS = { view: "undecided", sort: "rank", order: "desc" };

/** Read view, filters and sort order from the URL. */
export function readQuery(query) {
  const filters = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ""]));
  const { view, sort, order } = Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) => [name, query.get(name) ?? value]));
  return { view: VIEWS.includes(view) ? view : DEFAULTS.view, filters, sort: { name: sort, order } };
}

/** The path of an assessment's results; of all results for null. */
export const resultsPath = (assessmentId) => (assessmentId ? `/v1/assessments/${assessmentId}/results` : "/v1/results");

/** API query parameters. */
export const apiQuery = ({ view, filters, sort }) => ({ ...filters, view: view === "all" ? "" : view, sort: sort.name, order: sort.order });

/** URL query parameters, without defaults. */
export function urlQuery({ view, filters, sort }) {
  const isDefault = sort.name === DEFAULTS.sort && sort.order === DEFAULTS.order;
  return { view: view === DEFAULTS.view ? "" : view, ...filters, ...(isDefault ? {} : { sort: sort.name, order: sort.order }) };
}

export const isFiltered = ({ filters }) => Object.values(filters).some(Boolean);

/** Build a button for each view, with its number of candidates. Calls `onChange(view)`. */
export function viewButtons({ view, counts, canScore, onChange }) {
  const views = VIEWS.filter((name) => canScore || name !== "to_score");
  return views.map((name) =>
    h("button", { type: "button", "aria-current": name === view ? "true" : null, onclick: () => onChange(name) }, t(`board.views.${name}`), " ", h("span", { class: "quiet" }, formatNumber(counts[name]))),
  );
}

/** Build the filter form. Calls `onChange(filters)` after each change. */
export function filterForm({ filters, onChange }) {
  let timer;
  const search = h("input", { type: "search", name: "q", value: filters.q, autocomplete: "off", maxlength: 255, placeholder: t("board.searchHint") });
  const options = HIDDEN_OUTCOMES.map((value) => h("option", { value, selected: value === filters.hiddenTests }, t(`board.hiddenOutcomes.${value}`)));
  const outcome = h("select", { name: "hiddenTests" }, h("option", { value: "" }, t("board.anyHidden")), options);
  const form = h("form", { class: "filters", role: "search", "aria-label": t("board.title") }, field(t("board.search"), search), field(t("tests.hidden"), outcome));
  const change = () => {
    clearTimeout(timer);
    onChange(Object.fromEntries(FILTERS.map((name) => [name, form.elements[name].value.trim()])));
  };
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(change, SEARCH_DELAY_MS);
  });
  outcome.addEventListener("change", change);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    change();
  });
  return form;
}

export function clearFilters(form) {
  for (const name of FILTERS) form.elements[name].value = "";
  form.requestSubmit();
}
