// An assessment's reviewers: their assignments, and a comparison of their scores.

import * as api from "../shared/api.js";
import { runAction, toast } from "../shared/dialogs.js";
import { h } from "../shared/dom.js";
import { formatShare } from "../shared/numbers.js";
import { emptyState, renderPageAsync } from "../shared/states.js";
import { dataTable } from "../shared/table.js";
import { t } from "../shared/texts.js";
import { formatDay } from "../shared/time.js";
import { assignDialog } from "./assign.js";

export async function show(main, params, context) {
  const path = `/v1/assessments/${params.assessmentId}`;
  const { signal, can, setTitle } = context;
  setTitle(t("reviewers.title"));
  const load = () => Promise.all([api.get(path, { signal }), api.get(`${path}/reviewers`, { signal }), api.all(`${path}/assignments`, "assignments", { signal })]);
  /** Build a button that reloads the page unless `run` returns null. */
  const button = (name, label, run, subject) => {
    const onclick = async ({ currentTarget }) => {
      if ((await run(currentTarget)) === null) return;
      await show(main, params, context);
      main.querySelector("h1").focus();
    };
    return can("write") && h("button", { type: "button", class: name, "aria-label": subject ? `${label}: ${subject}` : null, onclick }, label);
  };
  await renderPageAsync(main, t("reviewers.title"), load, ([{ assessment }, { reviewers }, assignments]) => [
    h("p", { class: "trail" }, h("a", { href: `#/assessments/${assessment.id}` }, assessment.title)),
    h(
      "div",
      { class: "page-head" },
      h("div", {}, h("h1", { tabindex: "-1" }, t("reviewers.title")), h("p", { class: "quiet" }, t("reviewers.text"))),
      h("div", { class: "actions" }, button("primary", t("reviewers.assign"), () => assignDialog(assessment))),
    ),
    dataTable({
      caption: t("reviewers.title"),
      columns: columns(button),
      rows: mergeRows(reviewers, assignments),
      sort: { name: "reviewer", order: "asc" },
      count: (n) => t("board.reviewers", { n }),
      empty: emptyState(t("reviewers.emptyTitle"), t("reviewers.empty")),
    }),
  ]);
}

/** Return a row for each person with scores or assignments. */
function mergeRows(reviewers, assignments) {
  const rows = new Map(reviewers.map((row) => [row.reviewer.id, { ...row, name: row.reviewer.name, assigned: [] }]));
  for (const { personId, personName: name, ...assignment } of assignments) {
    if (!rows.has(personId)) rows.set(personId, { name, scoreCount: 0, mean: null, spread: null, criteria: [], assigned: [] });
    rows.get(personId).assigned.push(assignment);
  }
  return [...rows.values()];
}

const percent = (value) => (value === null ? t("metrics.none") : formatShare(Math.round(value * 100), 100));

function columns(button) {
  const column = (name, value, options) => ({ name, label: t(`reviewers.${name}`), value, sortable: true, ...options });
  return [
    column("reviewer", ({ name }) => name),
    column("assigned", ({ assigned }) => assigned.length, { render: (row) => assignedCell(row, button) }),
    column("scores", ({ scoreCount }) => scoreCount, { numeric: true }),
    column("mean", ({ mean }) => mean, { render: ({ mean }) => percent(mean), numeric: true }),
    column("spread", ({ spread }) => spread, { render: ({ spread }) => percent(spread), numeric: true }),
    column("differences", () => null, { render: differences, sortable: false }),
  ];
}

/** List the criteria on which the reviewer differs from the others, the largest difference first. */
function differences({ criteria }) {
  const sorted = criteria.filter(({ difference }) => Math.round(difference * 100)).sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference));
  return sorted.map(({ title, difference, comparedCount: n }) => {
    const points = Math.round(Math.abs(difference) * 100);
    return h("div", {}, t(difference > 0 ? "reviewers.higher" : "reviewers.lower", { title, n: points }), " ", h("span", { class: "quiet" }, t("reviewers.compared", { n })));
  });
}

function assignedCell({ name, assigned }, button) {
  const open = assigned.filter((assignment) => assignment.open);
  const due = open.map(({ dueAt }) => dueAt).filter(Boolean).sort()[0];
  const remove = (target) =>
    runAction(target, async () => {
      for (const { id } of open) await api.remove(`/v1/assignments/${id}`);
      toast(t("reviewers.removed", { n: open.length, name }));
    });
  return [
    !assigned.length && t("metrics.none"),
    assigned.length > 0 && t("reviewers.progress", { n: assigned.length, scored: assigned.filter(({ scored }) => scored).length }),
    due && h("div", { class: "quiet" }, t("todo.due", { time: formatDay(due) })),
    open.length > 0 && h("div", {}, button("link", t("reviewers.remove"), remove, name)),
  ];
}
