// Dialog to create a rubric: criteria with levels.

import * as api from "../shared/api.js";
import { ask, field } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { t } from "../shared/texts.js";

const MAX_KEY_CHARACTERS = 63;

/** Open the dialog. Resolves to the new rubric, or null if canceled. Starts with three common criteria. */
export function createRubric() {
  const criteria = h("div", { class: "criteria" });
  for (const name of ["understanding", "solution", "verification"]) add(t(`rubric.defaults.${name}`));
  return ask({
    title: t("rubric.title"),
    content: [
      h("p", { class: "quiet" }, t("rubric.hint")),
      field(t("rubric.name"), h("input", { name: "name", required: true, maxlength: 255, value: t("rubric.defaultName") })),
      criteria,
      h("button", { type: "button", class: "secondary", onclick: () => add("", true) }, t("rubric.addCriterion")),
    ],
    action: t("rubric.create"),
    save: async (form) => (await api.post("/v1/rubrics", { name: form.elements.namedItem("name").value, criteria: readCriteria() })).rubric,
  });

  function add(title, isNew = false) {
    const input = (key, label, value, options) => field(t(`rubric.${label}`), h("input", { "data-field": key, value, ...options }));
    const levels = h("textarea", { "data-field": "levels", rows: 4 }, [1, 2, 3, 4].map((n) => t(`rubric.levels.l${n}`)).join("\n"));
    const element = h(
      "fieldset",
      { class: "group" },
      h("legend", {}),
      input("title", "criterionTitle", title, { required: true, maxlength: 255 }),
      field(t("rubric.guidance"), h("textarea", { "data-field": "description", rows: 2 })),
      input("weight", "weight", 1, { type: "number", min: "0.1", step: "any", class: "short" }),
      field(t("rubric.levelsLabel"), levels, t("rubric.levelsHint")),
      h("button", { type: "button", class: "link", onclick: () => remove(element) }, t("rubric.removeCriterion")),
    );
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
    const usedKeys = new Set();
    return [...criteria.children].map((element) => {
      const value = (key) => element.querySelector(`[data-field=${key}]`).value.trim();
      return {
        key: createKey(value("title"), usedKeys),
        title: value("title"),
        ...(value("description") ? { description: value("description") } : {}),
        weight: Number(value("weight")) || 1,
        levels: readLevels(value("levels")),
      };
    });
  }
}

/** Parse levels, one per line: `Weak: changes code until the symptom is gone.` is level 1. */
function readLevels(text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return lines.map((line, n) => {
    const [label, ...rest] = line.split(":");
    const description = rest.join(":").trim();
    return { value: n + 1, label: label.trim(), ...(description ? { description } : {}) };
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
