// The organization's settings: navigation, and the selected part.

import * as api from "../shared/api.js";
import { confirm, toast } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { renderAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";

// Each part is the module `<part>.js`.
const PARTS = ["people", "tokens", "runners", "webhooks", "candidates", "retention", "audit", "usage", "sign_ins", "integrations", "notifications"].filter(
  (part) => api.HAS_INTEGRATIONS || !["integrations", "notifications"].includes(part),
);

export async function show(main, { part = PARTS[0] }, context) {
  const isKnown = PARTS.includes(part);
  const name = isKnown ? t(`organization.parts.${part}`) : t("errors.missingTitle");
  context.setTitle(`${name} · ${t("organization.title")}`);
  const content = h("div", { class: "part" });
  const navigation = h(
    "nav",
    { class: "parts", "aria-label": t("organization.title") },
    PARTS.map((other) =>
      h("a", { href: `#/organization/${other}`, "aria-current": other === part ? "page" : null }, t(`organization.parts.${other}`)),
    ),
  );
  const actions = h("div", { class: "actions" });
  const head = h(
    "div",
    { class: "page-head" },
    h("div", {}, h("p", { class: "company" }, context.me.orgName), h("h1", { tabindex: "-1" }, name)),
    actions,
  );
  fill(main, h("div", { class: "with-parts" }, navigation, h("div", { class: "part-page" }, head, content)));
  if (!isKnown) return fill(content, h("div", { class: "panel" }, h("p", {}, t("errors.missing"))));
  const module = await import(`./${part}.js`);
  const load = () => renderAsync(content, () => module.load(context), (data) => module.render(data, { ...context, refresh, actions }));
  // Replacing the content drops the focus.
  const refresh = async () => {
    await load();
    if (document.activeElement === document.body) head.querySelector("h1").focus({ preventScroll: true });
  };
  await load();
}

/** Set a field to true, or to false after a confirmation. Undo sets it to true again. */
export async function setFlag(path, name, value, { done, ...confirmation }, { refresh }) {
  const set = async (newValue) => {
    await api.patch(path, { [name]: newValue });
    await refresh();
  };
  if (value) await set(true);
  else if (await confirm({ ...confirmation, run: () => set(false) })) toast(done, { undo: () => set(true) });
}

/** Build a warning about additions to the disclosure that contradict the retention period. */
export function conflictNotice({ retentionConflicts }) {
  const lines = h("ul", {}, retentionConflicts.map((line) => h("li", {}, line)));
  return retentionConflicts.length > 0 && h("div", { class: "notice warn" }, h("p", {}, t("retention.conflict")), lines);
}

/** Build a notice for people who are not admins. */
export function adminOnlyNotice({ can }) {
  return !can("admin") && h("p", { class: "notice" }, t("organization.adminOnlyNotice"));
}
