// A session's event list with filters and search. Only visible rows are rendered.

import { fill, h, newId } from "../shared/dom.js";
import { isDuplicate, isToolContext, kindName } from "../shared/events.js";
import { formatNumber } from "../shared/numbers.js";
import { t } from "../shared/texts.js";
import { clockFormat } from "../shared/time.js";
import { untrusted } from "../shared/untrusted.js";

const ROW_PX = 30;
const EXTRA_ROWS = 6;
const MAX_SUMMARY_CHARACTERS = 300;
const SEARCH_DELAY_MS = 120;

/** Build a list of events: `{element, select(id)}`. `select` highlights an event and scrolls to it. */
export function eventList({ events, onPick }) {
  const listWindow = new ListWindow(onPick, clockFormat(events[0].ts, events.at(-1).ts));
  const kinds = [...Map.groupBy(events, (event) => event.kind)].sort(([, first], [, second]) => second.length - first.length);
  const kind = h(
    "select",
    {},
    h("option", { value: "" }, t("report.allKinds", { n: events.length })),
    kinds.map(([name, group]) =>
      h("option", { value: name }, `${kindName(name)} (${formatNumber(group.length)})`),
    ),
  );
  const search = h("input", { type: "search", autocomplete: "off" });
  const duplicatesBox = h("input", { type: "checkbox" });
  const contextBox = h("input", { type: "checkbox" });
  const count = h("p", { class: "quiet", role: "status" });
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (event) =>
      (!kind.value || event.kind === kind.value) &&
      (duplicatesBox.checked || !isDuplicate(event)) &&
      (duplicatesBox.checked || kind.value === event.kind || !event.isPart) &&
      (contextBox.checked || kind.value === event.kind || !isToolContext(event)) &&
      words.every((word) => searchText(event).includes(word));
    const matchingEvents = events.filter(matches);
    listWindow.show(matchingEvents);
    fill(count, t("report.matches", { n: matchingEvents.length, total: events.length }));
  };
  let timer;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(apply, SEARCH_DELAY_MS);
  });
  kind.addEventListener("change", apply);
  duplicatesBox.addEventListener("change", apply);
  contextBox.addEventListener("change", apply);
  const filters = h(
    "div",
    { class: "timeline-filters" },
    labeledField(t("report.kind"), kind),
    labeledField(t("report.search"), search),
    events.some((event) => isDuplicate(event) || event.isPart) && h("label", { class: "tick" }, duplicatesBox, t("report.showDuplicates")),
    events.some(isToolContext) && h("label", { class: "tick" }, contextBox, t("report.showContext")),
  );
  apply();
  const select = (id) => {
    if (!listWindow.select(id)) {
      [kind.value, search.value, duplicatesBox.checked, contextBox.checked] = ["", "", true, true];
      apply();
      listWindow.select(id);
    }
  };
  return { element: h("div", { class: "timeline" }, filters, count, listWindow.element), select };
}

function labeledField(text, input) {
  input.id = newId("filter");
  return h("div", {}, h("label", { for: input.id }, text), input);
}

function searchText(event) {
  event.searchText ??= `${event.kind} ${kindName(event.kind)} ${event.summary}`.toLowerCase();
  return event.searchText;
}

/** A scrolling listbox that renders only the visible rows. */
class ListWindow {
  constructor(onPick, clock) {
    this.clock = clock;
    this.events = [];
    this.active = -1;
    this.selectedId = null;
    this.onPick = onPick;
    this.prefix = newId("event");
    this.rows = h("div", { class: "event-rows", role: "none" });
    this.space = h("div", { class: "event-space", role: "none" }, this.rows);
    this.element = h(
      "div",
      { class: "event-list", role: "listbox", tabindex: "0", "aria-label": t("report.events") },
      this.space,
    );
    this.element.addEventListener("scroll", () => this.#schedule());
    this.element.addEventListener("keydown", (event) => this.#onKeydown(event));
    this.element.addEventListener("click", (event) => this.#onClick(event));
    this.element.addEventListener("focus", () => this.#onFocus());
    new ResizeObserver(() => this.#schedule()).observe(this.element);
  }

  show(events) {
    this.events = events;
    this.active = events.findIndex((event) => event.id === this.selectedId);
    this.space.style.height = `${Math.max(events.length, 1) * ROW_PX}px`;
    if (this.active >= 0) this.#reveal(true);
    else this.element.scrollTop = 0;
    this.#draw();
  }

  /** Highlight an event and scroll to it. Returns false if it is not in the list. */
  select(id) {
    this.selectedId = id;
    const index = this.events.findIndex((event) => event.id === id);
    if (index < 0) return false;
    this.active = index;
    this.#reveal(true);
    this.#draw();
    return true;
  }

  /** Activate the first event on keyboard focus only, because redrawing the rows would drop a click. */
  #onFocus() {
    if (this.active < 0 && this.events.length && this.element.matches(":focus-visible")) this.#move(0);
  }

  #schedule() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#draw();
    });
  }

  #draw() {
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW_PX) - EXTRA_ROWS);
    const last = Math.min(this.events.length, first + Math.ceil(this.element.clientHeight / ROW_PX) + 2 * EXTRA_ROWS);
    this.rows.style.transform = `translateY(${first * ROW_PX}px)`;
    const visible = this.events.slice(first, last);
    fill(
      this.rows,
      visible.map((event, n) => this.#row(event, first + n)),
    );
    const isDrawn = first <= this.active && this.active < last;
    if (isDrawn) this.element.setAttribute("aria-activedescendant", `${this.prefix}-${this.active}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  #row(event, index) {
    const mark = event.late ? t("report.lateMark") : isDuplicate(event) && t("report.duplicateMark");
    return h(
      "div",
      {
        role: "option",
        id: `${this.prefix}-${index}`,
        class: index === this.active ? "event active" : "event",
        "aria-selected": String(event.id === this.selectedId),
        "aria-posinset": index + 1,
        "aria-setsize": this.events.length,
        "data-index": index,
        "data-kind": event.kind,
      },
      h("time", { datetime: event.ts }, this.clock(event.ts, { seconds: true })),
      h("span", { class: "event-kind" }, kindName(event.kind)),
      h("span", { class: "event-summary" }, untrusted(event.summary.slice(0, MAX_SUMMARY_CHARACTERS))),
      mark && h("span", { class: "mark" }, mark),
    );
  }

  #onClick(event) {
    const row = event.target.closest("[data-index]");
    if (row) this.#pick(Number(row.dataset.index));
  }

  #pick(index) {
    const event = this.events[index];
    if (!event) return;
    [this.active, this.selectedId] = [index, event.id];
    this.#draw();
    this.onPick?.(event);
  }

  #onKeydown(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW_PX) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) this.#move(this.active + steps[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.#pick(this.active);
    else return;
    event.preventDefault();
  }

  #move(index) {
    this.active = Math.max(0, Math.min(this.events.length - 1, index));
    this.#reveal(false);
    this.#draw();
  }

  #reveal(centered) {
    const top = this.active * ROW_PX;
    const height = this.element.clientHeight;
    if (centered) this.element.scrollTop = top - height / 2;
    else if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + ROW_PX > this.element.scrollTop + height) this.element.scrollTop = top + ROW_PX - height;
  }
}
