// An integration's rules: which assessment the applications in a stage get, and what is reported.

import * as api from "../shared/api.js";
import { ask, confirm, field, toast } from "../shared/dialogs.js";
import { h } from "../shared/dom.js";
import { renderAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { plainName, untrustedName } from "../shared/untrusted.js";

const REPORTS = ["invited", "started", "submitted", "scored", "expired", "revoked"];
const DEFAULT_REPORTS = ["submitted", "scored", "expired", "revoked"];
const PARTS = ["score", "duration", "criteria", "tests"];
const DEFAULT_PARTS = ["score", "duration"];
// In one request (schemas.py).
const MAX_CATCH_UP = 200;

/** Return a rule's stage and job. */
export const ruleName = ({ stageName, jobName }) => plainName(`${stageName}, ${jobName ?? t("integrations.allJobs")}`);

/** Add a rule (`rule` null) or change one, whose stage and job stay. */
export async function editRule(integration, rule, context) {
  const path = `/v1/integrations/${integration.id}`;
  const [assessments, { jobs }] = await Promise.all([
    api.all("/v1/assessments", "assessments", { signal: context.signal }),
    rule ? { jobs: [] } : api.get(`${path}/jobs`, { signal: context.signal, timeoutMs: api.SYSTEM_TIMEOUT_MS }),
  ]);
  const content = fields(rule, assessments.filter(({ archivedAt }) => !archivedAt), jobs, path, context);
  const save = (form) => {
    const checked = (name) => [...form.querySelectorAll(`[name=${name}]:checked`)].map(({ value }) => value);
    const { assessmentId, stageId, jobId, active } = form.elements;
    const body = { assessmentId: assessmentId.value, reports: checked("reports"), include: checked("include"), active: active.checked };
    if (rule) return api.patch(`${path}/rules/${rule.id}`, body);
    return api.post(`${path}/rules`, { ...body, stageId: stageId?.value, jobId: jobId.value || null }, { timeoutMs: api.SYSTEM_TIMEOUT_MS });
  };
  const saved = await ask({ title: t(rule ? "integrations.changeRule" : "integrations.addRule"), content, save });
  if (!saved) return;
  await context.refresh();
  if (!rule && saved.rule.active) await catchUp(integration, saved.rule, context);
}

function fields(rule, assessments, jobs, path, context) {
  const choices = (name, options, selected) =>
    options.map((value) => h("label", { class: "check-line" }, h("input", { type: "checkbox", name, value, checked: selected.includes(value) }), h("span", {}, t(`integrations.${name === "reports" ? "orderStates" : "parts"}.${value}`))));
  // Another one must be selected.
  const isMissing = rule && !rule.assessmentAvailable;
  const assessment = h("select", { name: "assessmentId", required: true }, isMissing && h("option", { value: "" }), assessments.map(({ id, title }) => h("option", { value: id, selected: id === rule?.assessmentId }, title)));
  return [
    rule ? h("p", {}, ruleName(rule)) : stageFields(jobs, path, context),
    field(t("integrations.assessment"), assessment),
    h("fieldset", { class: "choices" }, h("legend", {}, t("integrations.reports")), choices("reports", REPORTS, rule?.reports ?? DEFAULT_REPORTS)),
    h("fieldset", { class: "choices" }, h("legend", {}, t("integrations.include")), h("p", { class: "quiet" }, t("integrations.includeHint")), choices("include", PARTS, rule?.include ?? DEFAULT_PARTS)),
    h("label", { class: "check-line" }, h("input", { type: "checkbox", name: "active", checked: rule?.active ?? true }), h("span", {}, t("integrations.ruleActive"))),
  ];
}

/** Build the selection of a job, and of one of its stages. */
function stageFields(jobs, path, context) {
  const job = h("select", { name: "jobId" }, h("option", { value: "" }, t("integrations.allJobs")), jobs.map(({ id, name }) => h("option", { value: id }, plainName(name))));
  const place = h("div", {});
  const show = () =>
    renderAsync(
      place,
      () => api.get(`${path}/stages`, { query: { jobId: job.value }, signal: context.signal, timeoutMs: api.SYSTEM_TIMEOUT_MS }),
      ({ stages }) => field(t("integrations.stage"), h("select", { name: "stageId", required: true }, stages.map(({ id, name, group }) => h("option", { value: id }, plainName(group ? `${group}: ${name}` : name))))),
    );
  job.addEventListener("change", show);
  show();
  return [field(t("integrations.job"), job), place];
}

/** List the applications that wait in a rule's stage, and invite the selected candidates. */
export async function catchUp(integration, rule, context) {
  const path = `/v1/integrations/${integration.id}/rules/${rule.id}/catch-up`;
  const { applications } = await api.get(path, { signal: context.signal, timeoutMs: api.SYSTEM_TIMEOUT_MS });
  if (!applications.length) return toast(t("integrations.nobodyWaiting", { rule: ruleName(rule) }));
  const content = [
    h("p", {}, t("integrations.catchUpText", { assessment: rule.assessmentTitle })),
    h(
      "div",
      { class: "choices scrolling" },
      applications.map(({ applicationId, name, email }) => h("label", { class: "check-line" }, h("input", { type: "checkbox", name: "applications", value: applicationId }), h("span", {}, untrustedName(name ?? applicationId), " ", email && h("span", { class: "quiet" }, untrustedName(email))))),
    ),
  ];
  const save = async (form) => {
    const selected = [...form.querySelectorAll("[name=applications]:checked")].map(({ value }) => value);
    const created = [];
    for (let start = 0; start < selected.length; start += MAX_CATCH_UP) {
      created.push(...(await api.post(path, { applicationIds: selected.slice(start, start + MAX_CATCH_UP) })).orders);
    }
    return { orders: created };
  };
  const created = await ask({ title: t("integrations.catchUp"), content, action: t("integrations.catchUpAction"), save });
  if (!created) return;
  toast(t("integrations.ordersCreated", { n: created.orders.length }));
  await context.refresh();
}

export async function removeRule(integration, rule, context) {
  const run = () => api.remove(`/v1/integrations/${integration.id}/rules/${rule.id}`);
  if (await confirm({ title: t("integrations.deleteRuleTitle"), text: t("integrations.deleteRuleText"), action: t("common.delete"), run })) await context.refresh();
}
