"""Candidate sessions: consents, events and metrics."""

from models.sessions.close import (
    close,
    close_all_due,
    close_due,
    close_for_erasure,
    complete,
    mark_hired,
    rederive,
    submit_test_result,
)
from models.sessions.events import CountedEvents, Event, ReceivedEvent, SigningKey
from models.sessions.ingest import append, store_if_open
from models.sessions.metrics import Derivation, api_metrics, derive_before_lock, get_test_result, prices
from models.sessions.quota import stored_bytes
from models.sessions.recording import (
    consented_channels,
    differ_from_stored,
    find_running,
    is_recorded,
    list_channels,
    prepare,
    record,
    requires_consent,
    store_prepared,
    stored_positions,
)
from models.sessions.redeem import allow_redeem, find_key, redeem, remove_time_limit, update_time_limit
from models.sessions.session import Consent, Session
