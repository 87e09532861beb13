// Dialogs for the actions in a candidate's menu. Changes that can be reverted offer Undo.

import * as api from "../shared/api.js";
import { ask, field, runAction, showContent } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { renderAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatDuration, formatDateTime } from "../shared/time.js";
import { changedValues } from "../shared/values.js";

const FIELDS = ["candidateName", "candidateEmail", "externalId"];

export async function allowRestart({ path, name, onDone }) {
  const title = t("actions.allowRestart.title", { name });
  const save = () => api.post(`${path}/allow-redeem`);
  if (await ask({ title, content: h("p", {}, t("actions.allowRestart.text")), action: t("actions.allowRestart.confirm"), save })) onDone(t("actions.allowRestart.done", { name }));
}

/** Update the name, email address or external id. */
export async function updateDetails({ path, name, candidate, onDone }) {
  const before = Object.fromEntries(FIELDS.map((key) => [key, candidate[key]]));
  let changed = {};
  const response = await ask({
    title: t("actions.update.title", { name }),
    content: [
      h("p", {}, t("actions.update.text")),
      FIELDS.map((key) => field(t(`actions.update.${key}`), h("input", { name: key, value: candidate[key] ?? "", autocomplete: "off", maxlength: 255 }))),
    ],
    save: (form) => {
      const values = FIELDS.map((key) => [key, form.elements.namedItem(key).value.trim() || null]);
      changed = changedValues(Object.fromEntries(values), before);
      return api.patch(path, changed);
    },
  });
  const undone = Object.fromEntries(Object.keys(changed).map((key) => [key, before[key]]));
  if (response) onDone(t("actions.update.done", { name }), () => api.patch(path, undone));
}

/** Change the candidate's time limit, by minutes or by a factor. */
export async function accommodate({ path, name, assessment, candidate, onDone }) {
  const url = `${path}/accommodation`;
  const { accommodation } = await api.get(url);
  const { extraMinutes, timeMultiplier } = accommodation;
  const before = timeMultiplier ? { timeMultiplier } : extraMinutes ? { extraMinutes } : {};
  const base = assessment.timeLimitMinutes;
  const kinds = [
    ["none", t("actions.accommodate.none", { time: formatDuration(base * 60) })],
    ["extraMinutes", t("actions.accommodate.extraMinutes")],
    ["timeMultiplier", t("actions.accommodate.timeMultiplier")],
  ];
  const current = Object.keys(before)[0] ?? "extraMinutes";
  const amount = h("input", { name: "amount", type: "number", class: "short", required: true, step: "any", oninput: update });
  const amountField = field("", amount);
  const result = h("p", { class: "quiet", role: "status" });
  const radios = kinds.map(([value, text]) =>
    h("label", { class: "check-line" }, h("input", { type: "radio", name: "kind", value, checked: value === current, onchange: () => setKind(value) }), h("span", {}, text)),
  );
  let kind = current;
  setKind(current);
  amount.value = extraMinutes ?? timeMultiplier ?? 30;
  update();
  const response = await ask({
    title: t("actions.accommodate.title", { name }),
    content: [
      h("p", {}, t(candidate.status === "active" ? "actions.accommodate.textActive" : "actions.accommodate.text")),
      h("fieldset", { class: "field" }, h("legend", {}, t("actions.accommodate.kind")), radios),
      amountField,
      result,
      h("p", { class: "quiet" }, t("actions.accommodate.privacy")),
    ],
    save: () => api.put(url, kind === "none" ? {} : { [kind]: Number(amount.value) }),
  });
  if (response) onDone(t("actions.accommodate.done", { name, time: formatDuration(response.accommodation.timeLimitMinutes * 60) }), () => api.put(url, before));

  function setKind(newKind) {
    if (newKind !== kind) amount.value = newKind === "timeMultiplier" ? 1.5 : 30;
    kind = newKind;
    fill(amountField.querySelector("label"), t(`actions.accommodate.amounts.${kind}`));
    amountField.hidden = kind === "none";
    amount.disabled = kind === "none";
    update();
  }

  function update() {
    const value = Number(amount.value);
    const minutes = { none: base, extraMinutes: base + value, timeMultiplier: Math.ceil((base * Math.round(value * 1000)) / 1000) }[kind];
    fill(result, minutes > 0 ? t("actions.accommodate.result", { time: formatDuration(minutes * 60) }) : "");
  }
}

/** Erase personal data. Requires typing the candidate's name, because erasure cannot be undone. */
export async function erase({ path, name, candidate, onDone }) {
  const input = h("input", { name: "typed", autocomplete: "off", spellcheck: "false" });
  const isErased = await ask({
    title: t("actions.erase.title", { name }),
    content: [
      candidate.erasureRequestedAt && h("p", { class: "notice" }, t("actions.erase.requested", { time: formatDateTime(candidate.erasureRequestedAt) })),
      h("p", {}, t("actions.erase.text")),
      h("p", {}, t("actions.erase.statisticsNote")),
      field(t("actions.erase.type", { name }), input),
    ],
    action: t("actions.erase.confirm"),
    danger: true,
    save: () => {
      if (comparable(input.value) === comparable(name)) return api.remove(`${path}/data`);
      throw new api.ApiError(400, { error: t("actions.erase.mismatch"), details: [{ path: ["typed"], message: t("actions.erase.mustMatch", { name }) }] });
    },
  });
  if (isErased) onDone(t("actions.erase.done"));
}

/** Return a name as people type it: a browser shows repeated and special spaces as one. */
const comparable = (name) => name.normalize("NFKC").replace(/\s+/g, " ").trim().toLowerCase();

/** Show the candidate's emails, newest first. Failed emails can be retried. */
export async function showMessages({ path, name, can, onDone }) {
  const list = h("div");
  const load = () => renderAsync(list, () => api.all(`${path}/deliveries`, "deliveries", { query: { limit: 50 } }), messages);
  await Promise.all([load(), showContent(t("actions.messages.title", { name }), list)]);

  function messages(deliveries) {
    if (!deliveries.length) return h("p", {}, t("actions.messages.none"));
    return h("ul", { class: "messages" }, deliveries.map(message));
  }

  function message({ id, kind, state, attempts, lastError, sentAt, createdAt, nextTryAt }) {
    const button = (label, request, done) => {
      const element = h("button", { type: "button", class: "secondary", onclick: () => runAction(element, () => change(request, done)) }, label);
      return element;
    };
    return h(
      "li",
      {},
      h("p", {}, h("strong", {}, t(`actions.messages.kinds.${kind}`)), " · ", h("span", { class: `verdict ${state}` }, t(`actions.messages.states.${state}`)), " · ", h("span", { class: "quiet" }, formatDateTime(sentAt ?? createdAt))),
      lastError && h("p", { class: "quiet" }, t("actions.messages.error", { error: lastError, n: attempts })),
      nextTryAt && state === "queued" && attempts > 0 && h("p", { class: "quiet" }, t("actions.messages.next", { time: formatDateTime(nextTryAt) })),
      state === "failed" && can("write") && button(t("common.tryAgain"), () => api.post(`/v1/deliveries/${id}/retry`), "retried"),
      state === "queued" && can("write") && button(t("actions.messages.cancel"), () => api.remove(`/v1/deliveries/${id}`), "canceled"),
    );
  }

  async function change(request, done) {
    await request();
    onDone(t(`actions.messages.${done}`, { name }));
    await load();
  }
}
