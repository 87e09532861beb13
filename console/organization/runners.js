// Runners' tokens: create and revoke. A token is shown once.

import * as api from "../shared/api.js";
import { ask, field } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { adminOnlyNotice } from "./organization.js";
import { sharedColumns } from "./tokens.js";
import { showSecret } from "../shared/secrets.js";
import { emptyState } from "../shared/states.js";
import { dataTable } from "../shared/table.js";
import { t } from "../shared/texts.js";
import { formatRelative } from "../shared/time.js";

export const load = ({ signal }) => api.all("/v1/org/runners", "runners", { signal });

export function render(runners, context) {
  fill(context.actions, context.can("admin") && h("button", { type: "button", class: "primary", onclick: () => create(context) }, t("runners.create")));
  const [name, created, actions] = sharedColumns(context, "runners");
  const used = { name: "used", label: t("tokens.lastUsed"), value: ({ lastUsedAt }) => lastUsedAt, render: lastUsed, sortable: true };
  const columns = [name, used, created, actions].filter(Boolean);
  const table = dataTable({ caption: t("organization.parts.runners"), columns, rows: runners, sort: { name: "created", order: "asc" }, count: (n) => t("tokens.count", { n }) });
  return [
    adminOnlyNotice(context),
    h("p", { class: "quiet" }, t("runners.text")),
    runners.length ? table : h("div", { class: "panel" }, emptyState(t("runners.emptyTitle"), t("runners.empty"))),
  ];
}

function lastUsed({ isAlive, lastUsedAt }) {
  if (isAlive) return h("span", { class: "badge" }, t("runners.running"));
  return lastUsedAt ? formatRelative(lastUsedAt) : t("tokens.never");
}

async function create(context) {
  const name = h("input", { name: "name", required: true, maxlength: 255, autocomplete: "off" });
  const save = () => api.post("/v1/org/runners", { name: name.value });
  const created = await ask({ title: t("runners.create"), content: field(t("common.name"), name, t("runners.nameHint")), action: t("tokens.createAction"), save });
  if (!created) return;
  const title = t("tokens.createdTitle", { name: created.runner.name });
  await showSecret({ title, text: t("runners.createdText", { url: location.origin }), secret: created.secret });
  await context.refresh();
}
