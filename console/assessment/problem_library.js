// Dialog to choose a problem from the library.

import * as api from "../shared/api.js";
import { ask } from "../shared/dialogs.js";
import { fill, h, newId, externalLink } from "../shared/dom.js";
import { renderAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";

const DIFFICULTIES = ["easy", "medium", "hard"];

/**
 * Build a field to choose a problem: `{element, issue}`. `issue` is the selected problem, or null.
 *
 * onSelect -- called with the new and the previous issue
 */
export function problemField(issue, onSelect) {
  const element = h("div", { class: "field chosen-problem", role: "group", "aria-label": t("problems.title") });
  const problem = { element, issue };
  showIssue();
  return problem;

  function showIssue() {
    const current = problem.issue;
    const chooseButton = h("button", { type: "button", class: "secondary", onclick: pick }, t(current ? "assessmentForm.otherProblem" : "assessmentForm.chooseProblem"));
    const removeButton = h("button", { type: "button", class: "link", onclick: () => set(null) }, t("assessmentForm.noProblem"));
    fill(
      element,
      h("p", { class: "label" }, t("problems.title")),
      h("p", { class: "quiet" }, current ? t("assessmentForm.problemSelected", { title: current.title }) : t("assessmentForm.problemHint")),
      h("div", { class: "actions" }, chooseButton, current && removeButton),
    );
  }

  async function pick() {
    const selected = await chooseProblem();
    if (selected) set(selected);
  }

  function set(next) {
    const previous = problem.issue;
    problem.issue = next;
    showIssue();
    onSelect(next, previous);
    element.querySelector("button").focus();
  }
}

/** Open the problem dialog. Resolves to the selected issue, or null if canceled. */
function chooseProblem() {
  const results = h("div", { class: "problems", tabindex: "0", role: "group", "aria-label": t("problems.title") });
  const search = h("input", { type: "search", name: "q", "aria-label": t("problems.search"), placeholder: t("problems.search"), oninput: update });
  const difficulty = select("difficulty", t("problems.anyDifficulty"), DIFFICULTIES.map((level) => [level, t(`problems.difficulties.${level}`)]));
  const language = select("language", t("problems.anyLanguage"), []);
  let issues = [];
  renderAsync(results, () => api.all("/v1/issues", "issues"), (loadedIssues) => {
    issues = loadedIssues;
    const languages = [...new Set(issues.map((issue) => issue.language).filter(Boolean))].sort();
    language.append(...languages.map((name) => h("option", { value: name }, name)));
    return list();
  });

  function select(name, anyLabel, options) {
    const choices = [["", anyLabel], ...options].map(([value, text]) => h("option", { value }, text));
    return h("select", { name, "aria-label": anyLabel, onchange: update }, choices);
  }

  function update() {
    fill(results, list());
  }

  function list() {
    if (!issues.length) return h("p", {}, t("problems.none"));
    const searchTerm = search.value.trim().toLowerCase();
    const matches = issues.filter(
      (issue) =>
        (!difficulty.value || issue.difficulty === difficulty.value) &&
        (!language.value || issue.language === language.value) &&
        [issue.title, issue.description, ...(issue.labels ?? [])].join(" ").toLowerCase().includes(searchTerm),
    );
    return [
      h("p", { class: "quiet", role: "status" }, t("problems.count", { n: matches.length })),
      matches.map(problemItem),
    ];
  }

  return ask({
    title: t("problems.title"),
    content: [h("div", { class: "problem-filters" }, search, language, difficulty), results],
    action: t("problems.choose"),
    save: (form) => {
      const issue = issues.find(({ id }) => id === new FormData(form).get("issue"));
      if (!issue) throw new api.ApiError(400, { error: t("problems.noSelection") });
      return issue;
    },
  });
}

function problemItem(issue) {
  const id = newId("problem");
  const details = [issue.language, issue.difficulty && t(`problems.difficulties.${issue.difficulty}`), issue.isCatalog ? t("problems.catalog") : t("problems.organization"), ...(issue.labels ?? []).filter((label) => label !== issue.language?.toLowerCase())];
  return h(
    "div",
    { class: "problem" },
    h(
      "label",
      { for: id },
      h("input", { type: "radio", name: "issue", value: issue.id, id }),
      h("span", {}, h("strong", {}, issue.title), h("span", { class: "quiet" }, details.filter(Boolean).join(" · ")), h("span", {}, issue.description ?? "")),
    ),
    h("details", {}, h("summary", {}, t("problems.read")), h("div", { class: "brief-text" }, issue.taskBrief), issue.repoUrl && h("p", {}, externalLink(issue.repoUrl))),
  );
}
