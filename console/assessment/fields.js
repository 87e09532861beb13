// The assessment form's fields and their values.

import { readBrief, briefFields } from "./brief.js";
import { field } from "../shared/dialogs.js";
import { fill, h, newId } from "../shared/dom.js";
import { createRubric } from "./rubric_form.js";
import { t } from "../shared/texts.js";
import { isEqual } from "../shared/values.js";

const AGENTS = ["claude", "codex"];
const PROVIDERS = { claude: "anthropic", codex: "openai" };
const HOSTED = ["web_search", "web_fetch", "code_execution", "file_search", "image_generation", "mcp"];
const TEXT_FIELDS = ["title", "role", "taskBrief", "repoUrl", "repoCommit", "setupInstructions"];
const NUMBER_FIELDS = ["timeLimitMinutes", "expiresInDays", "reminderDaysBefore", "tokenBudgetUsd"];
/** Fields that can be edited after a candidate has started. */
export const EDITABLE_AFTER_START = ["expiresInDays", "reminderDaysBefore", "rubricId", "blind", "showTestCounts"];

/**
 * Build the fields that candidates see. `problem` is the optional field to choose a problem, `modelProviders` are the
 * providers that the service has an API key for. A `repository` that the service hosts replaces the external one.
 */
export function candidateFields(values, problem, modelProviders, repository) {
  return [
    section(
      "task",
      problem,
      text("title", values, { maxlength: 255 }),
      text("role", values, { maxlength: 255 }),
      area("taskBrief", values, { maxlength: 50_000, rows: 12 }),
      repository && h("p", { class: "notice" }, t("assessmentForm.hosted")),
      h(
        "div",
        { hidden: Boolean(repository) },
        text("repoUrl", values, { maxlength: 2048, inputmode: "url", placeholder: "https://github.com/example/orders" }),
        text("repoCommit", values, { maxlength: 40, spellcheck: "false" }),
      ),
      area("setupInstructions", values, { maxlength: 10_000, rows: 3 }),
      briefFields(values.brief),
    ),
    section(
      "tools",
      h("div", { class: "two" }, number("timeLimitMinutes", values, { max: 43_200 }), number("tokenBudgetUsd", values, { min: 0, step: "any" })),
      tools(values.allowedTools, modelProviders),
    ),
  ];
}

/** Build the fields that only the team sees. */
export function teamFields(values, rubrics, { canWrite }) {
  return [
    section("invitations", h("div", { class: "two" }, number("expiresInDays", values, { max: 365 }), number("reminderDaysBefore", values, { max: 364 }))),
    section("scoring", rubricField(values.rubricId, rubrics, canWrite), checkLine("blind", values.blind, "blind"), checkLine("showTestCounts", values.showTestCounts, "showTestCounts")),
  ];
}

/** Read the form's values by API field name. Empty fields are null. Keeps `original.allowedTools` if the boxes equal it. */
export function readValues(form, original = {}) {
  const value = (name) => form.elements.namedItem(name).value;
  const texts = TEXT_FIELDS.map((name) => [name, value(name).trim() ? value(name) : null]);
  const numbers = NUMBER_FIELDS.map((name) => [name, value(name) === "" ? null : Number(value(name))]);
  return {
    ...Object.fromEntries([...texts, ...numbers]),
    allowedTools: readTools(form, original.allowedTools),
    brief: readBrief(form),
    rubricId: value("rubricId") || null,
    blind: form.elements.namedItem("blind").checked,
    showTestCounts: form.elements.namedItem("showTestCounts").checked,
  };
}

/** Read the allowed tools. The default, both agents, is null, which also allows tools without a box. */
function readTools(form, original) {
  const checked = [...AGENTS, ...HOSTED].filter((name) => form.elements.namedItem(`tool-${name}`).checked);
  if (original && isEqual(checked.toSorted(), original.toSorted())) return original;
  return isEqual(checked, AGENTS) ? null : checked;
}

/** Map each error's path to the nearest form field: `brief.phases.0.name` to `brief.phases`. */
export function mapErrorPaths(form, error) {
  if (!error.details) return error;
  const details = error.details.map((detail) => {
    const names = detail.path.map((_, n) => detail.path.slice(0, detail.path.length - n).join("."));
    return { ...detail, path: [names.find((name) => form.elements.namedItem(name)) ?? detail.path.join(".")] };
  });
  return Object.create(error, { details: { value: details } });
}

function section(name, ...content) {
  const id = newId("section");
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id }, t(`assessmentForm.sections.${name}`)), content);
}

function labeledField(name, input) {
  return field(t(`assessmentForm.fields.${name}`), input, t(`assessmentForm.hints.${name}`));
}

const text = (name, values, options) => labeledField(name, h("input", { name, value: values[name] ?? "", autocomplete: "off", ...options }));
const area = (name, values, options) => labeledField(name, h("textarea", { name, ...options }, values[name] ?? ""));
const number = (name, values, options) =>
  labeledField(name, h("input", { name, type: "number", min: 1, step: 1, class: "short", value: values[name] ?? "", ...options }));

function tools(allowed, modelProviders) {
  const missing = AGENTS.filter((name) => !modelProviders.includes(PROVIDERS[name]));
  const isAllowed = (name) => (allowed ? allowed.includes(name) : AGENTS.includes(name));
  const group = (names) => h("div", { class: "checks" }, names.map((name) => checkLine(`tool-${name}`, isAllowed(name), `tools.${name}`)));
  return h(
    "fieldset",
    { class: "field", name: "allowedTools" },
    h("legend", {}, t("assessmentForm.fields.allowedTools")),
    h("p", { class: "quiet" }, t("assessmentForm.hints.allowedTools")),
    group(AGENTS),
    missing.length > 0 && h("p", { class: "notice warn" }, t(`assessmentForm.missing.${missing.length > 1 ? "all" : missing[0]}`)),
    h("p", { class: "quiet" }, t("assessmentForm.hints.hostedTools")),
    group(HOSTED),
  );
}

function checkLine(name, checked, path) {
  const input = h("input", { type: "checkbox", name, checked });
  return h("label", { class: "check-line" }, input, h("span", {}, t(`assessmentForm.checks.${path}`)));
}

function rubricField(rubricId, rubrics, canWrite) {
  const select = h("select", { name: "rubricId" });
  const add = h("button", { type: "button", class: "link", onclick: createAndSelect }, t("assessmentForm.newRubric"));
  showOptions(rubricId);
  const element = labeledField("rubricId", select);
  if (canWrite) element.append(add);
  return element;

  function showOptions(selectedId) {
    const options = rubrics.map(({ id, name, criteria }) =>
      h("option", { value: id, selected: id === selectedId }, t("assessmentForm.rubricOption", { name, n: criteria.length })),
    );
    fill(select, h("option", { value: "" }, t("assessmentForm.noRubric")), options);
  }

  async function createAndSelect() {
    const rubric = await createRubric();
    if (!rubric) return;
    rubrics.push(rubric);
    showOptions(rubric.id);
    select.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
