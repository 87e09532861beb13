// A session's report: the header, tabs with the evidence, and beside them the scorecard and the team's notes.

import { notesPanel } from "../review/notes.js";
import { evidenceTab, focusPlace } from "../scoring/evidence.js";
import { updateUrlQuery } from "../shared/url_state.js";
import * as api from "../shared/api.js";
import { toast } from "../shared/dialogs.js";
import { fill, h, newId } from "../shared/dom.js";
import { eventLink, loadEvents } from "../shared/events.js";
import { loadMark } from "../shared/findings.js";
import { candidateName } from "../shared/names.js";
import { header, sessionDetails } from "./report_head.js";
import * as timeline from "./report_recording.js";
import { renderAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { untrustedName } from "../shared/untrusted.js";

const TABS = ["brief", "conversation", "changes", "tests", "timeline", "findings", "more"];
const TABS_AFTER_ERASURE = ["findings", "more"];
const FIRST_TAB = "timeline";
// Collapsed sections of the tab `more`.
const SECTIONS = ["usage", "decisions", "files", "metrics"];
const SECTIONS_AFTER_ERASURE = ["metrics"];
const TAB_MARGIN_PX = 60;
const MODULES = {
  brief: () => import("./brief.js"),
  conversation: () => import("./conversation.js"),
  changes: () => import("./report_changes.js"),
  tests: () => import("./report_tests.js"),
  // Loaded with this module, because it is open at first.
  timeline: () => timeline,
  findings: () => import("./report_findings.js"),
  usage: () => import("./report_usage.js"),
  decisions: () => import("./report_decisions.js"),
  files: () => import("./report_files.js"),
  metrics: () => import("./report_metrics.js"),
  more: () => ({ load: async () => null, render: (nothing, report) => moreSections(report) }),
  scorecard: () => import("../scoring/scoring.js"),
};

export async function show(main, { sessionId }, context) {
  const { signal, setTitle } = context;
  setTitle(t("report.title"));
  fill(main, h("h1", { tabindex: "-1", class: "visually-hidden" }, t("report.title")), h("div"));
  const sources = createSources(sessionId, signal);
  const read = () => api.get(sources.path, { signal });
  await renderAsync(main.lastElementChild, read, (session) => page(session, sources, context));
}

/** Create loaders for data that several parts of the page share. A slow request waits for another one. */
function createSources(sessionId, signal) {
  const path = `/v1/sessions/${sessionId}`;
  const events = once(() => loadEvents(sessionId, { signal }));
  const after = (load, name) =>
    once(() =>
      load()
        .catch(() => {})
        .then(() => api.get(`${path}/${name}`, { signal })),
    );
  const moments = after(events, "moments");
  return { path, events, moments, analytics: after(events, "analytics"), integrity: after(moments, "integrity") };
}

function page(session, sources, { signal, query, setTitle, can, me, go }) {
  const canScore = can("write") && !session.erasedAt;
  const report = { session, signal, can, me, go, canScore, ...sources, address: `/sessions/${session.id}` };
  const head = h("div");
  const showHead = () => fill(head, header(report, { setTitle, can }));
  /** Show the session again after a change. */
  report.refresh = async () => {
    report.session = await api.get(report.path, { signal });
    const hasFocus = head.contains(document.activeElement);
    showHead();
    card.showName(); // Scoring can end the blinding.
    if (hasFocus) head.querySelector(".report-numbers button")?.focus();
  };
  showHead();
  const tabs = tabBar(report, query);
  report.openTab = tabs.open;
  const card = scorecard(report, tabs);
  const columns = h("div", { class: "report-columns" }, tabs.element, h("div", { class: "report-side" }, card.element, notesPanel({ sessionId: session.id, me, can, canAdd: canScore, signal })));
  // The report's header contains the heading, so remove the loading heading.
  document.querySelector("main > h1")?.remove();
  queueMicrotask(() => {
    if (/\/score(\?|$)/.test(location.hash)) card.open();
    else tabs.start();
  });
  return h("div", { onclick: (event) => followLink(event, report, tabs, card) }, head, columns, sessionDetails(report));
}

/** Build the scorecard, hidden until it is opened: `{element, open()}`. */
function scorecard(report, tabs) {
  const titleId = newId("scorecard");
  const content = h("div");
  const close = h("button", { type: "button", class: "link", onclick: () => show(false) }, t("common.close"));
  const name = h("p", { class: "quiet" });
  const showName = () => fill(name, untrustedName(candidateName(report.session, report.session)), loadMark(report.integrity));
  showName();
  const head = h("div", {}, h("div", { class: "scorecard-head" }, h("h2", { id: titleId }, t("scoring.heading")), close), name);
  const element = h("section", { class: "panel scorecard", "aria-labelledby": titleId, hidden: true }, head, content);

  function show(isOpen) {
    element.hidden = !isOpen;
    report.address = `/sessions/${report.session.id}${isOpen ? "/score" : ""}`;
    // Tabs add evidence while the scorecard is open.
    report.onEvidence = isOpen && report.canScore ? (reference) => report.addEvidence?.(reference) : undefined;
    if (!isOpen) history.replaceState(null, "", `#${report.address}`);
    tabs.start();
    if (!isOpen) tabs.focus();
  }

  async function open() {
    if (element.hidden) show(true);
    element.scrollIntoView(); // The header pushes the buttons below the window's end.
    if (!content.firstChild) await fillPanel(content, "scorecard", report);
    // Keep the focus in a tab that the user has opened since.
    if (document.activeElement.matches("body, h1, header *")) report.focusScorecard?.();
  }

  return { element, open, showName };
}

/** Open the scorecard, and links to the session's events, lines and tests, without reloading the page. */
function followLink(click, report, tabs, card) {
  const href = click.target.closest?.("a")?.getAttribute("href") ?? "";
  const evidence = eventLink(report.session.id, "");
  const isScore = href === `#/sessions/${report.session.id}/score`;
  if (!(isScore || href.startsWith(evidence)) || click.ctrlKey || click.metaKey || click.shiftKey) return;
  click.preventDefault();
  history.pushState(null, "", isScore ? href : `#${report.address}`);
  if (isScore) card.open();
  else tabs.showPlace(decodeURIComponent(href.slice(evidence.length)));
}

/** Call `load` once, and again only after a failure. */
function once(load) {
  let promise = null;
  return () => {
    promise ??= load().catch((error) => {
      promise = null;
      throw error;
    });
    return promise;
  };
}

/** Build the tabs and their panels. A panel is loaded when it is first opened. */
function tabBar(report, query) {
  const names = report.session.erasedAt ? TABS_AFTER_ERASURE : TABS;
  const prefix = newId("tab");
  const buttons = new Map(names.map((name) => [name, tabButton(name, prefix, () => open(name))]));
  const panels = new Map(names.map((name) => [name, tabPanel(name, prefix)]));
  let current = query.get("tab");
  if (SECTIONS.includes(current)) [report.section, current] = [current, "more"];
  if (!names.includes(current)) current = names.includes(FIRST_TAB) ? FIRST_TAB : names[0];
  let place = query.get("event");
  if (!place || !names.includes(evidenceTab(place))) place = null;

  async function open(name) {
    current = name;
    for (const [tab, button] of buttons) {
      button.setAttribute("aria-selected", String(tab === name));
      button.tabIndex = tab === name ? 0 : -1;
      panels.get(tab).hidden = tab !== name;
    }
    storeTabInUrl(report, name);
    list.scrollLeft = buttons.get(name).offsetLeft - TAB_MARGIN_PX;
    const panel = panels.get(name);
    if (!panel.firstChild) await fillPanel(panel, name, report);
  }

  /** Set the place that a tab shows, and return the tab. */
  function setPlace(reference) {
    const tab = evidenceTab(reference);
    report[tab === "timeline" ? "eventId" : "place"] = reference;
    return tab;
  }

  /** Show an event, a line of the diff, or a test. */
  async function showPlace(reference) {
    const tab = setPlace(reference);
    await open(tab);
    if (tab === "timeline") report.selectEvent?.(reference);
    else if (!(await focusPlace(panels.get(tab), reference))) toast(t("scoring.placeMissing"));
  }

  /** Load the current tab, again if it was loaded before. */
  function start() {
    report.selectEvent = undefined;
    for (const panel of panels.values()) fill(panel);
    if (place) showPlace(place);
    else open(current);
    place = null;
  }

  const list = h("div", { class: "tabs", role: "tablist", "aria-label": t("report.tabs.label") }, [
    ...buttons.values(),
  ]);
  list.addEventListener("keydown", (event) => {
    const at = names.indexOf(current);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const name = names[(next + names.length) % names.length];
    open(name);
    buttons.get(name).focus();
  });
  return { element: h("div", {}, list, [...panels.values()]), open, showPlace, start, focus: () => buttons.get(current).focus() };
}

/** Build the collapsed sections of the tab `more`. A section is loaded when it is first opened. */
function moreSections(report) {
  const names = report.session.erasedAt ? SECTIONS_AFTER_ERASURE : SECTIONS;
  const section = (name) => {
    const content = h("div");
    const onToggle = ({ currentTarget }) => {
      if (!currentTarget.open) return;
      report.section = name;
      storeTabInUrl(report, "more");
      if (!content.firstChild) fillPanel(content, name, report);
    };
    const isOpen = name === report.section || names.length === 1;
    return h("details", { class: "report-section", open: isOpen, ontoggle: onToggle }, h("summary", {}, t(`report.tabs.${name}`)), content);
  };
  return names.map(section);
}

function tabButton(name, prefix, onclick) {
  const attributes = {
    type: "button",
    role: "tab",
    id: `${prefix}-${name}`,
    "aria-controls": `${prefix}-panel-${name}`,
  };
  return h("button", { ...attributes, onclick }, t(`report.tabs.${name}`));
}

function tabPanel(name, prefix) {
  return h("div", {
    class: "tab-panel",
    role: "tabpanel",
    id: `${prefix}-panel-${name}`,
    "aria-labelledby": `${prefix}-${name}`,
    hidden: true,
  });
}

async function fillPanel(panel, name, report) {
  const container = h("div");
  fill(panel, container);
  await renderAsync(
    container,
    async () => {
      const section = await MODULES[name]();
      return section.load(report).then((value) => [section, value]);
    },
    ([section, value]) => section.render(value, report),
  );
}

/** Store the tab and its place in the URL, so the page can be shared and reloaded. */
function storeTabInUrl(report, name) {
  report.tab = name === "more" ? (report.section ?? name) : name;
  const place = name === "timeline" ? report.eventId : report.place && evidenceTab(report.place) === name && report.place;
  updateUrlQuery(report.address, place ? { event: place } : { tab: name !== FIRST_TAB && report.tab });
}
