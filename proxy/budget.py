"""Reserve the budget of a call, and book its usage when it ends (R42)."""

import logging
import time
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

from blueprints import release_connection
from models import ModelReservation, ModelUsage, Session, clock
from models.sessions import prices
from ops import DATABASE_ERRORS
from proxy.errors import BudgetSpent, TooManyStreams
from proxy.model_request import ModelRequest
from proxy.response import ProviderResponse
from rules.timestamps import whole_seconds_ns
from rules.usage import ReportedUsage, estimated_tokens, has_price, reservation_nano_usd

log = logging.getLogger("proofstone.proxy")

MAX_WAIT_SECONDS = 10
POLL_SECONDS = 0.25
RENEWAL_SECONDS = 60
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
class BilledCall:
    """A running call: renews its reservation, and books its usage when it ends."""

    session: Session
    provider: str
    request: ModelRequest
    reservation: ModelReservation | None
    started_at: datetime = field(default_factory=clock.now)
    started: float = field(default_factory=time.monotonic)
    renewed_at: float = field(default_factory=time.monotonic)

    def on_chunk(self) -> None:
        if self.reservation is None or time.monotonic() - self.renewed_at < RENEWAL_SECONDS:
            return
        self.renewed_at = time.monotonic()
        try:
            self.reservation.renew()
        except DATABASE_ERRORS:
            log.exception("Could not renew the reservation of a call to %s.", self.provider)

    def on_end(self, response: ProviderResponse) -> None:
        used = booked_usage(self.request, response, self._possible_output())
        self._record(used, response.status, response.is_whole)

    def on_no_response(self, status: int) -> None:
        """Book a call that the provider received but did not respond to.

        A stream's response starts before its output, any other response when the output is complete.
        """
        counts = {"input": estimated_tokens(self.request.body_bytes)}
        if not self.request.is_stream:
            counts["output"] = self._possible_output()
        self._record(ReportedUsage(_listed(self.request.model), counts), status, is_whole=False)

    def cancel(self) -> None:
        """Release the reservation of a call that cost nothing."""
        if self.reservation:
            self.reservation.release()

    def _possible_output(self) -> int:
        """The most tokens that the model can have generated until now."""
        possible = ceil((time.monotonic() - self.started) * OUTPUT_TOKENS_PER_SECOND)
        return min(possible, self.request.max_output_tokens)

    def _record(self, used: ReportedUsage, status: int, is_whole: bool) -> None:
        columns = {"status_code": status, "is_whole": is_whole}
        try:
            ModelUsage.record(
                self.session,
                self.provider,
                used,
                started_at=self.started_at,
                reservation=self.reservation,
                **columns,
            )
        except DATABASE_ERRORS:
            # The candidate already has the response.
            log.exception("Could not store the usage of a call to %s.", self.provider)


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
    if response.client_left and not response.is_whole:
        output = max(output, possible_output)
    counts = {"input": estimated_tokens(request.body_bytes)} | reported.counts
    counts["output"] = max(output, reported.counts.get("output", 0))
    return ReportedUsage(reported.model or _listed(request.model), counts)


def _listed(model: str | None) -> str | None:
    """The model if it has a price, else None: other names are a candidate's text, and an erasure keeps usage."""
    return model if has_price(model, _now_ns(), prices()) else None


def _now_ns() -> int:
    return whole_seconds_ns(clock.now())
