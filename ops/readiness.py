"""The service's readiness, for load balancers and platforms (`GET /v1/ready`)."""

import logging
import threading
import time
from collections.abc import Callable

import migrations
from errors import ApiError, first_line
from models import db
from ops import DATABASE_ERRORS, OperationError, worker
from storage import Storage

# Limits the cost of the endpoint, which is public.
CACHE_SECONDS = 1.0
OK = "ok"

log = logging.getLogger("proofstone.readiness")


class Readiness:
    """The state of each part: `ok`, or a word for its problem."""

    def __init__(self, storage: Storage):
        self._storage = storage
        self._lock = threading.Lock()
        # The parts and the time of the check, by `deep`.
        self._checked: dict[bool, tuple[dict[str, str], float]] = {}

    def parts(self, deep: bool = False) -> dict[str, str]:
        """Check the parts that this process needs, and with `deep` the worker."""
        with self._lock:
            parts, checked_at = self._checked.get(deep, ({}, float("-inf")))
            if time.monotonic() - checked_at >= CACHE_SECONDS:
                parts = self._check(deep)
                self._checked[deep] = parts, time.monotonic()
            return parts

    def _check(self, deep: bool) -> dict[str, str]:
        database = _state(lambda: db.execute_sql("select 1"), "unavailable")
        schema = _state(_require_migrations, "behind") if database == OK else "unknown"
        storage = _state(self._storage.check_writable, "not_writable")
        parts = {"database": database, "migrations": schema, "storage": storage}
        if deep:
            try:
                parts["worker"] = worker.state()
            except DATABASE_ERRORS:
                parts["worker"] = "unknown"
        return parts


def _require_migrations() -> None:
    if missing := migrations.missing():
        raise OperationError(f"{len(missing)} migrations have not been applied")


def _state(check: Callable[[], object], state_on_failure: str) -> str:
    try:
        check()
    except (*DATABASE_ERRORS, ApiError, OperationError) as error:
        # Only logged, because the reason can contain paths and hosts.
        log.warning("Not ready: %s", first_line(error))
        return state_on_failure
    return OK
