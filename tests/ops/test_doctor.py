"""`flask doctor`: one line per part with advice, no traceback, no secret."""

from datetime import timedelta

import factories
import pytest

from models import Delivery, clock, db
from models.database import Postgres, is_postgres
from models.deliveries import outcomes
from ops import doctor
from storage import FolderStorage
from tests.delivery.mail_server import HOST, Mailbox, accepts, free_port, smtp_server

SECRET = "hard-to-guess"


@pytest.fixture
def run_doctor(app):
    """Run the command; returns its exit status and a function `find(state, part)` for its lines."""

    def run():
        result = app.test_cli_runner().invoke(args=["doctor"])
        assert "Traceback" not in result.output
        assert SECRET not in result.output
        lines = [line.split(maxsplit=1) for line in result.output.splitlines()]
        assert {state for state, _ in lines} <= {"ok", "warning", "error"}

        def find(state, part):
            return "\n".join(text for found, text in lines if found == state and text.startswith(f"{part}: "))

        return result.exit_code, find

    return run


@pytest.fixture
def setting(app, monkeypatch):
    return lambda name, value: monkeypatch.setitem(app.config, name, value)


def test_a_new_installation_has_no_errors(run_doctor):
    status, find = run_doctor()
    assert status == 0
    for part in ("storage", "database", "migrations", "queue", "deliveries", "rate limits"):
        assert find("ok", part), part
    assert find("warning", "mail")
    assert "BASE_URL" in find("warning", "settings")


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("BASE_URL", "http://assess.example.com", "BASE_URL is not HTTPS"),
        ("BASE_URL", "https://assess.example.com", "TRUSTED_PROXIES is 0"),
        ("RATELIMIT_ENABLED", False, "RATELIMIT_ENABLED"),
        ("LOG_LEVEL", "DEBUG", "LOG_LEVEL"),
        ("DATABASE_POOL", 1, "DATABASE_POOL"),
    ],
)
def test_unsuitable_settings_are_warnings(run_doctor, setting, name, value, advice):
    setting(name, value)
    _, find = run_doctor()
    assert advice in find("warning", "settings")


def test_an_invalid_port_is_a_warning(run_doctor, monkeypatch):
    monkeypatch.setenv("PORT", "http")
    _, find = run_doctor()
    assert "PORT is invalid" in find("warning", "settings")


def test_the_mail_server_is_asked_to_log_in_and_gets_no_mail(run_doctor, setting):
    mailbox = Mailbox()
    options = {"authenticator": accepts("user", SECRET), "auth_require_tls": False}
    with smtp_server(mailbox, **options) as port:
        for password, state in ((SECRET, "ok"), (f"{SECRET}wrong", "error")):
            setting("SMTP_URL", f"smtp://user:{password}@{HOST}:{port}?tls=none")
            status, find = run_doctor()
            assert find(state, "mail")
            assert status == (state == "error")
    assert mailbox.envelopes == []


def test_unreachable_servers_are_errors(run_doctor, setting):
    setting("SMTP_URL", f"smtp://user:{SECRET}@{HOST}:{free_port()}")
    setting("RATELIMIT_STORAGE_URL", f"redis://:{SECRET}@{HOST}:{free_port()}")
    status, find = run_doctor()
    assert status == 1
    assert find("error", "mail")
    assert find("error", "rate limits")


def test_an_unwritable_bundle_folder_is_an_error(app, run_doctor, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    storage = FolderStorage(tmp_path / "file" / "bundles", "http://localhost", lambda: b"")
    monkeypatch.setitem(app.extensions, "storage", storage)
    status, find = run_doctor()
    assert status == 1
    assert "BUNDLE_FOLDER" in find("error", "storage")


def test_a_missing_migration_is_an_error(run_doctor):
    db.execute_sql("DELETE FROM migrations")
    status, find = run_doctor()
    assert status == 1
    assert "flask db upgrade" in find("error", "migrations")


def test_overdue_mail_is_an_error_after_five_minutes(clock, assessment, run_doctor):
    factories.make_key(assessment, "a@example.com")
    clock.fixed += timedelta(minutes=4)
    _, find = run_doctor()
    assert find("ok", "queue")
    clock.fixed += timedelta(minutes=2)
    _, find = run_doctor()
    assert "flask worker" in find("error", "queue")


def test_overdue_seals_and_audit_entries_are_errors(clock, reviewer, session, run_doctor):
    factories.add_event(session, factories.envelope())
    reviewer.post("/v1/issues", {"title": "One", "taskBrief": "Two"})
    clock.fixed += timedelta(hours=3)
    _, find = run_doctor()
    assert "candidate events to seal have been due for 3 hours" in find("error", "queue")
    assert "audit entries to chain have been due for 3 hours" in find("error", "queue")


def test_failed_deliveries_of_the_last_day_are_counted(clock, assessment, run_doctor):
    key = factories.make_key(assessment, "a@example.com")
    outcomes.fail(Delivery.get_by_id(key.invitation_id), "550 no such user")
    _, find = run_doctor()
    assert find("warning", "deliveries").startswith("deliveries: 1 failed")
    clock.fixed += timedelta(days=2)
    _, find = run_doctor()
    assert find("ok", "deliveries")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True, scope="session")
def test_a_wrong_clock_is_an_error(app, run_doctor):
    _, find = run_doctor()
    assert find("ok", "clock")
    clock.fixed = clock.now() + timedelta(seconds=30)
    status, find = run_doctor()
    assert status == 1
    assert "NTP" in find("error", "clock")


def test_little_free_space_is_a_warning(run_doctor, monkeypatch):
    monkeypatch.setattr(doctor, "MIN_FREE_BYTES", 2**60)
    _, find = run_doctor()
    assert find("warning", "disk of the bundles")


@pytest.mark.slow
def test_an_unreachable_database_is_an_error(app, run_doctor):
    bound = db.obj
    if is_postgres():
        server = Postgres("nothing", host=HOST, port=free_port(), user="nobody", password=SECRET)
    else:
        server = type(bound)("/nowhere/x")
    db.initialize(server)
    try:
        status, find = run_doctor()
    finally:
        db.initialize(bound)
    assert status == 1
    assert "DATABASE_URL" in find("error", "database")
