// Create, change or archive a rubric.

import * as api from "../shared/api.js";
import { rubricFields } from "../assessment/rubric_form.js";
import { confirm, onSubmit, showConflict, showErrors, toast } from "../shared/dialogs.js";
import { h } from "../shared/dom.js";
import { renderPageAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";

export async function show(main, { rubricId }, context) {
  const title = t(rubricId ? "rubrics.title" : "rubric.title");
  context.setTitle(title);
  await renderPageAsync(main, title, () => load(rubricId, context.signal), ({ rubric, etag }) => {
    context.setTitle(rubric?.name ?? title);
    return [
      h("p", { class: "trail" }, h("a", { href: "#/rubrics" }, t("rubrics.title"))),
      h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, rubric?.name ?? title)),
      rubricForm(rubric, etag, context),
    ];
  });
}

async function load(rubricId, signal) {
  return rubricId ? api.getWithEtag(`/v1/rubrics/${rubricId}`, { signal }) : {};
}

function rubricForm(rubric, etag, { can, go }) {
  const { nodes, read } = rubricFields(rubric);
  const message = h("div", { class: "notice bad", role: "alert", tabindex: "-1", hidden: true });
  const submit = h("button", { type: "submit", class: "primary" }, rubric ? t("rubrics.save", { n: rubric.version + 1 }) : t("rubric.create"));
  const actions = h("div", { class: "actions form-end" }, submit, rubric && h("button", { type: "button", class: "link danger", onclick: archive }, t("common.archive")));
  const hint = rubric && h("p", { class: "quiet" }, t("rubrics.hint", { n: rubric.version }));
  const form = h("form", { class: "rubric-form" }, hint, h("fieldset", { disabled: !can("write") }, nodes), message, can("write") && actions);
  onSubmit(form, { submit, message, save, onError });
  return form;

  function onError(error) {
    if (error.status === 412) showConflict(message, t("rubrics.conflictTitle"), () => dispatchEvent(new HashChangeEvent("hashchange")));
    else showErrors(form, message, error);
  }

  async function save() {
    const headers = { "If-Match": etag };
    const { rubric: saved } = rubric ? await api.patch(`/v1/rubrics/${rubric.id}`, read(), { headers }) : await api.post("/v1/rubrics", read());
    toast(t("rubrics.saved", saved));
    go("/rubrics");
  }

  async function archive() {
    const run = () => api.remove(`/v1/rubrics/${rubric.id}`);
    if (!(await confirm({ title: t("rubrics.archiveTitle", rubric), text: t("rubrics.archiveText"), action: t("common.archive"), run }))) return;
    toast(t("rubrics.archived", rubric));
    go("/rubrics");
  }
}
