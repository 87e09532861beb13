// API tokens: create and revoke. A token is shown once.

import * as api from "../shared/api.js";
import { ask, confirm, field, toast } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { adminOnlyNotice } from "./organization.js";
import { showSecret } from "../shared/secrets.js";
import { dataTable } from "../shared/table.js";
import { t } from "../shared/texts.js";
import { formatDay, formatRelative } from "../shared/time.js";

const LIFETIMES = [30, 90, 365];

export async function load({ signal }) {
  const [tokens, people] = await Promise.all([
    api.all("/v1/org/tokens", "tokens", { signal }),
    api.all("/v1/org/people", "people", { signal }),
  ]);
  return { tokens, people };
}

export function render({ tokens, people }, context) {
  const isAdmin = context.can("admin");
  fill(context.actions, isAdmin && h("button", { type: "button", class: "primary", onclick: () => create(people, context) }, t("tokens.create")));
  const [name, created, actions] = sharedColumns(context, "tokens");
  const columns = [
    name,
    { name: "owner", label: t("tokens.owner"), value: ({ personName }) => personName ?? t("tokens.serviceAccount"), sortable: true },
    { name: "scope", label: t("tokens.scope"), value: ({ scopes }) => t(`tokens.scopes.${scopes.includes("write") ? "write" : "read"}`), sortable: true },
    { name: "used", label: t("tokens.lastUsed"), value: ({ lastUsedAt }) => lastUsedAt, render: ({ lastUsedAt }) => (lastUsedAt ? formatRelative(lastUsedAt) : t("tokens.never")), sortable: true },
    { name: "expires", label: t("tokens.expires"), value: ({ expiresAt }) => expiresAt, render: expiry, sortable: true },
    created,
    actions,
  ].filter(Boolean);
  return [
    adminOnlyNotice(context),
    h("p", { class: "quiet" }, t("tokens.text")),
    dataTable({ caption: t("organization.parts.tokens"), columns, rows: tokens, sort: { name: "created", order: "asc" }, count: (n) => t("tokens.count", { n }) }),
  ];
}

/** Build the columns of all kinds of tokens, `tokens` or `runners`: name, creation, and actions for admins. */
export const sharedColumns = (context, kind) => [
  { name: "name", label: t("common.name"), value: ({ name }) => name, render: (token) => nameCell(token, context), sortable: true },
  { name: "created", label: t("tokens.created"), value: ({ createdAt }) => createdAt, render: ({ createdAt }) => formatDay(createdAt), sortable: true, wide: true },
  context.can("admin") && { name: "actions", label: t("common.actions"), value: () => null, render: (token) => revokeButton(token, context, kind) },
];

function nameCell({ id, name, prefix, lastFour }, { me }) {
  return [
    h("span", { class: "strong" }, name),
    me.id === id && h("span", { class: "quiet" }, ` ${t("tokens.inUse")}`),
    h("div", {}, h("code", { class: "quiet" }, `${prefix}…${lastFour}`)),
  ];
}

function expiry({ expiresAt }) {
  if (!expiresAt) return t("tokens.never");
  const isPast = new Date(expiresAt) < new Date();
  return isPast ? h("span", { class: "badge off" }, t("tokens.expired")) : formatDay(expiresAt);
}

function revokeButton(token, context, kind) {
  if (token.role === "admin" && context.me.person?.role !== "admin") return h("span", { class: "quiet" }, t("people.adminsOnly"));
  return h("button", { type: "button", class: "small", onclick: () => revoke(token, context, kind), "aria-label": `${t("tokens.revoke")}: ${token.name}` }, t("tokens.revoke"));
}

async function revoke(token, context, kind) {
  const isCurrent = token.id === context.me.id;
  const title = t("tokens.revokeTitle", { name: token.name });
  const text = t(isCurrent ? "tokens.revokeCurrent" : kind === "runners" ? "runners.revokeText" : "tokens.revokeText");
  const run = () => api.remove(`/v1/org/${kind}/${token.id}`);
  if (!(await confirm({ title, text, action: t("tokens.revoke"), run }))) return;
  toast(t("tokens.revoked", { name: token.name }));
  await context.refresh();
}

async function create(people, context) {
  const isAdmin = context.me.person?.role === "admin";
  const owners = people.filter(({ active, role }) => active && (isAdmin || role !== "admin"));
  const owner = h(
    "select",
    { name: "personId" },
    h("option", { value: "" }, t("tokens.serviceAccount")),
    owners.map(({ id, name, role }) => h("option", { value: id }, `${name} (${t(`people.roles.${role}`)})`)),
  );
  const scope = h("select", { name: "scopes" }, ["read", "write"].map((name) => h("option", { value: name }, t(`tokens.scopeTexts.${name}`))));
  const lifetime = h(
    "select",
    { name: "expiresInDays" },
    LIFETIMES.map((days) => h("option", { value: days, selected: days === 90 }, t("tokens.days", { n: days }))),
    h("option", { value: "" }, t("tokens.never")),
  );
  const save = async (form) => {
    const body = { name: form.elements.name.value, scopes: [scope.value] };
    if (lifetime.value) body.expiresInDays = Number(lifetime.value);
    if (owner.value) body.personId = owner.value;
    return api.post("/v1/org/tokens", body);
  };
  const content = [
    field(t("common.name"), h("input", { name: "name", required: true, maxlength: 255, autocomplete: "off" }), t("tokens.nameHint")),
    field(t("tokens.owner"), owner, t("tokens.ownerHint")),
    field(t("tokens.scope"), scope),
    field(t("tokens.lifetime"), lifetime),
  ];
  const created = await ask({ title: t("tokens.create"), content, action: t("tokens.createAction"), save });
  if (!created) return;
  await showSecret({ title: t("tokens.createdTitle", { name: created.token.name }), text: t("tokens.createdText"), secret: created.secret });
  await context.refresh();
}
