// The assessment's brief: a tab of the report.

import * as api from "../shared/api.js";
import { h } from "../shared/dom.js";
import { markdown } from "../shared/markdown.js";
import { t } from "../shared/texts.js";
import { longText } from "../shared/untrusted.js";

export async function load({ session, signal }) {
  const { assessment } = await api.get(`/v1/assessments/${session.assessmentId}`, { signal });
  return assessment.taskBrief;
}

export const render = (brief) => h("section", { class: "panel report-brief" }, h("h2", {}, t("report.tabs.brief")), longText(brief, markdown));
