// The structured brief: an optional section of the assessment form.

import { field } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { t } from "../shared/texts.js";

const CODEBASE_FIELDS = ["name", "description", "runCommand", "testCommand"];
const LISTS = ["evaluation", "groundRules", "deliverables"];
const PHASE_LISTS = ["tasks", "guidance"];

/** Build the brief's fields, collapsed if there is no brief. */
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
      CODEBASE_FIELDS.map((name) => line(`brief.codebase.${name}`, `codebaseFields.${name}`, brief?.codebase?.[name])),
      area("brief.codebase.stack", "codebaseFields.stack", joinLines(brief?.codebase?.stack), 2),
    ),
    phases,
    h("button", { type: "button", class: "secondary", onclick: () => addPhase({}, true) }, t("brief.addPhase")),
    LISTS.map((name) => area(`brief.${name}`, name, joinLines(brief?.[name]), 3)),
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
      PHASE_LISTS.map((name) => area("", `phaseFields.${name}`, joinLines(phase[name]), 2, name)),
      h("button", { type: "button", class: "link", onclick: () => removePhase(element) }, t("brief.removePhase")),
    );
    phases.append(element);
    renumberPhases();
    if (isNew) element.querySelector("input").focus();
  }

  function removePhase(element) {
    element.remove();
    renumberPhases();
    fieldset.dispatchEvent(new Event("input", { bubbles: true }));
    fieldset.querySelector(":scope > button").focus();
  }

  /** Renumber the phases and their field names. */
  function renumberPhases() {
    [...phases.children].forEach((element, n) => {
      fill(element.querySelector("legend"), t("brief.phase", { n: n + 1 }));
      element.setAttribute("name", `brief.phases.${n}`);
      for (const input of element.querySelectorAll("[data-field]")) input.setAttribute("name", `brief.phases.${n}.${input.dataset.field}`);
    });
  }
}

/** Read the brief as an API request body, without empty fields. Returns null if the brief is empty. */
export function readBrief(form) {
  const value = (name) => form.elements.namedItem(name).value;
  const codebase = { ...readTexts(CODEBASE_FIELDS, (name) => value(`brief.codebase.${name}`)), ...readLists(["stack"], (name) => value(`brief.codebase.${name}`)) };
  const phases = [...form.querySelectorAll("[data-phase]")].map((element) => {
    const read = (name) => element.querySelector(`[data-field=${name}]`).value;
    return { ...readTexts(["name", "goal"], read), ...readLists(PHASE_LISTS, read) };
  });
  const brief = {
    ...readTexts(["scenario"], (name) => value(`brief.${name}`)),
    ...(Object.keys(codebase).length ? { codebase } : {}),
    ...(phases.length ? { phases } : {}),
    ...readLists(LISTS, (name) => value(`brief.${name}`)),
  };
  return Object.keys(brief).length ? brief : null;
}

/** Read the named fields, without empty ones. */
function readTexts(names, read) {
  return Object.fromEntries(names.map((name) => [name, read(name).trim()]).filter(([, text]) => text));
}

/** Read the named fields as lists of non-empty lines, without empty lists. */
function readLists(names, read) {
  const split = (text) => text.split("\n").map((part) => part.trim()).filter(Boolean);
  return Object.fromEntries(names.map((name) => [name, split(read(name))]).filter(([, lines]) => lines.length));
}

const joinLines = (lines) => (lines ?? []).join("\n");

function line(name, label, value, key) {
  return field(t(`brief.${label}`), h("input", { name, "data-field": key, value: value ?? "", autocomplete: "off" }));
}

function area(name, label, value, rows, key) {
  return field(t(`brief.${label}`), h("textarea", { name, "data-field": key, rows }, value ?? ""));
}
