"""Results of hidden tests by session, as in lists of sessions."""

from collections.abc import Iterable
from typing import Any

from models.sessions import Session
from models.tasks.files import TaskFile
from models.tasks.runs import TestRun


def hidden_tests(session_ids: Iterable[Any]) -> dict[Any, dict[str, Any]]:
    """Return the result of each session that has one, from the run in its `hidden_run_id`."""
    query = Session.select(
        Session.id,
        Session.hidden_state.alias("state"),
        Session.hidden_passed.alias("passed"),
        Session.hidden_total.alias("total"),
        Session.hidden_run_id.alias("run_id"),
        TestRun.is_complete,
        TaskFile.replaced_at,
        TaskFile.settings,
    )
    query = query.join(TestRun, on=(TestRun.id == Session.hidden_run_id))
    query = query.join(TaskFile, on=(TaskFile.id == TestRun.tests))
    results: Any = query.where(Session.id.in_(list(session_ids))).dicts()
    return {result.pop("id"): _describe(**result) for result in results}


def _describe(replaced_at: Any, settings: dict[str, Any] | None, **result: Any) -> dict[str, Any]:
    is_in_process = not (settings or {}).get("serve")
    return result | {"in_process": is_in_process, "is_current": replaced_at is None, "source": "runner"}
