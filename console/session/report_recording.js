// The timeline tab of the report: swimlanes, the event list, and the selected event's details.

import { updateUrlQuery } from "../shared/url_state.js";
import * as api from "../shared/api.js";
import { copyText } from "../shared/clipboard.js";
import { toast } from "../shared/dialogs.js";
import { linesTable, parseDiff } from "../shared/diff.js";
import { fill, h, pairs } from "../shared/dom.js";
import { evidenceButton } from "../shared/evidence.js";
import { channelName, eventLink, kindName, loadEvent, notCountedReason } from "../shared/events.js";
import { markdown } from "../shared/markdown.js";
import { emptyState, renderAsync } from "../shared/states.js";
import { swimlanes } from "./swimlanes.js";
import { has, t } from "../shared/texts.js";
import { formatDateTime, formatClock } from "../shared/time.js";
import { eventList } from "./timeline.js";
import { longText, plain, untrusted } from "../shared/untrusted.js";

const MAX_JSON_CHARACTERS = 20_000;
const TEXT_FIELDS = ["text", "lastAssistantMessage", "rationale", "command", "stdout", "stderr", "diff", "content"];
const PROSE_FIELDS = new Set(["text", "lastAssistantMessage", "rationale"]);

export const load = (report) => report.events();

export function render(events, report) {
  const { taskReadAt, status } = report.session;
  const taskRead = taskReadAt && h("p", { class: "quiet" }, t("report.taskRead", { when: formatDateTime(taskReadAt) }));
  if (!events.length)
    return [taskRead, emptyState(t("report.noEvents"), t(status === "active" ? "report.noEventsYet" : "report.noEventsHint"))];
  const detail = h("section", { class: "event-detail", tabindex: "-1", "aria-label": t("report.detail.label") });
  const pick = (event, { scroll = false } = {}) => {
    report.eventId = event.id;
    updateUrlQuery(report.address, { event: event.id });
    lanes.select(event.id);
    list.select(event.id);
    showEvent(detail, event, report);
    if (scroll || innerWidth < 900) detail.scrollIntoView({ block: "nearest" });
  };
  const lanes = swimlanes({ events, onPick: pick, recordsTyping: report.session.coverage?.metricsFrom === "client" });
  const list = eventList({ events, onPick: pick });
  const problem = h("div");
  report
    .analytics()
    .then(lanes.addAnalytics)
    .catch((error) => {
      if (report.signal.aborted) return;
      if (!(error instanceof api.ApiError)) console.error(error);
      fill(problem, h("p", { class: "quiet" }, t("report.lanes.noAnalysis")));
    });
  report.selectEvent = (id) => {
    const event = events.find((other) => other.id === id);
    if (event) pick(event, { scroll: true });
    else fill(detail, missingNotice(id));
  };
  fill(detail, h("p", { class: "quiet" }, t("report.detail.none")));
  if (report.eventId) requestAnimationFrame(() => report.selectEvent(report.eventId));
  return [
    h("section", { class: "panel" }, h("h2", {}, t("report.lanes.heading")), taskRead, lanes.element, problem),
    h(
      "section",
      { class: "panel timeline-panel" },
      h("h2", {}, t("report.events")),
      h("div", { class: "timeline-columns" }, list.element, detail),
    ),
  ];
}

function showEvent(detail, event, report) {
  const loadDetails = () => loadEvent(report.session.id, event.id, report);
  renderAsync(detail, loadDetails, (details) => (details ? eventView({ ...details, request: event.request }, report) : missingNotice(event.id)));
}

const missingNotice = (id) => h("div", { class: "notice warn" }, t("report.detail.missing", { id: plain(id) }));

/** Build an event's details, with the original JSON. */
function eventView(event, report) {
  const json = JSON.stringify(event.envelope, null, 2);
  const pre = h(
    "pre",
    { tabindex: "0", "aria-label": t("report.detail.json") },
    untrusted(json.slice(0, MAX_JSON_CHARACTERS), { lines: true }),
  );
  const more =
    json.length > MAX_JSON_CHARACTERS &&
    h("button", { type: "button", class: "secondary" }, t("report.showAll", { n: json.length }));
  if (more) {
    more.addEventListener("click", () => {
      fill(pre, untrusted(json, { lines: true }));
      more.remove();
    });
  }
  const rows = [
    [
      t("report.detail.when"),
      `${formatDateTime(event.ts).replace(/, .*/, "")}, ${formatClock(event.ts, { seconds: true })}`,
    ],
    [t("report.detail.request"), event.request && h("a", { href: eventLink(report.session.id, event.request) }, t("report.detail.openRequest"))],
    [t("report.detail.received"), formatDateTime(event.receivedAt)],
    [t("report.detail.actor"), event.actor && displayName("actors", event.actor)],
    [t("report.detail.source"), event.source && untrusted(event.source)],
    [t("report.detail.channel"), channelName(event.channel)],
    [t("report.detail.attribution"), event.attribution && displayName("attributions", event.attribution)],
    [t("report.detail.counts"), notCountedReason(event) ?? t("report.detail.counted")],
    [t("report.detail.size"), t("report.bytes", { n: event.sizeBytes })],
  ];
  return [
    h("div", { class: "event-detail-head" }, h("h3", {}, kindName(event.kind)), evidenceButton(report, event.id, event.summary), copyLink(event, report)),
    h("p", { class: "event-detail-summary" }, untrusted(event.summary)),
    pairs(rows),
    contents(event.envelope?.data ?? {}),
    h("h4", {}, t("report.detail.json")),
    pre,
    more,
  ];
}

/** Render the fields that are easier to read as text than as JSON. */
function contents(data) {
  const names = TEXT_FIELDS.filter((name) => typeof data[name] === "string" && data[name].trim());
  return names.map((name) => [h("h4", {}, t(`report.detail.contents.${name}`)), content(name, data[name])]);
}

function content(name, text) {
  if (name === "diff") {
    const lines = parseDiff(text);
    if (lines.length && text.length <= MAX_JSON_CHARACTERS)
      return h(
        "div",
        { class: "diff scroll", tabindex: "0", role: "region", "aria-label": t("report.detail.contents.diff") },
        linesTable(lines),
      );
  }
  return PROSE_FIELDS.has(name) ? h("div", { class: "event-text" }, longText(text, markdown)) : h("div", { class: "event-text code" }, longText(text));
}

function copyLink(event, report) {
  const url = new URL(eventLink(report.session.id, event.id), location.href).href;
  const copy = async () => toast((await copyText(url)) ? t("report.detail.copied") : url);
  return h("button", { type: "button", class: "link", onclick: copy }, t("report.detail.copy"));
}

function displayName(group, name) {
  return has(`report.${group}.${name}`) ? t(`report.${group}.${name}`) : untrusted(name);
}
