// The structured brief, an optional part of the assessment form.

import { field } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { t } from "../shared/texts.js";

const CODEBASE_TEXTS = ["name", "description", "runCommand", "testCommand"];
const LISTS = ["evaluation", "groundRules", "deliverables"];
const PHASE_LISTS = ["tasks", "guidance"];

/** Build a brief's fields, collapsed if there is no brief. */
export function briefFields(brief) {
  const phases = h("div", { class: "brief-phases" });
  const fieldset = h(
    "fieldset",
    { name: "brief" },
    h("p", { class: "quiet" }, t("brief.hint")),
    area("brief.scenario", "scenario", brief?.scenario, 4),
    h(
      "fieldset",
      { class: "group", name: "brief.codebase" },
      h("legend", {}, t("brief.codebase")),
      CODEBASE_TEXTS.map((name) => line(`brief.codebase.${name}`, `codebaseFields.${name}`, brief?.codebase?.[name])),
      area("brief.codebase.stack", "codebaseFields.stack", joined(brief?.codebase?.stack), 2),
    ),
    phases,
    h("button", { type: "button", class: "secondary", onclick: () => addPhase({}, true) }, t("brief.addPhase")),
    LISTS.map((name) => area(`brief.${name}`, name, joined(brief?.[name]), 3)),
  );
  for (const phase of brief?.phases ?? []) addPhase(phase);
  return h("details", { class: "brief", open: Boolean(brief) }, h("summary", {}, t("brief.title")), fieldset);

  function addPhase(phase, isNew = false) {
    const legend = h("legend", {});
    const element = h(
      "fieldset",
      { class: "group", "data-phase": true },
      legend,
      line("", "phaseFields.name", phase.name, "name"),
      area("", "phaseFields.goal", phase.goal, 2, "goal"),
      PHASE_LISTS.map((name) => area("", `phaseFields.${name}`, joined(phase[name]), 2, name)),
      h("button", { type: "button", class: "link", onclick: () => removePhase(element) }, t("brief.removePhase")),
    );
    phases.append(element);
    number();
    if (isNew) element.querySelector("input").focus();
  }

  function removePhase(element) {
    element.remove();
    number();
    fieldset.dispatchEvent(new Event("input", { bubbles: true }));
    fieldset.querySelector(":scope > button").focus();
  }

  /** Renumber the steps and their fields' names. */
  function number() {
    [...phases.children].forEach((element, n) => {
      fill(element.querySelector("legend"), t("brief.phase", { n: n + 1 }));
      element.setAttribute("name", `brief.phases.${n}`);
      for (const input of element.querySelectorAll("[data-field]")) input.setAttribute("name", `brief.phases.${n}.${input.dataset.field}`);
    });
  }
}

/** Read the brief in the API's shape, excluding empty fields; null if all are empty. */
export function readBrief(form) {
  const value = (name) => form.elements.namedItem(name).value;
  const codebase = { ...texts(CODEBASE_TEXTS, (name) => value(`brief.codebase.${name}`)), ...lists(["stack"], (name) => value(`brief.codebase.${name}`)) };
  const phases = [...form.querySelectorAll("[data-phase]")].map((element) => {
    const read = (name) => element.querySelector(`[data-field=${name}]`).value;
    return { ...texts(["name", "goal"], read), ...lists(PHASE_LISTS, read) };
  });
  const brief = {
    ...texts(["scenario"], (name) => value(`brief.${name}`)),
    ...(Object.keys(codebase).length ? { codebase } : {}),
    ...(phases.length ? { phases } : {}),
    ...lists(LISTS, (name) => value(`brief.${name}`)),
  };
  return Object.keys(brief).length ? brief : null;
}

function texts(names, value) {
  return Object.fromEntries(names.map((name) => [name, value(name).trim()]).filter(([, text]) => text));
}

/** Split a text into its non-empty lines. */
function lists(names, value) {
  const split = (text) => text.split("\n").map((each) => each.trim()).filter(Boolean);
  return Object.fromEntries(names.map((name) => [name, split(value(name))]).filter(([, entries]) => entries.length));
}

const joined = (entries) => (entries ?? []).join("\n");

function line(name, label, value, key) {
  return field(t(`brief.${label}`), h("input", { name, "data-field": key, value: value ?? "", autocomplete: "off" }));
}

function area(name, label, value, rows, key) {
  return field(t(`brief.${label}`), h("textarea", { name, "data-field": key, rows }, value ?? ""));
}
