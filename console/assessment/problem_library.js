// Choose a problem from the library.

import * as api from "../shared/api.js";
import { ask } from "../shared/dialogs.js";
import { fill, h, newId, outsideLink } from "../shared/dom.js";
import { loaded } from "../shared/states.js";
import { t } from "../shared/texts.js";

const DIFFICULTIES = ["easy", "medium", "hard"];

/**
 * Build the field that chooses a problem: `element`, and the chosen `issue` or null.
 *
 * onChoose -- called with the new and the previous issue
 */
export function problemField(issue, onChoose) {
  const element = h("div", { class: "field chosen-problem", role: "group", "aria-label": t("assessmentForm.problem") });
  const chosen = { element, issue };
  showIssue();
  return chosen;

  function showIssue() {
    const { issue: current } = chosen;
    const choose = h("button", { type: "button", class: "secondary", onclick: pick }, t(current ? "assessmentForm.otherProblem" : "assessmentForm.chooseProblem"));
    const drop = h("button", { type: "button", class: "link", onclick: () => set(null) }, t("assessmentForm.noProblem"));
    fill(
      element,
      h("p", { class: "label" }, t("assessmentForm.problem")),
      h("p", { class: "quiet" }, current ? t("assessmentForm.problemChosen", { title: current.title }) : t("assessmentForm.problemHint")),
      h("div", { class: "actions" }, choose, current && drop),
    );
  }

  async function pick() {
    const picked = await chooseProblem();
    if (picked) set(picked);
  }

  function set(next) {
    const previous = chosen.issue;
    chosen.issue = next;
    showIssue();
    onChoose(next, previous);
    element.querySelector("button").focus();
  }
}

/** Open the problem dialog; resolves to the chosen issue, or null. */
function chooseProblem() {
  const results = h("div", { class: "problems", tabindex: "0", role: "group", "aria-label": t("problems.title") });
  const search = h("input", { type: "search", name: "q", "aria-label": t("problems.search"), placeholder: t("problems.search"), oninput: update });
  const difficulty = select("difficulty", t("problems.anyDifficulty"), DIFFICULTIES.map((each) => [each, t(`problems.difficulties.${each}`)]));
  const language = select("language", t("problems.anyLanguage"), []);
  let issues = [];
  loaded(results, () => api.all("/v1/issues", "issues"), (found) => {
    issues = found;
    const languages = [...new Set(found.map((issue) => issue.language).filter(Boolean))].sort();
    language.append(...languages.map((each) => h("option", { value: each }, each)));
    return list();
  });

  function select(name, any, options) {
    const choices = [["", any], ...options].map(([value, text]) => h("option", { value }, text));
    return h("select", { name, "aria-label": any, onchange: update }, choices);
  }

  function update() {
    fill(results, list());
  }

  function list() {
    if (!issues.length) return h("p", {}, t("problems.none"));
    const wanted = search.value.trim().toLowerCase();
    const found = issues.filter(
      (issue) =>
        (!difficulty.value || issue.difficulty === difficulty.value) &&
        (!language.value || issue.language === language.value) &&
        [issue.title, issue.description, ...(issue.labels ?? [])].join(" ").toLowerCase().includes(wanted),
    );
    return [
      h("p", { class: "quiet", role: "status" }, t("problems.count", { n: found.length })),
      found.map((issue) => problem(issue)),
    ];
  }

  return ask({
    title: t("problems.title"),
    content: [h("div", { class: "problem-filters" }, search, language, difficulty), results],
    action: t("problems.choose"),
    save: (form) => {
      const chosen = issues.find(({ id }) => id === new FormData(form).get("issue"));
      if (!chosen) throw new api.ApiError(400, { error: t("problems.chooseOne") });
      return chosen;
    },
  });
}

function problem(issue) {
  const id = newId("problem");
  const details = [issue.language, issue.difficulty && t(`problems.difficulties.${issue.difficulty}`), issue.isCatalog ? t("problems.catalog") : t("problems.own")];
  return h(
    "div",
    { class: "problem" },
    h(
      "label",
      { for: id },
      h("input", { type: "radio", name: "issue", value: issue.id, id }),
      h("span", {}, h("strong", {}, issue.title), h("span", { class: "quiet" }, details.filter(Boolean).join(" · ")), h("span", {}, issue.description ?? "")),
    ),
    h("details", {}, h("summary", {}, t("problems.read")), h("div", { class: "brief-text" }, issue.taskBrief), issue.repoUrl && h("p", {}, outsideLink(issue.repoUrl))),
  );
}
