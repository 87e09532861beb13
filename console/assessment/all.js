// The candidates of all assessments, on the same board as those of one.

import * as board from "./board.js";

export function show(main, params, context) {
  main.classList.add("board");
  return board.show(main, params, context);
}
