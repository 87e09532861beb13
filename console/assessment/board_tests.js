// Hidden tests of an assessment: how many candidates passed each, and running them again.

import * as api from "../shared/api.js";
import { ask, toast } from "../shared/dialogs.js";
import { h } from "../shared/dom.js";
import { formatShare } from "../shared/numbers.js";
import { renderAsync } from "../shared/states.js";
import { dataTable } from "../shared/table.js";
import { testName } from "../shared/tests.js";
import { t } from "../shared/texts.js";

/** Build a section that loads when it is opened. */
export function cohortTests(assessment, { can, signal }) {
  const path = `/v1/assessments/${assessment.id}`;
  const content = h("div");
  const load = () => renderAsync(content, () => api.get(`${path}/test-results`, { signal }), render);
  return h("details", { class: "panel cohort cohort-tests", ontoggle: ({ currentTarget }) => currentTarget.open && load() }, h("summary", {}, h("h2", {}, t("board.hidden.title"))), content);

  function render({ tests, outdated, runs }) {
    if (!tests.length) return h("p", { class: "quiet" }, t("board.hidden.none"), " ", h("a", { href: `#/assessments/${assessment.id}/task` }, t("board.pages.task")));
    const columns = [
      { name: "name", label: t("runs.columns.test"), value: ({ name }) => name, render: ({ name }) => h("code", {}, testName(name)), sortable: true },
      { name: "passed", label: t("board.hidden.passed"), value: ({ passed }) => passed, render: ({ passed }) => t("tests.passed", { passed, total: runs }), sortable: true, numeric: true },
      { name: "share", label: t("board.hidden.share"), value: ({ passed }) => passed, render: ({ passed }) => (runs ? formatShare(passed, runs) : t("metrics.none")), numeric: true },
    ];
    return [
      h("p", { class: "quiet" }, t("board.hidden.runs", { n: runs })),
      outdated > 0 && h("div", { class: "notice warn" }, h("p", {}, t("board.hidden.outdated", { n: outdated })), can("write") && h("button", { type: "button", class: "secondary", onclick: () => testAgain(outdated) }, t("board.hidden.again"))),
      dataTable({ caption: t("board.hidden.title"), columns, rows: tests, sort: { name: "passed", order: "asc" }, count: (n) => t("task.testCount", { n }) }),
    ];
  }

  async function testAgain(n) {
    const save = () => api.post(`${path}/test-runs`, { runs: n });
    const isQueued = await ask({ title: t("board.hidden.again"), content: h("p", {}, t("board.hidden.confirm", { n })), action: t("board.hidden.start", { n }), save });
    if (isQueued) toast(t("board.hidden.queued", { n }));
    await load();
  }
}
