"""Reserve the budget of a call, and book its usage when it ends (R42)."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from math import ceil
from typing import Any

from blueprints import release_connection
from models import ModelReservation, ModelUsage, Session, clock
from models.database import connection
from models.sessions import prices
from ops import DATABASE_ERRORS
from proxy.endpoints import CHAT_COMPLETIONS
from proxy.errors import BudgetSpent, TooManyStreams
from proxy.model_request import ModelRequest
from proxy.recording import Recorder
from proxy.renewals import renewals
from proxy.response import Observer, ProviderResponse
from rules.events.envelopes import label
from rules.events.recorded_events import ResponseUsage
from rules.metrics.usage import (
    ReportedUsage,
    call_cost_nano_usd,
    estimated_tokens,
    has_price,
    reservation_nano_usd,
)
from rules.timestamps import whole_seconds_ns

log = logging.getLogger("proofstone.proxy")

MAX_WAIT_SECONDS = 10
POLL_SECONDS = 0.25
# More than models generate at the standard price, reasoning included.
OUTPUT_TOKENS_PER_SECOND = 200


def reserve(
    session: Session, provider: str, request: ModelRequest, budget: int | None
) -> ModelReservation | None:
    """Reserve the call's cost; None without a budget.

    While other calls have reserved the rest, it waits without a database connection. Raises BudgetSpent, or
    TooManyStreams after MAX_WAIT_SECONDS.
    """
    if budget is None:
        return None
    output_tokens = request.max_output_tokens
    cost = reservation_nano_usd(
        provider, request.model, request.body_bytes, output_tokens, _now_ns(), prices()
    )
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while (reservation := ModelReservation.reserve(session, cost, budget)) is None:
        require_left(session, budget)
        release_connection()
        if time.monotonic() >= deadline:
            raise TooManyStreams(provider)
        time.sleep(POLL_SECONDS)
    return reservation


def require_left(session: Session, budget: int | None) -> None:
    """Raise BudgetSpent if the booked usage has reached the budget."""
    if budget is not None and ModelUsage.spent_nano_usd(session) >= budget:
        raise BudgetSpent()


@dataclass
class BilledCall(Observer):
    """A running call: keeps its reservation; when it ends, records its events and books its usage.

    recorder -- None if the candidate has not agreed to it
    """

    session: Session
    provider: str
    request: ModelRequest
    reservation: ModelReservation | None
    release_slot: Callable[[], None]
    recorder: Recorder | None = None
    started_at: datetime = field(default_factory=clock.now)
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.reservation:
            renewals.add(self.reservation)

    def on_data(self, data: bytes) -> None:
        if self.recorder:
            self.recorder.add(data)

    def on_wait(self) -> None:
        if self.recorder:
            self.recorder.prepare()

    def on_complete(self, response: ProviderResponse) -> None:
        used = booked_usage(self.request, response, self._possible_output())
        columns = {"request_id": label(response.request_id), "first_token_ms": self._first_token_ms(response)}
        recorder = self.recorder if response.status < 400 else None
        self._store(used, response.status, response.is_whole, recorder, **columns)

    def on_no_response(self, status: int) -> None:
        """Book a call that the provider received but did not respond to.

        A stream's response starts before its output, any other response when the output is complete.
        """
        counts = {"input": estimated_tokens(self.request.body_bytes)}
        if not self.request.is_stream:
            counts["output"] = self._possible_output()
        self._store(ReportedUsage(_listed(self.request.model), counts), status, is_whole=False)

    def cancel(self) -> None:
        """Release the reservation of a call that cost nothing."""
        if self.reservation:
            renewals.discard(self.reservation)
            self.reservation.release()

    def _possible_output(self) -> int:
        """The most tokens that the model can have generated until now."""
        possible = ceil((time.monotonic() - self.started) * OUTPUT_TOKENS_PER_SECOND)
        return min(possible, self.request.max_output_tokens)

    def _first_token_ms(self, response: ProviderResponse) -> int | None:
        """The time to the first text of a stream."""
        if not response.reader.is_stream or response.first_output_at is None:
            return None
        return round((response.first_output_at - self.started) * 1000)

    def _store(
        self,
        used: ReportedUsage,
        status: int,
        is_whole: bool,
        recorder: Recorder | None = None,
        **columns: Any,
    ) -> None:
        """Store events and usage in one transaction, with a connection of its own; without the events if they fail."""
        call: dict[str, Any] = {"started_at": self.started_at, "reservation": self.reservation}
        call |= {"status_code": status, "is_whole": is_whole} | columns
        record = partial(ModelUsage.record, self.session, self.provider, used, **call)
        try:
            with connection():
                if recorder is None:
                    record()
                    return
                recorder.collect(self._facts(used, **columns), clock.now())
                try:
                    record(store_events=recorder.store)
                except Exception:
                    recorder.fail()
                    record(**recorder.columns)
        except DATABASE_ERRORS:
            # The candidate already has the response.
            log.exception("Could not store a call to %s.", self.provider)
        finally:
            if self.reservation:
                renewals.discard(self.reservation)

    def _facts(
        self, used: ReportedUsage, request_id: str | None, first_token_ms: int | None
    ) -> ResponseUsage:
        cost = call_cost_nano_usd(self.provider, used, whole_seconds_ns(self.started_at), prices())
        duration_ms = round((time.monotonic() - self.started) * 1000)
        return ResponseUsage(request_id, used.model, used.counts, cost, first_token_ms, duration_ms)


def booked_usage(request: ModelRequest, response: ProviderResponse, possible_output: int) -> ReportedUsage:
    """The reported usage; for a successful response, counts that the provider did not report are estimated.

    A client can hang up after reasoning that the provider does not send: then the output is the possible one.
    """
    reader = response.reader
    reported = reader.usage()
    output = min(reader.estimated_output(), request.max_output_tokens)
    is_failure = response.status >= 400 or (response.is_whole and not output)
    if is_failure or reader.has_total:
        return reported
    # Nor is reasoning reported in a stream of Chat Completions without `stream_options`.
    is_unreported = response.is_whole and response.endpoint == CHAT_COMPLETIONS
    if (response.client_left and not response.is_whole) or is_unreported:
        output = max(output, possible_output)
    counts = {"input": estimated_tokens(request.body_bytes)} | reported.counts
    counts["output"] = max(output, reported.counts.get("output", 0))
    return ReportedUsage(reported.model or _listed(request.model), counts)


def _listed(model: str | None) -> str | None:
    """The model if it has a price, else None: other names are a candidate's text, and an erasure keeps usage."""
    return model if has_price(model, _now_ns(), prices()) else None


def _now_ns() -> int:
    return whole_seconds_ns(clock.now())
