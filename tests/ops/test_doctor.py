"""`flask doctor`: one line of advice per part, without tracebacks and secrets."""

import re
from datetime import timedelta
from pathlib import Path

import factories
import pytest

import models
from delivery.worker import Worker
from models import AuditEntry, Delivery, RunnerToken, Submission, clock, db, heartbeats, ledger_keys
from models.database import Postgres, is_postgres
from models.deliveries import outcomes
from models.heartbeats import Heartbeat, HeartbeatRecorder
from models.ledger import epochs, numbering
from models.sessions.submissions import reading
from ops import doctor
from storage import FolderStorage
from tests.delivery.mail_server import Mailbox, accepts, smtp_server
from tests.servers import HOST, free_port

SECRET = "hard-to-guess"


@pytest.fixture
def run_doctor(app):
    """Run the command; returns its output with single spaces."""

    def run():
        result = app.test_cli_runner().invoke(args=["doctor"])
        output = re.sub(" +", " ", result.output)
        assert "Traceback" not in output
        assert SECRET not in output
        assert {line.split()[0] for line in output.splitlines()} <= {"ok", "warning", "error"}
        assert result.exit_code == ("error " in output)
        return output

    return run


@pytest.fixture
def setting(app, monkeypatch):
    return lambda name, value: monkeypatch.setitem(app.config, name, value)


def test_new_installations_have_no_errors(run_doctor):
    output = run_doctor()
    assert "error" not in output
    parts = re.findall("ok (.*?): ", output)
    expected = {
        "storage",
        "disk of the bundles",
        "database",
        "migrations",
        "queue",
        "deliveries",
        "rate limits",
    }
    assert expected <= set(parts)
    assert "warning email: SMTP_URL is not set" in output
    assert "warning settings: BASE_URL is a local address" in output
    assert ("ok clock: " in output) == is_postgres()


def test_suitable_settings_only_warn_about_sqlite(run_doctor, setting):
    setting("BASE_URL", "https://assess.example.com")
    setting("TRUSTED_PROXIES", 1)
    setting("RATELIMIT_ENABLED", True)
    expected = (
        "ok settings: All settings are suitable"
        if is_postgres()
        else "warning settings: DATABASE_URL is SQLite"
    )
    output = run_doctor()
    assert expected in output
    assert output.count(" settings: ") == 1


def test_unsuitable_settings_are_warnings(run_doctor, setting, monkeypatch):
    setting("BASE_URL", "https://assess.example.com")
    setting("RATELIMIT_ENABLED", False)
    setting("LOG_LEVEL", "DEBUG")
    setting("DATABASE_POOL", 1)
    setting("SMTP_URL", f"smtp://{HOST}:{free_port()}")
    monkeypatch.setenv("DYNO", "web.1")
    monkeypatch.setenv("SMTP_ULR", "smtp://localhost")
    output = run_doctor()
    for advice in (
        "TRUSTED_PROXIES is 0", "RATELIMIT_ENABLED is false", "LOG_LEVEL is DEBUG",
        "MAIL_FROM is not set", "Heroku deletes files outside a volume on each restart: set S3_BUCKET,",
        "SMTP_ULR is not a setting: did you mean SMTP_URL?",
    ):  # fmt: skip
        assert f"warning settings: {advice}" in output
    assert ("warning settings: DATABASE_POOL is too small" in output) == is_postgres()
    setting("BASE_URL", "http://assess.example.com")
    assert "warning settings: BASE_URL is not HTTPS" in run_doctor()


def test_the_smtp_login_is_checked_without_sending_email(run_doctor, setting):
    mailbox = Mailbox()
    options = {"authenticator": accepts("user", SECRET), "auth_require_tls": False}
    with smtp_server(mailbox, **options) as port:
        for password, state in ((SECRET, "ok"), (f"{SECRET}wrong", "error")):
            setting("SMTP_URL", f"smtp://user:{password}@{HOST}:{port}?tls=none")
            assert f"{state} email: " in run_doctor()
    assert mailbox.envelopes == []


def test_unusable_servers_and_disks_are_reported(app, run_doctor, setting, monkeypatch, tmp_path):
    setting("SMTP_URL", f"smtp://user:{SECRET}@{HOST}:{free_port()}")
    setting("RATELIMIT_STORAGE_URL", f"redis://:{SECRET}@{HOST}:{free_port()}")
    monkeypatch.setattr(doctor, "MIN_FREE_BYTES", 2**60)
    db.execute_sql("DELETE FROM migrations")
    output = run_doctor()
    assert re.search("error email: .*Connection refused. Check SMTP_URL.", output)
    assert "error rate limits: The store does not respond" in output
    assert "warning disk of the bundles: Only" in output
    assert re.search(r"error migrations: \d+ pending. Run `flask db upgrade`.", output)


def test_an_unusable_bundle_folder_is_reported(app, run_doctor, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    storage = FolderStorage(tmp_path / "file" / "bundles", "http://localhost", lambda: b"")
    monkeypatch.setitem(app.extensions, "storage", storage)
    assert "error storage: The bundle folder is not readable: Not a directory. Check BUNDLE" in run_doctor()


def test_lost_submissions_are_an_error(run_doctor, organization):
    session = factories.make_session(factories.make_key(factories.make_assessment(organization)))
    submission = Submission.reserve(session, "git", "bundles/1")
    submission.record(1, "0" * 64, max_bytes=10)
    assert "ok submissions: None are lost." in run_doctor()
    reading.record_lost(submission)
    assert "error submissions: The bundle store has lost 1 (see To do in the console)." in run_doctor()


def test_readable_database_files_are_a_warning(app, run_doctor):
    assert "permissions" not in run_doctor()
    if is_postgres():
        return
    path = Path(db.obj.database)
    path.chmod(0o640)
    try:
        output = run_doctor()
    finally:
        path.chmod(0o600)
    assert f"warning permissions: Other users can access {path}. Run `chmod 600 {path}`." in output


def test_work_is_overdue_after_five_minutes(clock, reviewer, assessment, session, run_doctor):
    factories.make_key(assessment, "a@example.com")
    factories.add_event(session, factories.envelope())
    reviewer.post("/v1/issues", {"title": "One", "taskBrief": "Two"})
    clock.fixed += timedelta(minutes=4)
    assert "ok queue: " in run_doctor()
    clock.fixed += timedelta(minutes=2)
    assert "error queue: Emails and removals have been due for 6 minutes." in run_doctor()
    clock.fixed += timedelta(hours=3)
    output = run_doctor()
    for queue in ("Emails and removals", "Candidate events to list", "Audit entries to list"):
        assert re.search(f"error queue: {queue}.* have been due for 3 hours 6 minutes. Check that", output)


def test_test_runs_wait_for_a_runner(clock, session, run_doctor):
    assert "ok runners: 0 running." in run_doctor()
    factories.make_run(session).update_columns(state="waiting", due_at=clock.now())
    clock.fixed += timedelta(minutes=6)
    expected = "error runners: Test runs have been waiting for 6 minutes. No runner is running. Start one"
    assert expected in run_doctor()
    RunnerToken.issue(None, "One")[0].record_use()
    assert "waiting for 6 minutes. Start more runners." in run_doctor()
    models.TestRun.get().update_columns(state="failed", due_at=None, finished_at=clock.now())
    assert "warning runners: Test runs that failed in the last day: 1." in run_doctor()


def test_silent_workers_and_stalled_tasks_are_errors(app, clock, organization, run_doctor):
    assert "warning worker: No worker has run. Start `flask worker`." in run_doctor()
    Worker(app.config).run_once()
    assert "ok worker: Running: 1." in run_doctor()
    heartbeats = HeartbeatRecorder(is_continuous=True)
    heartbeats.record("ledger")
    clock.fixed += timedelta(minutes=10)
    heartbeats.record("emails")
    assert "error worker: Tasks not run for 10 minutes: ledger. Restart" in run_doctor()
    clock.fixed += timedelta(hours=1)
    assert "error worker: No worker has run for 1 hour. Start `flask worker`." in run_doctor()


def test_several_web_processes_that_count_separately_are_a_warning(clock, run_doctor, setting):
    for process in ("vm:1", "vm:2"):
        assert "ok rate limits: Each web process counts separately." in run_doctor()
        Heartbeat.record(process, heartbeats.WEB, is_continuous=True)
    message = "2 web processes count separately: a network can try 2 times RATELIMIT_INVALID_CREDENTIALS."
    assert f"warning rate limits: {message} Set RATELIMIT_STORAGE_URL." in run_doctor()
    clock.fixed += timedelta(minutes=1)
    assert "ok rate limits: " in run_doctor()


def test_failing_tasks_are_errors(app, clock, organization, reviewer, run_doctor):
    worker = Worker(app.config)
    assert "ok tasks: None are failing." in run_doctor()
    reviewer.post("/v1/issues", {"title": "One", "taskBrief": "Two"})
    AuditEntry.update(arrival_mac="other:00").execute()
    worker.run_once()
    output = run_doctor()
    failure = "since 2026-04-01T09:00:00.000Z (UnknownLedgerKey)."
    assert f"error task: `list_audit` has failed for {organization.id} {failure}" in output
    assert "error tasks: Failures: 1 of `list_audit`." in output


def test_failed_deliveries_are_counted_for_a_day(clock, assessment, run_doctor):
    key = factories.make_key(assessment, "a@example.com")
    outcomes.fail(Delivery.get_by_id(key.invitation_id), "550 no such user")
    assert "warning deliveries: 1 failed" in run_doctor()
    clock.fixed += timedelta(days=2)
    assert "ok deliveries: " in run_doctor()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True, scope="session")
def test_clock_differences_are_errors(app, run_doctor):
    clock.fixed = clock.now() + timedelta(days=30)
    seconds = re.search(r"error clock: Differs from the database's clock by (\d+) s\. Use NTP", run_doctor())[
        1
    ]
    assert 30 * 86_400 - 600 < int(seconds) <= 30 * 86_400


@pytest.mark.slow
def test_unreachable_databases_are_errors(app, run_doctor):
    bound = db.obj
    if is_postgres():
        server = Postgres("nothing", host=HOST, port=free_port(), user="nobody", password=SECRET)
    else:
        server = type(bound)("/nowhere/x")
    db.initialize(server)
    try:
        assert re.search("error database: .* DATABASE_URL is correct.", run_doctor())
    finally:
        db.initialize(bound)


def test_missing_ledger_keys_are_reported_until_a_restart(caplog, organization, worker, run_doctor):
    worker.run_once()
    known = "ok ledger keys: All entries are signed with known keys."
    assert known in run_doctor()
    ledger_keys.use({"other": b"s" * 32})
    missing = "Data is signed with missing keys: test. Add them to LEDGER_KEYS."
    assert f"error ledger keys: {missing}" in run_doctor()
    numbering.warn_at_start()
    assert missing in caplog.messages
    epochs.restart(organization, "The key is lost.")
    worker.run_once()
    assert known in run_doctor()
