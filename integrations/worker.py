"""The worker's tasks for integrations and notifications, each in threads of its own."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import peewee

from database_errors import error_for
from errors import Unavailable
from integrations import notifications, reading, reports, sending, states
from integrations.adapter import CredentialRejected, Rejected, TemporaryFailure
from integrations.connection import connect
from integrations.systems import adapters
from integrations.tables import (
    ATTENTION,
    CREDENTIAL_REJECTED,
    QUEUED,
    RECEIVED,
    RETRIES_EXHAUSTED,
    Integration,
    IntegrationOrder,
    IntegrationReport,
)
from models import clock
from models.task_failures import run_each
from rules.delivery.retries import MAX_RETRY_AFTER, retry_delay

# One worker makes an integration's calls; it renews the claim before each order and report.
CLAIM = timedelta(seconds=60)
# Then other integrations are served.
MAX_SERVE_SECONDS = 5

log = logging.getLogger("proofstone.worker")


class Task(NamedTuple):
    """A task that the worker repeats in `threads` threads.

    Each `run` processes a batch of what is due. The worker calls it again without a pause if it returns a true value.
    """

    name: str
    run: Callable[[], Any]
    threads: int = 1


def build_tasks(settings: Mapping[str, Any]) -> list[Task]:
    """Return the tasks: compute orders' states, call systems, and send notifications."""
    return [
        Task("orders", partial(update_orders, settings["BASE_URL"])),
        Task("integrations", call_systems, settings["WORKER_SENDERS"]),
        Task("notifications", notifications.collect),
        Task("chat", partial(notifications.send_due, settings)),
    ]


def update_orders(base_url: str) -> None:
    """Update the states of orders, and queue their reports."""
    states.refresh()
    reports.queue_due(base_url)


def call_systems() -> bool:
    """Serve the least recently served integration that has due orders or reports. Returns whether there was one."""
    integration = _claim()
    if integration:
        run_each("integrations", [integration], _serve)
    return integration is not None


def _claim() -> Integration | None:
    """Claim an integration with due work; None if there is none."""
    work = (_due_orders(Integration.id), _due_reports(Integration.id))
    has_orders, has_reports = (peewee.fn.EXISTS(query.select(peewee.Value(1))) for query in work)
    is_free = Integration.claimed_until.is_null() | (Integration.claimed_until <= clock.now())
    waiting = Integration.select(Integration.id).where(_is_callable(), is_free, has_orders | has_reports)
    for integration in waiting.order_by(Integration.claimed_until.asc(nulls="first"), Integration.id):
        if claimed := _update_claim(integration, is_free):
            return claimed
    return None


def _update_claim(integration: Integration, condition: Any) -> Integration | None:
    """Claim or renew an integration under a condition; None if it does not hold, or calls are not allowed."""
    update = Integration.update(claimed_until=clock.now() + CLAIM)
    update = update.where(Integration.id == integration.id, condition, _is_callable())
    return next(iter(update.returning(Integration).execute()), None)


def _is_callable() -> Any:
    is_held = Integration.held_until.is_null(False) & (Integration.held_until > clock.now())
    is_active = Integration.active & Integration.deleted_at.is_null() & Integration.stopped_reason.is_null()
    return is_active & ~is_held & Integration.system.in_(list(adapters()))


def _due_orders(integration: Any) -> Any:
    return IntegrationOrder.of(integration).where(
        IntegrationOrder.due_at <= clock.now(),
        IntegrationOrder.state.in_((RECEIVED, ATTENTION)),
        IntegrationOrder.key.is_null(),
    )


def _due_reports(integration: Any) -> Any:
    is_due = (IntegrationReport.state == QUEUED) & (IntegrationReport.due_at <= clock.now())
    return IntegrationReport.select().where(IntegrationReport.integration == integration, is_due)


def _serve(integration: Integration) -> int:
    """Read a claimed integration's due orders, then send its due reports, one after the other."""
    adapter = adapters()[integration.system]
    claim = _Claim(integration)
    end = time.monotonic() + MAX_SERVE_SECONDS
    # Connected again each time: the credential can have been replaced.
    while claim.renew() and _work(claim, adapter, connect(claim.integration)) and time.monotonic() < end:
        pass
    claim.release()
    return 1


class _Claim:
    """A claimed integration. Another worker can claim it after a call that took longer than CLAIM."""

    def __init__(self, integration: Integration):
        self.integration = integration

    def renew(self) -> bool:
        is_mine = Integration.claimed_until == self.integration.claimed_until
        renewed = _update_claim(self.integration, is_mine)
        self.integration = renewed or self.integration
        return renewed is not None

    def release(self) -> None:
        is_mine = Integration.claimed_until == self.integration.claimed_until
        update = Integration.update(claimed_until=clock.now())
        update.where(Integration.id == self.integration.id, is_mine).execute()


def _work(claim: _Claim, adapter: Any, api: Any) -> bool:
    """Read the next due order, or send the next due report. Returns whether there was one."""
    integration = claim.integration
    unit = _due_orders(integration).order_by(IntegrationOrder.due_at, IntegrationOrder.id).first()
    if unit is not None:
        _attempt(integration, unit, lambda: reading.read(unit, integration, adapter, api))
        return True
    unit = _due_reports(integration).order_by(IntegrationReport.due_at, IntegrationReport.id).first()
    if unit is not None:
        _attempt(integration, unit, lambda: sending.send(unit, adapter, api, claim.renew))
    return unit is not None


def _attempt(integration: Integration, unit: Any, work: Callable[[], None]) -> None:
    """Run an order's or a report's call, and decide after a failure when to try again."""
    try:
        work()
    except CredentialRejected:
        _stop(integration, unit)
    except Rejected as error:
        _give_up(unit, error.message)
    except TemporaryFailure as error:
        # No attempt was made, or the rate limit rejected it: the attempt does not count.
        is_on_hold = error.retry_after_seconds > 0 and not error.is_unknown
        integration.hold(error.retry_after_seconds)
        if not is_on_hold:
            _postpone(unit, error.message, error.retry_after_seconds)
    except Exception as error:
        if isinstance(error, Unavailable) or error_for(error):
            raise
        log.exception("A call of the integration %s failed.", integration.id)
        _postpone(unit, f"The call failed unexpectedly ({type(error).__name__}). The log has the details.")


def _stop(integration: Integration, unit: Any) -> None:
    """Stop the integration, unless its credential was replaced during the call. The order continues with a new one."""
    is_same = (Integration.id == integration.id) & (Integration.credential == integration.credential)
    Integration.update(stopped_reason=CREDENTIAL_REJECTED).where(is_same).execute()
    if isinstance(unit, IntegrationOrder):
        reading.set_attention(unit, CREDENTIAL_REJECTED, due_at=unit.due_at)


def _postpone(unit: Any, message: str, retry_after_seconds: float = 0) -> None:
    """Try again after a delay, like webhooks, or give up after the last attempt."""
    delay = retry_delay(unit.attempts + 1)
    if delay is None:
        _give_up(unit, message)
        return
    delay = max(delay, min(timedelta(seconds=retry_after_seconds), MAX_RETRY_AFTER))
    columns = {"attempts": unit.attempts + 1, "due_at": clock.now() + delay, "last_error": message}
    table: Any = type(unit)
    is_unchanged = (table.id == unit.id) & (table.state == unit.state) & (table.due_at == unit.due_at)
    table.update(columns).where(is_unchanged).execute()


def _give_up(unit: Any, message: str) -> None:
    if isinstance(unit, IntegrationOrder):
        reading.set_attention(unit, RETRIES_EXHAUSTED, last_error=message, due_at=None)
    else:
        sending.give_up(unit, message)
