// An assessment's candidates: a results table below a plot of each metric.

import { updateUrlQuery } from "../shared/url_state.js";
import * as api from "../shared/api.js";
import { showCohort } from "./board_cohort.js";
import { apiQuery, clearFilters, filterForm, isFiltered, readQuery, urlQuery } from "./board_filters.js";
import { loadCandidates, loadResults, MAX_ROWS, resultPages } from "./board_rows.js";
import { addCandidateDetails, columns } from "./board_table.js";
import { cohortTests } from "./board_tests.js";
import { actionsMenu } from "./candidate_actions.js";
import { runAction } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { invite } from "./invite.js";
import { candidateName } from "../shared/names.js";
import { emptyState, errorNotice, renderPageAsync } from "../shared/states.js";
import { assignDialog } from "../review/assign.js";
import { addRows, dataTable, highlightRows, rowElement, showRows } from "../shared/table.js";
import { t } from "../shared/texts.js";

export async function show(main, { assessmentId }, context) {
  context.setTitle(t("board.title"));
  const load = () => api.get(`/v1/assessments/${assessmentId}`, { signal: context.signal });
  await renderPageAsync(main, t("board.title"), load, ({ assessment }) => {
    context.setTitle(assessment.title);
    const board = new Board(assessment, context);
    queueMicrotask(() => board.load());
    return board.nodes();
  });
}

class Board {
  constructor(assessment, { me, can, signal, query, go }) {
    Object.assign(this, { assessment, can, go, pageSignal: signal, ...readQuery(query) });
    this.path = `/assessments/${assessment.id}`;
    this.rows = [];
    this.candidates = new Map();
    this.selected = new Set();
    this.sessionIds = new Map(); // by candidate id, including rows that a filter hides
    this.hovered = null;
    this.cohort = null;
    this.name = (row) => candidateName({ ...this.candidates.get(row.candidateId), ...row }, assessment);
    this.isBlind = assessment.blind && Boolean(me.person);
    this.table = dataTable({
      caption: t("board.title"),
      columns: columns({ name: this.name, isBlind: this.isBlind, menu: (row) => this.menu(row) }),
      rows: [],
      sort: this.sort,
      onSort: (sort) => this.update({ sort }),
      rowId: (row) => row.candidateId,
      rowHref: (row) => (row.sessionId ? `#/sessions/${row.sessionId}` : null),
      selection: {
        selected: this.selected,
        label: (row) => t("board.selectRow", { name: this.name(row) }),
        isSelectable: (row) => row.sessionId,
        onChange: () => this.mark(),
      },
      onHover: (id) => this.hover(id),
      count: (n) => this.countText(n),
    });
  }

  nodes() {
    const { assessment } = this;
    this.filterForm = filterForm({ filters: this.filters, onChange: (filters) => this.update({ filters }) });
    this.plots = h("div", { class: "cohort-place" });
    this.message = h("div");
    this.scoreNote = h("p", { class: "quiet", hidden: true }, t("board.otherTotals"));
    this.compareHint = h("span", { class: "quiet", role: "status" });
    this.compareButton = h("button", { type: "button", class: "secondary", onclick: () => this.compare() }, t("board.compare"));
    this.exportButton = h("button", { type: "button", class: "secondary", onclick: () => this.export() }, t("board.export"));
    this.moreButton = h("button", { type: "button", class: "secondary", hidden: true, onclick: () => this.loadMore() }, t("board.more"));
    this.mark();
    return [
      h("p", { class: "trail" }, h("a", { href: "#/assessments" }, t("board.back"))),
      h(
        "div",
        { class: "page-head" },
        h("div", {}, h("h1", { tabindex: "-1" }, assessment.title), h("p", { class: "quiet" }, assessment.role)),
        h("div", { class: "actions" }, h("a", { class: "secondary", href: `#${this.path}/task` }, t("board.task")), h("a", { class: "secondary", href: `#${this.path}/reviewers` }, t("reviewers.title")), this.can("write") && this.headActions()),
      ),
      this.plots,
      cohortTests(assessment, { can: this.can, signal: this.pageSignal }),
      h("div", { class: "board-tools" }, this.filterForm, h("div", { class: "actions" }, this.compareHint, this.compareButton, this.exportButton)),
      this.message,
      this.scoreNote,
      this.table,
      h("div", { class: "board-more" }, this.moreButton),
    ];
  }

  headActions() {
    return [
      h("a", { class: "secondary", href: `#${this.path}/edit` }, t("board.edit")),
      h("button", { type: "button", class: "secondary", onclick: () => assignDialog(this.assessment) }, t("reviewers.assign")),
      h("button", { type: "button", class: "primary", onclick: () => this.invite() }, t("board.invite")),
    ];
  }

  // -- Loading

  /** Load rows, cohort statistics and candidates. */
  async load() {
    this.allRows = null;
    const signal = this.pageSignal;
    const path = `/v1/assessments/${this.assessment.id}`;
    const stats = api.get(`${path}/cohort-stats`, { signal });
    const rows = this.loadRows();
    await Promise.all([stats, rows, rows.then(() => this.loadCandidates()), rows.then(() => this.loadCohort(stats))]).catch((error) => this.showFailure(error));
  }

  /** Load pending candidates for the status of their invitations, or all candidates if the rows lack names. */
  async loadCandidates() {
    const hasNames = this.isBlind || (!isFiltered(this) && this.rows.every((row) => row.candidateName));
    const status = hasNames ? "pending" : null;
    this.candidates = await loadCandidates(this.assessment.id, { status, signal: this.pageSignal });
    this.addCandidateDetails(this.rows);
  }

  /** Show the first page, then append the rest. */
  async loadRows() {
    this.loading?.abort();
    this.loading = new AbortController();
    const signal = AbortSignal.any([this.pageSignal, this.loading.signal]);
    const isUnfiltered = !isFiltered(this);
    [this.rowsSignal, this.isLoading] = [signal, true];
    this.table.setAttribute("aria-busy", "true");
    try {
      await this.addPages(resultPages(this.assessment.id, apiQuery(this), { signal }), { isFirst: true });
    } catch (error) {
      if (!signal.aborted) throw error;
      return;
    }
    this.table.removeAttribute("aria-busy");
    if (isUnfiltered) this.allRows ??= this.rows;
  }

  async addPages(pages, { isFirst = false } = {}) {
    let added = 0;
    for await (const [results, next] of pages) {
      added += results.length;
      this.next = next;
      this.storeSessionIds(results);
      this.isLoading = next !== null && added < MAX_ROWS;
      this.rows = isFirst ? results : [...this.rows, ...results];
      if (isFirst) this.showFirstPage(results);
      else addRows(this.table, results);
      isFirst = false;
      this.addCandidateDetails(results);
      if (!this.isLoading) break;
    }
    this.moreButton.hidden = this.next === null;
    const scored = this.rows.filter(({ score }) => score.total !== null);
    this.scoreNote.hidden = new Set(scored.map(({ score }) => score.highestTotal)).size < 2;
  }

  showFirstPage(results) {
    fill(this.message);
    showRows(this.table, { rows: results, sort: this.sort, empty: this.emptyState() });
  }

  addCandidateDetails(rows) {
    addCandidateDetails(this.table, rows, this.candidates, this.name);
  }

  async loadMore() {
    if (this.isLoading) return;
    this.isLoading = true;
    const pages = resultPages(this.assessment.id, apiQuery(this), { after: this.next, signal: this.rowsSignal });
    await this.addPages(pages).catch((error) => this.showFailure(error));
  }

  storeSessionIds(rows) {
    for (const { candidateId, sessionId } of rows) this.sessionIds.set(candidateId, sessionId);
  }

  /** Show the plots, which ignore the filters. */
  async loadCohort(loadingStats) {
    const { cohortStats: stats } = await loadingStats;
    const rows = stats ? await this.loadAllRows() : [];
    if (this.pageSignal.aborted) return;
    this.cohort = showCohort(this.plots, {
      stats,
      rows,
      isTruncated: rows.length >= MAX_ROWS,
      name: this.name,
      onHover: (id) => this.hover(id),
      onSelect: (id) => this.toggle(id),
    });
    this.mark();
  }

  async loadAllRows() {
    this.allRows ??= await loadResults(this.assessment.id, { signal: this.pageSignal });
    this.storeSessionIds(this.allRows);
    return this.allRows;
  }

  showFailure(error) {
    if (error.name === "AbortError") return;
    this.isLoading = false;
    if (!(error instanceof api.ApiError)) console.error(error);
    fill(this.message, errorNotice(error, () => this.load()));
    this.table.removeAttribute("aria-busy");
  }

  emptyState() {
    if (isFiltered(this)) {
      const clear = h("button", { type: "button", class: "secondary", onclick: () => clearFilters(this.filterForm) }, t("board.clear"));
      return emptyState(t("board.noneTitle"), t("board.none"), clear);
    }
    const inviteButton = this.can("write") && h("button", { type: "button", class: "primary", onclick: () => this.invite() }, t("board.invite"));
    return emptyState(t("board.emptyTitle"), t("board.empty"), ...[inviteButton].filter(Boolean));
  }

  countText(n) {
    if (this.isLoading) return t("board.countLoading", { n });
    if (this.next) return t("board.countTruncated", { n });
    if (isFiltered(this) && this.allRows) return t("board.countFiltered", { n, total: this.allRows.length });
    return t("board.count", { n });
  }

  // -- Changes

  async update(changes) {
    if (this.pageSignal.aborted) return; // The user left the page during a delayed search.
    Object.assign(this, changes);
    updateUrlQuery(this.path, urlQuery(this));
    await this.loadRows().catch((error) => this.showFailure(error));
  }

  hover(id) {
    if (id === this.hovered) return;
    this.hovered = id;
    this.mark();
  }

  toggle(id) {
    const box = rowElement(this.table, id)?.querySelector("input[type=checkbox]");
    if (box) box.click();
    else {
      if (!this.selected.delete(id)) this.selected.add(id);
      this.mark();
    }
  }

  /** Highlight the hovered candidate in the table, and mark it and the selected candidates in all plots. */
  mark() {
    const { selected, hovered } = this;
    const ids = new Set([...selected, hovered].filter((id) => id !== null));
    this.cohort?.mark(ids);
    if (this.table) highlightRows(this.table, new Set([hovered]));
    if (!this.compareButton) return;
    const n = selected.size;
    this.compareButton.disabled = n !== 2;
    const hint = n === 2 ? "" : n === 0 ? t("board.compareHint") : t("board.compareCount", { n });
    if (this.compareHint.textContent !== hint) this.compareHint.textContent = hint;
  }

  compare() {
    const [first, second] = [...this.selected].map((id) => this.sessionIds.get(id));
    this.go(`/compare/${first}/${second}`);
  }

  export() {
    const path = `/v1/assessments/${this.assessment.id}/results/export`;
    return runAction(this.exportButton, () => api.download(path, { query: apiQuery(this) }));
  }

  invite() {
    return invite(this.assessment, { onDone: () => this.load() });
  }

  menu(row) {
    const candidate = { candidateId: row.candidateId, candidateName: this.name(row) };
    return actionsMenu(candidate, this.assessment, { can: this.can, onChange: () => this.load() });
  }
}
