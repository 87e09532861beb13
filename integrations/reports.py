"""Reports: notes about candidates, built from their current rows."""

from datetime import timedelta
from typing import Any, NamedTuple

from integrations import states
from integrations.tables import (
    ASKED,
    ATTENTION,
    DROPPED,
    EXPIRED,
    FAILED,
    INVITED,
    LAST_REPORT_PERIOD,
    QUEUED,
    RETRIES_EXHAUSTED,
    REVOKED,
    SCORED,
    STARTED,
    SUBMITTED,
    Integration,
    IntegrationOrder,
    IntegrationReport,
    IntegrationRule,
)
from models import Assessment, Session, clock, db
from models.scores import current_scores
from models.task_failures import run_each
from models.tasks.runs import UNTRUSTED, hidden_tests
from rules.plain_text import format_minutes, one_line
from rules.statistics.scoring import value_range

BATCH_SIZE = 500
# After a score was reported, its corrections are reported at most this often.
CORRECTION_PERIOD = timedelta(days=1)
MAX_TITLE_CHARACTERS = 255
MS_PER_MINUTE = 60_000
STATUSES = {
    INVITED: "Invited",
    STARTED: "Started",
    SUBMITTED: "Submitted",
    SCORED: "Scored",
    EXPIRED: "Expired",
    REVOKED: "Revoked",
    "erased": "Data erased",
}


class ReportValues(NamedTuple):
    """The values of a report. `parts` are the rule's `include`; `was_scored` is true after a report of a score.

    `criteria` are titles with mean and highest value, `tests` the result of the tests.
    """

    title: str
    state: str
    parts: list[str]
    url: str | None = None
    was_scored: bool = False
    total: int | None = None
    highest: int | None = None
    criteria: tuple[tuple[str, float, int], ...] = ()
    tests: str | None = None
    duration_ms: int | None = None
    is_hidden: bool = False


def build_text(values: ReportValues) -> str:
    """Build a report without its reference. With `is_hidden` it has only title and status."""
    lines = [values.title, f"Status: {STATUSES[values.state]}"]
    if values.is_hidden:
        return "\n".join(lines)
    if "score" in values.parts and values.total is not None and values.state == SCORED:
        total, highest = (_format(thousandths / 1000) for thousandths in (values.total, values.highest or 0))
        lines.append(f"Score: {total} of {highest}")
    elif "score" in values.parts and values.was_scored:
        lines.append("Score: withdrawn")
    if "criteria" in values.parts and values.state == SCORED:
        lines += [f"{title}: {_format(mean)} of {highest}" for title, mean, highest in values.criteria]
    if "tests" in values.parts and values.tests:
        lines.append(f"Tests: {values.tests}")
    if "duration" in values.parts and values.duration_ms is not None:
        lines.append(f"Duration: {format_minutes(round(values.duration_ms / MS_PER_MINUTE))}")
    return "\n".join([*lines, values.url] if values.url else lines)


def _format(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def queue_due(base_url: str) -> int:
    """Queue the reports whose changes have been collected, and delete the expired last reports of erased candidates."""
    now = clock.now()
    is_last = (IntegrationReport.state == QUEUED) & IntegrationReport.application_id.is_null(False)
    is_expired = IntegrationReport.created_at <= now - LAST_REPORT_PERIOD
    IntegrationReport.delete().where(is_last, is_expired).execute()
    orders = IntegrationOrder.select(IntegrationOrder).join(Integration)
    due = orders.where(IntegrationOrder.report_due_at <= now, Integration.deleted_at.is_null())
    ids = [order.id for order in due.order_by(IntegrationOrder.report_due_at).limit(BATCH_SIZE)]
    return run_each("reports", ids, lambda order_id: _queue_due_report(order_id, base_url))


def _queue_due_report(order_id: Any, base_url: str) -> int:
    """Queue the order's report if its content has changed. An older report that was not sent is dropped."""
    with db.atomic():
        now, order = clock.now(), IntegrationOrder.get_by_id(order_id).lock()
        if order.report_due_at is None or order.report_due_at > now:
            return 0
        columns: dict[str, Any] = {"report_due_at": None} | states.refreshed_columns(now)
        values = _collect_wanted(order, base_url)
        next_at = order.score_reported_at and order.score_reported_at + CORRECTION_PERIOD
        if values is None or (text := build_text(values)) == order.reported:
            order.update_columns(**columns)
            _require_person(order)
            return 0
        # A person who asks for a report has cleared `reported`, and does not wait.
        if order.reported and next_at and now < next_at:
            order.update_columns(report_due_at=next_at)
            return 0
        columns |= {"reported": text, "report_number": _insert_report(order, text)}
        shows_score = order.state == SCORED and values.total is not None and not values.is_hidden
        if shows_score or next_at:
            columns["score_reported_at"] = now
        order.update_columns(**columns)
    return 1


def _require_person(order: IntegrationOrder) -> None:
    """Let a person retry the last report if it failed: no other one replaces it."""
    is_last = (IntegrationReport.order == order) & (IntegrationReport.number == order.report_number)
    failed = IntegrationReport.get_or_none(is_last, IntegrationReport.state == FAILED)
    if failed is not None and order.state != ATTENTION:
        order.change_state(ATTENTION, RETRIES_EXHAUSTED, last_error=failed.last_error, report_due_at=None)


def _insert_report(order: IntegrationOrder, text: str) -> int:
    """Queue a report and return its number. A failed report with this text is tried again: it may have been written."""
    number, reports = order.report_number, IntegrationReport.order == order
    is_failed = (IntegrationReport.number == number) & (IntegrationReport.state == FAILED)
    again = IntegrationReport.update(state=QUEUED, attempts=0, due_at=clock.now())
    if again.where(reports, is_failed, IntegrationReport.text == text).execute():
        return number
    IntegrationReport.update(state=DROPPED).where(reports, IntegrationReport.state == QUEUED).execute()
    columns = {"number": number + 1, "status": order.state, "text": text}
    IntegrationReport.create(integration=order.integration_id, order=order, **columns)
    return number + 1


def _collect_wanted(order: IntegrationOrder, base_url: str) -> ReportValues | None:
    """Return the values of the report of an order's state; None if the rule does not report it and no person asked."""
    if order.state not in STATUSES:  # an order in the state `attention`
        return None
    rule: IntegrationRule = order.rule
    # Corrections and withdrawals of a reported score are reported whatever the state.
    wanted = {*rule.reports, *((SUBMITTED, SCORED, EXPIRED) if order.score_reported_at else ())}
    if order.state not in wanted and order.reported != ASKED:
        return None
    return _collect(order, rule, base_url)


def _collect(order: IntegrationOrder, rule: IntegrationRule, base_url: str) -> ReportValues:
    key: Any = order.key
    assessment = key.assessment
    shared = {"title": _title(assessment), "state": order.state, "parts": rule.include}
    session = Session.get_or_none(Session.key == key)
    if session is None:
        return ReportValues(**shared)
    return ReportValues(
        **shared,
        url=f"{base_url}/console#/sessions/{session.id}",
        was_scored=order.score_reported_at is not None,
        total=session.score_total,
        highest=session.score_highest,
        criteria=_criteria(session) if "criteria" in rule.include else (),
        tests=_tests(session) if "tests" in rule.include else None,
        duration_ms=session.duration_ms,
        is_hidden=assessment.blind and key.decision == "undecided",
    )


def _title(assessment: Assessment) -> str:
    """Return the title, with the end of the id if another assessment has the same title."""
    others = Assessment.alive().where(
        Assessment.organization == assessment.organization_id,
        Assessment.title == assessment.title,
        Assessment.id != assessment.id,
    )
    title = one_line(assessment.title, MAX_TITLE_CHARACTERS)
    return f"{title} ({assessment.id.hex[-6:]})" if others.exists() else title


def _criteria(session: Session) -> tuple[tuple[str, float, int], ...]:
    """Return the criteria with scores, by the rubric's version in which the session was last scored."""
    criteria = {
        criterion["key"]: criterion
        for version, _ in current_scores([session.id])
        for criterion in version.criteria
    }
    return tuple(
        (
            one_line(criteria[row["key"]]["title"], MAX_TITLE_CHARACTERS),
            row["mean"],
            value_range(criteria[row["key"]])[1],
        )
        for row in session.score_criteria or ()
        if row["mean"] is not None and row["key"] in criteria
    )


def _tests(session: Session) -> str | None:
    """Summarize the result of the tests with its source (R51)."""
    run = hidden_tests([session.id]).get(session.id)
    if run is not None and run.state == UNTRUSTED and run.counts:
        return "untrusted (hidden tests)"
    if run is not None and run.counts:
        marks = {
            "in-process": run.in_process,
            "older tests": not run.is_current,
            "incomplete": run.is_complete is False,
        }
        source = ", ".join(["hidden tests", *(mark for mark, applies in marks.items() if applies)])
        return f"{run.passed_count} of {run.total_count} passed ({source})"
    if session.tests_passed_count is not None:
        total = session.tests_passed_count + session.tests_failed_count
        return f"{session.tests_passed_count} of {total} passed (submitted by your team)"
    if session.tests_passed is not None:
        return f"{'passed' if session.tests_passed else 'failed'} (the candidate's last run)"
    return None
