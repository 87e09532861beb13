// A button that adds a list's next page to its table.

import { h } from "./dom.js";
import { addRows } from "./table.js";
import { t } from "./texts.js";

/**
 * Build a button below a table, hidden at the end of the list.
 *
 * page -- the first page, with `next`
 * load -- `(after) => page`
 * noun -- the page's field with its rows
 * reportFailure -- runs an action and shows its error
 */
export function olderButton(page, { table, load, noun, reportFailure }) {
  let { next } = page;
  const button = h("button", { type: "button", class: "secondary older", hidden: !next }, t("common.older"));
  button.addEventListener("click", async () => {
    button.disabled = true;
    await reportFailure(async () => {
      const older = await load(next);
      addRows(table, older[noun]);
      next = older.next;
    });
    button.hidden = !next;
    button.disabled = false;
  });
  return button;
}
