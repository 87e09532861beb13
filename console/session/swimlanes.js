// The timeline's chart, with lanes for prompts, changes, commands and tests. Events share SVG paths, to stay fast.

import { kindName, getLane } from "../shared/events.js";
import { fill, h, newId, svg } from "../shared/dom.js";
import { formatNumber } from "../shared/numbers.js";
import { t } from "../shared/texts.js";
import { clockFormat, formatDuration } from "../shared/time.js";
import { buildTimeAxis } from "../shared/time_axis.js";
import { untrusted } from "../shared/untrusted.js";

const LANES = ["prompts", "agent", "candidate", "unknown", "commands", "tests"];
const PHASE_PX = 20;
const LANE_PX = 26;
const AXIS_PX = 22;
const MARK_PX = 14;
const MAX_ZOOM = 64;
const CLICK_RADIUS_PX = 14;
const LABEL_PX = 62;
const CHARACTER_WIDTH_PX = 6.5;
const GAP_PX = 12;
const TICK_SPACING_PX = 110;
const PAUSE_LABEL_PX = 116;

/**
 * Build the chart: `{element, select(id), addAnalytics(analytics)}`. `select` marks an event.
 *
 * recordsTyping -- true if the candidate's client recorded the session
 */
export function swimlanes({ events, onPick, recordsTyping }) {
  const chart = new Chart(events, onPick, recordsTyping);
  return { element: chart.element, select: (id) => chart.select(id), addAnalytics: (analytics) => chart.addAnalytics(analytics) };
}

class Chart {
  constructor(events, onPick, recordsTyping) {
    Object.assign(this, { events, onPick, recordsTyping });
    this.axis = buildTimeAxis(events);
    this.clock = clockFormat(events[0].ts, events.at(-1).ts);
    for (const event of events) event.at = this.axis.at(event.time);
    this.zoom = 1;
    this.spans = null;
    this.episodes = [];
    this.cursor = null;
    this.scroll = h("div", { class: "lanes-scroll", tabindex: "0", role: "application" });
    this.names = h("div", { class: "lane-names", "aria-hidden": "true" });
    this.status = h("p", { class: "lane-status", "aria-live": "polite" });
    this.element = this.#frame();
    this.#groupByLane();
    // Reserved, because the chart is drawn once its width is known.
    this.scroll.style.minHeight = `${this.#height()}px`;
    this.scroll.addEventListener("keydown", (event) => this.#onKeydown(event));
    this.scroll.addEventListener("pointermove", (event) => this.#onHover(event));
    this.scroll.addEventListener("pointerleave", () => this.#showStatus(this.cursor));
    this.scroll.addEventListener("click", (event) => this.#onClick(event));
    new ResizeObserver(() => this.#resize()).observe(this.scroll);
  }

  /** Add phases, verifications and error episodes in slices, so the page stays responsive. */
  async addAnalytics({ phaseSpans, verifications, errorEpisodes }) {
    const at = (ts) => this.axis.at(Date.parse(ts));
    const spans = phaseSpans.map(({ name, beganAt, endedAt }) => ({ name, start: at(beganAt), end: at(endedAt) }));
    await yieldToBrowser();
    const episodes = errorEpisodes.map(({ firstFailure, endedBy }) => [
      at(firstFailure.ts),
      endedBy ? at(endedBy.ts) : 1,
    ]);
    this.verifications = new Map(verifications.map((verification) => [verification.eventId, verification]));
    this.#groupByLane();
    await yieldToBrowser();
    [this.spans, this.episodes] = [spans, episodes];
    this.#draw();
  }

  select(id) {
    const event = this.events.find((other) => other.id === id);
    if (!event) return;
    this.cursor = event;
    this.#placeCursor(true);
  }

  #frame() {
    const help = newId("keys");
    this.scroll.setAttribute("aria-label", t("report.lanes.label"));
    this.scroll.setAttribute("aria-describedby", help);
    const zoom = (text, symbol, factor) =>
      h(
        "button",
        {
          type: "button",
          class: "secondary",
          "aria-label": text,
          title: text,
          onclick: () => this.#zoomTo(factor && this.zoom * factor),
        },
        symbol,
      );
    const buttons = h(
      "div",
      { class: "actions" },
      zoom(t("report.lanes.zoomOut"), "−", 0.5),
      zoom(t("report.lanes.zoomIn"), "+", 2),
      zoom(t("report.lanes.fit"), t("report.lanes.fit"), 0),
    );
    return h(
      "div",
      { class: "lanes" },
      h("div", { class: "lanes-head" }, this.status, buttons),
      h("div", { class: "lanes-body" }, this.names, this.scroll),
      h("ul", { class: "lanes-legend", id: help }, legend()),
    );
  }

  /** Group the events by lane. */
  #groupByLane() {
    this.lanes = new Map(LANES.map((name) => [name, []]));
    for (const event of this.events) {
      event.lane = getLane(event, this.verifications);
      event.shape = getShape(event, this.verifications);
      if (event.lane) this.lanes.get(event.lane).push(event);
    }
    if (!this.lanes.get("unknown").length) this.lanes.delete("unknown");
  }

  #countText(name) {
    const events = this.lanes.get(name);
    const isUnrecorded = name === "candidate" && !events.length && !this.recordsTyping;
    return isUnrecorded ? t("report.lanes.notRecorded") : formatNumber(events.filter(({ counts }) => counts).length);
  }

  #height() {
    return PHASE_PX + this.lanes.size * LANE_PX + AXIS_PX;
  }

  #resize() {
    const width = this.scroll.clientWidth;
    if (width && width !== this.viewWidth) {
      this.viewWidth = width;
      this.#draw();
    }
  }

  #zoomTo(factor) {
    const before = this.scroll.scrollLeft + this.viewWidth / 2;
    const old = this.zoom;
    this.zoom = Math.max(1, Math.min(MAX_ZOOM, factor || 1));
    if (this.zoom === old) return;
    this.#draw();
    if (this.cursor) this.#placeCursor(true);
    else this.scroll.scrollLeft = (before * this.zoom) / old - this.viewWidth / 2;
  }

  /** Convert a share of the axis to pixels. */
  #x(share) {
    return 4 + share * (this.width - 8);
  }

  #draw() {
    if (!this.viewWidth) return;
    this.width = Math.round(this.viewWidth * this.zoom);
    const names = [...this.lanes.keys()];
    const top = PHASE_PX;
    this.height = this.#height();
    const rows = names.map((name, n) => [name, top + n * LANE_PX]);
    this.tops = new Map(rows);
    fill(
      this.names,
      h("div", { class: "phase-name" }, t("report.lanes.phases")),
      names.map((name) =>
        h(
          "div",
          {},
          t(`report.lanes.${name}`),
          h("span", { class: "quiet" }, ` ${this.#countText(name)}`),
        ),
      ),
    );
    this.mark = svg("g", { class: "cursor", hidden: true });
    const title = newId("lanes");
    fill(
      this.scroll,
      svg(
        "svg",
        { width: this.width, height: this.height, role: "img", "aria-labelledby": title },
        svg("title", { id: title }, t("report.lanes.title", { n: this.events.length })),
        this.#episodes(top),
        this.#pauses(),
        rows.map(([, y]) =>
          svg("line", { class: "lane-line", x1: 0, x2: this.width, y1: y + LANE_PX / 2, y2: y + LANE_PX / 2 }),
        ),
        this.spans && this.#phases(),
        rows.flatMap(([name, y]) => this.#marks(name, y)),
        this.#times(),
        this.mark,
      ),
    );
    this.#placeCursor(false);
  }

  /** Build a lane's paths: counted events, other events, and failures. */
  #marks(name, y) {
    const bins = { counted: new Map(), uncounted: new Map(), failed: new Map() };
    for (const event of this.lanes.get(name)) {
      const { shape } = event;
      const bin = Math.round(this.#x(event.at) / BIN_PX[shape]) * BIN_PX[shape];
      const bar = bins[shape].get(bin);
      if (bar) bar.n += 1;
      else bins[shape].set(bin, { x: Math.round(this.#x(event.at)), n: 1 });
    }
    const middle = y + LANE_PX / 2;
    return Object.entries(bins)
      .filter(([, bars]) => bars.size)
      .map(([shape, bars]) => {
        const marks = [...bars.values()];
        const max = marks.reduce((highest, { n }) => Math.max(highest, n), 1);
        const parts = marks.map(({ x, n }) => SHAPES[shape](x, middle, Math.sqrt(n / max)));
        return svg("path", { class: `marks ${shape} lane-${name}`, d: parts.join("") });
      });
  }

  #phases() {
    const paths = {};
    const ends = {};
    for (const { name, ...span } of this.spans) {
      const [start, end] = [this.#x(span.start), this.#x(span.end)];
      if (end - start < 0.5 && start - (ends[name] ?? -1) < 0.5) continue;
      ends[name] = end;
      const width = Math.max(0.5, end - start);
      (paths[name] ??= []).push(`M${start.toFixed(1)} 2h${width.toFixed(1)}v14h-${width.toFixed(1)}z`);
    }
    return Object.entries(paths).map(([name, parts]) => svg("path", { class: `phase phase-${name}`, d: parts.join("") }));
  }

  #episodes(top) {
    const bottom = this.height - AXIS_PX;
    const bands = [];
    let lastEnd = -Infinity;
    for (const [from, to] of this.episodes) {
      const start = Math.round(Math.max(this.#x(from), lastEnd));
      const end = Math.round(Math.max(this.#x(to), this.#x(from) + 2));
      if (end <= start) continue; // covered by the previous episode
      lastEnd = end;
      bands.push(`M${start} ${top}H${end}V${bottom}H${start}z`);
    }
    return bands.length > 0 && svg("path", { class: "episode", d: bands.join("") });
  }

  #pauses() {
    const bottom = this.height - AXIS_PX;
    const labels = [];
    const labelCenters = [];
    let free = -Infinity;
    const bands = this.axis.pauses.map(({ start, end }) => {
      const [left, right] = [this.#x(this.axis.at(start)), this.#x(this.axis.at(end))];
      const middle = Math.min(Math.max((left + right) / 2, PAUSE_LABEL_PX / 2), this.width - PAUSE_LABEL_PX / 2);
      if (middle > free) {
        labels.push(
          svg(
            "text",
            { class: "pause-text", x: middle, y: bottom + 15, "text-anchor": "middle" },
            t("report.lanes.pause", { time: formatDuration((end - start) / 1000) }),
          ),
        );
        free = middle + PAUSE_LABEL_PX;
        labelCenters.push(middle);
      }
      return `M${left.toFixed(1)} 0h${(right - left).toFixed(1)}V${bottom}H${left.toFixed(1)}z`;
    });
    this.pauseLabels = labelCenters;
    return bands.length > 0 && [svg("path", { class: "pause", d: bands.join("") }), labels];
  }

  #times() {
    const y = this.height - AXIS_PX;
    const { times, step } = this.axis.ticks(Math.max(2, Math.floor(this.width / TICK_SPACING_PX)));
    const labels = [];
    let free = -Infinity;
    for (const time of times) {
      const x = this.#x(this.axis.at(time));
      const label = this.clock(time, { seconds: step < 60_000 });
      const width = label.length * CHARACTER_WIDTH_PX;
      const isTaken = this.pauseLabels.some((middle) => Math.abs(middle - x - width / 2) < (PAUSE_LABEL_PX + width) / 2);
      if (x < free || x > this.width - width || isTaken) continue;
      free = x + Math.max(LABEL_PX, width + GAP_PX);
      labels.push(svg("text", { class: "time-text", x, y: y + 15 }, label));
    }
    return [svg("line", { class: "axis", x1: 0, x2: this.width, y1: y, y2: y }), labels];
  }

  // -- Cursor

  #placeCursor(canScroll) {
    const event = this.cursor;
    this.#showStatus(event);
    if (!event || !this.mark) return;
    const x = this.#x(event.at);
    const y = event.lane ? this.tops.get(event.lane) + LANE_PX / 2 : null;
    fill(
      this.mark,
      svg("line", { x1: x, x2: x, y1: 0, y2: this.height - AXIS_PX }),
      y !== null && svg("circle", { cx: x, cy: y, r: 7 }),
    );
    this.mark.removeAttribute("hidden");
    const isVisible = x > this.scroll.scrollLeft + 20 && x < this.scroll.scrollLeft + this.viewWidth - 20;
    if (canScroll && !isVisible) this.scroll.scrollLeft = x - this.viewWidth / 2;
  }

  #showStatus(event) {
    if (event === this.statusEvent && this.status.firstChild) return;
    this.statusEvent = event;
    if (!event) return fill(this.status, h("span", { class: "quiet" }, t("report.lanes.hint")));
    const phase = this.#phaseAt(event.at);
    fill(
      this.status,
      h("time", {}, this.clock(event.ts, { seconds: true })),
      " · ",
      kindName(event.kind),
      phase && ` (${t(`report.phases.${phase}`)})`,
      " · ",
      untrusted(event.summary),
    );
  }

  #phaseAt(share) {
    const after = firstIndex(this.spans ?? [], (span) => span.end >= share);
    const span = this.spans?.[after];
    return span && span.start < share ? span.name : null;
  }

  /** Find the event at the pointer, or null. */
  #eventAt({ clientX, clientY }) {
    const box = this.scroll.firstElementChild?.getBoundingClientRect();
    if (!box) return null;
    const [x, y] = [clientX - box.left, clientY - box.top];
    const lane = [...this.tops].find(([, top]) => top <= y && y < top + LANE_PX)?.[0];
    const events = lane ? this.lanes.get(lane) : [];
    const event = nearest(events, ({ at }) => this.#x(at), x);
    return event && Math.abs(this.#x(event.at) - x) <= CLICK_RADIUS_PX ? event : null;
  }

  #onHover(event) {
    this.pointer = event;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      const hovered = this.#eventAt(this.pointer);
      this.scroll.classList.toggle("over", Boolean(hovered));
      this.#showStatus(hovered ?? this.cursor);
    });
  }

  #onClick(event) {
    const clicked = this.#eventAt(event);
    if (clicked) this.#pick(clicked);
  }

  #pick(event) {
    this.cursor = event;
    this.#placeCursor(false);
    this.onPick?.(event);
  }

  #onKeydown(event) {
    const { key } = event;
    if (key === "+" || key === "=") this.#zoomTo(this.zoom * 2);
    else if (key === "-") this.#zoomTo(this.zoom / 2);
    else if (key === "0") this.#zoomTo(0);
    else if (key === "ArrowRight" || key === "ArrowLeft") this.#step(key === "ArrowRight" ? 1 : -1);
    else if (key === "ArrowDown" || key === "ArrowUp") this.#changeLane(key === "ArrowDown" ? 1 : -1);
    else if (key === "Home" || key === "End") this.#step(key === "End" ? Infinity : -Infinity);
    else if (key === "Enter" && this.cursor) this.#pick(this.cursor);
    else return;
    event.preventDefault();
  }

  #step(by) {
    const lane = this.lanes.get(this.cursor?.lane) ?? [...this.lanes.values()].find((events) => events.length) ?? [];
    const at = lane.indexOf(this.cursor);
    const next = at < 0 ? 0 : Math.max(0, Math.min(lane.length - 1, at + by));
    if (lane[next]) this.#moveTo(lane[next]);
  }

  #changeLane(by) {
    const names = [...this.lanes.keys()].filter((name) => this.lanes.get(name).length);
    const at = names.indexOf(this.cursor?.lane);
    const name = names[Math.max(0, Math.min(names.length - 1, at + by))];
    const target = name && nearest(this.lanes.get(name), (event) => event.time, this.cursor?.time ?? 0);
    if (target) this.#moveTo(target);
  }

  #moveTo(event) {
    this.cursor = event;
    this.#placeCursor(true);
  }
}

// Events in the same bin share one mark.
const BIN_PX = { counted: 2, uncounted: 2, failed: 8 };
const SHAPES = {
  counted: (x, y, share) => `M${x} ${y - (MARK_PX * share) / 2}v${MARK_PX * share}`,
  uncounted: (x, y) => `M${x} ${y - 2}v4`,
  failed: (x, y) => `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`,
};

const PHASES = ["prompting", "reading", "changing", "verifying", "other"];

function legend() {
  const key = (name) => h("span", { class: `phase-key ${name}` });
  return [
    PHASES.map((name) => legendItem(key(`phase-${name}`), t(`report.phases.${name}`))),
    Object.keys(SHAPES).map((name) => legendItem(shapeIcon(name), t(`report.lanes.marks.${name}`))),
    ["episode", "pause"].map((name) => legendItem(key(`key-${name}`), t(`report.lanes.marks.${name}`))),
  ];
}

const legendItem = (icon, text) => h("li", {}, h("span", { "aria-hidden": "true" }, icon), text);
const shapeIcon = (name) => svg("svg", { width: 12, height: 16 }, svg("path", { class: `marks ${name} lane-unknown`, d: SHAPES[name](6, 8, 1) }));

function getShape(event, verifications) {
  if (!event.counts) return "uncounted";
  return hasFailed(event, verifications) ? "failed" : "counted";
}

const yieldToBrowser = () => new Promise((resolve) => setTimeout(resolve));

/** True if a command or test failed, according to the analytics or the exit code in the summary. */
function hasFailed(event, verifications) {
  const passed = verifications?.get(event.id)?.passed;
  if (passed !== undefined && passed !== null) return !passed;
  const code = event.kind === "command" && / · exit (-?\d+)$/.exec(event.summary);
  return Boolean(code) && code[1] !== "0";
}

/** Find the event nearest to a position. The events are in ascending order. */
function nearest(events, position, target) {
  const first = firstIndex(events, (event) => position(event) >= target);
  const [before, after] = [events[first - 1], events[first]];
  if (!before || !after) return before ?? after ?? null;
  return target - position(before) <= position(after) - target ? before : after;
}

/** Return the index of the first match by binary search. All later items must match. */
function firstIndex(items, matches) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (matches(items[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}
