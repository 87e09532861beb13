"""Readiness of the service's parts, for load balancers and platforms (`GET /v1/ready`)."""

import logging
import threading
import time
from collections.abc import Callable

import migrations
from errors import ApiError, first_line
from models import db
from ops import DATABASE_ERRORS, OperationError, worker
from storage import Storage

# The endpoint needs no credential, so its cost per process must not depend on the number of requests.
CACHE_SECONDS = 1.0
OK = "ok"
WORKER = "worker"

log = logging.getLogger("proofstone.readiness")


class Readiness:
    """The state of each part: `ok`, or one word for its problem."""

    def __init__(self, storage: Storage):
        self._storage = storage
        self._lock = threading.Lock()
        # By `deep`: the parts, and when they were checked.
        self._checked: dict[bool, tuple[dict[str, str], float]] = {}

    def parts(self, deep: bool = False) -> dict[str, str]:
        """The parts that this process needs; with `deep` also the worker, which is another process."""
        with self._lock:
            parts, checked_at = self._checked.get(deep, ({}, float("-inf")))
            if time.monotonic() - checked_at >= CACHE_SECONDS:
                parts = self._check() | (self._check_worker() if deep else {})
                self._checked[deep] = parts, time.monotonic()
            return parts

    def _check(self) -> dict[str, str]:
        database = _state(lambda: db.execute_sql("select 1"), "unavailable")
        schema = _state(_require_migrations, "behind") if database == OK else "unknown"
        storage = _state(self._storage.check_writable, "not_writable")
        return {"database": database, "migrations": schema, "storage": storage}

    def _check_worker(self) -> dict[str, str]:
        try:
            return {WORKER: worker.state()}
        except DATABASE_ERRORS:
            return {WORKER: "unknown"}


def _require_migrations() -> None:
    if missing := migrations.missing():
        raise OperationError(f"{len(missing)} migrations have not been applied")


def _state(check: Callable[[], object], state_on_failure: str) -> str:
    try:
        check()
    except (*DATABASE_ERRORS, ApiError, OperationError) as error:
        # The reason may contain paths and hosts, so it is only logged.
        log.warning("Not ready: %s", first_line(error))
        return state_on_failure
    return OK
