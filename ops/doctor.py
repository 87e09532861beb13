"""Checks of an installation (`flask doctor`): findings, each with what to do about it.

A check never raises, and no finding contains a secret.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from limits.storage import storage_from_string

import config
import migrations
from delivery import DeliveryFailure
from delivery.transports import SmtpTransport, transport_from
from errors import first_line
from models import backlog, clock, db
from models.base import is_postgres
from ops import DATABASE_ERRORS
from storage import FolderStorage, Storage, StorageError

OK, WARNING, ERROR = "ok", "warning", "error"
MAX_CLOCK_DIFFERENCE = timedelta(seconds=2)
MAX_QUEUE_AGE = timedelta(minutes=5)
MIN_FREE_BYTES = 1024**3
MIN_FREE_SHARE = 0.05
MAIL_TIMEOUT_SECONDS = 5
STORE_TIMEOUT_SECONDS = 2
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
QUEUES = {
    "delivery": "mail and removals",
    "webhook": "webhooks",
    "feed": "feed events",
    "audit": "audit entries to chain",
    "seal": "candidate events to seal",
}


class Finding(NamedTuple):
    """The state of one part: `ok`, `warning` (works, but needs attention) or `error`."""

    state: str
    part: str
    message: str


def examine(settings: Mapping[str, Any], storage: Storage) -> Iterator[Finding]:
    """Check every part."""
    yield from _settings(settings)
    yield _mail(settings)
    yield _storage(storage)
    yield from _disks(settings, storage)
    yield _rate_limits(settings["RATELIMIT_STORAGE_URL"])
    try:
        yield from _database()
    except DATABASE_ERRORS as error:
        advice = "Check that the database is running and that DATABASE_URL is correct."
        yield Finding(ERROR, "database", f"{_sentence(first_line(error))} {advice}")


def _settings(settings: Mapping[str, Any]) -> Iterator[Finding]:
    advice = [*_network_advice(settings), *_process_advice(settings)]
    yield from (Finding(WARNING, "settings", text) for text in advice)
    if not advice:
        yield Finding(OK, "settings", "All are suitable for production.")


def _network_advice(settings: Mapping[str, Any]) -> Iterator[str]:
    base_url = urlsplit(settings["BASE_URL"])
    is_https = base_url.scheme == "https"
    if base_url.hostname in LOCAL_HOSTS:
        yield "BASE_URL is a local address: links in mail only work on this machine. Set the public URL."
    elif not is_https:
        yield "BASE_URL is not HTTPS: keys are sent unencrypted. Put a TLS proxy in front."
    if is_https and not settings["TRUSTED_PROXIES"]:
        yield "TRUSTED_PROXIES is 0 behind a TLS proxy: all clients share the proxy's address. Set it to 1."
    if is_https and settings["DATABASE_URL"].startswith("sqlite"):
        yield "DATABASE_URL is SQLite: it suits one machine and few candidates. Use PostgreSQL for more."
    if settings["SMTP_URL"] and "@localhost" in settings["MAIL_FROM"]:
        yield "MAIL_FROM is not set: mail servers reject a sender at localhost. Set your address."


def _process_advice(settings: Mapping[str, Any]) -> Iterator[str]:
    min_pool = settings["WEB_THREADS"] - settings["PROXY_STREAMS"]
    if settings["DATABASE_POOL"] < min_pool:
        yield f"DATABASE_POOL is too small: requests wait for a connection. Set it to at least {min_pool}."
    if not settings["RATELIMIT_ENABLED"]:
        yield "RATELIMIT_ENABLED is false: guessing keys is not limited. Set it to true."
    if settings["LOG_LEVEL"] == "DEBUG":
        yield "LOG_LEVEL is DEBUG: the log grows quickly. Set it to INFO."
    try:
        config.parse("PORT", os.environ.get("PORT") or "8000", config.port)
    except config.InvalidSetting as error:
        yield f"{error} The web process will not start."


def _mail(settings: Mapping[str, Any]) -> Finding:
    transport = transport_from(settings["SMTP_URL"], settings["MAIL_FOLDER"])
    if not isinstance(transport, SmtpTransport):
        return Finding(WARNING, "mail", "SMTP_URL is not set: invitations are saved as files, not sent.")
    try:
        transport.check(MAIL_TIMEOUT_SECONDS)
    except DeliveryFailure as failure:
        return Finding(ERROR, "mail", f"{_sentence(failure.reason)} Check SMTP_URL.")
    return Finding(OK, "mail", "The mail server accepts the login. No mail was sent.")


def _storage(storage: Storage) -> Finding:
    try:
        storage.check_writable()
    except StorageError as error:
        return Finding(ERROR, "storage", f"{error} Check BUNDLE_FOLDER or the S3 settings.")
    return Finding(OK, "storage", "Bundles can be stored.")


def _disks(settings: Mapping[str, Any], storage: Storage) -> Iterator[Finding]:
    if settings["DATABASE_URL"].startswith("sqlite") and (path := Path(db.obj.database)).parent.is_dir():
        yield _disk("disk of the database", path.parent)
    if isinstance(storage, FolderStorage) and storage.folder.is_dir():
        yield _disk("disk of the bundles", storage.folder)


def _disk(part: str, folder: Path) -> Finding:
    usage = shutil.disk_usage(folder)
    free = f"{usage.free / 1024**3:.1f} GiB are free"
    if usage.free < max(MIN_FREE_BYTES, MIN_FREE_SHARE * usage.total):
        return Finding(WARNING, part, f"Only {free}. Free some space.")
    return Finding(OK, part, f"{free}.")


def _rate_limits(url: str | None) -> Finding:
    if not url:
        return Finding(OK, "rate limits", "Each web process counts separately.")
    timeouts: dict[str, Any] = {
        "socket_connect_timeout": STORE_TIMEOUT_SECONDS,
        "socket_timeout": STORE_TIMEOUT_SECONDS,
    }
    try:
        is_available = storage_from_string(url, **timeouts).check()
    except Exception:
        # Each kind of store raises its own errors.
        is_available = False
    if is_available:
        return Finding(OK, "rate limits", "The store responds.")
    text = "The store does not respond, so each process counts separately. Check RATELIMIT_STORAGE_URL."
    return Finding(ERROR, "rate limits", text)


def _database() -> Iterator[Finding]:
    """Check the database and its queues; raises DATABASE_ERRORS if it does not respond."""
    yield Finding(OK, "database", f"{_version()} responds.")
    if missing := migrations.missing():
        yield Finding(ERROR, "migrations", f"{len(missing)} are missing. Run `flask db upgrade`.")
        return
    yield Finding(OK, "migrations", "All are applied.")
    if is_postgres():
        yield _clock()
    yield from _queues()
    yield _failures()


def _version() -> str:
    statement = "show server_version" if is_postgres() else "select sqlite_version()"
    (version,) = db.execute_sql(statement).fetchone()
    return f"{'PostgreSQL' if is_postgres() else 'SQLite'} {version.split()[0]}"


def _clock() -> Finding:
    (database_time,) = db.execute_sql("select clock_timestamp()").fetchone()
    difference = abs(clock.now() - database_time)
    if difference <= MAX_CLOCK_DIFFERENCE:
        return Finding(OK, "clock", "It agrees with the database's clock.")
    seconds = difference.total_seconds()
    return Finding(ERROR, "clock", f"It differs from the database's by {seconds:.0f} s. Use NTP on both.")


def _queues() -> Iterator[Finding]:
    ages = {name: clock.now() - due for name, due in backlog.oldest_due().items()}
    late = {name: age for name, age in ages.items() if age > MAX_QUEUE_AGE}
    for name, age in late.items():
        text = f"{QUEUES[name]} have been due for {_duration(age)}. Check that `flask worker` is running."
        yield Finding(ERROR, "queue", text)
    if not late:
        yield Finding(OK, "queue", "No work is overdue.")


def _failures() -> Finding:
    failed = backlog.failed_since(clock.now() - timedelta(days=1))
    if not failed:
        return Finding(OK, "deliveries", "None failed in the last day.")
    where = "See `GET /v1/deliveries?state=failed` and the deliveries of each webhook."
    return Finding(WARNING, "deliveries", f"{failed} failed in the last day. {where}")


def _duration(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
