// The button that adds the next page of a list to its table.

import { h } from "./dom.js";
import { addRows } from "./table.js";
import { t } from "./texts.js";

/**
 * A button below a table, hidden at the end of the list.
 *
 * page -- the first page, with `next`
 * load -- `(after) => page`
 * noun -- the field of a page with its rows
 * tell -- runs an action and says if it failed
 */
export function olderButton(page, { table, load, noun, tell }) {
  let { next } = page;
  const button = h("button", { type: "button", class: "secondary older", hidden: !next }, t("common.older"));
  button.addEventListener("click", async () => {
    button.disabled = true;
    await tell(async () => {
      const older = await load(next);
      addRows(table, older[noun]);
      next = older.next;
    });
    button.hidden = !next;
    button.disabled = false;
  });
  return button;
}
