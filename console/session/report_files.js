// Submissions with their states, files and downloads: a tab of the report.

import * as api from "../shared/api.js";
import { runAction } from "../shared/dialogs.js";
import { h, externalLink, pairs } from "../shared/dom.js";
import { formatBytes } from "../shared/numbers.js";
import { emptyState, describeError } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";
import { plain, untrusted } from "../shared/untrusted.js";

const MAX_FILES = 500;

export async function load({ session, path, signal }) {
  const { submissions } = await api.get(`${path}/submissions`, { signal });
  const bundles = submissions.filter(({ format }) => format === "tar");
  const verified = bundles.find(({ state }) => state === "verified") ?? null;
  const listing = verified && (await api.get(`${path}/bundle/files`, { signal }).catch((error) => ({ error })));
  const latest = submissions.findLast(({ format, state }) => format !== "tar" && state !== "replaced");
  return { submission: session.submission, latest, bundles, verified, listing };
}

export function render({ submission, latest, bundles, verified, listing }, report) {
  if (!submission && !latest && !bundles.length) {
    return emptyState(
      t("report.files.none"),
      t(report.session.status === "active" ? "report.files.noneYet" : "report.files.noneHint"),
    );
  }
  return [
    latest && latest.sha256 !== submission?.sha256 && newerNotice(latest, submission),
    submission &&
      submission.format !== "tar" &&
      panel(
        t("report.files.submission"),
        submissionDetails(submission),
        download(`${report.path}/submission`, t("report.files.downloadSubmission")),
        submission.format === "git" && h("p", { class: "quiet" }, t("report.files.unbundle")),
        h("p", { class: "quiet" }, t("report.files.sandbox")),
      ),
    bundles.length > 0 &&
      panel(
        t("report.files.bundle"),
        bundleDetails(verified, bundles),
        verified && download(`${report.path}/bundle`, t("report.files.downloadBundle")),
      ),
    listing && panel(t("report.files.list"), fileList(listing)),
  ];
}

const label = (name) => t(`report.files.${name}`);

function panel(title, ...content) {
  return h("section", { class: "panel" }, h("h2", {}, title), ...content);
}

function newerNotice({ receivedAt, state }, submission) {
  const text = t(submission ? "report.files.newer" : "report.files.latest", { time: formatDateTime(receivedAt), state: t(`report.submissionStates.${state}`) });
  return h("p", { class: "notice warn" }, text);
}

function submissionDetails({ receivedAt, format, size, sha256, state }) {
  return pairs([
    ["received", formatDateTime(receivedAt)],
    ["format", t(`report.files.${format}`)],
    ["size", formatBytes(size)],
    ["state", t(`report.submissionStates.${state}`)],
    ["sha256", h("code", {}, sha256)],
  ], label);
}

function bundleDetails(verified, bundles) {
  const latest = verified ?? bundles.at(-1);
  return [
    !verified &&
      h(
        "div",
        { class: "notice warn" },
        h("strong", {}, t("report.files.noneVerified")),
        h("p", {}, t("report.files.noneVerifiedHint")),
      ),
    pairs([
      ["submitted", formatDateTime(latest.receivedAt)],
      ["state", t(`report.submissionStates.${latest.state}`)],
      ["size", formatBytes(latest.size ?? latest.claimedSize)],
      ["repository", latest.repoUrl && externalLink(latest.repoUrl, plain(latest.repoUrl))],
      ["base", latest.baseSha && h("code", {}, untrusted(latest.baseSha))],
      ["sha256", h("code", {}, untrusted(latest.sha256 ?? latest.claimedSha256))],
      ["snapshots", bundles.length > 1 && t("report.files.snapshotCount", { n: bundles.length })],
    ], label),
  ];
}

function download(path, text) {
  const run = ({ currentTarget }) => runAction(currentTarget, () => api.download(path));
  return h("button", { type: "button", class: "secondary", onclick: run }, text);
}

function fileList({ error, files, problem }) {
  if (error) return h("p", {}, describeError(error).join(". "));
  const unsafeCount = files.filter((file) => file.unsafe).length;
  const rows = files
    .slice(0, MAX_FILES)
    .map(({ name, type, size, unsafe: reason }) =>
      h(
        "tr",
        {},
        h(
          "th",
          { scope: "row" },
          h("code", {}, untrusted(name)),
          reason && h("div", { class: "unsafe" }, t("report.files.unsafe"), " ", untrusted(reason)),
        ),
        h("td", {}, type),
        h("td", { class: "numeric" }, formatBytes(size)),
      ),
    );
  const names = ["name", "type", "size"].map((name) =>
    h("th", { scope: "col", class: name === "size" ? "numeric" : null }, t(`report.files.${name}`)),
  );
  return [
    unsafeCount > 0 &&
      h(
        "div",
        { class: "notice warn" },
        h("strong", {}, t("report.files.unsafeTitle", { n: unsafeCount })),
        h("p", {}, t("report.files.unsafeHint")),
      ),
    problem && h("div", { class: "notice warn" }, untrusted(problem)),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": t("report.files.list") },
      h("table", { class: "plain-table" }, h("thead", {}, h("tr", {}, names)), h("tbody", {}, rows)),
    ),
    files.length > MAX_FILES && h("p", { class: "quiet" }, t("report.files.more", { n: files.length - MAX_FILES })),
  ];
}
