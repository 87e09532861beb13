// Preview of an unsaved assessment from the candidate's view.

import { h } from "../shared/dom.js";
import { t } from "../shared/texts.js";
import { formatDuration, formatDateTime } from "../shared/time.js";

const DAY_MS = 86_400_000;

/** Build a preview of the invitation page and the task. `values` are the assessment's fields. */
export function candidatePreview(values, { issue, orgName, disclosure }) {
  const expiry = new Date(Date.now() + (values.expiresInDays || 7) * DAY_MS).toISOString();
  // The problems that the service ships set a limit.
  const noLimit = t(issue?.isCatalog && !issue.repoUrl ? "preview.limitOfProblem" : "common.none");
  const limit = values.timeLimitMinutes ? formatDuration(values.timeLimitMinutes * 60) : noLimit;
  const brief = values.taskBrief ?? issue?.taskBrief;
  return [
    h("p", { class: "company" }, orgName),
    h("p", { class: "preview-title" }, values.title ?? t("preview.noTitle")),
    h(
      "dl",
      { class: "detail-list" },
      detail(t("preview.role"), values.role),
      detail(t("preview.timeLimit"), limit),
      detail(t("preview.startBy"), formatDateTime(expiry)),
    ),
    h("h3", {}, t("preview.task")),
    h("p", { class: "quiet" }, t("preview.taskHint")),
    brief ? h("div", { class: "brief-text", tabindex: "0", role: "region", "aria-label": t("preview.task") }, brief) : h("p", { class: "quiet" }, t("preview.noBrief")),
    values.repoUrl && h("p", { class: "quiet" }, t("preview.repository", { url: values.repoUrl })),
    h("h3", {}, t("preview.recorded")),
    disclosureLists(disclosure, "h4"),
  ];
}

const detail = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

/** Build the disclosure's lists. `heading` is the name of their headings' elements. */
export function disclosureLists(disclosure, heading) {
  const list = (name, kind) => h("div", { class: kind }, h(heading, {}, t(`preview.lists.${name}`)), h("ul", {}, disclosure[name].map((item) => h("li", {}, item))));
  return [
    h("div", { class: "pair" }, list("captures", "recorded"), list("doesNotCapture", "not-recorded")),
    h("div", { class: "pair plain" }, list("evaluated"), list("dataUse")),
  ];
}
