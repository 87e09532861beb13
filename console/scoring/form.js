// The form for a criterion: levels, the caller's score with evidence, and other reviewers' scores once visible.

import * as api from "../shared/api.js";
import { ask, field, toast } from "../shared/dialogs.js";
import { fill, h, newId } from "../shared/dom.js";
import { eventLink } from "../shared/events.js";
import { formatNumber } from "../shared/numbers.js";
import { spreadText, weighted } from "../shared/scores.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";
import { evidenceLabel } from "./evidence.js";

/**
 * Build a criterion's form: `{key, criterion, replaces, element, addEvidence(reference), showEvidence(), showChanged(),
 * isChanged(), draft(), body(), choose(number), focus()}`.
 *
 * state -- the scorecard's state; `selected` is the form that receives evidence, and `withdrawn(key)` is called after the
 *   caller's withdrawal
 */
export function criterionForm(criterion, state) {
  const { key } = criterion;
  const callerId = api.callerId(state.me);
  const currentScore = criterion.scores.find(({ reviewer }) => reviewer.id === callerId) ?? null;
  const saved = { value: currentScore?.value ?? null, comment: currentScore?.comment ?? "", evidence: currentScore?.evidence ?? [] };
  const draft = { ...saved, evidence: [...saved.evidence], ...state.drafts.get(key) };
  const titleId = newId("criterion");
  const evidence = h("ul", { class: "scoring-evidence", "aria-label": t("scoring.evidence") });
  const notice = h("p", { class: "notice warn", tabindex: "-1", hidden: true }, t("scoring.scoreChanged"));
  const comment = h("textarea", { name: `${key}.comment`, rows: 2, maxlength: 5000 });
  comment.value = draft.comment;
  comment.addEventListener("input", () => {
    draft.comment = comment.value;
    onChange();
  });
  const reason = h("input", { name: `${key}.reason`, maxlength: 2000 });
  reason.value = draft.reason ?? "";
  reason.addEventListener("input", onChange);
  const reasonField = currentScore && field(t("scoring.reason"), reason, t("scoring.revisionReason"));
  const status = h("span", { class: "quiet" });
  const isChanged = () =>
    draft.value !== saved.value || draft.comment.trim() !== saved.comment || draft.evidence.join("\n") !== saved.evidence.join("\n");
  const radios = () => [...element.querySelectorAll("input[type=radio]")];
  const showState = () => {
    fill(status, t(isChanged() ? "scoring.unsaved" : currentScore ? "scoring.saved" : "scoring.unscored"));
    for (const radio of radios()) radio.required = isChanged();
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
    fill(evidence, draft.evidence.map((reference) => evidenceItem(reference, state, state.canWrite && (() => removeEvidence(reference)))));
    evidence.hidden = !draft.evidence.length;
    showState();
  };
  const setEvidence = (references) => {
    draft.evidence = references;
    showEvidence();
    state.storeDrafts();
  };
  const removeEvidence = (reference) => {
    const n = draft.evidence.indexOf(reference);
    setEvidence(draft.evidence.toSpliced(n, 1));
    const buttons = evidence.querySelectorAll("button");
    (buttons[n] ?? buttons[n - 1] ?? comment).focus();
  };
  const element = h(
    "section",
    { class: "panel scoring-criterion", "aria-labelledby": titleId },
    h("h3", { id: titleId }, weighted(criterion.title, criterion.weight)),
    criterion.description && h("p", { class: "quiet" }, criterion.description),
    notice,
    levels(criterion, draft, state.canWrite, onChange),
    state.canWrite && field(t("scoring.comment"), comment),
    evidence,
    reasonField,
    state.canWrite && h("p", {}, status, currentScore && [" ", notIndependent(currentScore), " ", withdrawButton(criterion, state)]),
    others,
    history(criterion),
  );
  const view = {
    key,
    element,
    isChanged,
    criterion,
    draft: () => ({ ...draft, reason: reason.value, replaces: view.replaces }),
    body: () => ({ criterion: key, value: draft.value, comment: draft.comment.trim() || null, evidence: draft.evidence, reason: reason.value.trim() || null, replaces: view.replaces }),
    replaces: currentScore?.id ?? null,
    focus: () => (radios().find(({ checked }) => checked) ?? radios()[0]).focus(),
    /** Choose the level with a value, or in a scale with values above 9, with a position. */
    choose: (number) => {
      const values = criterion.levels.map(({ value }) => value);
      const radio = radios()[Math.max(...values) > 9 ? number - 1 : values.indexOf(number)];
      radio?.focus();
      radio?.click();
    },
    showEvidence,
    showChanged: () => {
      notice.hidden = false;
      notice.focus();
    },
    addEvidence: (reference) => {
      if (!draft.evidence.includes(reference)) setEvidence([...draft.evidence, reference]);
      toast(t("scoring.added", { title: criterion.title }));
    },
  };
  element.addEventListener("focusin", () => {
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
      const input = h("input", { type: "radio", name, value: level.value, checked: draft.value === level.value, onchange: choose });
      return h(
        "label",
        {},
        input,
        h("span", {}, h("strong", {}, `${level.value} · ${level.label}`), level.description && h("span", { class: "quiet" }, ` ${level.description}`)),
      );
    }),
  );
}

function evidenceItem(reference, { report, events }, remove) {
  const name = evidenceLabel(reference, events.get(reference));
  const label = t("scoring.removeEvidence", { id: name });
  return h("li", {}, h("a", { href: eventLink(report.session.id, reference) }, name), remove && [" ", h("button", { type: "button", class: "link", "aria-label": label, onclick: remove }, t("scoring.remove"))]);
}

function withdrawButton({ key, title }, { report, withdrawn }) {
  const withdraw = async () => {
    const reason = h("textarea", { name: "reason", rows: 3, maxlength: 2000, required: true });
    const save = () => api.post(`${report.path}/scores/${key}/withdraw`, { reason: reason.value.trim() || null });
    const isDone = await ask({ title: t("scoring.withdrawTitle", { title }), content: field(t("scoring.reason"), reason, t("scoring.withdrawHint")), action: t("scoring.withdraw"), save });
    if (isDone) await withdrawn(key);
  };
  return h("button", { type: "button", class: "link", onclick: withdraw }, t("scoring.withdraw"));
}

function results(criterion, currentScore, state) {
  const others = criterion.scores.filter((score) => score !== currentScore);
  if (!others.length) return null;
  return [
    h("p", {}, t("scoring.mean", { mean: formatNumber(criterion.mean), spread: spreadText(criterion.spread), n: criterion.scores.length })),
    criterion.disagreement && h("p", { class: "notice warn" }, t("scoring.discuss")),
    h("ul", {}, others.map((score) => h("li", {}, scoreText(score), evidenceList(score, state)))),
  ];
}

function evidenceList({ evidence, reviewer }, state) {
  const label = t("scoring.evidenceLabel", { name: reviewer.name });
  return evidence.length > 0 && h("ul", { class: "scoring-evidence", "aria-label": label }, evidence.map((reference) => evidenceItem(reference, state)));
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
    " ",
    notIndependent(score),
    isHistory && h("span", { class: "quiet" }, ` ${[formatDateTime(score.createdAt), ...reasons.filter(Boolean)].join(" · ")}`),
  ];
}

/** Mark a score that its reviewer gave after seeing other reviewers' scores. */
const notIndependent = ({ independent }) => independent === false && h("span", { class: "mark", title: t("scoring.notIndependentHint") }, t("board.notIndependent"));
