// An assessment's compliance report, with selection rates by group.

import * as api from "../shared/api.js";
import { field, runAction, saveForm } from "../shared/dialogs.js";
import { fill, h, pairs } from "../shared/dom.js";
import { actionText } from "../organization/audit.js";
import { candidateName } from "../shared/names.js";
import { formatNumber, formatShare } from "../shared/numbers.js";
import { renderPageAsync } from "../shared/states.js";
import { dataTable } from "../shared/table.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";

export async function show(main, { assessmentId }, { signal, setTitle }) {
  setTitle(t("compliance.title"));
  const path = `/v1/assessments/${assessmentId}`;
  const load = () =>
    Promise.all([
      api.get(`${path}/compliance`, { signal }),
      api.get(path, { signal }),
      api.all("/v1/candidates", "candidates", { query: { assessmentId }, signal }),
    ]);
  await renderPageAsync(main, t("compliance.title"), load, ([{ compliance }, { assessment }, candidates]) => {
    setTitle(`${t("compliance.title")} · ${assessment.title}`);
    return [head(path, assessment), sections(path, compliance, assessment, candidates)];
  });
}

function head(path, { id, title }) {
  const button = (name, text, onclick) => h("button", { type: "button", class: name, onclick }, text);
  const download = ({ currentTarget }) => runAction(currentTarget, () => api.download(`${path}/compliance/export`, { name: "compliance.csv" }));
  const actions = [button("secondary", t("board.export"), download), button("primary", t("print.print"), () => print())];
  const hint = h("p", { class: "quiet" }, t("compliance.hint", { title, time: formatDateTime(new Date()) }));
  return [
    h("p", { class: "trail no-print" }, h("a", { href: `#/assessments/${id}` }, title)),
    h("div", { class: "page-head" }, h("div", {}, h("h1", { tabindex: "-1" }, t("compliance.title")), hint), h("div", { class: "actions no-print" }, actions)),
  ];
}

function sections(path, report, assessment, candidates) {
  const byId = new Map(candidates.map((candidate) => [candidate.id, candidate]));
  const name = (id) => {
    const candidate = byId.get(id) ?? { id };
    return h("a", { href: candidate.sessionId ? `#/sessions/${candidate.sessionId}` : `#/assessments/${assessment.id}` }, candidateName(candidate, assessment));
  };
  const counts = (values, label) => pairs(Object.entries(values).map(([key, n]) => [label(key), formatNumber(n)]));
  const versionText = (version) => (version === "unknown" ? t("report.unknown") : `${version} (${t(version === report.disclosureVersion ? "compliance.current" : "compliance.earlier")})`);
  return [
    section("decisions", counts(report.decisions, (key) => t(`decisions.names.${key}`)), table("withoutReason", report.withoutReason, ["candidateId", "decision", "decidedBy", "decidedAt"], name)),
    section("inconsistencies", table("inconsistencies", report.inconsistencies, ["rejectedId", "rejectedShare", "selectedId", "selectedShare"], name)),
    groups(path),
    section("independence", counts(report.scores, (key) => t(`compliance.scores.${key}`))),
    section("access", table("access", report.access, ["actorName", "actorKind", "action", "count", "lastAt"])),
    section("erasures", counts(report.erasures, (key) => t(`compliance.erasureCounts.${key}`)), h("h3", {}, t("compliance.due")), counts(report.dueErasures, (day) => day)),
    section(
      "retention",
      h("blockquote", {}, report.retentionText),
      report.retentionConflicts.map((line) => h("p", { class: "notice warn" }, t("compliance.conflict", { line }))),
      h("h3", {}, t("compliance.agreed")),
      counts(report.disclosures, versionText),
    ),
  ];
}

function section(name, ...content) {
  return h("section", { class: "panel" }, h("h2", {}, t(`compliance.${name}.title`)), h("p", { class: "quiet" }, t(`compliance.${name}.text`)), content);
}

/** Build a table whose cells follow from their columns' names. `name` builds a candidate's link. */
function table(caption, rows, names, name) {
  const cell = (column, value) => {
    if (column.endsWith("Id")) return name(value);
    if (value === null) return "–";
    if (column.endsWith("At")) return formatDateTime(value);
    if (column === "decision") return t(`decisions.names.${value}`);
    if (column === "actorKind") return t(`audit.kinds.${value}`);
    if (column === "rate" || column.endsWith("Share")) return formatShare(value);
    if (column === "action") return actionText(value);
    if (column === "impactRatio") return value.toFixed(3);
    if (column === "pValue") return value < 0.001 ? "< 0.001" : value.toFixed(3);
    return typeof value === "number" ? formatNumber(value) : String(value);
  };
  const columns = names.map((column) => ({ name: column, label: t(`compliance.columns.${column}`), sortable: true, numeric: rows.some((row) => typeof row[column] === "number"), wide: column === "actorKind", value: (row) => row[column], render: (row) => cell(column, row[column]) }));
  return dataTable({ caption: t(`compliance.tables.${caption}`), columns, rows, empty: [], count: (n) => `${t(`compliance.tables.${caption}`)}: ${formatNumber(n)}` });
}

// -- Selection rates

function groups(path) {
  const lines = h("textarea", { name: "lines", rows: 5, required: true, spellcheck: "false", autocomplete: "off" });
  const result = h("div", { role: "status" });
  const save = async () => {
    fill(result);
    const parsed = parseLines(lines.value);
    const body = { groups: Object.fromEntries([...parsed].map(([id, { group }]) => [id, group])) };
    const { groups: rows, suppressed, unknown } = await api.post(`${path}/fairness`, body).catch((error) => {
      throw error.code === "invalid_request" ? invalidLines(describeLines(error, parsed)) : error;
    });
    const columns = ["group", "decided", "selected", "rate", "impactRatio", "belowFourFifths", "pValue"];
    const texts = [suppressed.length > 0 && t("compliance.suppressed", { groups: suppressed.join(", ") }), t("compliance.unknown", { n: unknown })];
    const shown = rows.map((row) => ({ ...row, belowFourFifths: t(row.belowFourFifths ? "common.yes" : "common.no") }));
    fill(result, table("groups", shown, columns), texts.map((text) => text && h("p", {}, text)));
  };
  const content = field(t("compliance.lines"), lines, t("compliance.linesHint"));
  return section("groups", saveForm({ className: "no-print", content, action: t("compliance.compare"), save }), result);
}

/** Parse lines such as `applicant-4711, Group A`: `{group, line}` by id. */
function parseLines(text) {
  const parsed = new Map();
  for (const line of text.split("\n").filter((each) => each.trim())) {
    const [, id, group] = /^\s*(.+?)\s*[,;\t]\s*([^,;\t]+?)\s*$/.exec(line) ?? [];
    if (!group || (parsed.get(id)?.group ?? group) !== group) throw invalidLines(t("compliance.invalidLine", { line }));
    parsed.set(id, { group, line: line.trim() });
  }
  return parsed;
}

/** Name the lines that the service rejected, and what it accepts. */
function describeLines({ details }, parsed) {
  const quote = ({ path: [, id] }) => (parsed.has(id) ? [`“${parsed.get(id).line}”`] : []);
  const byMessage = Map.groupBy(details, ({ message }) => message);
  const texts = [...byMessage].map(([message, group]) => [group.flatMap(quote).join(", "), message].filter(Boolean).join(": "));
  return [...texts, t("compliance.accepted")].join(" ");
}

const invalidLines = (message) => new api.ApiError(400, { code: "invalid_request", details: [{ path: ["lines"], message }] });
