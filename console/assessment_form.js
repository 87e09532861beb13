// Create an assessment, or edit one, beside a preview of what candidates see.

import * as api from "./api.js";
import { readBrief, structuredBrief } from "./assessment_brief.js";
import { candidatePreview } from "./assessment_preview.js";
import { confirm, field, showErrors, toast } from "./dialogs.js";
import { fill, h, newId } from "./dom.js";
import { chooseProblem } from "./problem_library.js";
import { createRubric } from "./rubric_form.js";
import { explain, loaded } from "./states.js";
import { t } from "./texts.js";

const AGENTS = ["claude", "codex"];
const HOSTED = ["web_search", "web_fetch", "code_execution", "file_search", "image_generation", "mcp"];
const TEXTS = ["title", "role", "taskBrief", "repoUrl", "setupInstructions"];
const NUMBERS = ["timeLimitMinutes", "expiresInDays", "reminderDaysBefore", "tokenBudgetUsd"];
const UNSEEN = ["expiresInDays", "reminderDaysBefore", "rubricId", "blind"];
const NEW = { expiresInDays: 7, blind: false };

export async function show(main, { assessmentId }, { may, signal, go, setTitle, me }) {
  const title = assessmentId ? t("assessmentForm.edit") : t("assessmentForm.new");
  setTitle(title);
  const body = h("div");
  fill(main, h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, title)), body);
  if (!may("write")) return fill(body, h("div", { class: "notice", role: "alert" }, t("assessmentForm.readOnly")));
  const reload = () => show(main, { assessmentId }, { may, signal, go, setTitle, me });
  return loaded(body, () => load(assessmentId, signal), (data) => assessmentForm(data, { go, me, reload }));
}

async function load(assessmentId, signal) {
  const [{ assessment, etag, hasStarted }, rubrics, { settings }, { disclosure }] = await Promise.all([
    assessmentId ? loadAssessment(assessmentId, signal) : { assessment: null },
    api.all("/v1/rubrics", "rubrics", { signal }),
    api.get("/v1/org/settings", { signal }),
    api.get("/v1/org/disclosure", { signal }),
  ]);
  return { assessment, etag, hasStarted, rubrics, settings, disclosure };
}

async function loadAssessment(assessmentId, signal) {
  const [response, sessions] = await Promise.all([
    api.request("GET", `/v1/assessments/${assessmentId}`, { signal }),
    api.get("/v1/sessions", { query: { assessmentId, limit: 1 }, signal }),
  ]);
  const { assessment } = await response.json();
  return { assessment, etag: response.headers.get("ETag"), hasStarted: sessions.sessions.length > 0 };
}

function assessmentForm({ assessment, etag, hasStarted = false, rubrics, settings, disclosure }, { go, me, reload }) {
  let issue = assessment?.issue ?? null;
  const values = assessment ?? NEW;
  const orgName = settings.displayName ?? me.orgName;
  const message = h("div", { class: "notice bad", role: "alert", tabindex: "-1", hidden: true });
  const preview = h("div", { class: "preview-body" });
  const form = h("form", { class: "assessment-form", novalidate: true, oninput: update });
  const problem = h("div", { class: "field chosen-problem" });
  const submit = h("button", { type: "submit", class: "primary" }, assessment ? t("common.save") : t("assessmentForm.create"));
  const shown = [
    section(
      "task",
      !assessment && problem,
      text("title", values, { maxlength: 255 }),
      text("role", values, { maxlength: 255 }),
      area("taskBrief", values, { maxlength: 50_000, rows: 12 }),
      text("repoUrl", values, { maxlength: 2048, inputmode: "url", placeholder: "https://github.com/example/orders" }),
      area("setupInstructions", values, { maxlength: 10_000, rows: 3 }),
      structuredBrief(values.brief),
    ),
    section(
      "tools",
      h("div", { class: "two" }, number("timeLimitMinutes", values, { max: 43_200 }), number("tokenBudgetUsd", values, { min: 0, step: "any" })),
      tools(values.allowedTools),
    ),
  ];
  const unseen = [
    section("invitations", h("div", { class: "two" }, number("expiresInDays", values, { max: 365 }), number("reminderDaysBefore", values, { max: 364 }))),
    section("scoring", rubricField(values.rubricId, rubrics), checkLine("blind", values.blind, "blind")),
  ];
  // A fieldset of candidates' members is disabled as a whole once somebody has seen them.
  const seen = h("fieldset", { class: "plain", disabled: hasStarted }, shown);
  fill(
    form,
    hasStarted && h("p", { class: "notice warn" }, t("assessmentForm.hasStarted")),
    seen,
    unseen,
    message,
    h(
      "div",
      { class: "actions form-end" },
      submit,
      h("a", { class: "secondary", href: assessment ? `#/assessments/${assessment.id}` : "#/assessments" }, t("common.cancel")),
      assessment && moreActions(assessment, { go }),
    ),
  );
  form.addEventListener("submit", save);
  showProblem();
  update();
  return h(
    "div",
    { class: "form-and-preview" },
    form,
    h(
      "section",
      { class: "preview", "aria-labelledby": "preview-title", tabindex: "0" },
      h("h2", { id: "preview-title" }, t("assessmentForm.preview")),
      h("p", { class: "quiet" }, t("assessmentForm.previewHint")),
      preview,
    ),
  );

  function update() {
    fill(preview, candidatePreview(read(form), { issue, orgName, disclosure }));
  }

  function showProblem() {
    const choose = h("button", { type: "button", class: "secondary", onclick: pick }, issue ? t("assessmentForm.otherProblem") : t("assessmentForm.chooseProblem"));
    const drop = h("button", { type: "button", class: "link", onclick: () => setProblem(null) }, t("assessmentForm.noProblem"));
    fill(
      problem,
      h("p", { class: "label" }, t("assessmentForm.problem")),
      h("p", { class: "quiet" }, issue ? t("assessmentForm.problemChosen", { title: issue.title }) : t("assessmentForm.problemHint")),
      h("div", { class: "actions" }, choose, issue && drop),
    );
  }

  async function pick() {
    const chosen = await chooseProblem();
    if (chosen) setProblem(chosen);
  }

  /** Fill the fields that come from the problem, but keep what somebody has typed. */
  function setProblem(chosen) {
    for (const name of ["title", "taskBrief", "repoUrl", "setupInstructions"]) {
      const input = form.elements.namedItem(name);
      if (input.value.trim() === "" || input.value.trim() === (issue?.[name] ?? "").trim()) input.value = chosen?.[name] ?? "";
    }
    issue = chosen;
    showProblem();
    update();
    problem.querySelector("button").focus();
  }

  async function save(event) {
    event.preventDefault();
    if (submit.disabled) return;
    submit.disabled = true;
    message.hidden = true;
    try {
      const saved = assessment ? await change(form, assessment, { etag, hasStarted }) : await create(form, issue);
      toast(t(assessment ? "assessmentForm.saved" : "assessmentForm.created", { title: saved.title }));
      go(`/assessments/${saved.id}`);
    } catch (error) {
      if (error.status === 412) showConflict();
      else showErrors(form, message, withNames(form, error));
    } finally {
      submit.disabled = false;
    }
  }

  function showConflict() {
    fill(
      message,
      h("strong", {}, t("assessmentForm.conflictTitle")),
      h("p", {}, t("assessmentForm.conflict")),
      h("button", { type: "button", class: "secondary", onclick: reload }, t("assessmentForm.reload")),
    );
    message.hidden = false;
    message.focus();
  }
}

async function create(form, issue) {
  const values = read(form);
  const members = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
  const body = issue ? { ...members, issueId: issue.id } : members;
  return (await api.post("/v1/assessments", body)).assessment;
}

/** Send only what changed, and nothing that candidates have already seen. */
async function change(form, assessment, { etag, hasStarted }) {
  const values = Object.entries(read(form)).filter(([name]) => !hasStarted || UNSEEN.includes(name));
  const body = Object.fromEntries(values.filter(([name, value]) => !isSame(value, assessment[name])));
  if (!Object.keys(body).length) return assessment;
  return (await api.patch(`/v1/assessments/${assessment.id}`, body, { headers: { "If-Match": etag } })).assessment;
}

function isSame(value, other) {
  return JSON.stringify(value ?? null) === JSON.stringify(other ?? null);
}

/** The values of the form as the API's members; null for empty ones. */
function read(form) {
  const valueOf = (name) => form.elements.namedItem(name).value;
  const texts = TEXTS.map((name) => [name, valueOf(name).trim() ? valueOf(name) : null]);
  const numbers = NUMBERS.map((name) => [name, valueOf(name) === "" ? null : Number(valueOf(name))]);
  return {
    ...Object.fromEntries([...texts, ...numbers]),
    allowedTools: readTools(form),
    brief: readBrief(form),
    rubricId: valueOf("rubricId") || null,
    blind: form.elements.namedItem("blind").checked,
  };
}

/** Null if both agents and nothing else are allowed, which is the default. */
function readTools(form) {
  const checked = [...AGENTS, ...HOSTED].filter((name) => form.elements.namedItem(`tool-${name}`).checked);
  return isSame(checked, AGENTS) ? null : checked;
}

/** The error with the name of a field as each path: `brief.phases.0.name` is in `brief.phases`. */
function withNames(form, error) {
  if (!error.details) return error;
  const details = error.details.map((detail) => {
    const names = detail.path.map((_, n) => detail.path.slice(0, detail.path.length - n).join("."));
    return { ...detail, path: [names.find((name) => form.elements.namedItem(name)) ?? detail.path.join(".")] };
  });
  return Object.create(error, { details: { value: details } });
}

// Fields

function section(name, ...content) {
  const id = newId("section");
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id }, t(`assessmentForm.sections.${name}`)), content);
}

function labelled(name, input) {
  return field(t(`assessmentForm.fields.${name}`), input, t(`assessmentForm.hints.${name}`));
}

const text = (name, values, options) => labelled(name, h("input", { name, value: values[name] ?? "", autocomplete: "off", ...options }));
const area = (name, values, options) => labelled(name, h("textarea", { name, ...options }, values[name] ?? ""));
const number = (name, values, options) =>
  labelled(name, h("input", { name, type: "number", min: 1, step: 1, class: "short", value: values[name] ?? "", ...options }));

function tools(allowed) {
  const isAllowed = (name) => (allowed ? allowed.includes(name) : AGENTS.includes(name));
  const group = (names) => h("div", { class: "checks" }, names.map((name) => checkLine(`tool-${name}`, isAllowed(name), `tools.${name}`)));
  return h(
    "fieldset",
    { class: "field", name: "allowedTools" },
    h("legend", {}, t("assessmentForm.fields.allowedTools")),
    h("p", { class: "quiet" }, t("assessmentForm.hints.allowedTools")),
    group(AGENTS),
    h("p", { class: "quiet" }, t("assessmentForm.hints.hostedTools")),
    group(HOSTED),
  );
}

function checkLine(name, checked, path) {
  const input = h("input", { type: "checkbox", name, checked });
  return h("label", { class: "check-line" }, input, h("span", {}, t(`assessmentForm.checks.${path}`)));
}

function rubricField(rubricId, rubrics) {
  const select = h("select", { name: "rubricId" });
  const add = h("button", { type: "button", class: "link", onclick: create_ }, t("assessmentForm.newRubric"));
  list(rubricId);
  const wrapped = labelled("rubricId", select);
  wrapped.append(add);
  return wrapped;

  function list(chosenId) {
    const options = rubrics.map(({ id, name, criteria }) =>
      h("option", { value: id, selected: id === chosenId }, t("assessmentForm.rubricOption", { name, n: criteria.length })),
    );
    fill(select, h("option", { value: "" }, t("assessmentForm.noRubric")), options);
  }

  async function create_() {
    const rubric = await createRubric();
    if (!rubric) return;
    rubrics.push(rubric);
    list(rubric.id);
  }
}

/** Archive, which can be undone, and delete, which cannot. */
function moreActions(assessment, { go }) {
  const path = `/v1/assessments/${assessment.id}`;
  const set = (archived) => api.patch(path, { archived });
  const { title } = assessment;

  async function archive() {
    const isArchived = Boolean(assessment.archivedAt);
    const done = isArchived ? "assessments.restored" : "assessmentForm.archived";
    try {
      await set(!isArchived);
      toast(t(done, { title }), { undo: () => set(isArchived).then(() => go("/assessments", { replace: true })) });
      go("/assessments");
    } catch (error) {
      toast(explain(error).join(". "));
    }
  }

  async function remove() {
    const isDeleted = await confirm({
      title: t("assessmentForm.deleteTitle", { title }),
      text: t("assessmentForm.deleteText"),
      action: t("assessmentForm.delete"),
      run: () => api.remove(path),
    });
    if (isDeleted) go("/assessments");
  }

  return h(
    "span",
    { class: "actions more" },
    h("button", { type: "button", class: "link", onclick: archive }, t(assessment.archivedAt ? "assessments.restore" : "assessmentForm.archive")),
    h("button", { type: "button", class: "link danger", onclick: remove }, t("assessmentForm.delete")),
  );
}
