// The audit log, with filters stored in the URL, pagination and export.

import * as api from "../shared/api.js";
import { fill, h } from "../shared/dom.js";
import { candidateName } from "../shared/names.js";
import { olderButton } from "../shared/older_button.js";
import { renderAsync } from "../shared/states.js";
import { dataTable } from "../shared/table.js";
import { t } from "../shared/texts.js";
import { formatDateTime, zoneName } from "../shared/time.js";

const PAGE_SIZE = 50;
const FILTERS = ["actorId", "action", "subjectId", "from", "to"];

export async function load({ signal }) {
  const [people, tokens] = await Promise.all([
    api.all("/v1/org/people", "people", { signal }),
    api.all("/v1/org/tokens", "tokens", { signal }),
  ]);
  return [...people, ...tokens.filter(({ personId }) => !personId)];
}

export function render(actors, context) {
  const values = Object.fromEntries(FILTERS.map((name) => [name, context.query.get(name) ?? ""]));
  const list = h("div", {});
  const download = () => api.download("/v1/audit/export", { query: parameters(values), name: "audit.jsonl" });
  fill(context.actions, h("button", { type: "button", class: "secondary", onclick: download }, t("audit.export")));
  const request = (after) => api.get("/v1/audit", { query: { ...parameters(values), limit: PAGE_SIZE, after }, signal: context.signal });
  renderAsync(list, () => request(), (page) => table(page, request, values));
  return [h("p", { class: "quiet" }, t("audit.text", { zone: zoneName() })), filterForm(actors, values, context), list];
}

function filterForm(actors, values, { go }) {
  const control = (name, element) => {
    element.name = name;
    if (element.value !== undefined && element.tagName === "INPUT") element.value = values[name];
    return h("label", {}, h("span", {}, t(`audit.filters.${name}`)), element);
  };
  const actor = h(
    "select",
    {},
    h("option", { value: "" }, t("audit.anyone")),
    actors.map(({ id, name }) => h("option", { value: id, selected: id === values.actorId }, name)),
    values.actorId && !actors.some(({ id }) => id === values.actorId) && h("option", { value: values.actorId, selected: true }, values.actorId),
  );
  const submit = (event) => {
    event.preventDefault();
    const filled = [...new FormData(event.target)].filter(([, value]) => value);
    go(`/organization/audit?${new URLSearchParams(filled)}`);
  };
  const isFiltered = FILTERS.some((name) => values[name]);
  return h(
    "form",
    { class: "panel audit-filters", onsubmit: submit },
    control("actorId", actor),
    control("action", h("input", { placeholder: t("audit.actionExample"), autocomplete: "off", spellcheck: "false" })),
    control("subjectId", h("input", { placeholder: t("audit.subjectExample"), autocomplete: "off", spellcheck: "false" })),
    control("from", h("input", { type: "date" })),
    control("to", h("input", { type: "date" })),
    h(
      "div",
      { class: "actions" },
      h("button", { type: "submit", class: "primary" }, t("audit.filter")),
      isFiltered && h("a", { class: "secondary", href: "#/organization/audit" }, t("audit.clear")),
    ),
  );
}

/** Convert filters to API parameters. `from` and `to` are inclusive days in the reader's time zone. */
function parameters({ actorId, action, subjectId, from, to }) {
  const startOfDay = (day, offset) => {
    if (!day) return null;
    const [year, month, date] = day.split("-").map(Number);
    return new Date(year, month - 1, date + offset).toISOString();
  };
  return { actorId, action: actionName(action.trim()), subjectId: subjectId.trim(), since: startOfDay(from, 0), until: startOfDay(to, 1) };
}

/** Convert `Issue keys`, as displayed, to the API's `issueKeys`. */
function actionName(text) {
  return text.replace(/^\w/, (letter) => letter.toLowerCase()).replace(/\s+(\w)/g, (whole, letter) => letter.toUpperCase());
}

function table(page, request, values) {
  if (!page.entries.length) {
    const isFiltered = FILTERS.some((name) => values[name]);
    return h("p", { class: "panel" }, t(isFiltered ? "audit.noMatches" : "audit.empty"));
  }
  const columns = [
    { name: "time", label: t("common.time"), value: ({ createdAt }) => createdAt, render: ({ createdAt }) => formatDateTime(createdAt) },
    { name: "actor", label: t("audit.filters.actorId"), value: ({ actorName }) => actorName, render: actorCell },
    { name: "action", label: t("audit.filters.action"), value: ({ action }) => action, render: actionCell },
    { name: "subject", label: t("audit.filters.subjectId"), value: ({ subjectId }) => subjectId, render: subjectCell },
    { name: "from", label: t("audit.ipAddress"), value: ({ cameFrom }) => cameFrom ?? "–" },
  ];
  const element = dataTable({ caption: t("organization.parts.audit"), columns, rows: page.entries, count: (n) => t("audit.count", { n }) });
  return [element, olderButton(page, { table: element, load: request, field: "entries" })];
}

function actorCell({ actorName, actorKind, actorId }) {
  const name = actorName ?? (actorKind === "candidate" ? candidateName({ id: actorId }, {}) : t(`audit.kinds.${actorKind}`));
  return [name, h("div", { class: "quiet" }, t(`audit.kinds.${actorKind}`))];
}

/** `Issue keys`, from `issueKeys`. */
export function actionText(action) {
  const words = action.replace(/([a-z])([A-Z])/g, (whole, end, start) => `${end} ${start.toLowerCase()}`);
  return words[0].toUpperCase() + words.slice(1);
}

/** Render the action with the request's fields. */
function actionCell({ action, bodyFields }) {
  return [
    h("span", { title: action }, actionText(action)),
    bodyFields.length > 0 && h("div", { class: "quiet" }, bodyFields.join(", ")),
  ];
}

function subjectCell({ subjectKind, subjectId, furtherIds }) {
  if (!subjectId) return "–";
  const more = furtherIds.length ? ` ${t("common.more", { n: furtherIds.length })}` : "";
  return [subjectKind, more, h("div", {}, h("a", { href: `#/organization/audit?subjectId=${subjectId}`, class: "id" }, `…${subjectId.slice(-12)}`))];
}
