"""Candidates' sessions: consent, redeem, events, close and metrics, a module for each."""

from models.sessions.close import close, complete, mark_hired, settle, settle_all
from models.sessions.events import Arrival, Event, SigningKey
from models.sessions.ingest import append, store_if_open
from models.sessions.metrics import prices, rederive, shown_metrics, submit_test_result, submitted_tests
from models.sessions.redeem import allow_redeem, find_key, lift_time_limit, move_limit, redeem
from models.sessions.session import COHORT_COLUMNS, Consent, Session

__all__ = [
    "COHORT_COLUMNS",
    "Arrival",
    "Consent",
    "Event",
    "Session",
    "SigningKey",
    "allow_redeem",
    "append",
    "close",
    "complete",
    "find_key",
    "lift_time_limit",
    "mark_hired",
    "move_limit",
    "prices",
    "redeem",
    "rederive",
    "settle",
    "settle_all",
    "shown_metrics",
    "store_if_open",
    "submit_test_result",
    "submitted_tests",
]
