// Retention settings for personal data.

import * as api from "../shared/api.js";
import { confirm, field, toast } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { adminOnlyNotice, conflictNotice } from "./organization.js";
import { t } from "../shared/texts.js";

const DEFAULT_DAYS = 180;
const MAX_DAYS = 3650;

export const load = async ({ signal }) => (await api.get("/v1/org/settings", { signal })).settings;

export function render(settings, context) {
  const { retentionDays } = settings;
  fill(context.actions);
  const isAdmin = context.can("admin");
  const days = h("input", { type: "number", name: "retentionDays", min: 1, max: MAX_DAYS, value: retentionDays ?? DEFAULT_DAYS });
  const choice = (value, text) => {
    const input = h("input", { type: "radio", name: "kind", value, checked: (value === "after") === (retentionDays !== null) });
    return h("label", { class: "check-line" }, input, h("span", {}, text));
  };
  const form = h("form", { class: "panel narrow" });
  const daysField = field(t("retention.days"), days, t("retention.daysHint"));
  const isLimited = () => form.elements.kind.value === "after";
  const update = () => {
    daysField.hidden = !isLimited();
    days.required = isLimited();
    days.disabled = !isLimited(); // An invalid hidden number would block the form.
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await save(isLimited() ? days.valueAsNumber : null, retentionDays, context);
  });
  fill(
    form,
    h(
      "fieldset",
      { disabled: !isAdmin },
      h("fieldset", { class: "choices" }, h("legend", {}, t("retention.question")), choice("never", t("retention.never")), choice("after", t("retention.after"))),
      daysField,
      isAdmin && h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, t("common.save"))),
    ),
  );
  update();
  const currentText = retentionDays === null ? t("retention.currentNever") : t("retention.current", { n: retentionDays });
  return [adminOnlyNotice(context), conflictNotice(settings), h("p", { class: "notice narrow" }, currentText), form, h("p", { class: "quiet narrow" }, t("retention.text"))];
}

async function save(days, before, context) {
  const set = (value) => api.patch("/v1/org/settings", { retentionDays: value });
  const isShorter = days !== null && (before === null || days < before);
  if (isShorter) {
    const text = t("retention.confirmText", { n: days });
    const isDone = await confirm({ title: t("retention.confirmTitle"), text, action: t("retention.confirmAction"), run: () => set(days) });
    if (!isDone) return;
  } else await set(days);
  toast(t("common.saved"));
  await context.refresh();
}
