"""`flask doctor`: a line for each part, with what to do about it; never a traceback, never a secret."""

from datetime import timedelta

import factories
import pytest

from models import Delivery, clock, db
from models.deliveries import outcomes
from ops import doctor
from storage import FolderStorage
from tests.delivery.mail_server import HOST, Mailbox, accepts, free_port, smtp_server

SECRET = "hard-to-guess"


@pytest.fixture
def examined(app):
    """Runs the command; its exit status and its lines, by state and part."""

    def run():
        result = app.test_cli_runner().invoke(args=["doctor"])
        assert "Traceback" not in result.output
        assert SECRET not in result.output
        lines = [line.split(maxsplit=1) for line in result.output.splitlines()]
        assert {state for state, _ in lines} <= {"ok", "warning", "wrong"}
        return result.exit_code, lines

    return run


@pytest.fixture
def setting(app, monkeypatch):
    return lambda name, value: monkeypatch.setitem(app.config, name, value)


def said(lines, state, part):
    """What is said of a part in that state."""
    return [text for found, text in lines if found == state and text.startswith(f"{part}: ")]


def test_a_new_installation_has_nothing_wrong(examined):
    status, lines = examined()
    assert status == 0
    for part in ("storage", "database", "migrations", "queue", "deliveries", "rate limits"):
        assert said(lines, "ok", part), part
    assert said(lines, "warning", "mail")
    assert any("BASE_URL" in text for text in said(lines, "warning", "settings"))


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("BASE_URL", "http://assess.example.com", "BASE_URL is not https"),
        ("BASE_URL", "https://assess.example.com", "TRUSTED_PROXIES is 0"),
        ("RATELIMIT_ENABLED", False, "RATELIMIT_ENABLED"),
        ("LOG_LEVEL", "DEBUG", "LOG_LEVEL"),
        ("DATABASE_POOL", 1, "DATABASE_POOL"),
    ],
)
def test_unusual_settings_are_told(examined, setting, name, value, advice):
    setting(name, value)
    _, lines = examined()
    assert any(advice in text for text in said(lines, "warning", "settings"))


def test_a_mail_server_that_takes_our_login_is_ok_and_gets_no_mail(examined, setting):
    mailbox = Mailbox()
    options = {"authenticator": accepts("user", SECRET), "auth_require_tls": False}
    with smtp_server(mailbox, **options) as port:
        setting("SMTP_URL", f"smtp://user:{SECRET}@{HOST}:{port}?tls=none")
        status, lines = examined()
        assert (status, len(said(lines, "ok", "mail"))) == (0, 1)
        setting("SMTP_URL", f"smtp://user:{SECRET}wrong@{HOST}:{port}?tls=none")
        status, lines = examined()
        assert (status, len(said(lines, "wrong", "mail"))) == (1, 1)
    assert mailbox.envelopes == []


def test_what_does_not_answer_is_wrong(examined, setting):
    setting("SMTP_URL", f"smtp://user:{SECRET}@{HOST}:{free_port()}")
    setting("RATELIMIT_STORAGE_URL", f"redis://:{SECRET}@{HOST}:{free_port()}")
    status, lines = examined()
    assert status == 1
    assert said(lines, "wrong", "mail")
    assert said(lines, "wrong", "rate limits")


def test_a_folder_that_takes_nothing_is_wrong(app, examined, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    folder = FolderStorage(tmp_path / "file" / "bundles", "http://localhost", lambda: b"")
    monkeypatch.setitem(app.extensions, "storage", folder)
    status, lines = examined()
    assert status == 1
    assert "BUNDLE_FOLDER" in said(lines, "wrong", "storage")[0]


def test_a_missing_migration_is_wrong(examined):
    db.execute_sql("DELETE FROM migrations")
    status, lines = examined()
    assert status == 1
    assert "flask db upgrade" in said(lines, "wrong", "migrations")[0]


def test_mails_that_wait_for_long_say_that_no_worker_runs(clock, assessment, examined):
    factories.make_key(assessment, "a@example.com")
    clock.fixed += timedelta(minutes=4)
    assert said(examined()[1], "ok", "queue")
    clock.fixed += timedelta(minutes=2)
    _, lines = examined()
    assert any("flask worker" in text for text in said(lines, "wrong", "queue"))


def test_an_event_without_a_seal_and_an_entry_without_a_link_say_so_too(clock, reviewer, session, examined):
    factories.add_event(session, factories.envelope())
    reviewer.post("/v1/issues", {"title": "One", "taskBrief": "Two"})
    clock.fixed += timedelta(hours=3)
    found = " ".join(said(examined()[1], "wrong", "queue"))
    assert "candidates' events to seal wait for 3 hours" in found
    assert "entries of the audit log to chain wait for 3 hours" in found


def test_what_failed_in_the_last_day_is_counted(clock, assessment, examined):
    outcomes.fail(
        Delivery.get_by_id(factories.make_key(assessment, "a@example.com").invitation_id), "550 no such user"
    )
    assert said(examined()[1], "warning", "deliveries")[0].startswith("deliveries: 1 failed")
    clock.fixed += timedelta(days=2)
    assert said(examined()[1], "ok", "deliveries")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True, scope="session")
def test_a_wrong_clock_is_wrong(app, examined):
    assert said(examined()[1], "ok", "clock")
    clock.fixed = clock.now() + timedelta(seconds=30)
    status, lines = examined()
    assert status == 1
    assert "NTP" in said(lines, "wrong", "clock")[0]


def test_little_room_on_the_disk_is_told(examined, monkeypatch):
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 2**60)
    assert said(examined()[1], "warning", "disk of the bundles")


@pytest.mark.slow
def test_a_database_that_is_away_is_wrong(app, examined):
    bound = db.obj
    db.initialize(type(bound)("/nowhere/x") if "Sqlite" in type(bound).__name__ else away())
    try:
        status, lines = examined()
    finally:
        db.initialize(bound)
    assert status == 1
    assert "DATABASE_URL" in said(lines, "wrong", "database")[0]


def away():
    """A PostgreSQL that has been away for long enough not to be waited for."""
    from models.base import Postgres

    server = Postgres("nothing", host=HOST, port=free_port(), user="nobody", password=SECRET)
    server._away_since = 0
    return server
