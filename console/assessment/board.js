// Candidates of an assessment, or of all assessments: a table by view, who waits for a decision first.

import { updateUrlQuery } from "../shared/url_state.js";
import * as api from "../shared/api.js";
import { decide } from "../decisions/decision.js";
import { selectionBar } from "../decisions/selection.js";
import { cohortSection } from "./board_cohort.js";
import { apiQuery, clearFilters, filterForm, isFiltered, readQuery, resultsPath, urlQuery, viewButtons } from "./board_filters.js";
import { columns } from "./board_table.js";
import { cohortTests } from "./board_tests.js";
import { actionsMenu } from "./candidate_actions.js";
import { storeBoardOrder } from "../shared/board_order.js";
import { runAction, toastError } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { invite } from "./invite.js";
import { onKeys, showKeys } from "../shared/keys.js";
import { candidateName } from "../shared/names.js";
import { emptyState, errorNotice, renderPageAsync } from "../shared/states.js";
import { addRows, dataTable, focusRow, focusedRow, showRows } from "../shared/table.js";
import { t } from "../shared/texts.js";

const FIRST_ROWS = 15;
const FIRST_PAGE_SIZE = 50; // smaller, so it loads faster
// Laying out more than 200 rows blocks slow computers for more than 100 ms.
const PAGE_SIZE = 150;
const button = (label, onclick, kind = "secondary") => h("button", { type: "button", class: kind, onclick }, label);

export async function show(main, { assessmentId }, context) {
  const title = t(assessmentId ? "board.title" : "board.allTitle");
  context.setTitle(title);
  const board = new Board(assessmentId ?? null, context);
  await renderPageAsync(main, title, () => board.prepare(), () => {
    if (board.assessment) context.setTitle(board.assessment.title);
    setTimeout(() => board.load());
    return board.nodes();
  });
}

class Board {
  constructor(assessmentId, { me, can, signal, query, go }) {
    Object.assign(this, { assessmentId, me, can, go, signal, ...readQuery(query) });
    this.path = assessmentId ? `/assessments/${assessmentId}` : "/candidates";
    this.rows = [];
    this.known = new Map(); // rows by candidate id, including rows that a filter hides
    this.selected = new Set();
    this.isHidden = (row) => row.blind && Boolean(me.person) && !row.candidateName && !row.candidateEmail;
    this.name = (row) => candidateName(row, row);
    this.assessmentOf = (row) => this.assessment ?? { id: row.assessmentId, title: row.assessmentTitle, blind: row.blind };
  }

  /** Load everything but the rows, whose first page loads at the same time. */
  async prepare() {
    this.firstPage = this.loadFirstPage();
    this.firstPage.catch(() => {}); // `loadRows` reports it.
    [this.counts] = await Promise.all([this.loadCounts(), this.assessmentId && this.loadAssessment()]);
  }

  async loadAssessment() {
    const { signal } = this;
    this.assessment = (await api.get(`/v1/assessments/${this.assessmentId}`, { signal })).assessment;
    const { rubricId } = this.assessment;
    this.criteria = rubricId ? (await api.get(`/v1/rubrics/${rubricId}`, { signal })).rubric.criteria : [];
  }

  async loadCounts() {
    return (await api.get(`${resultsPath(this.assessmentId)}/views`, { signal: this.signal })).views;
  }

  nodes() {
    const { assessment, criteria = [], name, isHidden } = this;
    this.table = dataTable({
      caption: t("board.title"),
      columns: columns({ name, isHidden, criteria, assessment, menu: (row) => this.menu(row) }),
      rows: [],
      sort: this.sort,
      onSort: (sort) => this.update({ sort }),
      rowId: (row) => row.candidateId,
      rowHref: (row) => (row.sessionId ? `#/sessions/${row.sessionId}` : null),
      selection: { selected: this.selected, label: (row) => t("board.selectRow", { name: name(row) }), onChange: () => this.showSelection() },
      count: (n) => this.countText(n),
    });
    this.views = h("nav", { class: "views", "aria-label": t("board.viewsLabel") });
    this.filterForm = filterForm({ filters: this.filters, onChange: (filters) => this.update({ filters }) });
    this.selection = selectionBar({ can: this.can, me: this.me, onDone: () => this.clearSelection() });
    this.message = h("div");
    this.scoreNote = h("p", { class: "quiet", hidden: true }, t("board.otherTotals"));
    this.selectionHint = h("span", { class: "quiet" }, t("board.selectionHint"));
    this.compareButton = button(t("board.compare"), () => this.compare());
    this.moreButton = button(t("board.more"), () => this.loadMore());
    this.moreButton.hidden = true;
    // Hidden until the rows are complete, which would push them down.
    this.below = h("div", { hidden: true }, assessment && this.sections());
    this.showSelection();
    this.showViews();
    this.listen();
    return [
      assessment && h("p", { class: "trail" }, h("a", { href: "#/assessments" }, t("assessments.title"))),
      h(
        "div",
        { class: "page-head" },
        h("div", {}, h("h1", { tabindex: "-1" }, assessment?.title ?? t("board.allTitle")), button(t("board.skip"), () => focusRow(this.table, 1), "skip"), h("p", { class: "quiet" }, assessment?.role)),
        assessment && h("div", { class: "actions" }, this.headActions()),
      ),
      this.views,
      h("div", { class: "board-tools" }, this.filterForm, h("div", { class: "actions" }, button(t("board.keys.title"), () => this.showKeys(), "link"), assessment && (this.exportButton = button(t("board.export"), () => this.export())))),
      h("div", { class: "selection-place actions" }, this.selectionHint, this.selection.element, this.compareButton),
      this.message,
      this.scoreNote,
      this.table,
      h("div", { class: "board-more" }, this.moreButton),
      this.below,
    ];
  }

  headActions() {
    const link = (name) => h("a", { class: "secondary", href: `#${this.path}/${name}` }, t(`board.pages.${name}`));
    const names = ["task", "reviewers", this.can("admin") && "compliance", this.can("write") && "edit"].filter(Boolean);
    return [names.map(link), this.can("write") && button(t("board.invite.action"), () => this.invite(), "primary")];
  }

  sections() {
    const { signal, can, name, assessment, selected } = this;
    this.cohort = cohortSection(assessment.id, { signal, name, selected });
    return [this.cohort.element, cohortTests(assessment, { can, signal })];
  }

  listen() {
    const row = () => this.known.get(focusedRow(this.table)?.dataset.id);
    const actions = {
      j: () => focusRow(this.table, 1),
      k: () => focusRow(this.table, -1),
      x: () => focusedRow(this.table)?.querySelector(".select input")?.click(),
      "/": () => this.filterForm.elements.q.focus(),
      "?": () => this.showKeys(),
      e: ({ repeat }) => {
        // The dialog opens once its data is loaded.
        if (repeat || this.isDeciding || !row() || !this.can("write")) return;
        this.isDeciding = true;
        decide(row(), { me: this.me, onDone: () => this.load() }).catch(toastError).finally(() => (this.isDeciding = false));
      },
    };
    onKeys(actions, this.signal);
  }

  showKeys() {
    return showKeys(["j", "k", "Enter", "x", ...(this.can("write") ? ["e"] : []), "/", "?"].map((key) => [key, t(`board.keys.${key}`)]));
  }

  // -- Loading

  /** Load the first page of the current view. Aborts the loading of other rows. */
  loadFirstPage() {
    this.loading?.abort();
    this.loading = new AbortController();
    this.rowsSignal = AbortSignal.any([this.signal, this.loading.signal]);
    return this.loadPage(FIRST_PAGE_SIZE);
  }

  async loadPage(limit, after) {
    const query = { ...apiQuery(this), limit, after };
    const page = await api.get(resultsPath(this.assessmentId), { query, signal: this.rowsSignal });
    for (const row of page.results) this.known.set(row.candidateId, row);
    return page;
  }

  /** Load rows and counts, at first only the rest of the rows. */
  async load() {
    try {
      if (!this.firstPage) {
        // The text for an empty view depends on them.
        this.counts = await this.loadCounts();
        this.showViews();
      }
      await this.loadRows();
    } catch (error) {
      this.showFailure(error);
    }
  }

  showViews() {
    const { view, counts } = this;
    const focused = [...this.views.children].indexOf(document.activeElement);
    fill(this.views, viewButtons({ view, counts, canScore: this.can("write"), onChange: (name) => this.update({ view: name }) }));
    this.views.children[focused]?.focus();
  }

  /** Show the first page, then append a second one. */
  async loadRows() {
    const firstPage = this.firstPage ?? this.loadFirstPage();
    this.firstPage = null;
    const signal = this.rowsSignal;
    this.isLoading = this.moreButton.hidden = true;
    this.table.setAttribute("aria-busy", "true");
    try {
      await this.showFirstPage(await firstPage);
      if (this.next && !signal.aborted) {
        this.moreButton.hidden = true;
        await this.addPage();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    if (signal.aborted) return;
    this.table.removeAttribute("aria-busy");
    this.below.hidden = false;
    this.dropSelected();
  }

  /** Deselect candidates who have left the view. */
  dropSelected() {
    if (this.next || isFiltered(this)) return; // They can be in another row.
    const shown = new Set(this.rows.map(({ candidateId }) => candidateId));
    const gone = [...this.selected].filter((id) => !shown.has(id));
    for (const id of gone) this.selected.delete(id);
    if (gone.length) this.showSelection();
  }

  async showFirstPage({ results, next }) {
    // Few rows at first, which show sooner; a reload replaces all that are visible.
    const shown = this.rows.length ? results.length : FIRST_ROWS;
    Object.assign(this, { rows: [], next, isLoading: next !== null || results.length > shown });
    fill(this.message);
    showRows(this.table, { rows: results.slice(0, shown), sort: this.sort, empty: this.emptyState() });
    // On phones, the views scroll.
    this.views.scrollLeft = this.views.querySelector("[aria-current]").offsetLeft - this.views.offsetLeft;
    this.isLoading = next !== null;
    await this.appendRows(results, shown);
  }

  async addPage() {
    const { results, next } = await this.loadPage(PAGE_SIZE, this.next);
    Object.assign(this, { next, isLoading: false });
    await this.appendRows(results, 0);
  }

  /** Add results, of which the table already shows some. */
  async appendRows(results, shown) {
    const signal = this.rowsSignal;
    this.rows = [...this.rows, ...results];
    await addRows(this.table, results.slice(shown));
    if (signal.aborted) return;
    this.moreButton.hidden = this.next === null;
    for (const [id, rows] of Map.groupBy(this.rows.filter(({ sessionId }) => sessionId), ({ assessmentId }) => assessmentId)) {
      storeBoardOrder(id, rows.map(({ sessionId }) => sessionId));
    }
    const scored = this.rows.filter(({ score }) => score.total !== null);
    this.scoreNote.hidden = !this.assessment || new Set(scored.map(({ score }) => score.highestTotal)).size < 2;
  }

  loadMore() {
    this.isLoading = true;
    return runAction(this.moreButton, () => this.addPage(), (error) => this.showFailure(error));
  }

  showFailure(error) {
    if (error.name === "AbortError") return;
    this.isLoading = false;
    if (!(error instanceof api.ApiError)) console.error(error);
    fill(this.message, errorNotice(error, () => this.load()));
    this.table.removeAttribute("aria-busy");
  }

  emptyState() {
    if (isFiltered(this)) return emptyState(t("board.noneTitle"), t("board.none"), button(t("board.clear"), () => clearFilters(this.filterForm)));
    if (this.counts.all) return emptyState(t("board.viewEmptyTitle", { view: t(`board.views.${this.view}`) }), t("board.viewEmpty"), button(t("board.showAll", { n: this.counts.all }), () => this.update({ view: "all" })));
    const canInvite = this.assessment && this.can("write");
    return emptyState(t("board.emptyTitle"), t("board.empty"), canInvite && button(t("board.invite.action"), () => this.invite(), "primary"));
  }

  countText(n) {
    if (this.isLoading) return t("board.countLoading", { n });
    const isPart = isFiltered(this);
    if (this.next && isPart) return t("board.countTruncated", { n });
    return this.next || isPart ? t("board.countFiltered", { n, total: this.counts[this.view] }) : t("board.count", { n });
  }

  // -- Changes

  async update(changes) {
    if (this.signal.aborted) return; // The user left the page during a delayed search.
    Object.assign(this, changes);
    if (changes.view) {
      // The other view might not show the selected candidates.
      this.selected.clear();
      this.showSelection();
    }
    updateUrlQuery(this.path, urlQuery(this));
    this.showViews();
    await this.loadRows().catch((error) => this.showFailure(error));
  }

  async clearSelection() {
    this.selected.clear();
    this.showSelection();
    await this.load();
    // The pressed button disappeared.
    if (document.activeElement === document.body) focusRow(this.table, 1);
  }

  showSelection() {
    this.cohort?.showSelected();
    const rows = [...this.selected].map((id) => this.known.get(id));
    this.selection.update(rows);
    this.selectionHint.hidden = rows.length > 0;
    this.compareButton.hidden = rows.length !== 2 || !rows.every(({ sessionId }) => sessionId);
  }

  compare() {
    const [first, second] = [...this.selected].map((id) => this.known.get(id).sessionId);
    this.go(`/compare/${first}/${second}`);
  }

  export() {
    return runAction(this.exportButton, () => api.download(`${resultsPath(this.assessmentId)}/export`, { query: apiQuery(this) }));
  }

  invite() {
    return invite(this.assessment, { onDone: () => this.load() });
  }

  menu(row) {
    const candidate = { candidateId: row.candidateId, candidateName: this.name(row) };
    return actionsMenu(candidate, this.assessmentOf(row), { can: this.can, onChange: () => this.load() });
  }
}
