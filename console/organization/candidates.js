// Candidate-facing settings: organization name, reply-to address, and the disclosure with a live preview.

import { disclosureLists } from "../assessment/preview.js";
import * as api from "../shared/api.js";
import { field, onSubmit, toast } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { adminOnlyNotice, conflictNotice } from "./organization.js";
import { t } from "../shared/texts.js";
import { changedValues } from "../shared/values.js";

const LISTS = ["captures", "doesNotCapture", "evaluated", "dataUse"];

export async function load({ signal }) {
  const [{ settings }, { disclosure }] = await Promise.all([
    api.get("/v1/org/settings", { signal }),
    api.get("/v1/org/disclosure", { signal }),
  ]);
  return { settings, disclosure };
}

export function render({ settings, disclosure }, context) {
  fill(context.actions);
  const isAdmin = context.can("admin");
  const inputs = Object.fromEntries(
    LISTS.map((list) => [list, h("textarea", { name: list, rows: 2 }, (settings.disclosureAdditions[list] ?? []).join("\n"))]),
  );
  const name = h("input", { name: "displayName", maxlength: 255, value: settings.displayName ?? "", placeholder: context.me.orgName });
  const replyTo = h("input", { name: "replyTo", type: "email", value: settings.replyTo ?? "" });
  const preview = h("div", { class: "preview", tabindex: "0", role: "group", "aria-labelledby": "preview-title" });
  const message = h("div", { class: "notice bad", role: "alert", hidden: true });
  const submit = h("button", { type: "submit", class: "primary" }, t("common.save"));
  const update = () => fill(preview, renderPreview(disclosure, settings, readAdditions(inputs), name.value || context.me.orgName));
  const save = async () => {
    const body = { displayName: name.value || null, replyTo: replyTo.value || null, disclosureAdditions: readAdditions(inputs) };
    await api.patch("/v1/org/settings", changedValues(body, settings));
    toast(t("common.saved"));
    await context.refresh();
  };
  const form = h(
    "form",
    { class: "panel", oninput: update },
    h(
      "fieldset",
      { disabled: !isAdmin },
      field(t("candidates.displayName"), name, t("candidates.displayNameHint")),
      field(t("candidates.replyTo"), replyTo, t("candidates.replyToHint")),
      h("h2", {}, t("candidates.additions")),
      h("p", { class: "quiet" }, t("candidates.additionsText")),
      LISTS.map((list) => field(t(`candidates.lists.${list}`), inputs[list])),
      message,
      isAdmin && h("div", { class: "actions" }, submit),
    ),
  );
  onSubmit(form, { submit, message, save });
  update();
  return [
    adminOnlyNotice(context),
    conflictNotice(settings),
    h(
      "div",
      { class: "side-by-side" },
      form,
      h("section", { class: "panel", "aria-labelledby": "preview-title" }, h("h2", { id: "preview-title" }, t("candidates.preview")), h("p", { class: "quiet" }, t("candidates.previewText")), preview),
    ),
  ];
}

function readAdditions(inputs) {
  return Object.fromEntries(
    LISTS.map((list) => [list, inputs[list].value.split("\n").map((line) => line.trim()).filter(Boolean)]),
  );
}

/** Render the disclosure as candidates see it. Each list in `disclosure` ends with the saved additions. */
function renderPreview(disclosure, settings, additions, orgName) {
  const added = (text) => h("span", { class: "added" }, h("span", { class: "visually-hidden" }, `${t("candidates.added")}: `), text);
  const items = (list) => {
    const savedCount = settings.disclosureAdditions[list]?.length ?? 0;
    return [...disclosure[list].slice(0, disclosure[list].length - savedCount), ...additions[list].map(added)];
  };
  return [
    h("p", { class: "company" }, orgName),
    h("p", {}, t("candidates.recordedFor", { company: orgName })),
    disclosureLists(Object.fromEntries(LISTS.map((list) => [list, items(list)])), "h3"),
    h("p", { class: "quiet" }, t("candidates.version", { version: settings.disclosureVersion })),
  ];
}
