// Applicant-tracking systems: connections, rules and orders.

import { catchUp, editRule, removeRule, ruleName } from "./integration_rules.js";
import { orders } from "./integration_orders.js";
import * as api from "../shared/api.js";
import { copyText } from "../shared/clipboard.js";
import { ask, confirm, field, runAction, showContent, toast } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { formatNumber } from "../shared/numbers.js";
import { adminOnlyNotice } from "./organization.js";
import { emptyState } from "../shared/states.js";
import { dataTable } from "../shared/table.js";
import { t } from "../shared/texts.js";
import { formatDateTime, formatRelative } from "../shared/time.js";
import { untrustedName } from "../shared/untrusted.js";

export async function load({ signal }) {
  const [{ systems, enabled }, integrations] = await Promise.all([
    api.get("/v1/integration-systems", { signal }),
    api.all("/v1/integrations", "integrations", { signal }),
  ]);
  const rules = await Promise.all(integrations.map(({ id }) => api.all(`/v1/integrations/${id}/rules`, "rules", { signal })));
  return { systems, enabled, integrations: integrations.map((integration, n) => ({ ...integration, rules: rules[n] })) };
}

export function render({ systems, enabled, integrations }, context) {
  const isAdmin = context.can("admin");
  const connectButton = h("button", { type: "button", class: "primary", onclick: () => connect(systems, context) }, t("integrations.connect"));
  fill(context.actions, isAdmin && enabled && connectButton);
  const panels = integrations.map((integration) => panel(integration, systems.find(({ system }) => system === integration.system), context));
  return [
    adminOnlyNotice(context),
    !enabled && h("p", { class: "notice warn" }, t("integrations.noKeys")),
    h("p", { class: "quiet" }, t("integrations.text")),
    integrations.length ? panels : h("div", { class: "panel" }, emptyState(t("integrations.emptyTitle"), t("integrations.empty"))),
  ];
}

function panel(integration, system, context) {
  const isAdmin = context.can("admin");
  const list = h("div", {});
  const details = h("details", { open: integration.attentionCount > 0 }, h("summary", {}, t("integrations.orders")), list);
  const showOrders = () => fill(list, orders(integration, context));
  details.addEventListener("toggle", () => details.open && !list.firstChild && showOrders());
  if (details.open) showOrders();
  const button = (text, run) => actionButton(text, integration.name, run);
  const notice = problem(integration);
  return h(
    "section",
    { class: "panel webhook integration" },
    h("div", { class: "webhook-head" }, h("h2", {}, integration.name), badge(integration)),
    notice,
    h(
      "dl",
      { class: "detail-list" },
      detail(t("integrations.system"), system?.name ?? integration.system),
      detail(t("integrations.eventsUrl"), h("code", {}, integration.eventsUrl)),
      detail(t("integrations.credential"), `… ${integration.credentialEnd}`),
      detail(t("integrations.lastCall"), integration.lastCallAt ? formatRelative(integration.lastCallAt) : t("tokens.never")),
      !notice && integration.lastError && detail(t("integrations.lastError"), `${integration.lastError} (${formatRelative(integration.lastErrorAt)})`),
      detail(t("integrations.calls"), callsOfWeek(integration)),
    ),
    isAdmin &&
      h(
        "div",
        { class: "actions" },
        button(t("integrations.check"), () => check(integration, context)),
        button(t("people.change"), () => update(integration, system, context)),
        button(t(integration.state === "paused" ? "integrations.resume" : "integrations.pause"), () => setActive(integration, context)),
        button(t("webhooks.rotate"), () => rotate(integration, system, context)),
        button(t("common.delete"), () => remove(integration, context)),
      ),
    h("h3", {}, t("integrations.rules")),
    rulesTable(integration, context),
    isAdmin && h("div", { class: "actions" }, button(t("integrations.addRule"), () => editRule(integration, null, context))),
    details,
  );
}

function actionButton(text, subject, run) {
  return h("button", { type: "button", class: "small", onclick: ({ target }) => runAction(target, run), "aria-label": `${text}: ${subject}` }, text);
}

const detail = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

function badge({ state }) {
  const kind = { active: "good", stopped: "bad", paused: "off" }[state];
  return h("span", { class: `badge ${kind}` }, t(`integrations.states.${state}`));
}

function problem({ state, lastError, lastErrorAt, lastCallAt }) {
  const isStopped = state === "stopped";
  if (!isStopped && !(lastError && lastErrorAt >= lastCallAt)) return null;
  return h(
    "div",
    { class: "notice bad" },
    h("strong", {}, isStopped ? t("integrations.stopped") : t("integrations.failed", { time: formatRelative(lastErrorAt) })),
    lastError && h("p", {}, lastError),
    isStopped && h("p", {}, t("integrations.stoppedHelp")),
  );
}

function callsOfWeek({ calls }) {
  const [total, failures] = ["calls", "failures"].map((name) => calls.reduce((sum, day) => sum + day[name], 0));
  return failures ? t("integrations.callsFailed", { n: formatNumber(total), failures: formatNumber(failures) }) : formatNumber(total);
}

function rulesTable(integration, context) {
  const { rules } = integration;
  if (!rules.length) return h("p", { class: "quiet" }, t("integrations.noRules"));
  const columns = [
    { name: "stage", label: t("integrations.stage"), value: ({ stageName }) => stageName, render: ({ stageName }) => untrustedName(stageName) },
    { name: "job", label: t("integrations.job"), value: ({ jobName }) => jobName, render: ({ jobName }) => (jobName ? untrustedName(jobName) : t("integrations.allJobs")) },
    { name: "assessment", label: t("integrations.assessment"), value: ({ assessmentTitle }) => assessmentTitle, render: assessmentCell },
    { name: "reports", label: t("integrations.reports"), value: ({ reports }) => reports.map((state) => t(`integrations.orderStates.${state}`)).join(", "), wide: true },
    context.can("admin") && {
      name: "actions",
      label: t("common.actions"),
      value: () => null,
      render: (rule) =>
        h(
          "div",
          { class: "actions" },
          actionButton(t("people.change"), ruleName(rule), () => editRule(integration, rule, context)),
          rule.active && actionButton(t("integrations.catchUp"), ruleName(rule), () => catchUp(integration, rule, context)),
          actionButton(t("common.delete"), ruleName(rule), () => removeRule(integration, rule, context)),
        ),
    },
  ].filter(Boolean);
  return dataTable({ caption: t("integrations.rules"), columns, rows: rules, count: (n) => t("integrations.ruleCount", { n }) });
}

function assessmentCell({ assessmentId, assessmentTitle, assessmentAvailable, active }) {
  const state = !assessmentAvailable ? "unavailable" : !active && "inactive";
  return [
    assessmentAvailable ? h("a", { href: `#/assessments/${assessmentId}` }, assessmentTitle) : assessmentTitle,
    state && [" ", h("span", { class: `badge ${state === "inactive" ? "off" : "bad"}` }, t(`integrations.ruleStates.${state}`))],
  ];
}

// -- Changes

/** Build the inputs of a system's credential and settings. Without an integration, all required ones must be filled in. */
function inputs(system, integration) {
  const input = (prefix, { name, label, help, required, choices }) => {
    const id = `${prefix}.${name}`;
    const value = integration?.settings[name] ?? "";
    const isSecret = prefix === "credential";
    const element = choices.length
      ? h("select", { name: id }, choices.map((choice) => h("option", { value: choice, selected: choice === value }, choice)))
      : h("input", { name: id, type: isSecret ? "password" : "text", required: required && !(isSecret && integration), autocomplete: "off", value: isSecret ? "" : value });
    return field(label, element, help);
  };
  const name = h("input", { name: "name", required: true, maxlength: 255, value: integration?.name ?? system.name });
  return [
    field(t("integrations.name"), name),
    integration && h("p", { class: "quiet" }, t("integrations.keepCredential")),
    system.credential.map((item) => input("credential", item)),
    system.settings.map((item) => input("settings", item)),
  ];
}

function values(form, system, integration) {
  const read = (prefix, items) => Object.fromEntries(items.map(({ name }) => [name, form.elements[`${prefix}.${name}`].value]).filter(([, value]) => value));
  const credential = read("credential", system.credential);
  const settings = read("settings", system.settings);
  const isKept = integration && !Object.keys(credential).length;
  return { name: form.elements.name.value, settings, ...(isKept ? {} : { credential }) };
}

async function connect(systems, context) {
  const select = h("select", { name: "system" }, systems.map(({ system, name }) => h("option", { value: system }, name)));
  const chosen = () => systems.find(({ system }) => system === select.value);
  const rest = h("div", {}, inputs(chosen()));
  select.addEventListener("change", () => fill(rest, inputs(chosen())));
  const save = (form) => api.post("/v1/integrations", { system: select.value, ...values(form, chosen()) });
  const created = await ask({ title: t("integrations.connect"), content: [field(t("integrations.system"), select), rest], action: t("integrations.connectAction"), save });
  if (!created) return;
  await showWebhook(chosen(), created);
  await context.refresh();
}

/** Show what to enter in the system: the URL, and the secret, which is shown once. */
function showWebhook(system, { integration, secret }) {
  const line = (label, value) => {
    const input = h("input", { readonly: true, value, spellcheck: "false", class: "secret" });
    const status = h("span", { role: "status", class: "quiet" });
    const copy = async () => {
      input.select();
      if (await copyText(value)) status.textContent = t("secrets.copied");
    };
    const button = h("button", { type: "button", class: "small", onclick: copy, "aria-label": `${t("secrets.copy")}: ${label}` }, t("secrets.copy"));
    const element = field(label, input);
    element.append(h("div", { class: "actions" }, button, status));
    return element;
  };
  const content = [
    h("ol", {}, system.steps.map((step) => h("li", {}, step))),
    line(t("integrations.eventsUrl"), integration.eventsUrl),
    line(t("integrations.secret"), secret),
    h("p", { class: "notice warn" }, t("secrets.once")),
  ];
  return showContent(t("integrations.webhookTitle", { system: system.name }), content);
}

async function update(integration, system, context) {
  const save = (form) => api.patch(`/v1/integrations/${integration.id}`, values(form, system, integration));
  if (await ask({ title: t("integrations.changeTitle"), content: inputs(system, integration), save })) await context.refresh();
}

async function setActive({ id, state }, context) {
  await api.patch(`/v1/integrations/${id}`, { active: state === "paused" });
  await context.refresh();
}

async function check(integration, context) {
  const { check: result } = await api.post(`/v1/integrations/${integration.id}/check`, undefined, { timeoutMs: api.SYSTEM_TIMEOUT_MS });
  const counts = new Map(result.rules.map(({ ruleId, waiting }) => [ruleId, waiting]));
  const lines = integration.rules.filter(({ id }) => counts.has(id)).map((rule) => h("li", {}, t("integrations.waiting", { n: counts.get(rule.id), rule: ruleName(rule) })));
  const content = [h("p", { class: result.ok ? "" : "notice bad" }, result.ok ? t("integrations.checkOk") : result.problem), h("ul", {}, lines)];
  await showContent(t("integrations.checkTitle", { name: integration.name, time: formatDateTime(new Date().toISOString()) }), content);
  await context.refresh();
}

async function rotate(integration, system, context) {
  let rotated = null;
  const run = async () => (rotated = await api.post(`/v1/integrations/${integration.id}/rotate-secret`));
  if (!(await confirm({ title: t("webhooks.rotateTitle"), text: t("integrations.rotateText"), action: t("webhooks.rotate"), run }))) return;
  await showWebhook(system, rotated);
  await context.refresh();
}

async function remove({ id, name }, context) {
  const run = () => api.remove(`/v1/integrations/${id}`);
  if (!(await confirm({ title: t("integrations.deleteTitle", { name }), text: t("integrations.deleteText"), action: t("common.delete"), run }))) return;
  toast(t("integrations.deleted", { name }));
  await context.refresh();
}
