"""The service's readiness, for load balancers and platforms (`GET /v1/ready`)."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

import migrations
from errors import ApiError, first_line
from models import StorageMarker, db
from ops import DATABASE_ERRORS, OperationError, worker
from storage import Storage

# Limits the cost of this public endpoint.
CACHE_SECONDS = 1.0
OK = "ok"

log = logging.getLogger("proofstone.readiness")


class Readiness:
    """The status of each component: `ok`, or a code for its problem."""

    def __init__(self, storage: Storage):
        self._storage = storage
        self._lock = threading.Lock()
        # Cached results and their time, by `deep`.
        self._cache: dict[bool, tuple[dict[str, str], float]] = {}

    def check(self, deep: bool = False) -> dict[str, str]:
        """Check the components that this process needs, and the worker if `deep` is set."""
        with self._lock:
            components, checked_at = self._cache.get(deep, ({}, float("-inf")))
            if time.monotonic() - checked_at >= CACHE_SECONDS:
                components = self._check_components(deep)
                self._cache[deep] = components, time.monotonic()
            return components

    def _check_components(self, deep: bool) -> dict[str, str]:
        database = _status(lambda: db.execute_sql("select 1"), "unavailable")
        schema = _status(_require_migrations, "behind") if database == OK else "unknown"
        storage = OK
        if schema == OK:
            storage = _status(partial(StorageMarker.require, self._storage), "unavailable")
        if storage == OK:
            storage = _status(self._storage.check_writable, "not_writable")
        components = {"database": database, "migrations": schema, "storage": storage}
        if deep:
            try:
                components["worker"] = worker.state()
            except DATABASE_ERRORS:
                components["worker"] = "unknown"
        return components


def _require_migrations() -> None:
    if pending := migrations.pending():
        raise OperationError(f"{len(pending)} migrations have not been applied")


def _status(check: Callable[[], object], status_on_failure: str) -> str:
    try:
        check()
    except (*DATABASE_ERRORS, ApiError, OperationError) as error:
        # Only logged, because the reason can contain paths and host names.
        log.warning("Not ready: %s", first_line(error))
        return status_on_failure
    return OK
