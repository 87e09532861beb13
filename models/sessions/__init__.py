"""Candidates' sessions: consent, redeem, events, close and metrics."""

from models.sessions.close import (
    close,
    close_all_due,
    close_due,
    close_for_erasure,
    complete,
    mark_hired,
    rederive,
    seal_due,
    submit_test_result,
)
from models.sessions.events import Counting, Event, ReceivedEvent, SigningKey
from models.sessions.final_seals import FinalSeal
from models.sessions.ingest import append, store_if_open
from models.sessions.metrics import (
    Derivation,
    derive_ahead,
    prices,
    shown_metrics,
    submitted_tests,
)
from models.sessions.quota import stored_bytes
from models.sessions.recording import (
    may_record,
    prepare,
    record,
    record_all,
    store_prepared,
    stored_positions,
)
from models.sessions.redeem import allow_redeem, find_key, lift_time_limit, move_limit, redeem
from models.sessions.session import Consent, Session
