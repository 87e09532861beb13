// The submission: state, files and downloads.

import * as api from "../shared/api.js";
import { runAction } from "../shared/dialogs.js";
import { h, outsideLink } from "../shared/dom.js";
import { empty, explain } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatMoment } from "../shared/time.js";
import { plain, untrusted } from "../shared/untrusted.js";

const MAX_FILES = 500;
const UNITS = ["B", "KiB", "MiB", "GiB"];

export async function load({ session, path, signal }) {
  const { submissions } = await api.get(`${path}/submissions`, { signal });
  const verified = submissions.findLast(({ verdict }) => verdict === "verified") ?? null;
  const listing = verified && (await api.get(`${path}/bundle/files`, { signal }).catch((error) => ({ error })));
  return { handIn: session.handIn, submissions, verified, listing };
}

export function render({ handIn, submissions, verified, listing }, report) {
  if (!handIn && !submissions.length) {
    return empty(
      t("report.files.none"),
      t(report.session.status === "active" ? "report.files.noneYet" : "report.files.noneWhy"),
    );
  }
  return [
    handIn &&
      panel(
        t("report.files.submission"),
        handInFacts(handIn),
        download(`${report.path}/hand-in`, t("report.files.downloadSubmission")),
        h("p", { class: "quiet" }, t("report.files.sandbox")),
      ),
    submissions.length > 0 &&
      panel(
        t("report.files.bundle"),
        bundleFacts(verified, submissions),
        verified && download(`${report.path}/bundle`, t("report.files.downloadBundle")),
      ),
    listing && panel(t("report.files.list"), fileList(listing)),
  ];
}

function panel(title, ...content) {
  return h("section", { class: "panel" }, h("h2", {}, title), ...content);
}

function pairs(rows) {
  return h(
    "dl",
    { class: "pairs" },
    rows
      .filter(([, value]) => value)
      .map(([name, value]) => h("div", {}, h("dt", {}, t(`report.files.${name}`)), h("dd", {}, value))),
  );
}

function handInFacts({ receivedAt, format, size, sha256, state }) {
  return pairs([
    ["received", formatMoment(receivedAt)],
    ["format", t(`report.files.${format}`)],
    ["size", formatBytes(size)],
    ["state", t(`report.submissionStates.${state}`)],
    ["sha256", h("code", {}, sha256)],
  ]);
}

function bundleFacts(verified, submissions) {
  const latest = verified ?? submissions.at(-1);
  return [
    !verified &&
      h(
        "div",
        { class: "notice warn" },
        h("strong", {}, t("report.files.noneVerified")),
        h("p", {}, t("report.files.noneVerifiedWhy")),
      ),
    pairs([
      ["submitted", formatMoment(latest.submittedAt)],
      ["state", t(`report.files.${latest.verdict}`)],
      ["size", formatBytes(latest.foundSize ?? latest.bundleSize)],
      ["repository", latest.repoUrl && outsideLink(latest.repoUrl, plain(latest.repoUrl))],
      ["base", latest.baseSha && h("code", {}, untrusted(latest.baseSha))],
      ["sha256", h("code", {}, untrusted(latest.foundSha256 ?? latest.bundleSha256))],
      ["snapshots", submissions.length > 1 && t("report.files.snapshotCount", { n: submissions.length })],
    ]),
  ];
}

function download(path, text) {
  const run = ({ currentTarget }) => runAction(currentTarget, () => api.download(path));
  return h("button", { type: "button", class: "secondary", onclick: run }, text);
}

function fileList({ error, files, problem }) {
  if (error) return h("p", {}, explain(error).join(". "));
  const unsafe = files.filter((file) => file.unsafe).length;
  const rows = files
    .slice(0, MAX_FILES)
    .map(({ name, type, size, unsafe: why }) =>
      h(
        "tr",
        {},
        h(
          "th",
          { scope: "row" },
          h("code", {}, untrusted(name)),
          why && h("div", { class: "unsafe" }, t("report.files.unsafe"), " ", untrusted(why)),
        ),
        h("td", {}, type),
        h("td", { class: "numeric" }, formatBytes(size)),
      ),
    );
  const names = ["name", "type", "size"].map((name) =>
    h("th", { scope: "col", class: name === "size" ? "numeric" : null }, t(`report.files.${name}`)),
  );
  return [
    unsafe > 0 &&
      h(
        "div",
        { class: "notice warn" },
        h("strong", {}, t("report.files.unsafeTitle", { n: unsafe })),
        h("p", {}, t("report.files.unsafeWhy")),
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

/** `20 KiB` */
function formatBytes(bytes) {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}
