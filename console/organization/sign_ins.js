// The caller's sign-ins by browser, and a button to end all of them.

import * as api from "../shared/api.js";
import { confirm } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { deleteDrafts } from "../shared/drafts.js";
import { dataTable } from "../shared/table.js";
import { t } from "../shared/texts.js";
import { formatDateTime, formatRelative } from "../shared/time.js";

export async function load({ signal }) {
  const { signIns } = await api.get("/v1/sign-in/sessions", { signal });
  return signIns;
}

export function render(signIns, context) {
  const end = () => endAll(context);
  const button = h("button", { type: "button", class: "secondary", onclick: end }, t("signIns.endAll"));
  fill(context.actions, signIns.length > 0 && button);
  const columns = [
    { name: "method", label: t("signIns.method"), value: ({ method }) => method, render: ({ method, isCurrent }) => [t(`signIns.methods.${method}`), isCurrent && h("span", { class: "quiet" }, ` ${t("signIns.current")}`)] },
    { name: "created", label: t("signIns.created"), value: ({ createdAt }) => createdAt, render: ({ createdAt }) => formatDateTime(createdAt) },
    { name: "used", label: t("tokens.lastUsed"), value: ({ lastUsedAt }) => lastUsedAt, render: ({ lastUsedAt }) => lastUsedAt && formatRelative(lastUsedAt) },
    { name: "expires", label: t("signIns.expires"), value: ({ expiresAt }) => expiresAt, render: ({ expiresAt }) => formatDateTime(expiresAt) },
  ];
  return [
    h("p", { class: "quiet" }, t("signIns.text")),
    dataTable({ caption: t("organization.parts.sign_ins"), columns, rows: signIns, count: (n) => t("signIns.count", { n }) }),
  ];
}

async function endAll({ go }) {
  const run = () => api.remove("/v1/sign-in/sessions");
  const isDone = await confirm({ title: t("signIns.endAll"), text: t("signIns.endAllText"), action: t("signIns.endAll"), run });
  if (!isDone) return;
  deleteDrafts();
  go("/sign-in");
}
