// Fields of a rubric: criteria with levels; and the dialog to create one.

import * as api from "../shared/api.js";
import { ask, field } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { t } from "../shared/texts.js";

const MAX_KEY_CHARACTERS = 63;

/** Open the dialog. Resolves to the new rubric, or null if canceled. */
export function createRubric() {
  const { nodes, read } = rubricFields();
  return ask({ title: t("rubric.title"), content: nodes, action: t("rubric.create"), save: async () => (await api.post("/v1/rubrics", read())).rubric });
}

/** Build a rubric's fields: `{nodes, read}`. A new rubric starts with three common criteria. */
export function rubricFields(rubric = null) {
  const criteria = h("div", { class: "criteria" });
  const name = h("input", { name: "name", required: true, maxlength: 255, value: rubric?.name ?? t("rubric.defaultName") });
  const defaults = ["understanding", "solution", "verification"].map((key) => ({ title: t(`rubric.defaults.${key}`) }));
  const existing = new Map();
  for (const criterion of rubric?.criteria ?? defaults) add(criterion);
  return {
    nodes: [
      h("p", { class: "quiet" }, t("rubric.hint")),
      field(t("common.name"), name),
      criteria,
      h("button", { type: "button", class: "secondary", onclick: () => add({ title: "" }, true) }, t("rubric.addCriterion")),
    ],
    read: () => ({ name: name.value, criteria: readCriteria() }),
  };

  function add(criterion, isNew = false) {
    const { title, description, weight = 1, levels: previous = [1, 2, 3, 4].map((n) => ({ label: t(`rubric.levels.l${n}`) })) } = criterion;
    const input = (key, label, value, options) => field(t(`rubric.${label}`), h("input", { "data-field": key, value, ...options }));
    const levels = h("textarea", { "data-field": "levels", rows: Math.max(4, previous.length) }, previous.map(levelLine).join("\n"));
    const element = h(
      "fieldset",
      { class: "group" },
      h("legend", {}),
      input("title", "criterionTitle", title, { required: true, maxlength: 255 }),
      field(t("rubric.guidance"), h("textarea", { "data-field": "description", rows: 2 }, description ?? "")),
      input("weight", "weight", weight, { type: "number", min: "0", step: "any", class: "short" }),
      field(t("rubric.levelsLabel"), levels, t("rubric.levelsHint")),
      h("button", { type: "button", class: "link", onclick: () => remove(element) }, t("rubric.removeCriterion")),
    );
    existing.set(element, criterion);
    criteria.append(element);
    renumber();
    if (isNew) element.querySelector("input").focus();
  }

  function remove(element) {
    element.remove();
    renumber();
    criteria.nextElementSibling.focus();
  }

  function renumber() {
    [...criteria.children].forEach((element, n) => fill(element.querySelector("legend"), t("rubric.criterion", { n: n + 1 })));
  }

  function readCriteria() {
    const usedKeys = new Set(["recommendation", ...[...criteria.children].map((element) => existing.get(element).key)]);
    return [...criteria.children].map((element) => {
      const value = (key) => element.querySelector(`[data-field=${key}]`).value.trim();
      return {
        key: existing.get(element).key ?? createKey(value("title"), usedKeys),
        title: value("title"),
        ...(value("description") ? { description: value("description") } : {}),
        weight: value("weight") === "" ? 1 : Number(value("weight")),
        levels: readLevels(value("levels"), existing.get(element).levels),
      };
    });
  }
}

const levelLine = ({ label, description }) => (description ? `${label}: ${description}` : label).replace(/\s+/g, " ");

/**
 * Parse levels, one per line: `Weak: changes code until the symptom is gone.` is level 1. An unchanged line keeps its
 * label and description, an unchanged number of lines the values.
 */
function readLevels(text, previous = []) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return lines.map((line, n) => {
    const [label, ...rest] = line.split(":");
    const description = rest.join(":").trim();
    const parsed = { label: label.trim(), ...(description ? { description } : {}) };
    const value = lines.length === previous.length ? previous[n].value : n + 1;
    return { ...(previous.find((level) => levelLine(level) === line) ?? parsed), value };
  });
}

/** Create a unique key from a title, for use in URLs. */
function createKey(title, usedKeys) {
  const slug = title.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^[^a-z]+|-+$/g, "");
  const base = (slug || "criterion").slice(0, MAX_KEY_CHARACTERS - 4);
  let key = base;
  for (let n = 2; usedKeys.has(key); n += 1) key = `${base}-${n}`;
  usedKeys.add(key);
  return key;
}
