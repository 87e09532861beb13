// SVG plots with a title, a description, and a table of the data.
//
// Each function returns a <figure>. Shapes and labels carry the meaning; colors only repeat it (console.css).

import { fill, h, newId, svg } from "./dom.js";
import { t } from "./texts.js";

// Narrow screens get a narrower plot, so text keeps its size.
const SIDES = 116;
const WIDTH = Math.min(400, Math.max(200, innerWidth - SIDES));
const MARGIN = 14;
const DOT = 3;
const STRIP = { height: 84, middle: 46, axis: 68, spread: 16 };
const FUNNEL = { width: 68, height: 60, bar: 26, line: 14 };

const markers = new WeakMap();

/**
 * Plot one row of dots on an axis, with the median and a box for the middle half.
 *
 * format -- formats a value: `(value) => "1 h 12 min"`
 * values -- `[{id, value, label}]`, excluding nulls
 * median, quartiles -- a value, and `[lower, upper]`; can be null
 * marked -- ids of values to draw larger, each with its own shape, and with their labels below the plot
 * width -- the width in pixels at which text has its nominal size
 */
function stripPlot({ label, description, format, values, median = null, quartiles = null, marked = [], width = WIDTH }) {
  const numbers = [...values.map(({ value }) => value), ...(quartiles ?? [])];
  const [min, max] = [Math.min(...numbers), Math.max(...numbers)];
  const scale = linear(min, max, width);
  const points = placePoints([...values].sort((a, b) => a.value - b.value), scale);
  const marks = svg("g", { class: "plot-marks" });
  const readout = h("p", { class: "plot-readout", "aria-hidden": "true" });
  const middle = STRIP.middle;
  const drawing = [
    quartiles && box(scale(quartiles[0]), scale(quartiles[1])),
    svg("line", { class: "plot-axis", x1: MARGIN, x2: width - MARGIN, y1: STRIP.axis, y2: STRIP.axis }),
    svg("path", { class: "plot-dots", d: points.map(({ x, y }) => `M${x} ${y}h0`).join("") }),
    median !== null && svg("line", { class: "plot-median", x1: scale(median), x2: scale(median), y1: middle - 21, y2: STRIP.axis }),
    median !== null && text(clamp(scale(median), width), 13, t("plots.median", { value: format(median) }), "middle", "plot-strong"),
    max > min && text(MARGIN, STRIP.height - 3, format(min)),
    max > min && text(width - MARGIN, STRIP.height - 3, format(max), "end"),
    max === min && text(scale(min), STRIP.height - 3, format(min), "middle"),
    marks,
  ];
  const table = () => [[t("plots.name"), t("plots.value")], points.map((point) => [point.label, format(point.value)])];
  const figure = frame({ label, description, width, height: STRIP.height, drawing, table });
  figure.querySelector("svg").after(readout);
  const byId = new Map(points.map((point) => [point.id, point]));
  markers.set(figure, (ids) => {
    // An id keeps its shape even if earlier ids have no value.
    const markedPoints = ids.map((id, n) => ({ n, ...byId.get(id) })).filter(({ id }) => id !== undefined);
    fill(marks, markedPoints.map(({ n, x, y }) => mark(n, x, y)));
    // Latest first, because a long line is truncated.
    fill(readout, markedPoints.map(({ n, label: name, value }) => h("span", {}, icon(n), h("span", {}, `${name}: ${format(value)}`))).reverse());
  });
  markPlot(figure, marked);
  return figure;
}

/** Update a strip plot's marked values without redrawing it. */
export function markPlot(figure, ids) {
  markers.get(figure)?.([...ids]);
}

/**
 * Plot a metric of results with its cohort's `summary`. Returns null if no result has a value.
 *
 * name -- `(result) => text`
 * id -- the result's field for `marked`
 */
export function metricPlot(metric, { median, lowerQuartile, upperQuartile }, results, { name, id = "sessionId", ...options }) {
  const values = results
    .filter(({ metrics }) => (metrics?.[metric.name] ?? null) !== null)
    .map((result) => ({ id: result[id], value: result.metrics[metric.name], label: name(result) }));
  const quartiles = lowerQuartile === null ? null : [lowerQuartile, upperQuartile];
  return values.length ? stripPlot({ label: metric.label, format: metric.format, values, median, quartiles, ...options }) : null;
}

/** Plot a funnel: `[{label, value}]`, largest value first. */
export function funnelBar({ label, steps }) {
  const highest = Math.max(1, ...steps.map(({ value }) => value));
  const drawing = steps.map((step, n) => {
    const height = Math.max(1.5, (step.value / highest) * FUNNEL.bar);
    const x = n * FUNNEL.width;
    return [
      svg("rect", { class: `plot-bar plot-step-${n}`, x, y: FUNNEL.bar + 6 - height, width: FUNNEL.width - 5, height, rx: 2 }),
      svg(
        "text",
        { x, y: FUNNEL.height - FUNNEL.line - 3 },
        svg("tspan", { class: "plot-strong" }, step.value),
        " ",
        svg("tspan", { x, dy: FUNNEL.line }, step.label),
      ),
    ];
  });
  const description = steps.map((step) => `${step.label}: ${step.value}`).join(", ");
  return frame({ label, description, width: steps.length * FUNNEL.width, height: FUNNEL.height, drawing, className: "plot plot-small" });
}

// -- Components

function frame({ label, description, width = WIDTH, height, drawing, table, className = "plot" }) {
  const [titleId, descriptionId] = [newId("plot"), newId("plot")];
  const image = svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": titleId, "aria-describedby": descriptionId },
    svg("title", { id: titleId }, label),
    svg("desc", { id: descriptionId }, description ?? ""),
    drawing,
  );
  return h("figure", { class: className }, image, table && dataDetails(label, table));
}

/** Build a table of the data when it is first opened. */
function dataDetails(label, table) {
  const details = h("details", { class: "plot-table" }, h("summary", {}, t("plots.asTable")));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const [head, rows] = table();
    const cells = ([first, ...rest]) => [h("th", { scope: "row" }, first), rest.map((cell) => h("td", {}, cell))];
    details.append(
      h(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
        h(
          "table",
          { class: "plain" },
          h("thead", {}, h("tr", {}, head.map((cell) => h("th", { scope: "col" }, cell)))),
          h("tbody", {}, rows.map((row) => h("tr", {}, cells(row)))),
        ),
      ),
    );
  });
  return details;
}

const icon = (n) => svg("svg", { class: "plot-icon", viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, mark(n, 8, 8));

const SHAPES = ["circle", "diamond", "square", "triangle"];

function mark(n, x, y) {
  return svg("path", { class: `plot-mark plot-series-${n % SHAPES.length}`, d: shape(SHAPES[n % SHAPES.length], x, y, 6) });
}

function shape(name, x, y, size) {
  if (name === "circle") return `M${x - size} ${y}a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ${-2 * size} 0z`;
  if (name === "square") return `M${x - size + 1} ${y - size + 1}h${2 * size - 2}v${2 * size - 2}h${2 - 2 * size}z`;
  if (name === "triangle") return `M${x} ${y - size - 1}l${size + 1} ${2 * size}h${-2 * size - 2}z`;
  return `M${x} ${y - size}l${size} ${size}l${-size} ${size}l${-size} ${-size}z`;
}

function box(from, to) {
  const height = 34;
  return svg("rect", { class: "plot-box", x: from, y: STRIP.middle - height / 2, width: Math.max(1, to - from), height, rx: 3 });
}

function text(x, y, content, anchor = "start", className = "plot-text") {
  return svg("text", { class: className, x, y, "text-anchor": anchor }, content);
}

const clamp = (x, width) => Math.min(Math.max(x, 70), width - 70);

/** Return a linear scale from values to x. If all values are equal, they are centered. */
function linear(min, max, width) {
  const length = width - 2 * MARGIN;
  return (value) => round(max > min ? MARGIN + ((value - min) / (max - min)) * length : width / 2);
}

const round = (number) => Math.round(number * 10) / 10;

/** Add `x` and `y`. `y` alternates above and below the middle, so that close values do not overlap. */
function placePoints(values, scale) {
  const columns = Map.groupBy(values, ({ value }) => Math.round(scale(value) / (2 * DOT)));
  return [...columns.values()].flatMap((column) => {
    const step = Math.min(2 * DOT, (2 * STRIP.spread) / column.length);
    return column.map((point, n) => {
      const offset = Math.ceil(n / 2) * (n % 2 ? step : -step);
      return { ...point, x: scale(point.value), y: round(STRIP.middle + offset) };
    });
  });
}
