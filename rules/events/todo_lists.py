"""Collect agents' plans as to-do lists, with the latest state of each step.

Claude Code and Codex send the complete list each time (`todos`). A list that shares no step with the previous one is a
new plan. Claude Code's newer tools add and update single tasks by number: all tasks of an agent form one list. A task
without a number gets the next one, as in the tool.
"""

from typing import Any

from rules.events.envelopes import field, label
from rules.events.summaries import plan_step_text
from rules.plain_text import event_line

MAX_STEP_CHARACTERS = 300
MAX_STEPS = 200

PlanStep = dict[str, Any]  # `step`, `status`, `task_id`; each can be None


class TodoLists:
    """Collects plans from `planning` events, which must be in order. `lists` is sorted oldest first."""

    def __init__(self) -> None:
        self.lists: list[dict[str, Any]] = []
        self._current: dict[tuple[str | None, bool], dict[str, Any]] = {}

    def add(self, event_id: str, time_ns: int, source: str | None, data: Any) -> None:
        agent = label(field(data, "meta", "ideSessionId")) or source
        todos = field(data, "todos")
        is_complete = isinstance(todos, list)
        steps = [_plan_step(todo) for todo in todos[:MAX_STEPS]] if is_complete else []
        current = self._current.get((agent, is_complete))
        if current is None or (is_complete and not _is_same_plan(current["steps"], steps)):
            current = {"source": source, "started_ns": time_ns, "steps": [], "versions": 0}
            self.lists.append(current)
            self._current[agent, is_complete] = current
        current |= {"event_id": event_id, "changed_ns": time_ns, "versions": current["versions"] + 1}
        if is_complete:
            current["steps"] = steps
        else:
            _update_task(current["steps"], data)


def _plan_step(todo: Any) -> PlanStep:
    return {
        "step": event_line(plan_step_text(todo), MAX_STEP_CHARACTERS),
        "status": label(field(todo, "status")),
        "task_id": label(field(todo, "id")),
    }


def _is_same_plan(before: list[PlanStep], steps: list[PlanStep]) -> bool:
    """Return whether the lists share a step, or the new list is empty."""
    return not steps or not {step["step"] for step in before}.isdisjoint(step["step"] for step in steps)


def _update_task(steps: list[PlanStep], data: Any) -> None:
    task_id, status = label(field(data, "taskId")), label(field(data, "status"))
    subject = event_line(field(data, "subject"), MAX_STEP_CHARACTERS)
    existing = next((step for step in steps if task_id is not None and step["task_id"] == task_id), None)
    if existing is not None:
        existing["status"] = status or existing["status"]
        existing["step"] = subject or existing["step"]
    elif len(steps) < MAX_STEPS and (subject or status):
        task_id = task_id or str(len(steps) + 1)
        steps.append({"step": subject, "status": status or "pending", "task_id": task_id})
