// The candidate's data: when it will be erased, a download, and a request to erase it.

import { fetchFile, fetchJson, fill, formatTime, showPart } from "./common.js";

const PATH = "/v1/candidate/me";

const details = document.querySelector("[data-own-data]");
const dialog = document.querySelector("[data-erasure-dialog]");
let key = "";

/** Offer the data of a key. It is loaded when the section is opened. */
export function offerOwnData(candidateKey) {
  key = candidateKey;
  details.open = false;
}

async function load() {
  if (!details.open) return;
  for (const part of ["retained", "export-failed", "erasure", "erasure-requested", "erasure-dismissed", "contact"]) showPart(part, false);
  const { status, body } = await fetchJson(PATH, { headers: { "X-API-Key": key } });
  showPart("own-data-failed", status !== 200);
  if (status !== 200) return;
  const { retainedUntil, erasureRequestedAt, erasureDismissal, contact } = body;
  showPart("retained", Boolean(retainedUntil));
  if (retainedUntil) fill({ retainedUntil: formatTime(retainedUntil) });
  showErasure(erasureRequestedAt, erasureDismissal);
  showPart("contact", Boolean(contact));
  const link = document.querySelector("[data-contact]");
  [link.textContent, link.href] = [contact ?? "", `mailto:${contact}`];
}

function showErasure(requestedAt, dismissal = null) {
  showPart("erasure", !requestedAt);
  showPart("erasure-requested", Boolean(requestedAt));
  if (requestedAt) fill({ erasureRequestedAt: formatTime(requestedAt) });
  showPart("erasure-dismissed", Boolean(dismissal));
  fill({ erasureDismissal: dismissal ?? "" });
}

async function download({ currentTarget: button }) {
  button.disabled = true;
  const file = await fetchFile(`${PATH}/export`, { "X-API-Key": key });
  button.disabled = false;
  showPart("export-failed", !file);
  if (!file) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = "my-data.jsonl";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function askForErasure() {
  dialog.returnValue = "";
  dialog.showModal();
}

async function requestErasure() {
  const options = { method: "POST", headers: { "X-API-Key": key } };
  const { status, body } = await fetchJson(`${PATH}/erasure-request`, options);
  showPart("own-data-failed", status !== 200);
  if (status === 200) showErasure(body.erasureRequestedAt);
}

details.addEventListener("toggle", load);
document.querySelector("[data-export]").addEventListener("click", download);
document.querySelector("[data-erasure]").addEventListener("click", askForErasure);
dialog.addEventListener("close", () => dialog.returnValue === "request" && requestErasure());
