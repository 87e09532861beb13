// The organization's assessments.

import { h, fill } from "./dom.js";
import { t } from "./texts.js";

export function show(main, params, { setTitle }) {
  setTitle(t("assessments.title"));
  fill(main, h("h1", { tabindex: "-1" }, t("assessments.title")));
}
