// The submission's final diff: a tab in the report.

import * as api from "../shared/api.js";
import { diffView, splitDiff } from "../shared/diff.js";
import { h } from "../shared/dom.js";
import { formatShare } from "../shared/numbers.js";
import { emptyState } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { untrusted } from "../shared/untrusted.js";

export async function load({ path, signal }) {
  const first = await api.get(`${path}/final-diff`, { signal, query: { limit: 1 } });
  if (first.submission?.state === "read") {
    const files = await api.all(`${path}/final-diff`, "files", { signal });
    return { submission: first.submission, files };
  }
  const { submissions } = await api.get(`${path}/submissions`, { signal });
  return { submission: first.submission, clientDiff: submissions.findLast(({ diff }) => diff)?.diff ?? null };
}

/** True if the diff can show which lines an agent added. Without a verified base, earlier lines would count as added. */
export const isAttributed = ({ baseVerified, manualLines }) => baseVerified === true && manualLines !== null;

export function render({ submission, files, clientDiff }, { session }) {
  if (files)
    return [
      summary(submission, files),
      section(
        files.length
          ? diffView(files, { attributed: isAttributed(submission) })
          : emptyState(t("report.diff.none"), t("report.diff.noneHint")),
      ),
    ];
  const state =
    submission &&
    h(
      "div",
      { class: "notice" },
      h("strong", {}, t(`report.submissionStates.${submission.state}`)),
      submission.problem && h("p", {}, untrusted(submission.problem)),
    );
  if (!clientDiff)
    return [
      state,
      emptyState(
        t("report.diff.noSubmission"),
        t(session.status === "active" ? "report.diff.noSubmissionYet" : "report.diff.noSubmissionHint"),
      ),
    ];
  return [
    state,
    section(
      h("p", { class: "quiet" }, t("report.diff.fromClient")),
      diffView(splitDiff(clientDiff), { attributed: false }),
    ),
  ];
}

function section(...content) {
  return h("section", { class: "panel" }, h("h2", {}, t("report.tabs.changes")), ...content);
}

function summary(submission, files) {
  const sum = (name) => files.reduce((total, file) => total + file[name], 0);
  const { countedLines, manualLines } = submission;
  const parts = [
    t("report.diff.files", { n: files.length }),
    t("report.diff.lines", { added: sum("linesAdded"), removed: sum("linesRemoved") }),
    isAttributed(submission) &&
      countedLines > 0 &&
      t("report.diff.notRecordedShare", {
        n: manualLines,
        all: countedLines,
        share: formatShare(manualLines, countedLines),
      }),
  ];
  const base =
    submission.baseVerified === false &&
    h(
      "div",
      { class: "notice warn" },
      h("strong", {}, t("report.diff.unverifiedTitle")),
      h("p", {}, t("report.diff.unverified")),
    );
  return [base, h("p", { class: "report-summary" }, parts.filter(Boolean).join(" · "))];
}
