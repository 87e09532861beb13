// Panel with the team's notes on a session.

import * as api from "../shared/api.js";
import { field, runAction, saveForm } from "../shared/dialogs.js";
import { h } from "../shared/dom.js";
import { loadDraft, storeDraft } from "../shared/drafts.js";
import { renderAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";

/** Build the panel, with a form if the caller can add notes. */
export function notesPanel({ sessionId, me, can, canAdd, signal }) {
  const path = `/v1/sessions/${sessionId}/notes`;
  const heading = h("h2", { tabindex: "-1" }, t("notes.title"));
  const list = h("div");
  const reload = () => renderAsync(list, () => api.all(path, "notes", { signal }), (notes) => (notes.length ? h("ul", {}, notes.map(item)) : null));
  reload();
  return h("section", { class: "panel notes" }, heading, h("p", { class: "quiet" }, t("notes.hint")), list, canAdd && form());

  function item({ id, author, text, createdAt }) {
    const remove = async () => {
      await api.remove(`${path}/${id}`);
      await reload();
      heading.focus();
    };
    const canDelete = can("admin") || (can("write") && author.id === api.callerId(me));
    const label = t("notes.deleteOf", { name: author.name });
    const button = h("button", { type: "button", class: "link", "aria-label": label, onclick: ({ currentTarget }) => runAction(currentTarget, remove) }, t("common.delete"));
    return h("li", {}, h("p", { class: "quiet" }, `${author.name} · ${formatDateTime(createdAt)} `, canDelete && button), h("p", { class: "note-text" }, text));
  }

  function form() {
    const draftName = `note ${sessionId}`;
    const store = () => storeDraft(me, draftName, text.value ? { text: text.value } : null);
    const text = h("textarea", { name: "text", rows: 3, maxlength: 10_000, required: true, oninput: store });
    text.value = loadDraft(me, draftName)?.text ?? "";
    const save = async () => {
      await api.post(path, { text: text.value });
      text.value = "";
      store();
      await reload();
    };
    return saveForm({ content: field(t("notes.label"), text), action: t("notes.add"), save });
  }
}
