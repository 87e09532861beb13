// A button that adds a list's next page to its table.

import { h } from "./dom.js";
import { addRows } from "./table.js";
import { t } from "./texts.js";

/**
 * Build a button below a table, hidden at the end of the list.
 *
 * page -- the first page, with its cursor `next`
 * load -- `(after) => page`
 * field -- name of the page's field that contains the rows
 * withErrorToast -- runs an action and shows its error
 */
export function olderButton(page, { table, load, field, withErrorToast }) {
  let { next } = page;
  const button = h("button", { type: "button", class: "secondary older", hidden: !next }, t("common.older"));
  button.addEventListener("click", async () => {
    button.disabled = true;
    await withErrorToast(async () => {
      const older = await load(next);
      addRows(table, older[field]);
      next = older.next;
    });
    button.hidden = !next;
    button.disabled = false;
  });
  return button;
}
