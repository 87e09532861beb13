// The organization's rubrics.

import * as api from "../shared/api.js";
import { fill, h } from "../shared/dom.js";
import { emptyState, renderAsync } from "../shared/states.js";
import { dataTable } from "../shared/table.js";
import { t } from "../shared/texts.js";
import { formatDay } from "../shared/time.js";

const COLUMNS = [
  { name: "name", label: t("common.name"), value: ({ name }) => name, sortable: true },
  { name: "criteria", label: t("rubrics.criteria"), value: ({ criteria }) => criteria.map(({ title }) => title).join(", ") },
  { name: "version", label: t("rubrics.version"), value: ({ version }) => version, numeric: true, sortable: true },
  { name: "changed", label: t("rubrics.changed"), value: ({ updatedAt }) => updatedAt, render: ({ updatedAt }) => formatDay(updatedAt), sortable: true, wide: true },
];

export async function show(main, params, { signal, setTitle, can }) {
  setTitle(t("rubrics.title"));
  const newButton = () => can("write") && h("a", { class: "primary", href: "#/rubrics/new" }, t("rubric.title"));
  const list = h("div");
  fill(main, h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, t("rubrics.title")), h("div", { class: "actions" }, newButton())), list);
  await renderAsync(list, () => api.all("/v1/rubrics", "rubrics", { signal }), (rubrics) =>
    rubrics.length
      ? dataTable({ caption: t("rubrics.title"), columns: COLUMNS, rows: rubrics, rowHref: ({ id }) => `#/rubrics/${id}`, sort: { name: "name", order: "asc" }, count: (n) => t("rubrics.count", { n }) })
      : emptyState(t("rubrics.emptyTitle"), t("rubrics.empty")),
  );
}
