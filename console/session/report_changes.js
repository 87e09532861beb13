// The submission's final diff: a tab in the report.

import * as api from "../shared/api.js";
import { diffView, splitDiff } from "../shared/diff.js";
import { h } from "../shared/dom.js";
import { formatShare } from "../shared/numbers.js";
import { emptyState } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { untrusted } from "../shared/untrusted.js";

const PAGE_SIZE = 200;

export async function load({ path, signal }) {
  const loadPage = (after) => api.get(`${path}/final-diff`, { signal, query: { limit: PAGE_SIZE, after } });
  const diff = await loadPage();
  for (let { next } = diff; next; ) {
    const page = await loadPage(next);
    diff.files.push(...page.files);
    next = page.next;
  }
  return diff;
}

/** Return the changed files, as the service or the candidate's client compared them. */
export const changedFiles = ({ files, clientDiff }) => (clientDiff === null ? files : splitDiff(clientDiff));

/** Return why there is no final diff. */
export function noDiffText({ noDiffReason: reason, submission }, { status }) {
  if (reason === "no_submission" && status === "active") return t("report.noDiff.not_yet");
  return [t(`report.noDiff.${reason}`), submission?.problem && [" ", untrusted(submission.problem)]];
}

/** True if the diff can show which lines an agent added. Without a verified base, earlier lines would count as added. */
export const isAttributed = ({ baseVerified, notRecordedLines }) => baseVerified === true && notRecordedLines !== null;

export function render(diff, report) {
  const { session } = report;
  const { submission, noDiffReason, clientDiff } = diff;
  if (noDiffReason !== null) return emptyState(t("report.noDiff.title"), noDiffText(diff, session));
  const files = changedFiles(diff);
  return [
    baseNotice(submission),
    clientDiff === null ? summary(submission, files) : h("p", { class: "quiet" }, t("report.diff.fromClient")),
    section(
      files.length
        ? diffView(files, { attributed: isAttributed(submission), report })
        : emptyState(t("report.diff.none"), t("report.diff.noneHint")),
    ),
  ];
}

/** Warn that the diff's base is not the assessment's. */
export function baseNotice({ baseVerified }) {
  return (
    baseVerified === false &&
    h(
      "div",
      { class: "notice warn" },
      h("strong", {}, t("report.diff.unverifiedTitle")),
      h("p", {}, t("report.diff.unverified")),
    )
  );
}

function section(...content) {
  return h("section", { class: "panel" }, h("h2", {}, t("report.tabs.changes")), ...content);
}

function summary(submission, files) {
  const sum = (name) => files.reduce((total, file) => total + file[name], 0);
  const { countedLines, notRecordedLines } = submission;
  const parts = [
    t("report.diff.files", { n: files.length }),
    t("report.diff.lines", { added: sum("linesAdded"), removed: sum("linesRemoved") }),
    isAttributed(submission) &&
      countedLines > 0 &&
      t("report.diff.notRecordedShare", {
        n: notRecordedLines,
        all: countedLines,
        share: formatShare(notRecordedLines, countedLines),
      }),
  ];
  return h("p", { class: "report-summary" }, parts.filter(Boolean).join(" · "));
}
