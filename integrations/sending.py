"""Write queued reports to the system. One can appear twice only if the system cannot list notes."""

from collections.abc import Callable
from typing import Any

from integrations.adapter import Application, CallFailed, Rejected, TemporaryFailure
from integrations.reports import STATUSES
from integrations.tables import (
    ATTENTION,
    FAILED,
    QUEUED,
    RETRIES_EXHAUSTED,
    SENT,
    IntegrationOrder,
    IntegrationReport,
)
from models import clock, db

NOT_FOUND = "The application no longer exists in the applicant-tracking system."
MAY_APPEAR_TWICE = "The system cannot list notes: this report may appear twice."


def send(report: IntegrationReport, adapter: Any, api: Any, renew_claim: Callable[[], bool]) -> None:
    """Write the report as a note, unless an earlier attempt already has. Raises CallFailed."""
    application_id = report.application_id or IntegrationOrder.get_by_id(report.order_id).application_id
    if application_id is None:  # erased since the report was loaded
        return
    # Also finds the person to whom a merge moved the application.
    application = adapter.read_application(api, application_id)
    if application is None:
        raise Rejected(NOT_FOUND)
    was_found = adapter.find_note(api, application, report.reference) if report.is_unknown else False
    if was_found:
        _finish(report, application)
        return
    problem = MAY_APPEAR_TWICE if was_found is None else _set_mark(report, application, adapter, api)
    if renew_claim() and _update_queued(report, is_unknown=True):
        _write(report, application, adapter, api, was_unknown=was_found is None)
        _finish(report, application, problem)


def _set_mark(report: IntegrationReport, application: Application, adapter: Any, api: Any) -> str | None:
    """Set the application's mark before the note: it can safely be set again. Returns the error message, if any."""
    if hasattr(adapter, "set_mark"):
        try:
            adapter.set_mark(api, application, STATUSES[report.status])
        except Rejected as error:
            return error.message
    return None


def _write(
    report: IntegrationReport, application: Application, adapter: Any, api: Any, was_unknown: bool
) -> None:
    try:
        adapter.write_note(api, application, f"{report.text}\nRef {report.reference}")
    except CallFailed as error:
        if not isinstance(error, TemporaryFailure) or not error.is_unknown:
            _update_queued(report, is_unknown=was_unknown)
        raise


def _update_queued(report: IntegrationReport, **columns: Any) -> int:
    is_queued = (IntegrationReport.id == report.id) & (IntegrationReport.state == QUEUED)
    return IntegrationReport.update(columns).where(is_queued).execute()


def _finish(report: IntegrationReport, application: Application, problem: str | None = None) -> None:
    """Record the sent report, even if a newer one has dropped it. An erased candidate's is deleted."""
    sent = {"state": SENT, "sent_at": clock.now(), "is_unknown": False, "last_error": problem}
    is_this = IntegrationReport.id == report.id
    with db.atomic():
        order = IntegrationOrder.get_by_id(report.order_id).lock()
        if report.application_id is not None:
            was_stored = IntegrationReport.delete().where(is_this).execute()
        else:
            was_stored = IntegrationReport.update(sent).where(is_this).execute()
        if was_stored:
            if order.application_id is not None:
                order.update_columns(person_id=application.person_id)
            order.publish("order.reported")


def give_up(report: IntegrationReport, message: str) -> None:
    """Mark the report as failed, its order as needing attention. An erased candidate's last report is deleted."""
    with db.atomic():
        if report.application_id is not None:
            report.delete_instance()
            return
        order = IntegrationOrder.get_by_id(report.order_id).lock()
        if not _update_queued(report, state=FAILED, last_error=message) or order.application_id is None:
            return
        if order.report_due_at is None:  # otherwise a newer report follows
            # A change since the report was queued replaces it.
            columns = {"report_due_at": None, "refreshed_at": max(order.refreshed_at, report.created_at)}
            order.change_state(ATTENTION, RETRIES_EXHAUSTED, last_error=message, **columns)
