// Dialog to assign an assessment's sessions to reviewers.

import * as api from "../shared/api.js";
import { ask, field, showContent, toast } from "../shared/dialogs.js";
import { h } from "../shared/dom.js";
import { t } from "../shared/texts.js";

/** Open the dialog. Resolves to the new assignments, or null if canceled. */
export async function assignDialog({ id }) {
  const path = `/v1/assessments/${id}/assignments`;
  const [people, existing] = await Promise.all([api.all("/v1/org/people", "people"), api.all(path, "assignments")]);
  const reviewers = people.filter(({ active, role }) => active && role !== "observer");
  if (!reviewers.length) {
    await showContent(t("reviewers.assign"), h("p", { class: "notice" }, t("reviewers.noPeople")));
    return null;
  }
  const openCount = (personId) => existing.filter((assignment) => assignment.personId === personId && assignment.open).length;
  const boxes = reviewers.map((person) => h("input", { type: "checkbox", name: "personIds", value: person.id, onchange: () => validate() }));
  const validate = () => boxes[0].setCustomValidity(boxes.some(({ checked }) => checked) ? "" : t("reviewers.choose"));
  validate();
  const lines = reviewers.map((person, n) =>
    h("label", { class: "check-line" }, boxes[n], h("span", {}, person.name, h("span", { class: "quiet" }, ` ${t("reviewers.openCount", { n: openCount(person.id) })}`))),
  );
  const perSession = h("input", { name: "perSession", type: "number", min: 1, max: 10, required: true, value: 1, class: "short" });
  const due = h("input", { name: "dueAt", type: "date" });
  const assigned = await ask({
    title: t("reviewers.assign"),
    content: [
      h("p", {}, t("reviewers.assignText")),
      h("fieldset", { class: "field" }, h("legend", {}, t("reviewers.title")), h("div", { class: "checks" }, lines)),
      h("div", { class: "two" }, field(t("reviewers.perSession"), perSession), field(t("reviewers.due"), due)),
    ],
    action: t("reviewers.assign"),
    save: async () => {
      const personIds = boxes.filter(({ checked }) => checked).map(({ value }) => value);
      const dueAt = due.value ? new Date(`${due.value}T23:59`).toISOString() : null;
      return (await api.post(path, { personIds, perSession: perSession.valueAsNumber, dueAt })).assignments;
    },
  });
  if (assigned) toast(assigned.length ? t("reviewers.added", { n: assigned.length }) : t("reviewers.nothing"));
  return assigned;
}
