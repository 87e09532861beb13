// Create or edit an assessment, with a preview of the candidate's view.

import * as api from "../shared/api.js";
import { EDITABLE_AFTER_START, candidateFields, mapErrorPaths, readValues, teamFields } from "./fields.js";
import { candidatePreview } from "./preview.js";
import { confirm, onSubmit, showConflict, showErrors, toast } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { loadDraft, storeDraft } from "../shared/drafts.js";
import { problemField } from "./problem_library.js";
import { renderAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { changedValues } from "../shared/values.js";

const DEFAULTS = { expiresInDays: 7, blind: false, showTestCounts: false };
const PREFILLED_FIELDS = ["title", "taskBrief", "repoUrl", "repoCommit", "setupInstructions"];

/** Show the form. `/assessments/new?from=<id>` copies an existing assessment. */
export async function show(main, params, context) {
  const { assessmentId } = params;
  const { can, signal, query, setTitle } = context;
  const canWrite = can("write");
  const title = t(assessmentId ? (canWrite ? "assessmentForm.edit" : "assessmentForm.read") : "assessments.new");
  setTitle(title);
  const body = h("div");
  fill(main, h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, title)), body);
  if (!canWrite && !assessmentId) return fill(body, readOnlyNotice());
  const reload = () => show(main, params, context);
  return renderAsync(body, () => load(assessmentId, query.get("from"), signal), (data) => assessmentForm(data, { ...context, reload, canWrite }));
}

async function load(assessmentId, templateId, signal) {
  const [current, template, rubrics, { settings }, { disclosure }] = await Promise.all([
    assessmentId ? loadAssessment(assessmentId, signal) : {},
    templateId && api.get(`/v1/assessments/${templateId}`, { signal }),
    api.all("/v1/rubrics", "rubrics", { signal }),
    api.get("/v1/org/settings", { signal }),
    api.get("/v1/org/disclosure", { signal }),
  ]);
  return { ...current, template: template?.assessment, rubrics, settings, disclosure };
}

async function loadAssessment(assessmentId, signal) {
  const [{ assessment, etag }, { sessions }] = await Promise.all([
    api.getWithEtag(`/v1/assessments/${assessmentId}`, { signal }),
    api.get("/v1/sessions", { query: { assessmentId, limit: 1 }, signal }),
  ]);
  return { assessment, etag, hasStarted: sessions.length > 0 };
}

function assessmentForm({ assessment, template, etag, hasStarted = false, rubrics, settings, disclosure }, { go, me, reload, canWrite }) {
  const draftName = assessment ? `assessment ${assessment.id}` : template ? `assessment from ${template.id}` : "assessment";
  const stored = canWrite && loadDraft(me, draftName);
  // A draft must not overwrite a later update of the assessment.
  const draft = stored && stored.etag === etag ? stored : null;
  const values = draft?.values ?? assessment ?? template ?? DEFAULTS;
  const message = h("div", { class: "notice bad", role: "alert", tabindex: "-1", hidden: true });
  const preview = h("div", { class: "preview-body" });
  const submit = h("button", { type: "submit", class: "primary" }, t(assessment ? "common.save" : "assessmentForm.create"));
  const form = h("form", { class: "assessment-form", novalidate: true, oninput: update });
  onSubmit(form, { submit, message, save, onError });
  const problem = problemField(draft ? draft.issue : (assessment?.issue ?? template?.issue ?? null), prefill);
  // Locked once a candidate has started.
  const task = h("fieldset", { disabled: hasStarted || !canWrite }, candidateFields(values, !assessment && problem.element, settings.modelProviders, assessment?.repository));
  fill(
    form,
    !canWrite && readOnlyNotice(),
    canWrite && hasStarted && h("div", { class: "notice warn" }, h("p", {}, t("assessmentForm.hasStarted")), copyLink(assessment)),
    draft && h("div", { class: "notice" }, t("assessmentForm.draft"), " ", h("button", { type: "button", class: "link", onclick: startOver }, t("assessmentForm.startOver"))),
    canWrite && hasStarted ? h("details", { class: "panel" }, h("summary", {}, t("assessmentForm.locked")), task) : task,
    h("fieldset", { disabled: !canWrite }, teamFields(values, rubrics, { canWrite })),
    message,
    canWrite && h("div", { class: "actions form-end" }, submit, cancelLink(assessment), assessment && moreActions(assessment, { go })),
  );
  showPreview();
  return h("div", { class: "form-and-preview" }, form, previewPanel(preview));

  function showPreview() {
    const orgName = settings.displayName ?? me.orgName;
    fill(preview, candidatePreview(readValues(form), { issue: problem.issue, orgName, disclosure }));
  }

  function update() {
    showPreview();
    storeDraft(me, draftName, { values: readValues(form), issue: problem.issue, etag });
  }

  function startOver() {
    storeDraft(me, draftName);
    reload();
  }

  /** Prefill fields from the selected problem without overwriting user input. */
  function prefill(issue, previous) {
    for (const name of PREFILLED_FIELDS) {
      const input = form.elements.namedItem(name);
      const current = input.value.trim();
      if (current === "" || current === (previous?.[name] ?? "").trim()) input.value = issue?.[name] ?? "";
    }
    update();
  }

  async function save() {
    const saved = assessment ? await updateAssessment(form, assessment, { etag, hasStarted }) : await createAssessment(form, problem.issue, template);
    storeDraft(me, draftName);
    toast(t(assessment ? "assessmentForm.saved" : "assessmentForm.created", { title: saved.title }));
    go(`/assessments/${saved.id}${!assessment && saved.repository ? "/task" : ""}`);
  }

  function onError(error) {
    if (error.status === 412) showConflict(message, t("assessmentForm.conflictTitle"), reload);
    else showErrors(form, message, mapErrorPaths(form, error));
  }
}

async function createAssessment(form, issue, template) {
  const values = Object.fromEntries(Object.entries(readValues(form, template)).filter(([, value]) => value !== null));
  const body = { ...values, ...(issue && { issueId: issue.id }), ...(template && { templateId: template.id }) };
  return (await api.post("/v1/assessments", body)).assessment;
}

/** Send only changed fields, without fields that are locked after a candidate starts. */
async function updateAssessment(form, assessment, { etag, hasStarted }) {
  const values = readValues(form, assessment);
  const changes = Object.entries(changedValues(values, assessment));
  const body = Object.fromEntries(changes.filter(([name]) => !hasStarted || EDITABLE_AFTER_START.includes(name)));
  // A new repository clears what the request omits.
  if ("repoUrl" in body) Object.assign(body, { repoCommit: values.repoCommit, setupInstructions: values.setupInstructions });
  if (!Object.keys(body).length) return assessment;
  return (await api.patch(`/v1/assessments/${assessment.id}`, body, { headers: { "If-Match": etag } })).assessment;
}

// -- Components

const copyLink = ({ id }) => h("a", { class: "quiet-link", href: `#/assessments/new?from=${id}` }, t("assessmentForm.copy"));

const cancelLink = (assessment) => h("a", { class: "secondary", href: assessment ? `#/assessments/${assessment.id}` : "#/assessments" }, t("common.cancel"));

const readOnlyNotice = () => h("p", { class: "notice" }, t("assessmentForm.readOnly"));

function previewPanel(preview) {
  return h(
    "section",
    { class: "preview", "aria-labelledby": "preview-title", tabindex: "0" },
    h("h2", { id: "preview-title" }, t("assessmentForm.preview")),
    h("p", { class: "quiet" }, t("assessmentForm.previewHint")),
    preview,
  );
}

/** Build the Archive and Delete actions. Only Archive can be undone. */
function moreActions(assessment, { go }) {
  const path = `/v1/assessments/${assessment.id}`;
  const setArchived = (archived) => api.patch(path, { archived });
  const { title } = assessment;

  async function archive() {
    const isArchived = Boolean(assessment.archivedAt);
    const message = isArchived ? "assessments.restored" : "assessmentForm.archived";
    await setArchived(!isArchived);
    toast(t(message, { title }), { undo: () => setArchived(isArchived).then(() => go("/assessments", { replace: true })) });
    go("/assessments");
  }

  async function remove() {
    const isDeleted = await confirm({
      title: t("assessmentForm.deleteTitle", { title }),
      text: t("assessmentForm.deleteText"),
      action: t("common.delete"),
      run: () => api.remove(path),
    });
    if (isDeleted) go("/assessments");
  }

  return h(
    "span",
    { class: "actions more" },
    copyLink(assessment),
    h("button", { type: "button", class: "link", onclick: archive }, t(assessment.archivedAt ? "assessments.restore" : "common.archive")),
    h("button", { type: "button", class: "link danger", onclick: remove }, t("common.delete")),
  );
}
