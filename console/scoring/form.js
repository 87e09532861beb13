// The form for a criterion: levels, the caller's score with evidence, and other reviewers' scores once visible.

import * as api from "../shared/api.js";
import { ask, field, onSubmit, showErrors, toast } from "../shared/dialogs.js";
import { fill, h, newId } from "../shared/dom.js";
import { eventLink, kindName } from "../shared/events.js";
import { formatNumber } from "../shared/numbers.js";
import { t } from "../shared/texts.js";
import { formatClock, formatDateTime } from "../shared/time.js";
import { plain } from "../shared/untrusted.js";

const MAX_EVIDENCE_CHARACTERS = 80;

/**
 * Build a criterion's form: `{key, criterion, replaces, element, addEvidence(event), showEvidence(), showChanged(),
 * isChanged(), draft(), focus()}`.
 *
 * state -- the page's state; `selected` is the form that receives evidence
 * refresh -- called with the criterion's key after the caller's change, and without a key after another person's change
 */
export function criterionForm(criterion, { state, refresh }) {
  const path = `/v1/sessions/${state.sessionId}/scores/${encodeURIComponent(criterion.key)}`;
  const callerId = api.callerId(state.me);
  const currentScore = criterion.scores.find(({ reviewer }) => reviewer.id === callerId) ?? null;
  const saved = { value: currentScore?.value ?? null, comment: currentScore?.comment ?? "", evidence: currentScore?.evidence ?? [] };
  const draft = { ...saved, evidence: [...saved.evidence], ...state.drafts?.get(criterion.key) };
  const titleId = newId("criterion");
  const evidence = h("ul", { class: "scoring-evidence" });
  const message = h("div", { class: "notice bad", role: "alert", tabindex: "-1", hidden: true });
  const comment = h("textarea", { name: "comment", rows: 2, maxlength: 5000, disabled: !state.canWrite });
  comment.value = draft.comment;
  comment.addEventListener("input", () => {
    draft.comment = comment.value;
    onChange();
  });
  const reason = h("input", { name: "reason", maxlength: 2000 });
  reason.value = draft.reason ?? "";
  reason.addEventListener("input", onChange);
  const reasonField = currentScore && field(t("scoring.reason"), reason, t("scoring.revisionReason"));
  const status = h("span", { class: "quiet", role: "status" });
  const submit = h("button", { type: "submit", class: "primary" }, t(currentScore ? "scoring.revise" : "scoring.save"));
  const isChanged = () =>
    draft.value !== saved.value || draft.comment.trim() !== saved.comment || draft.evidence.join("\n") !== saved.evidence.join("\n");
  const showState = () => {
    fill(status, t(isChanged() ? "scoring.unsaved" : currentScore ? "scoring.saved" : "scoring.unscored"));
    if (reasonField) {
      reasonField.hidden = !isChanged();
      reason.required = isChanged();
    }
  };
  function onChange() {
    showState();
    state.storeDrafts();
  }
  const others = h("div", { class: "scoring-results" });
  const showEvidence = () => {
    if (!state.scorecard.othersHidden) fill(others, results(criterion, currentScore, state));
    fill(evidence, draft.evidence.map((id) => evidenceItem(id, state, state.canWrite && (() => removeEvidence(id)))));
    showState();
  };
  const setEvidence = (ids) => {
    draft.evidence = ids;
    showEvidence();
    state.storeDrafts();
  };
  const removeEvidence = (id) => {
    const n = draft.evidence.indexOf(id);
    setEvidence(draft.evidence.toSpliced(n, 1));
    const buttons = evidence.querySelectorAll("button");
    (buttons[n] ?? buttons[n - 1] ?? comment).focus();
  };
  const save = async () => {
    if (!isChanged()) return;
    const body = { value: draft.value, comment: draft.comment.trim() || null, evidence: draft.evidence };
    try {
      await api.put(path, { ...body, reason: reason.value.trim() || null, rubricVersion: state.scorecard.rubricVersion, replaces: currentScore?.id ?? null });
    } catch (error) {
      // `not_found`: a different rubric with the same version number does not contain the criterion.
      if (!["rubric_changed", "score_changed", "not_found"].includes(error.code)) throw error;
      await refresh();
      if (error.code === "score_changed") state.views.find(({ key }) => key === criterion.key)?.showChanged();
      return;
    }
    toast(t("scoring.savedMessage", { title: criterion.title }));
    await refresh(criterion.key);
  };
  const form = h(
    "form",
    { class: "panel scoring-criterion", "aria-labelledby": titleId },
    h("h3", { id: titleId }, criterion.title),
    criterion.description && h("p", { class: "quiet" }, criterion.description),
    levels(criterion, draft, state.canWrite, onChange),
    field(t("scoring.comment"), comment),
    h("p", { class: "quiet" }, t("scoring.evidence")),
    evidence,
    reasonField,
    message,
    state.canWrite && h("div", { class: "actions" }, submit, currentScore && withdrawButton(path, criterion, refresh), status),
    others,
    history(criterion),
  );
  onSubmit(form, { submit, message, save });
  const view = {
    key: criterion.key,
    element: form,
    isChanged,
    criterion,
    draft: () => ({ ...draft, reason: reason.value, replaces: view.replaces }),
    replaces: currentScore?.id ?? null,
    focus: () => (form.querySelector("input:checked") ?? form.querySelector("input"))?.focus(),
    showEvidence,
    showChanged: () => showErrors(form, message, new api.ApiError(409, { error: t("scoring.scoreChanged") })),
    addEvidence: (event) => {
      if (state.canWrite && !draft.evidence.includes(event.id)) setEvidence([...draft.evidence, event.id]);
      toast(t("scoring.added", { title: criterion.title }));
    },
  };
  form.addEventListener("focusin", () => {
    state.selected = view;
    for (const other of state.views) other.element.classList.toggle("selected", other === view);
  });
  showEvidence();
  return view;
}

function levels(criterion, draft, canWrite, onChange) {
  const name = newId("level");
  return h(
    "fieldset",
    { class: "scoring-levels", disabled: !canWrite },
    h("legend", { class: "visually-hidden" }, criterion.title),
    criterion.levels.map((level) => {
      const choose = () => {
        draft.value = level.value;
        onChange();
      };
      const input = h("input", { type: "radio", name, value: level.value, required: true, checked: draft.value === level.value, onchange: choose });
      return h(
        "label",
        {},
        input,
        h("span", {}, h("strong", {}, `${level.value} · ${level.label}`), level.description && h("span", { class: "quiet" }, ` ${level.description}`)),
      );
    }),
  );
}

/** Build a link to an event. Its text is the summary, or the id until the recording is loaded. */
function evidenceItem(id, { sessionId, events }, remove) {
  const event = events.get(id);
  const name = event ? plain(`${formatClock(event.ts)} ${kindName(event.kind)}: ${event.summary.slice(0, MAX_EVIDENCE_CHARACTERS)}`) : id;
  const label = t("scoring.removeEvidence", { id: name });
  return h("li", {}, h("a", { href: eventLink(sessionId, id), target: "_blank", rel: "noopener" }, name), remove && [" ", h("button", { type: "button", class: "link", "aria-label": label, onclick: remove }, t("scoring.remove"))]);
}

function withdrawButton(path, criterion, refresh) {
  const withdraw = async () => {
    const reason = h("textarea", { name: "reason", rows: 3, maxlength: 2000, required: true });
    const save = () => api.post(`${path}/withdraw`, { reason: reason.value.trim() || null });
    const title = t("scoring.withdrawTitle", { title: criterion.title });
    const isDone = await ask({ title, content: field(t("scoring.reason"), reason, t("scoring.withdrawHint")), action: t("scoring.withdraw"), save });
    if (isDone) await refresh(criterion.key);
  };
  return h("button", { type: "button", class: "secondary", onclick: withdraw }, t("scoring.withdraw"));
}

function results(criterion, currentScore, state) {
  if (!criterion.scores.length) return null;
  return [
    h("p", {}, t("scoring.mean", { mean: formatNumber(criterion.mean), spread: criterion.spread, n: criterion.scores.length })),
    criterion.disagreement && h("p", { class: "notice warn" }, t("scoring.discuss")),
    h("ul", {}, criterion.scores.map((score) => (score === currentScore ? h("li", {}, scoreText({ ...score, comment: null })) : h("li", {}, scoreText(score), evidenceList(score, state))))),
  ];
}

function evidenceList({ evidence, reviewer }, state) {
  const label = t("scoring.evidenceLabel", { name: reviewer.name });
  return evidence.length > 0 && h("ul", { class: "scoring-evidence", "aria-label": label }, evidence.map((id) => evidenceItem(id, state)));
}

function history(criterion) {
  if (!criterion.history.length) return null;
  return h("details", {}, h("summary", {}, t("scoring.history", { n: criterion.history.length })), h("ul", {}, criterion.history.map((score) => h("li", {}, scoreText(score, true)))));
}

function scoreText(score, isHistory = false) {
  const reasons = [score.reason, score.withdrawnAt && (score.withdrawalReason ? t("scoring.withdrawnFor", { reason: score.withdrawalReason }) : t("scoring.withdrawn"))];
  return [
    h("strong", {}, `${score.value} · ${score.reviewer.name}`),
    score.comment && h("span", {}, `: ${score.comment}`),
    isHistory && h("span", { class: "quiet" }, ` ${[formatDateTime(score.createdAt), ...reasons.filter(Boolean)].join(" · ")}`),
  ];
}
