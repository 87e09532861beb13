"""Check an installation (`flask doctor`). Each finding has a remedy and contains no secrets."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from limits.storage import storage_from_string

import config
import migrations
from database_errors import describe_for_operator
from delivery import DeliveryFailure
from delivery.transports import SmtpTransport, create_transport
from errors import ApiError, WrongStore, first_line
from models import AccessHour, RunnerToken, StorageMarker, TaskFailure, backlog, clock, db, heartbeats
from models.base import is_postgres
from models.ledger import numbering
from ops import DATABASE_ERRORS, worker
from rules.ledger.keys import Keys
from rules.plain_text import format_minutes
from rules.timestamps import format_timestamp
from storage import FolderStorage, Storage

OK, WARNING, ERROR = "ok", "warning", "error"
Finding = tuple[str, str, str]  # state, part, message
MAX_CLOCK_DIFFERENCE_SECONDS = 2
MINUTE = timedelta(minutes=1)
MAX_QUEUE_MINUTES = 5
MAX_INVALID_CREDENTIALS_PER_HOUR = 1_000
MAX_FAILURES = 5
MIN_FREE_BYTES = 1024**3
MIN_FREE_SHARE = 0.05
EMAIL_TIMEOUT_SECONDS = 5
STORE_TIMEOUT_SECONDS = 2
SQLITE_SUFFIXES = ("", "-wal", "-shm", ".ledger-keys", ".integration-keys")
# The tables stay when the package `integrations` is deleted.
ENCRYPTED_VALUES = """
    select credential from integrations where deleted_at is null
    union select secret from integrations where deleted_at is null
    union select url from notification_channels where deleted_at is null
"""
ERASED_APPLICATIONS = """
    select erased_mac from integration_orders where erased_mac is not null
      and integration_id in (select id from integrations where deleted_at is null)
"""
QUEUES = {
    "delivery": "Emails and removals",
    "webhook": "Webhooks",
    "feed": "Feed events",
    "audit": "Audit entries to list in the ledger",
    "events": "Candidate events to list in the ledger",
    "submission": "Submissions to read",
}


def examine(settings: Mapping[str, Any], storage: Storage) -> Iterator[Finding]:
    advice = [*_network_advice(settings), *_process_advice(settings), *config.warnings(settings)]
    for message in advice:
        yield WARNING, "settings", message
    if not advice:
        yield OK, "settings", "All settings are suitable for production."
    yield _email(settings)
    yield from _disks(storage)
    yield from _permissions()
    if url := settings["RATELIMIT_STORAGE_URL"]:
        yield _rate_limit_store(url)
    try:
        yield from _database(settings, storage)
    except DATABASE_ERRORS as error:
        yield ERROR, "database", describe_for_operator(error)


def _network_advice(settings: Mapping[str, Any]) -> Iterator[str]:
    is_https = urlsplit(settings["BASE_URL"]).scheme == "https"
    if config.is_local_url(settings["BASE_URL"]):
        yield "BASE_URL is a local address: links in emails only work on this machine. Set the public URL."
    if is_https and not settings["TRUSTED_PROXIES"]:
        yield "TRUSTED_PROXIES is 0 behind a TLS proxy: all clients share the proxy's address. Set it to 1."
    if is_https and not is_postgres():
        yield "DATABASE_URL is SQLite, which is suitable for one machine and few candidates. Use PostgreSQL for more."
    if settings["SMTP_URL"] and "@localhost" in settings["MAIL_FROM"]:
        yield "MAIL_FROM is not set: email servers reject senders at localhost. Set your address."


def _process_advice(settings: Mapping[str, Any]) -> Iterator[str]:
    min_pool = config.other_threads(settings) // 2
    if is_postgres() and settings["DATABASE_POOL"] < min_pool:
        yield f"DATABASE_POOL is too small: requests wait for a connection. Set it to at least {min_pool}."
    if not settings["RATELIMIT_ENABLED"]:
        yield "RATELIMIT_ENABLED is false: attempts to guess keys are not limited. Set it to true."
    if settings["LOG_LEVEL"] == "DEBUG":
        yield "LOG_LEVEL is DEBUG: the log grows quickly. Set it to INFO."


def _email(settings: Mapping[str, Any]) -> Finding:
    transport = create_transport(settings["SMTP_URL"], settings["MAIL_FOLDER"])
    if not isinstance(transport, SmtpTransport):
        return WARNING, "email", "SMTP_URL is not set: invitations are saved as files, not sent."
    try:
        transport.check(EMAIL_TIMEOUT_SECONDS)
    except DeliveryFailure as failure:
        return ERROR, "email", f"{failure.reason.rstrip('.')}. Check SMTP_URL."
    return OK, "email", "The email server accepts the login. No email was sent."


def _storage(storage: Storage) -> Finding:
    try:
        StorageMarker.require(storage)
        storage.check_writable()
    except WrongStore as error:
        return ERROR, "storage", str(error)
    except ApiError as error:
        is_folder = isinstance(storage, FolderStorage)
        reason = first_line(error if is_folder else error.__cause__ or error).rstrip(".")
        return ERROR, "storage", f"{reason}. Check BUNDLE_FOLDER or the S3 settings."
    return OK, "storage", "Bundles can be stored."


def _lost_submissions() -> Finding:
    if not (count := backlog.lost_submissions()):
        return OK, "submissions", "None are lost."
    remedy = "Restore the files, then run `flask submissions read --again`."
    return ERROR, "submissions", f"The bundle store has lost {count} (see To do in the console). {remedy}"


def _disks(storage: Storage) -> Iterator[Finding]:
    if not is_postgres() and (folder := Path(db.obj.database).parent).is_dir():
        yield _disk("disk of the database", folder)
    if isinstance(storage, FolderStorage) and storage.folder.is_dir():
        yield _disk("disk of the bundles", storage.folder)


def _disk(part: str, folder: Path) -> Finding:
    total, _, free = shutil.disk_usage(folder)
    space = f"{free / 1024**3:.1f} GiB free."
    if free < max(MIN_FREE_BYTES, MIN_FREE_SHARE * total):
        return WARNING, part, f"Only {space} Free up space."
    return OK, part, space


def _permissions() -> Iterator[Finding]:
    """Report SQLite files that other users can access."""
    if is_postgres():
        return
    database = Path(db.obj.database)
    for path in (Path(f"{database}{suffix}") for suffix in SQLITE_SUFFIXES):
        if path.is_file() and path.stat().st_mode & 0o077:
            yield WARNING, "permissions", f"Other users can access {path}. Run `chmod 600 {path}`."


def _rate_limit_store(url: str) -> Finding:
    timeouts: Any = dict.fromkeys(("socket_connect_timeout", "socket_timeout"), STORE_TIMEOUT_SECONDS)
    with suppress(Exception):  # each kind of store raises its own errors
        if storage_from_string(url, **timeouts).check():
            return OK, "rate limits", "The store responds."
    message = "The store does not respond, so each process counts separately. Check RATELIMIT_STORAGE_URL."
    return ERROR, "rate limits", message


def _database(settings: Mapping[str, Any], storage: Storage) -> Iterator[Finding]:
    """Check the database and its queues. Raises DATABASE_ERRORS if the database does not respond."""
    query = "show server_version" if is_postgres() else "select sqlite_version()"
    (version,) = db.execute_sql(query).fetchone()
    yield OK, "database", f"{'PostgreSQL' if is_postgres() else 'SQLite'} {version.split()[0]} responds."
    if pending := migrations.pending():
        yield ERROR, "migrations", f"{len(pending)} pending. Run `flask db upgrade`."
        return
    yield OK, "migrations", "All applied."
    if is_postgres():
        yield _clock()
    yield _storage(storage)
    yield _lost_submissions()
    yield _ledger_keys()
    yield _integration_keys(settings["INTEGRATION_KEYS"] or {})
    yield _worker()
    yield from _tasks()
    yield from _queues()
    yield _runners()
    yield _failures()
    if not settings["RATELIMIT_STORAGE_URL"]:
        yield _separate_limits()
    yield _invalid_credentials()
    yield _addresses()


def _clock() -> Finding:
    (database_time,) = db.execute_sql("select clock_timestamp()").fetchone()
    seconds = abs(clock.now() - database_time).total_seconds()
    if seconds <= MAX_CLOCK_DIFFERENCE_SECONDS:
        return OK, "clock", "In sync with the database's clock."
    return ERROR, "clock", f"Differs from the database's clock by {seconds:.0f} s. Use NTP on both."


def _worker() -> Finding:
    if worker.state() != worker.OK:
        return ERROR, "worker", worker.describe()
    # A new installation does not need a worker yet.
    return OK if heartbeats.workers().beat_at else WARNING, "worker", worker.describe()


def _tasks() -> Iterator[Finding]:
    """Report failing tasks, with the id of an organization, session or candidate to search for in the log."""
    failures = list(TaskFailure.select().order_by(TaskFailure.created_at, TaskFailure.id).limit(MAX_FAILURES))
    for failure in failures:
        since = format_timestamp(failure.created_at)
        owner = f"for {failure.owner} " if failure.owner else ""
        message = f"`{failure.task}` has failed {owner}since {since} ({failure.error})."
        yield ERROR, "task", f"{message} See the worker's log for the reason."
    if failures:
        counts = ", ".join(f"{count} of `{task}`" for task, count in TaskFailure.counts().items())
        yield ERROR, "tasks", f"Failures: {counts}. They are retried."
    else:
        yield OK, "tasks", "None are failing."


def _ledger_keys() -> Finding:
    if missing := sorted(numbering.missing_keys()):
        message = f"Data is signed with missing keys: {', '.join(missing)}. Add them to LEDGER_KEYS."
        return ERROR, "ledger keys", f"{message} If they are lost, run `flask ledger restart`."
    return OK, "ledger keys", "All entries are signed with known keys."


def _integration_keys(known: Keys) -> Finding:
    if missing := sorted(_key_ids(ENCRYPTED_VALUES) - known.keys()):
        message = f"Credentials are encrypted with missing keys: {', '.join(missing)}."
        remedy = "Add them to INTEGRATION_KEYS, or replace credentials, signing secrets and chat URLs."
        return ERROR, "integration keys", f"{message} {remedy}"
    if missing := sorted(_key_ids(ERASED_APPLICATIONS) - known.keys()):
        message = f"Erased applications are recognized with missing keys: {', '.join(missing)}."
        remedy = "Add them to INTEGRATION_KEYS. Without them, a repeated webhook invites the candidate again."
        return WARNING, "integration keys", f"{message} {remedy}"
    if not known:
        return OK, "integration keys", "INTEGRATION_KEYS is not set: no system can be connected."
    return OK, "integration keys", "All credentials are encrypted with known keys."


def _key_ids(query: str) -> set[str]:
    return {value.partition(":")[0] for (value,) in db.execute_sql(query) if value}


def _queues() -> Iterator[Finding]:
    minutes = {name: (clock.now() - due) // MINUTE for name, due in backlog.oldest_due().items()}
    late = {name: age for name, age in minutes.items() if age >= MAX_QUEUE_MINUTES and name in QUEUES}
    for name, age in late.items():
        message = f"{QUEUES[name]} have been due for {format_minutes(age)}."
        yield ERROR, "queue", f"{message} Check that `flask worker` is running."
    if not late:
        yield OK, "queue", "Nothing is overdue."


def _runners() -> Finding:
    count, oldest = RunnerToken.alive().count(), backlog.oldest_due().get("test_run")
    age = (clock.now() - oldest) // MINUTE if oldest else 0
    if age >= MAX_QUEUE_MINUTES:
        remedy = "Start more runners." if count else "No runner is running. Start one with `make runner`."
        return ERROR, "runners", f"Test runs have been waiting for {format_minutes(age)}. {remedy}"
    if failed := backlog.failed_test_runs(clock.now() - timedelta(days=1)):
        return WARNING, "runners", f"Test runs that failed in the last day: {failed}. The console lists them."
    return OK, "runners", f"{count} running. No test run is overdue."


def _failures() -> Finding:
    if not (failed := backlog.failed_since(clock.now() - timedelta(days=1))):
        return OK, "deliveries", "None failed in the last day."
    remedy = "See `GET /v1/deliveries?state=failed` and the deliveries of each webhook."
    return WARNING, "deliveries", f"{failed} failed in the last day. {remedy}"


def _separate_limits() -> Finding:
    if (count := heartbeats.web_processes()) < 2:
        return OK, "rate limits", "Each web process counts separately."
    message = f"{count} web processes count separately: a network can try {count} times RATELIMIT_INVALID_CREDENTIALS."
    return WARNING, "rate limits", f"{message} Set RATELIMIT_STORAGE_URL."


def _invalid_credentials() -> Finding:
    worst = AccessHour.worst()
    if worst is None or worst.invalid_credentials < MAX_INVALID_CREDENTIALS_PER_HOUR:
        return OK, "invalid credentials", "Few in the last day."
    hour = format_timestamp(worst.hour)
    message = f"{worst.invalid_credentials} in the hour from {hour}: a client might be guessing keys."
    advice = "Find the addresses with many 401, 404 and 429 in the log, and block them in the proxy."
    return WARNING, "invalid credentials", f"{message} {advice}"


def _addresses() -> Finding:
    if address := AccessHour.sole_private_address():
        message = f"All requests came from the private address {address}, so all clients share one limit."
        advice = "If it is a proxy, set TRUSTED_PROXIES to the number of proxies."
        return WARNING, "addresses", f"{message} {advice}"
    return OK, "addresses", "Requests do not all come from one private address."
