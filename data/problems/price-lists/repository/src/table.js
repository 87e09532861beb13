/** Tables for the terminal. */

/**
 * Align columns of texts with two spaces between them.
 *
 * @param {string[][]} rows
 * @param {Set<number>} [right] positions of the columns that are aligned right
 */
export function formatTable(rows, right = new Set()) {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column].length))) ?? [];
  return rows
    .map((row) =>
      row
        .map((text, column) =>
          right.has(column) ? text.padStart(widths[column]) : text.padEnd(widths[column]),
        )
        .join("  ")
        .trimEnd(),
    )
    .map((line) => line + "\n")
    .join("");
}
