// A button that adds a list's next page to its table.

import { runAction } from "./dialogs.js";
import { h } from "./dom.js";
import { addRows } from "./table.js";
import { t } from "./texts.js";

/**
 * Build a button below a table, hidden at the end of the list.
 *
 * page -- the first page, with its cursor `next`
 * load -- `(after) => page`
 * field -- name of the page's field that contains the rows
 */
export function olderButton(page, { table, load, field }) {
  let { next } = page;
  const loadMore = async () => {
    const older = await load(next);
    addRows(table, older[field]);
    next = older.next;
    button.hidden = !next;
  };
  const button = h("button", { type: "button", class: "secondary older", hidden: !next, onclick: () => runAction(button, loadMore) }, t("common.older"));
  return button;
}
