// A session's report: the header, and tabs for timeline, changes, costs and metrics.

import { updateUrlQuery } from "../shared/url_state.js";
import * as api from "../shared/api.js";
import { fill, h, newId } from "../shared/dom.js";
import { eventLink, loadEvents } from "../shared/events.js";
import { header, sessionDetails } from "./report_head.js";
import * as timeline from "./report_recording.js";
import { renderAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";

const TABS = ["timeline", "conversation", "changes", "tests", "findings", "usage", "decisions", "files", "metrics"];
const TABS_AFTER_ERASURE = ["metrics", "findings"];
const TAB_MARGIN_PX = 60;
const MODULES = {
  // Loaded with this module, because it is the first tab.
  timeline: () => timeline,
  conversation: () => import("./conversation.js"),
  changes: () => import("./report_changes.js"),
  tests: () => import("./report_tests.js"),
  findings: () => import("./report_findings.js"),
  usage: () => import("./report_usage.js"),
  decisions: () => import("./report_decisions.js"),
  files: () => import("./report_files.js"),
  metrics: () => import("./report_metrics.js"),
};

export async function show(main, { sessionId }, context) {
  const { signal, setTitle } = context;
  setTitle(t("report.title"));
  fill(main, h("h1", { tabindex: "-1", class: "visually-hidden" }, t("report.title")), h("div"));
  const sources = createSources(sessionId, signal);
  const read = () => api.get(`/v1/sessions/${sessionId}`, { signal });
  sources.events().catch(() => {}); // Handled by the tab that shows the events.
  await renderAsync(main.lastElementChild, read, (session) => page(session, sources, context));
}

/** Create loaders for data that several tabs share. Slow requests wait for the events. */
function createSources(sessionId, signal) {
  const path = `/v1/sessions/${sessionId}`;
  const events = once(() => loadEvents(sessionId, { signal }));
  const afterEvents = (name) =>
    once(() =>
      events()
        .catch(() => {})
        .then(() => api.get(`${path}/${name}`, { signal })),
    );
  return { path, events, analytics: afterEvents("analytics"), integrity: afterEvents("integrity") };
}

function page(session, sources, { me, signal, query, setTitle, can }) {
  const report = { session, me, signal, can, ...sources, eventId: query.get("event") };
  const tabs = tabBar(report, query.get("tab"));
  report.openTab = tabs.open;
  const view = h(
    "div",
    { onclick: (event) => followEvent(event, report, tabs) },
    header(report, { setTitle, can }),
    tabs.element,
    sessionDetails(report),
  );
  // The report's header contains the heading, so remove the loading heading.
  document.querySelector("main > h1")?.remove();
  queueMicrotask(() => tabs.start());
  return view;
}

/** Open links to this session's events without reloading the page. */
function followEvent(click, report, tabs) {
  const start = eventLink(report.session.id, "");
  const href = click.target.closest?.("a")?.getAttribute("href") ?? "";
  if (!href.startsWith(start) || click.ctrlKey || click.metaKey || click.shiftKey) return;
  click.preventDefault();
  report.eventId = decodeURIComponent(href.slice(start.length));
  history.pushState(null, "", href);
  tabs.open("timeline");
  report.selectEvent?.(report.eventId);
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
function tabBar(report, first) {
  const names = report.session.erasedAt ? TABS_AFTER_ERASURE : TABS;
  const start = names.includes(first) && !report.eventId ? first : names[0];
  const prefix = newId("tab");
  const buttons = new Map(names.map((name) => [name, tabButton(name, prefix, () => open(name))]));
  const panels = new Map(names.map((name) => [name, tabPanel(name, prefix)]));
  let current = null;

  function open(name) {
    current = name;
    for (const [tab, button] of buttons) {
      button.setAttribute("aria-selected", String(tab === name));
      button.tabIndex = tab === name ? 0 : -1;
      panels.get(tab).hidden = tab !== name;
    }
    storeTabInUrl(report, name);
    list.scrollLeft = buttons.get(name).offsetLeft - TAB_MARGIN_PX;
    const panel = panels.get(name);
    if (!panel.firstChild) fillPanel(panel, name, report);
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
  return { element: h("div", {}, list, [...panels.values()]), open, start: () => open(start) };
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

/** Store the tab and the event in the URL, so the page can be shared and reloaded. */
function storeTabInUrl(report, tab) {
  const query = tab === TABS[0] ? { event: report.eventId } : { tab };
  updateUrlQuery(`/sessions/${report.session.id}`, query);
}
