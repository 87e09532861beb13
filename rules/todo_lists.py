"""The plans of a session's agents, as to-do lists: each with its steps and where they stood at last.

Claude Code and Codex write the whole list anew at each step (`todos`); a list that shares no step with the one before
is another plan. Claude Code's newer tools add tasks one by one and change them by number: those of one agent are one
list, and a task whose number is not told has the number of its turn, as the tool counts them.
"""

from typing import Any

from rules.envelopes import label, member
from rules.summaries import plan_step
from rules.texts import one_line

LONGEST_STEP = 300
MOST_STEPS = 200

Step = dict[str, Any]  # `step`, `status`, `task_id`; each may be None


class TodoLists:
    """Takes `planning` events in order; `lists` has the plans in the order in which they began."""

    def __init__(self) -> None:
        self.lists: list[dict[str, Any]] = []
        self._current: dict[tuple[str | None, bool], dict[str, Any]] = {}

    def take(self, event_id: str, time: int, source: str | None, data: Any) -> None:
        agent = label(member(data, "meta", "ideSessionId")) or source
        todos = member(data, "todos")
        is_whole = isinstance(todos, list)
        steps = [_step_of(todo) for todo in todos[:MOST_STEPS]] if is_whole else []
        current = self._current.get((agent, is_whole))
        if current is None or (is_whole and not _is_same_plan(current["steps"], steps)):
            current = {"source": source, "began": time, "steps": [], "versions": 0}
            self.lists.append(current)
            self._current[agent, is_whole] = current
        current |= {"event_id": event_id, "changed": time, "versions": current["versions"] + 1}
        if is_whole:
            current["steps"] = steps
        else:
            _change_task(current["steps"], data)


def _step_of(todo: Any) -> Step:
    return {
        "step": one_line(plan_step(todo), LONGEST_STEP),
        "status": label(member(todo, "status")),
        "task_id": label(member(todo, "id")),
    }


def _is_same_plan(before: list[Step], steps: list[Step]) -> bool:
    """Whether they share a step; an emptied list is still the same."""
    return not steps or not {step["step"] for step in before}.isdisjoint(step["step"] for step in steps)


def _change_task(steps: list[Step], data: Any) -> None:
    task_id, status = label(member(data, "taskId")), label(member(data, "status"))
    words = one_line(member(data, "subject"), LONGEST_STEP)
    known = next((step for step in steps if task_id is not None and step["task_id"] == task_id), None)
    if known is not None:
        known["status"] = status or known["status"]
        known["step"] = words or known["step"]
    elif len(steps) < MOST_STEPS and (words or status):
        number = task_id or str(len(steps) + 1)
        steps.append({"step": words, "status": status or "pending", "task_id": number})
