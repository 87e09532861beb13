// Runners' tokens: create and revoke. A token is shown once.

import * as api from "../shared/api.js";
import { ask, confirm, field, toast } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { adminOnlyNotice } from "./organization.js";
import { showSecret } from "../shared/secrets.js";
import { emptyState } from "../shared/states.js";
import { dataTable } from "../shared/table.js";
import { t } from "../shared/texts.js";
import { formatDay, formatRelative } from "../shared/time.js";

export const load = ({ signal }) => api.all("/v1/org/runners", "runners", { signal });

export function render(runners, context) {
  const isAdmin = context.can("admin");
  fill(context.actions, isAdmin && h("button", { type: "button", class: "primary", onclick: () => create(context) }, t("runners.create")));
  const columns = [
    { name: "name", label: t("tokens.name"), value: ({ name }) => name, render: ({ name, prefix, lastFour }) => [h("span", { class: "strong" }, name), h("div", {}, h("code", { class: "quiet" }, `${prefix}…${lastFour}`))], sortable: true },
    { name: "used", label: t("tokens.lastUsed"), value: ({ lastUsedAt }) => lastUsedAt, render: lastUsed, sortable: true },
    { name: "created", label: t("tokens.created"), value: ({ createdAt }) => createdAt, render: ({ createdAt }) => formatDay(createdAt), sortable: true, wide: true },
    isAdmin && { name: "actions", label: t("common.actions"), value: () => null, render: (runner) => revokeButton(runner, context) },
  ].filter(Boolean);
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

function revokeButton(runner, context) {
  return h("button", { type: "button", class: "small", onclick: () => revoke(runner, context), "aria-label": `${t("tokens.revoke")}: ${runner.name}` }, t("tokens.revoke"));
}

async function revoke({ id, name }, context) {
  const run = () => api.remove(`/v1/org/runners/${id}`);
  if (!(await confirm({ title: t("tokens.revokeTitle", { name }), text: t("runners.revokeText"), action: t("tokens.revoke"), run }))) return;
  toast(t("tokens.revoked", { name }));
  await context.refresh();
}

async function create(context) {
  const name = h("input", { name: "name", required: true, maxlength: 255, autocomplete: "off" });
  const save = () => api.post("/v1/org/runners", { name: name.value });
  const created = await ask({ title: t("runners.create"), content: field(t("tokens.name"), name, t("runners.nameHint")), action: t("tokens.createAction"), save });
  if (!created) return;
  const title = t("tokens.createdTitle", { name: created.runner.name });
  await showSecret({ title, text: t("runners.createdText", { url: location.origin }), secret: created.secret });
  await context.refresh();
}
