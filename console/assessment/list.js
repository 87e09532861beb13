// The organization's assessments, with candidate progress and pending work.

import { updateUrlQuery } from "../shared/url_state.js";
import * as api from "../shared/api.js";
import { toast } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { invite } from "./invite.js";
import { funnelBar } from "../shared/plots.js";
import { emptyState, renderAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatDay } from "../shared/time.js";

const NO_PROGRESS = {
  funnel: { invited: 0, redeemed: 0, completed: 0, reviewed: 0, hired: 0 },
  waiting: { toScore: 0, disagreements: 0, failedMessages: 0 },
};
const MIN_ASSESSMENTS_FOR_SEARCH = 6;

export async function show(main, params, { can, signal, query, setTitle }) {
  setTitle(t("assessments.title"));
  const list = h("div");
  const actions = h("div", { class: "actions", hidden: true }, newLink());
  fill(
    main,
    h(
      "div",
      { class: "page-head" },
      h("h1", { tabindex: "-1" }, t("assessments.title")),
      can("write") && actions,
    ),
    list,
  );
  await renderAsync(list, () => load(signal), renderList);

  /** Reload after a change, without a loading message. */
  async function reload() {
    const assessments = await load(signal);
    const focusedLabel = document.activeElement?.getAttribute("aria-label");
    fill(list, renderList(assessments));
    if (focusedLabel) list.querySelector(`[aria-label="${CSS.escape(focusedLabel)}"]`)?.focus();
  }

  function renderList(assessments) {
    actions.hidden = !assessments.length;
    return assessmentList(assessments, { can, query, reload });
  }
}

/** Load assessments with `funnel` and `waiting`, newest first. */
async function load(signal) {
  const [assessments, progress] = await Promise.all([
    api.all("/v1/assessments", "assessments", { signal }),
    api.get("/v1/analytics/progress", { signal }),
  ]);
  const byId = new Map(progress.assessments.map((row) => [row.assessmentId, row]));
  return assessments.reverse().map((assessment) => ({ ...NO_PROGRESS, ...byId.get(assessment.id), ...assessment }));
}

function newLink(className = "primary") {
  return h("a", { class: className, href: "#/assessments/new" }, t("assessments.new"));
}

function assessmentList(assessments, { can, query, reload }) {
  if (!assessments.length) return gettingStarted(can("write"));
  const archivedCount = assessments.filter(({ archivedAt }) => archivedAt).length;
  const rows = h("ul", { class: "assessment-list" });
  const count = h("p", { class: "quiet", role: "status" });
  const archived = h("input", { type: "checkbox", checked: query.get("archived") === "1", onchange: update });
  const search = h("input", { type: "search", "aria-label": t("assessments.search"), placeholder: t("assessments.search"), value: query.get("q") ?? "", oninput: update });

  function update() {
    const searchTerm = search.value.trim().toLowerCase();
    const matches = assessments.filter(
      ({ title, role, archivedAt }) =>
        (archived.checked || !archivedAt) && `${title} ${role}`.toLowerCase().includes(searchTerm),
    );
    fill(rows, matches.map((assessment) => assessmentRow(assessment, { can, reload })));
    fill(count, matches.length ? t("assessments.count", { n: matches.length }) : t("assessments.noMatches"));
    updateUrlQuery("/assessments", { q: search.value.trim(), archived: archived.checked ? "1" : "" });
  }

  update();
  const canSearch = assessments.length >= MIN_ASSESSMENTS_FOR_SEARCH || search.value;
  return [
    h(
      "div",
      { class: "assessment-tools" },
      canSearch && search,
      archivedCount > 0 && h("label", { class: "check-line" }, archived, t("assessments.showArchived", { n: archivedCount })),
      count,
    ),
    rows,
  ];
}

function assessmentRow(assessment, { can, reload }) {
  const { id, title, role, archivedAt, blind, createdAt, funnel } = assessment;
  const steps = Object.entries(funnel).map(([name, value]) => ({ label: t(`assessments.funnel.${name}`), value }));
  const button = (name, run) => h("button", { type: "button", class: "secondary", "aria-label": ariaLabel(name), onclick: run }, t(`assessments.${name}`));
  const ariaLabel = (name) => t("assessments.actionLabel", { action: t(`assessments.${name}`), title });
  const link = (name) => h("a", { class: "quiet-link", href: `#/assessments/${id}/edit`, "aria-label": ariaLabel(name) }, t(`assessments.${name}`));
  const canWrite = can("write");
  const actions = [
    canWrite && (archivedAt ? button("restore", () => restore(assessment, reload)) : button("invite", () => invite(assessment, { onDone: reload }))),
    link(canWrite ? "edit" : "details"),
  ];
  return h(
    "li",
    { class: archivedAt ? "assessment-row archived" : "assessment-row" },
    h(
      "div",
      { class: "assessment-name" },
      h("h2", {}, h("a", { href: `#/assessments/${id}` }, title)),
      h("p", {}, role),
      h(
        "p",
        { class: "quiet" },
        t("assessments.created", { day: formatDay(createdAt) }),
        archivedAt && [" · ", h("strong", {}, t("assessments.archived"))],
        blind && [" · ", t("assessments.blind")],
      ),
    ),
    h(
      "div",
      { class: "assessment-funnel" },
      funnel.invited
        ? funnelBar({ label: t("assessments.funnelLabel", { title }), steps })
        : h("p", { class: "quiet" }, t("assessments.noInvitations")),
    ),
    h("div", { class: "assessment-waiting" }, pendingWork(assessment)),
    h("div", { class: "actions" }, actions),
  );
}

function pendingWork({ id, waiting: counts, funnel }) {
  const links = [
    ["toScore", `#/assessments/${id}`],
    ["disagreements", `#/assessments/${id}?view=disagreement`],
    ["failedMessages", "#/todo"],
  ];
  const pending = links.filter(([name]) => counts[name]);
  if (!pending.length) return funnel.invited ? h("p", { class: "quiet" }, t("assessments.nothingToScore")) : null;
  return h(
    "ul",
    { class: "waiting", "aria-label": t("assessments.toDo") },
    pending.map(([name, href]) => h("li", { class: name }, h("a", { href }, t(`assessments.waiting.${name}`, { n: counts[name] })))),
  );
}

/** Restore an archived assessment. */
async function restore({ id, title }, reload) {
  const setArchived = (archived) => api.patch(`/v1/assessments/${id}`, { archived }).then(reload);
  await setArchived(false);
  toast(t("assessments.restored", { title }), { undo: () => setArchived(true) });
}

/** Render the getting-started steps. */
function gettingStarted(canWrite) {
  if (!canWrite) return h("div", { class: "panel" }, emptyState(t("assessments.emptyTitle"), t("assessments.emptyForReaders")));
  const steps = ["create", "invite", "read"].map((name) =>
    h("li", {}, h("h3", {}, t(`assessments.start.${name}Title`)), h("p", {}, t(`assessments.start.${name}`))),
  );
  return h(
    "section",
    { class: "panel first-start" },
    h("h2", {}, t("assessments.emptyTitle")),
    h("ol", { class: "steps" }, steps),
    h("div", { class: "actions" }, newLink()),
  );
}
