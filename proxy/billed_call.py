"""Billed model calls: reserve the cost, record the call, and book its usage (R42)."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from math import ceil
from typing import Any

from flask import current_app, request

from blueprints import recording_required, release_connection, session_quota
from models import ModelReservation, ModelUsage, Session, clock
from models.database import connection
from models.sessions import prices
from ops import DATABASE_ERRORS
from proxy import budget
from proxy.endpoints import CHAT_COMPLETIONS, Endpoint
from proxy.lazy_json import LazyObject
from proxy.model_request import ModelRequest, read_request
from proxy.recording import Recorder
from proxy.renewals import renewals
from proxy.request_body import RequestBody
from proxy.response import Observer, ProviderResponse
from rules.events.envelopes import label
from rules.events.recorded_events import ResponseUsage
from rules.metrics.usage import (
    ReportedUsage,
    call_cost_nano_usd,
    estimate_call,
    estimate_tokens,
    is_priced,
)
from rules.timestamps import whole_seconds_ns
from web.access_log import record_model_cost

log = logging.getLogger("proofstone.proxy")

# Faster than any model at the standard price, including reasoning.
OUTPUT_TOKENS_PER_SECOND = 200


@dataclass
class BilledCall(Observer):
    """A running call. When it ends, its events and its usage are recorded.

    recorder -- None if the candidate has not consented to recording
    """

    session: Session
    provider: str
    request: ModelRequest
    reservation: ModelReservation | None
    release_slot: Callable[[], None]
    recorder: Recorder | None = None
    started_at: datetime = field(default_factory=clock.now)
    started_monotonic: float = field(default_factory=time.monotonic)

    @classmethod
    def start(
        cls,
        endpoint: Endpoint,
        session: Session,
        body: RequestBody,
        received_at: datetime,
        release_slot: Callable[[], None],
        has_consent: bool,
        is_recorded: bool,
    ) -> "BilledCall":
        """Check the request and reserve its cost.

        Raises RecordingRequired, and the errors of `read_request` and `reserve`.

        has_consent -- the candidate consented to the recording of model calls (R38)
        is_recorded -- `sessions.is_recorded`; otherwise only probes are forwarded (R45)
        """
        model_request = read_request(endpoint, body, session.assessment.allowed_hosted_tools)
        if not is_recorded and not model_request.is_probe:
            raise recording_required()
        recorder = _create_recorder(endpoint, session, model_request, received_at) if has_consent else None
        estimate = estimate_call(
            endpoint.provider,
            model_request.model,
            model_request.body_bytes,
            model_request.attachments.images,
            model_request.attachments.has_files,
            model_request.max_output_tokens,
            whole_seconds_ns(clock.now()),
            prices(),
        )
        reservation = budget.reserve(session, endpoint.provider, estimate.cost_nano_usd)
        release_connection()
        # Only the recorder still needs the body.
        model_request = model_request._replace(model=estimate.model, fields={}, elements={})
        return cls(session, endpoint.provider, model_request, reservation, release_slot, recorder)

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
        first_token_ms = None
        if response.reader.is_stream and response.first_output_at is not None:
            first_token_ms = round((response.first_output_at - self.started_monotonic) * 1000)
        columns = {"request_id": label(response.request_id), "first_token_ms": first_token_ms}
        columns |= {"status_code": response.status, "is_whole": response.is_whole}
        recorder = self.recorder if response.status < 400 else None
        if recorder and response.reader.has_skipped:
            recorder.skip()
        self._store(self._usage_to_record(response), columns, recorder)

    def on_no_response(self, status: int) -> None:
        """Book a call that the provider received but did not respond to."""
        # A stream's headers precede its output. A document's headers follow the complete output.
        counts = {"input": estimate_tokens(self.request.body_bytes)}
        if not self.request.is_stream:
            counts["output"] = self._max_output_so_far()
        self._store(ReportedUsage(self.request.model, counts), {"status_code": status, "is_whole": False})

    def on_rejection(self, status: int) -> None:
        """Record the failure for the candidate's page, and release the reservation."""
        self._store(ReportedUsage(self.request.model, {}), {"status_code": status, "is_whole": False})

    def _max_output_so_far(self) -> int:
        """Return the maximum number of tokens that the model can have generated so far."""
        possible = ceil((time.monotonic() - self.started_monotonic) * OUTPUT_TOKENS_PER_SECOND)
        return min(possible, self.request.max_output_tokens)

    def _usage_to_record(self, response: ProviderResponse) -> ReportedUsage:
        """Return the reported usage. Estimates missing counts of a successful response."""
        reader = response.reader
        reported = reader.usage()
        output = min(reader.estimated_output(), self.request.max_output_tokens)
        # A document's bytes count as output.
        is_error = reader.has_error and not (reader.is_stream and output)
        is_failure = response.status >= 400 or is_error
        if is_failure or reader.has_total:
            return reported
        # An interrupted stream can hide reasoning, as can Chat Completions without `stream_options`.
        is_unreported = response.is_whole and response.endpoint == CHAT_COMPLETIONS
        if (response.client_disconnected and not response.is_whole) or is_unreported:
            output = max(output, self._max_output_so_far())
        counts = {"input": estimate_tokens(self.request.body_bytes)} | reported.counts
        counts["output"] = max(output, reported.counts.get("output", 0))
        return ReportedUsage(reported.model or self.request.model, counts)

    def _store(self, usage: ReportedUsage, columns: dict[str, Any], recorder: Recorder | None = None) -> None:
        """Store events and usage in one transaction. If the events fail, store the usage alone."""
        try:
            time_ns = whole_seconds_ns(self.started_at)
            cost = call_cost_nano_usd(self.provider, usage, time_ns, prices())
            record_model_cost(self.session.organization_id, cost or 0)
            record = partial(
                ModelUsage.record,
                self.session,
                usage,
                provider=self.provider,
                started_at=self.started_at,
                cost_nano_usd=cost,
                reservation=self.reservation,
                **columns,
            )
            with connection():
                if recorder is None:
                    record()
                    return
                response_usage = ResponseUsage(
                    request_id=columns["request_id"],
                    model=usage.model,
                    counts=usage.counts,
                    cost_nano_usd=cost if is_priced(usage, time_ns, prices()) else None,
                    first_token_ms=columns["first_token_ms"],
                    duration_ms=round((time.monotonic() - self.started_monotonic) * 1000),
                )
                recorder.collect(response_usage, clock.now())
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


def _create_recorder(
    endpoint: Endpoint, session: Session, model_request: ModelRequest, received_at: datetime
) -> Recorder | None:
    """Create a recorder, or return None without rules/agents/."""
    dialect = current_app.extensions.get("dialects", {}).get(endpoint.dialect)
    if dialect is None:
        return None
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = LazyObject(model_request.fields, model_request.elements)
    return Recorder(session, dialect, headers, body, received_at, session_quota())
