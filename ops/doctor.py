"""What is wrong with an installation, part by part, each with a sentence on what to do (`flask doctor`).

A check yields findings and raises nothing: what is missing or does not answer is a finding. None names a secret.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import peewee
from limits.storage import storage_from_string
from playhouse.pool import MaxConnectionsExceeded

import migrations
from delivery import DeliveryFailure
from delivery.transports import SmtpTransport, transport_from
from models import backlog, clock, db
from models.base import is_postgres
from storage import FolderStorage, Storage, StorageError

OK, WARNING, WRONG = "ok", "warning", "wrong"
MOST_CLOCK_DIFFERENCE = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=5)
LEAST_FREE_BYTES = 1024**3
LEAST_FREE_SHARE = 0.05
MAIL_SECONDS = 5
STORE_SECONDS = 2
ON_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}
AWAY = (peewee.PeeweeException, MaxConnectionsExceeded)


class Finding(NamedTuple):
    """How one part is: `ok`, `warning` (it works, though hardly as meant) or `wrong`."""

    state: str
    part: str
    sentence: str


def examine(settings: Mapping[str, Any], storage: Storage) -> Iterator[Finding]:
    """Everything, part by part."""
    yield from _settings(settings)
    yield _mail(settings)
    yield _storage(storage)
    yield from _disk(settings, storage)
    yield _rate_limits(settings["RATELIMIT_STORAGE_URL"])
    yield from _database()


# Settings


def _settings(settings: Mapping[str, Any]) -> Iterator[Finding]:
    advice = [sentence for check in SETTINGS if (sentence := check(settings))]
    yield from (Finding(WARNING, "settings", sentence) for sentence in advice)
    if not advice:
        yield Finding(OK, "settings", "Nothing is unusual about them.")


def _base_url(settings: Mapping[str, Any]) -> str | None:
    address = urlsplit(settings["BASE_URL"])
    if address.hostname in ON_THIS_MACHINE:
        return "BASE_URL is an address of this machine: links in mails lead nowhere for others. Set the public one."
    if address.scheme != "https":
        return "BASE_URL is not https: keys cross the network in the open. Put a proxy with TLS in front."
    return None


def _proxies(settings: Mapping[str, Any]) -> str | None:
    if settings["BASE_URL"].startswith("https:") and not settings["TRUSTED_PROXIES"]:
        return "TRUSTED_PROXIES is 0 behind a proxy with TLS: everybody seems to come from the proxy. Set it to 1."
    return None


def _sqlite(settings: Mapping[str, Any]) -> str | None:
    if settings["DATABASE_URL"].startswith("sqlite") and settings["BASE_URL"].startswith("https:"):
        return "DATABASE_URL is a SQLite file: fine for one machine and few candidates; PostgreSQL is meant for more."
    return None


def _pool(settings: Mapping[str, Any]) -> str | None:
    wanted = settings["WEB_THREADS"] - settings["PROXY_STREAMS"]
    if settings["DATABASE_POOL"] < wanted:
        return f"DATABASE_POOL is below WEB_THREADS less PROXY_STREAMS: requests wait for a connection. Set {wanted}."
    return None


def _refusals(settings: Mapping[str, Any]) -> str | None:
    if not settings["RATELIMIT_ENABLED"]:
        return "RATELIMIT_ENABLED is false: nobody who guesses keys is stopped."
    return None


def _talk(settings: Mapping[str, Any]) -> str | None:
    if settings["LOG_LEVEL"] == "DEBUG":
        return "LOG_LEVEL is DEBUG: far more is logged than anybody reads. INFO is enough."
    return None


def _sender(settings: Mapping[str, Any]) -> str | None:
    if settings["SMTP_URL"] and "@localhost" in settings["MAIL_FROM"]:
        return "MAIL_FROM is not set: no mail server takes a sender at localhost."
    return None


def _port(settings: Mapping[str, Any]) -> str | None:
    text = os.environ.get("PORT") or "8000"
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        return "PORT is no number from 1 to 65535: the web process will not start."
    return None


SETTINGS: tuple[Callable[[Mapping[str, Any]], str | None], ...] = (
    _base_url,
    _proxies,
    _sqlite,
    _pool,
    _refusals,
    _talk,
    _sender,
    _port,
)


# What it needs of others


def _mail(settings: Mapping[str, Any]) -> Finding:
    transport = transport_from(settings["SMTP_URL"], settings["MAIL_FOLDER"])
    if not isinstance(transport, SmtpTransport):
        return Finding(
            WARNING, "mail", "SMTP_URL is not set: invitations are saved as files and reach nobody."
        )
    try:
        transport.check(MAIL_SECONDS)
    except DeliveryFailure as failure:
        return Finding(WRONG, "mail", f"{_sentence(failure.reason)} Is SMTP_URL right?")
    return Finding(OK, "mail", "The mail server takes our mail; nothing was sent.")


def _storage(storage: Storage) -> Finding:
    try:
        storage.check_writable()
    except StorageError as error:
        return Finding(WRONG, "storage", f"{error} Are BUNDLE_FOLDER or the S3 settings right?")
    return Finding(OK, "storage", "Bundles can be stored.")


def _disk(settings: Mapping[str, Any], storage: Storage) -> Iterator[Finding]:
    """The folders in which data grows on this machine, if any do."""
    if settings["DATABASE_URL"].startswith("sqlite") and (path := Path(db.obj.database)).parent.is_dir():
        yield _room("disk of the database", path.parent)
    if isinstance(storage, FolderStorage) and storage.folder.is_dir():
        yield _room("disk of the bundles", storage.folder)


def _room(part: str, folder: Path) -> Finding:
    usage = shutil.disk_usage(folder)
    free = f"{usage.free / 1024**3:.1f} GiB are free"
    if usage.free < max(LEAST_FREE_BYTES, LEAST_FREE_SHARE * usage.total):
        return Finding(WARNING, part, f"Only {free}: make room before it is full.")
    return Finding(OK, part, f"{free}.")


def _rate_limits(store: str | None) -> Finding:
    if not store:
        return Finding(OK, "rate limits", "Each web process counts for itself.")
    patience: dict[str, Any] = {"socket_connect_timeout": STORE_SECONDS, "socket_timeout": STORE_SECONDS}
    try:
        is_there = storage_from_string(store, **patience).check()
    except Exception:
        # Each kind of store has errors of its own.
        is_there = False
    if not is_there:
        return Finding(
            WRONG,
            "rate limits",
            "The store does not answer, so each process counts for itself. Is RATELIMIT_STORAGE_URL right?",
        )
    return Finding(OK, "rate limits", "The store answers.")


# The database, and what waits in it


def _database() -> Iterator[Finding]:
    try:
        yield Finding(OK, "database", f"{_version()} answers.")
        missing = migrations.missing()
    except AWAY as error:
        yield Finding(
            WRONG, "database", f"{_sentence(_first_line(error))} Is it running, and is DATABASE_URL right?"
        )
        return
    if missing:
        yield Finding(WRONG, "migrations", f"{len(missing)} are missing: run `flask db upgrade`.")
        return
    yield Finding(OK, "migrations", "All are applied.")
    for check in (_clock, _queues, _failures):
        try:
            yield from check()
        except AWAY as error:
            yield Finding(WRONG, "database", _sentence(_first_line(error)))


def _version() -> str:
    statement = "show server_version" if is_postgres() else "select sqlite_version()"
    (version,) = db.execute_sql(statement).fetchone()
    return f"{'PostgreSQL' if is_postgres() else 'SQLite'} {version.split()[0]}"


def _clock() -> Iterator[Finding]:
    """SQLite has no clock but ours."""
    if not is_postgres():
        return
    (theirs,) = db.execute_sql("select clock_timestamp()").fetchone()
    difference = abs(clock.now() - theirs)
    if difference > MOST_CLOCK_DIFFERENCE:
        seconds = difference.total_seconds()
        yield Finding(WRONG, "clock", f"It is {seconds:.0f} s apart from the database's: set both by NTP.")
    else:
        yield Finding(OK, "clock", "It agrees with the database's.")


QUEUES = {
    "delivery": "mails and removals",
    "webhook": "webhooks",
    "feed": "events of the feed",
    "audit": "entries of the audit log to chain",
    "seal": "candidates' events to seal",
}


def _queues() -> Iterator[Finding]:
    now = clock.now()
    late = {name: now - due for name, due in backlog.oldest_due().items() if now - due > LONGEST_WAIT}
    for name, wait in late.items():
        yield Finding(WRONG, "queue", f"{QUEUES[name]} wait for {_minutes(wait)}: is `flask worker` running?")
    if not late:
        yield Finding(OK, "queue", "Nothing waits for the worker.")


def _failures() -> Iterator[Finding]:
    failed = backlog.failed_since(_a_day_ago())
    if failed:
        where = "`GET /v1/deliveries?state=failed` and each webhook's deliveries say why"
        yield Finding(WARNING, "deliveries", f"{failed} failed for good in the last day: {where}.")
    else:
        yield Finding(OK, "deliveries", "None failed in the last day.")


def _a_day_ago() -> datetime:
    return clock.now() - timedelta(days=1)


def _minutes(wait: timedelta) -> str:
    minutes = int(wait.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _sentence(words: str) -> str:
    words = words.strip()
    return words if words.endswith((".", "!", "?")) else f"{words}."
