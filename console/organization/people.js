// People: add, update, deactivate and delete them, and show the status of their invitations.

import * as api from "../shared/api.js";
import { ask, confirm, field, toast } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { adminOnlyNotice, setFlag } from "./organization.js";
import { emptyState } from "../shared/states.js";
import { dataTable } from "../shared/table.js";
import { t } from "../shared/texts.js";
import { formatDay } from "../shared/time.js";
import { changedValues } from "../shared/values.js";

const ROLES = ["reviewer", "observer", "admin"];

export const load = ({ signal }) => api.all("/v1/org/people", "people", { signal });

export function render(people, context) {
  const isAdmin = context.can("admin");
  const addButton = h("button", { type: "button", class: "primary", onclick: () => add(context) }, t("people.add"));
  fill(context.actions, isAdmin && addButton);
  const notes = [adminOnlyNotice(context), isAdmin && !people.some(({ role }) => role === "admin") && firstAdminNotice(context)];
  if (!people.length) return [emptyState(t("people.emptyTitle"), t("people.empty")), notes];
  const columns = [
    { name: "name", label: t("common.name"), value: ({ name }) => name, render: (person) => nameCell(person, context), sortable: true },
    { name: "role", label: t("people.role"), value: ({ role }) => t(`people.roles.${role}`), sortable: true },
    { name: "invite", label: t("people.invitation"), value: ({ invite }) => invite?.state, render: invitation, sortable: true },
    { name: "added", label: t("common.added"), value: ({ createdAt }) => createdAt, render: ({ createdAt }) => formatDay(createdAt), sortable: true, wide: true },
    isAdmin && { name: "actions", label: t("common.actions"), value: () => null, render: (person) => actions(person, context) },
  ].filter(Boolean);
  return [
    notes,
    h("p", { class: "quiet" }, t("people.text")),
    dataTable({ caption: t("organization.parts.people"), columns, rows: people, sort: { name: "name", order: "asc" }, count: (n) => t("people.count", { n }) }),
  ];
}

/** Build a notice with the command that adds the first admin. Service accounts cannot add admins. */
function firstAdminNotice({ me }) {
  return h("div", { class: "notice" }, h("p", {}, t("people.noAdmin")), h("p", {}, h("code", {}, `flask person create ${me.orgId} EMAIL --name NAME`)));
}

function nameCell({ name, email, active, id }, { me }) {
  return [
    h("span", { class: "strong" }, name),
    me.person?.id === id && h("span", { class: "quiet" }, ` ${t("people.you")}`),
    !active && h("span", { class: "badge off" }, t("people.inactive")),
    h("div", { class: "quiet" }, email ?? ""),
  ];
}

function invitation({ invite }) {
  if (!invite) return t("common.none");
  const isBad = invite.state === "failed";
  return [
    h("span", { class: isBad ? "badge bad" : null }, t(`people.invites.${invite.state}`)),
    invite.lastError && invite.state !== "sent" && h("div", { class: "quiet" }, invite.lastError),
  ];
}

/** True if the caller can update the person. Only admins can update admins; service accounts cannot. */
const canUpdate = (person, { me }) => person.role !== "admin" || me.person?.role === "admin";

function actions(person, context) {
  if (!canUpdate(person, context)) return h("span", { class: "quiet" }, t("people.adminsOnly"));
  const isSelf = person.id === context.me.person?.id;
  const button = (text, run) => h("button", { type: "button", class: "small", onclick: run, "aria-label": `${text}: ${person.name}` }, text);
  return h(
    "div",
    { class: "actions" },
    button(t("people.change"), () => update(person, context)),
    !isSelf && button(person.active ? t("people.deactivate") : t("people.activate"), () => setActive(person, context)),
    !isSelf && button(t("common.delete"), () => remove(person, context)),
  );
}

function personFields(person, { me }) {
  const roles = ROLES.filter((role) => role !== "admin" || me.person?.role === "admin");
  const choices = roles.map((role) => {
    const input = h("input", { type: "radio", name: "role", value: role, required: true, checked: role === (person?.role ?? "reviewer") });
    return h("label", { class: "check-line" }, input, h("span", {}, h("strong", {}, t(`people.roles.${role}`)), " ", h("span", { class: "quiet" }, t(`people.roleTexts.${role}`))));
  });
  return [
    field(t("common.name"), h("input", { name: "name", required: true, maxlength: 255, value: person?.name ?? "", autocomplete: "off" }), t("people.nameHint")),
    field(t("common.emailAddress"), h("input", { name: "email", type: "email", required: true, value: person?.email ?? "", autocomplete: "off" })),
    h("fieldset", { class: "choices" }, h("legend", {}, t("people.role")), choices),
  ];
}

const values = (form) => Object.fromEntries(new FormData(form));

async function add(context) {
  const save = async (form) => (await api.post("/v1/org/people", values(form))).person;
  const person = await ask({ title: t("people.add"), content: personFields(null, context), action: t("people.addAction"), save });
  if (!person) return;
  toast(t("people.addedText", { name: person.name }));
  await context.refresh();
}

async function update(person, context) {
  const save = (form) => api.patch(`/v1/org/people/${person.id}`, changedValues(values(form), person));
  const title = t("people.changeTitle", { name: person.name });
  if (await ask({ title, content: personFields(person, context), save })) await context.refresh();
}

function setActive({ id, name, active }, context) {
  const texts = { title: t("people.deactivateTitle", { name }), text: t("people.deactivateText"), action: t("people.deactivate"), done: t("people.deactivated", { name }) };
  return setFlag(`/v1/org/people/${id}`, "active", !active, texts, context);
}

async function remove(person, context) {
  const run = () => api.remove(`/v1/org/people/${person.id}`);
  const title = t("people.deleteTitle", { name: person.name });
  if (await confirm({ title, text: t("people.deleteText"), action: t("common.delete"), run })) await context.refresh();
}
