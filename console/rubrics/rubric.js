// Create, change or archive a rubric.

import * as api from "../shared/api.js";
import { rubricFields } from "../assessment/rubric_form.js";
import { confirm, onSubmit, showErrors, toast } from "../shared/dialogs.js";
import { h } from "../shared/dom.js";
import { renderPageAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";

export async function show(main, { rubricId }, context) {
  const title = t("rubrics.new");
  context.setTitle(rubricId ? t("rubrics.title") : title);
  await renderPageAsync(main, rubricId ? t("rubrics.title") : title, () => (rubricId ? load(rubricId, context.signal) : {}), ({ rubric, etag }) => {
    if (rubric) context.setTitle(rubric.name);
    return [
      h("p", { class: "trail" }, h("a", { href: "#/rubrics" }, t("rubrics.title"))),
      h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, rubric?.name ?? title)),
      rubricForm(rubric, etag, context),
    ];
  });
}

async function load(rubricId, signal) {
  const response = await api.request("GET", `/v1/rubrics/${rubricId}`, { signal });
  const { rubric } = await api.read(() => response.json(), signal);
  return { rubric, etag: response.headers.get("ETag") };
}

function rubricForm(rubric, etag, { can, go }) {
  const { nodes, read } = rubricFields(rubric);
  const message = h("div", { class: "notice bad", role: "alert", tabindex: "-1", hidden: true });
  const submit = h("button", { type: "submit", class: "primary" }, rubric ? t("rubrics.save", { n: rubric.version + 1 }) : t("rubric.create"));
  const archiveButton = rubric && h("button", { type: "button", class: "secondary", onclick: archive }, t("rubrics.archive"));
  const form = h(
    "form",
    { class: "rubric-form" },
    rubric && h("p", { class: "quiet" }, t("rubrics.versionHint", { n: rubric.version })),
    h("fieldset", { disabled: !can("write") }, nodes),
    message,
    can("write") && h("div", { class: "actions form-end" }, submit, archiveButton),
  );
  onSubmit(form, { submit, message, save, onError });
  return form;

  async function save() {
    const headers = { "If-Match": etag };
    const { rubric: saved } = rubric ? await api.patch(`/v1/rubrics/${rubric.id}`, read(), { headers }) : await api.post("/v1/rubrics", read());
    toast(t(rubric ? "rubrics.saved" : "rubrics.created", saved));
    go("/rubrics");
  }

  function onError(error) {
    showErrors(form, message, error);
    if (error.status === 412) message.append(h("p", {}, t("rubrics.conflict")));
  }

  async function archive() {
    const run = () => api.remove(`/v1/rubrics/${rubric.id}`);
    const title = t("rubrics.archiveTitle", rubric);
    if (!(await confirm({ title, text: t("rubrics.archiveText"), action: t("rubrics.archive"), run }))) return;
    toast(t("rubrics.archived", rubric));
    go("/rubrics");
  }
}
