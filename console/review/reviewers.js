// An assessment's reviewers: assignments, and how strictly each of them scores.

import * as api from "../shared/api.js";
import { runAction, toast } from "../shared/dialogs.js";
import { h } from "../shared/dom.js";
import { candidateName } from "../shared/names.js";
import { formatShare } from "../shared/numbers.js";
import { emptyState, renderPageAsync } from "../shared/states.js";
import { dataTable } from "../shared/table.js";
import { t } from "../shared/texts.js";
import { formatDay } from "../shared/time.js";
import { assignDialog } from "./assign.js";

export async function show(main, params, context) {
  const path = `/v1/assessments/${params.assessmentId}`;
  const { signal, setTitle, can } = context;
  setTitle(t("reviewers.title"));
  const reload = async () => {
    await show(main, params, context);
    main.querySelector("h1").focus();
  };
  const load = () => Promise.all([api.get(path, { signal }), api.get(`${path}/reviewers`, { signal }), api.all(`${path}/assignments`, "assignments", { signal })]);
  await renderPageAsync(main, t("reviewers.title"), load, ([{ assessment }, { reviewers }, assignments]) => {
    const assign = async () => (await assignDialog(assessment)) && reload();
    const assignButton = () => can("write") && h("button", { type: "button", class: "primary", onclick: ({ currentTarget }) => runAction(currentTarget, assign) }, t("reviewers.assign"));
    const isEmpty = !reviewers.length && !assignments.length;
    return [
      h("p", { class: "trail" }, h("a", { href: `#/assessments/${assessment.id}` }, assessment.title)),
      h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, t("reviewers.title")), h("div", { class: "actions" }, !isEmpty && assignButton())),
      isEmpty && emptyState(t("reviewers.emptyTitle"), t("reviewers.empty"), assignButton()),
      !isEmpty && [h("p", { class: "quiet" }, t("reviewers.text")), statisticsTable(reviewers, assignments)],
      assignments.length > 0 && [h("h2", {}, t("reviewers.assignments")), assignmentsTable(assignments, assessment, { can, reload })],
    ];
  });
}

function statisticsTable(reviewers, assignments) {
  const rows = new Map(reviewers.map((row) => [row.reviewer.id, { name: row.reviewer.name, ...row, assigned: [] }]));
  for (const assignment of assignments) {
    const { personId: id, personName: name } = assignment;
    if (!rows.has(id)) rows.set(id, { name, scoreCount: 0, mean: null, spread: null, criteria: [], assigned: [] });
    rows.get(id).assigned.push(assignment);
  }
  const criteria = new Map(reviewers.flatMap((row) => row.criteria.map(({ key, title }) => [key, title])));
  const column = (name, value, options) => ({ name, label: t(`reviewers.${name}`), value, sortable: true, ...options });
  const share = (name, hint) => column(name, (row) => row[name], { render: (row) => (row[name] === null ? t("common.none") : percent(row[name])), numeric: true, hint });
  const columns = [
    column("reviewer", ({ name }) => name),
    column("progress", ({ assigned }) => assigned.length, {
      render: ({ assigned }) => (assigned.length ? t("reviewers.progressValue", { n: assigned.length, scored: assigned.filter(({ scored }) => scored).length }) : t("common.none")),
    }),
    column("scores", ({ scoreCount }) => scoreCount, { numeric: true }),
    share("mean"),
    share("spread", t("reviewers.spreadHint")),
    ...[...criteria].map(([key, label]) => ({ name: `criterion ${key}`, label, value: (row) => find(row, key)?.difference ?? null, render: (row) => difference(find(row, key)), sortable: true, numeric: true })),
  ];
  return dataTable({ caption: t("reviewers.title"), columns, rows: [...rows.values()], sort: { name: "reviewer", order: "asc" }, count: (n) => t("reviewers.count", { n }) });
}

const find = ({ criteria }, key) => criteria.find((criterion) => criterion.key === key);
const percent = (value) => formatShare(Math.round(value * 100), 100);

/** Build a difference such as `+12 %`, and the number of sessions that it is based on. */
function difference(criterion) {
  if (!criterion) return t("common.none");
  const sign = criterion.difference > 0 ? "+" : criterion.difference < 0 ? "−" : "";
  return [`${sign}${percent(Math.abs(criterion.difference))}`, h("div", { class: "quiet" }, t("reviewers.compared", { n: criterion.comparedCount }))];
}

function assignmentsTable(assignments, assessment, { can, reload }) {
  const name = (row) => candidateName(row, assessment);
  const state = ({ scored, dueAt }) => t(`reviewers.${scored ? "scored" : dueAt && new Date(dueAt) < Date.now() ? "overdue" : "open"}`);
  const remove = async (row) => {
    await api.remove(`/v1/assignments/${row.id}`);
    toast(t("reviewers.removed", { name: name(row), reviewer: row.personName }));
    await reload();
  };
  const button = (row) => {
    const label = t("reviewers.removeOf", { name: name(row), reviewer: row.personName });
    return h("button", { type: "button", class: "link", "aria-label": label, onclick: ({ currentTarget }) => runAction(currentTarget, () => remove(row)) }, t("reviewers.remove"));
  };
  const columns = [
    { name: "candidate", label: t("reviewers.candidate"), value: name, sortable: true },
    { name: "reviewer", label: t("reviewers.reviewer"), value: ({ personName }) => personName, sortable: true },
    { name: "due", label: t("reviewers.dueOn"), value: ({ dueAt }) => dueAt, render: ({ dueAt }) => (dueAt ? formatDay(dueAt) : t("common.none")), sortable: true },
    { name: "state", label: t("reviewers.state"), value: state, sortable: true },
    can("write") && { name: "actions", label: t("common.actions"), value: () => null, render: (row) => !row.scored && button(row) },
  ].filter(Boolean);
  return dataTable({
    caption: t("reviewers.assignments"),
    columns,
    rows: assignments,
    rowId: ({ id }) => id,
    rowHref: ({ sessionId }) => `#/sessions/${sessionId}`,
    sort: { name: "reviewer", order: "asc" },
    count: (n) => t("reviewers.assignmentCount", { n }),
  });
}
