"""Whether the parts that the service needs are there: what a platform asks before it sends requests here."""

import logging
import threading
import time
from collections.abc import Callable

import peewee
from playhouse.pool import MaxConnectionsExceeded

import migrations
from models import db
from storage import Storage, StorageError

# Anybody may ask, and however many do, the parts are looked at no more often than this in a process.
REMEMBERED_SECONDS = 1.0
OK = "ok"

log = logging.getLogger("proofstone.readiness")


class Readiness:
    """`parts()` of the service, each `ok` or what is wrong with it, in a word."""

    def __init__(self, storage: Storage):
        self._storage = storage
        self._lock = threading.Lock()
        self._seen: dict[str, str] = {}
        self._seen_at = float("-inf")

    def parts(self) -> dict[str, str]:
        with self._lock:
            if time.monotonic() - self._seen_at >= REMEMBERED_SECONDS:
                self._seen = self._look()
                self._seen_at = time.monotonic()
            return self._seen

    def _look(self) -> dict[str, str]:
        database = _state(self._ask_database, "unavailable")
        # Nobody can say how a database stands that does not answer.
        schema = _state(self._compare_migrations, "behind") if database == OK else "unknown"
        storage = _state(self._storage.check_writable, "not_writable")
        return {"database": database, "migrations": schema, "storage": storage}

    @staticmethod
    def _ask_database() -> None:
        db.execute_sql("select 1")

    @staticmethod
    def _compare_migrations() -> None:
        if missing := migrations.missing():
            raise Behind(f"{len(missing)} migrations have not been applied")


class Behind(Exception):
    """The database has not the schema that this code wants."""


def _state(check: Callable[[], None], otherwise: str) -> str:
    try:
        check()
    except (peewee.PeeweeException, MaxConnectionsExceeded, StorageError, Behind) as error:
        # What it is exactly is for those who run the service, and may name paths and hosts.
        log.warning("Not ready: %s", str(error).splitlines()[0] if str(error) else type(error).__name__)
        return otherwise
    return OK
