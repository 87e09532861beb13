"""The `flask` commands. tests/ops covers the larger ones."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from bundle_stores import use_folder
from callers import Caller
from conftest import LEDGER_KEYS
from factories import add_event, envelope, make_assessment, make_key, make_organization, make_session

import cli
import migrations
from models import ApiToken, Delivery, Issue, Organization, Session
from models.base import db, is_postgres
from ops import admin
from rules import api_tokens, plans
from storage.base import MARKER

UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"
ENTRY = "{id: 0192e1c0-0000-7000-8000-000000000001, title: Lost orders, taskBrief: Find them.}"
ENTRY_AS_JSON = '{"id": "0192e1c0-0000-7000-8000-000000000001", "title": "Lost orders", "taskBrief": "Find."}'


def test_every_command_has_help(flask):
    for group in cli.GROUPS:
        assert group.help
        for command in group.commands.values():
            assert command.help.split("\n")[0] in " ".join(flask(group.name, command.name, "--help").split())


def test_upgrade_does_nothing_if_the_database_is_current(flask):
    assert flask("db", "upgrade") == "Nothing to apply.\n"
    files = sorted(file.stem for file in migrations.FOLDER.glob("[0-9]*.py"))
    assert flask("db", "status").splitlines() == [f"applied  {name}" for name in files]


@pytest.mark.parametrize(
    ("migration", "reason"),
    [
        ("0001_initial", "This database is from before 1.0.0 and can't be upgraded."),
        ("9999_later", "This database is from a newer version of Proofstone: it contains 9999_later."),
    ],
)
def test_upgrade_rejects_unknown_migrations(flask, app, migration, reason):
    db.execute_sql(f"INSERT INTO migrations (name, applied) VALUES ('{migration}', '2026-01-01')")
    db.execute_sql("DELETE FROM migrations WHERE name = '0001_tables_and_ledger'")
    assert reason in flask("db", "upgrade", fails=True)
    assert "missing  0001_tables_and_ledger" in flask("db", "status", fails=True)


def test_upgrade_accepts_a_newer_database_after_a_rollback(flask, caplog):
    db.execute_sql("INSERT INTO migrations (name, applied) VALUES ('9999_later', '2026-01-01')")
    assert flask("db", "upgrade") == "Nothing to apply.\n"
    assert "from a newer version of Proofstone: it contains 9999_later" in caplog.text


def test_a_failed_migration_is_named(flask, tmp_path, monkeypatch):
    (tmp_path / "9999_later.py").write_text(
        'from migrations import execute\n\ndef up(migrator, db):\n    execute("ALTER TABLE nothing ADD a TEXT")\n'
    )
    for file in migrations.FOLDER.glob("[0-9]*.py"):
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(migrations, "FOLDER", tmp_path)
    output = flask("db", "upgrade", fails=True)
    assert re.search("Error: 9999_later failed: .*nothing.*\\. Earlier migrations are applied\\.", output)


def environment_for(folder):
    settings = {"DATABASE_URL": f"sqlite:///{folder}/proofstone.db", "LEDGER_KEYS": LEDGER_KEYS}
    return os.environ | settings


def test_a_mistyped_database_is_an_error_and_not_created(tmp_path):
    command = [sys.executable, "-m", "flask", "org", "list"]
    result = subprocess.run(command, env=environment_for(tmp_path), capture_output=True, text=True)
    remedy = "Check that the database is running and that DATABASE_URL is correct."
    assert result.stderr == f"Error: no such file: {tmp_path}/proofstone.db. {remedy}\n"
    assert result.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_sqlite_files_are_private_with_any_umask(tmp_path):
    environment = environment_for(tmp_path)
    command = [sys.executable, "-m", "flask", "db", "upgrade"]
    subprocess.run(command, env=environment, check=True, capture_output=True, umask=0)
    # Closing the last connection would delete the write-ahead log.
    with closing(sqlite3.connect(tmp_path / "proofstone.db")) as connection:
        connection.execute("CREATE TABLE t (c)")
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert {"proofstone.db", "proofstone.db-wal", "proofstone.db-shm"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_backup_writes_one_file_on_sqlite_and_refers_to_pg_dump_on_postgresql(
    flask, app, tmp_path, monkeypatch
):
    file = tmp_path / "proofstone.tar"
    if is_postgres():
        file.touch()
        for arguments in (["backup", tmp_path / "new"], ["restore", file]):
            output = flask(*arguments, fails=True)
            assert "pg_dump and pg_restore" in output
            assert "docs/backup.md" in output
        return
    assert f"Backed up the database and 0 bundles to {file}." in flask("backup", file)
    assert "--overwrite" in flask("backup", file, fails=True)
    assert flask("backup", file, "--overwrite")
    output = flask("backup", tmp_path / "nowhere" / "proofstone.tar", fails=True)
    assert f"The folder {tmp_path / 'nowhere'} does not exist." in output
    use_folder(app, tmp_path / "unmounted", monkeypatch)
    (tmp_path / "unmounted" / MARKER).unlink()
    assert "The bundle store has no marker" in flask("backup", file, "--overwrite", fails=True)


@pytest.mark.parametrize("arguments", [[], *(["--plan", plan] for plan in plans.QUOTAS)])
def test_org_create_prints_the_first_token(app, clock, flask, arguments):
    plan = arguments[-1] if arguments else "self_hosted"
    *_, token = flask("org", "create", "Acme Ltd", *arguments).splitlines()
    org = Caller(app, Authorization=f"Bearer {token}").get("/v1/org").json["org"]
    assert (org["name"], org["plan"]) == ("Acme Ltd", plan)
    state, trial_ends_at = ("trialing", "2026-04-15T09:00:00.000Z") if plan == "trial" else ("active", None)
    assert org["subscription"] == {"state": state, "trialEndsAt": trial_ends_at}


@pytest.mark.parametrize(
    "arguments",
    [
        ["org", "create"], ["org", "create", "New", "--plan", "gold"], ["org", "create", "  "],
        ["org", "create", "a\nb"], ["org", "subscription", "Acme", "paid"],
        ["org", "subscription", "Acme", "active", "--until", "2026-04-30"],
        ["org", "subscription", "Acme", "trialing", "--until", "soon"], ["token", "create", "Nobody"],
        ["token", "create", "Acme", "--scope", "admin"], ["token", "create", "Acme", "--expires", "0"],
    ],
)  # fmt: skip
def test_commands_reject_invalid_arguments(flask, organization, arguments):
    flask(*arguments, fails=True)
    assert [(row.name, row.subscription) for row in Organization.select()] == [("Acme", "active")]
    assert ApiToken.select().count() == 1


def test_org_list_and_org_show(flask, organization):
    make_organization("Second", "trial")
    first, second = flask("org", "list").splitlines()
    assert str(organization.id) in first
    assert "Second" in second
    assert "trialing until" in second
    assert flask("org", "show", "Acme") == flask("org", "show", organization.id)
    assert "First token" in flask("org", "show", organization.id)


@pytest.mark.parametrize("command", [["show"], ["plan", "starter"], ["subscription", "active"]])
def test_an_unknown_or_ambiguous_organization_is_rejected(flask, organization, command):
    name, *rest = command
    make_organization("Acme")
    assert "No such organization: Nobody." in flask("org", name, "Nobody", *rest, fails=True)
    assert "Several organizations are named Acme" in flask("org", name, "Acme", *rest, fails=True)
    assert {(row.plan, row.subscription) for row in Organization.select()} == {("self_hosted", "active")}


@pytest.mark.parametrize("state", [*plans.SUBSCRIPTION_STATES, "none"])
def test_plan_and_subscription_can_be_updated(flask, organization, state):
    flask("org", "plan", "Acme", "growth")
    flask("org", "subscription", "Acme", state)
    row = Organization.get()
    assert (row.plan, row.subscription) == ("growth", None if state == "none" else state)


@pytest.mark.parametrize(("plan", "has_effect"), [("self_hosted", False), ("starter", True)])
def test_a_subscription_without_effect_prints_a_note(app, flask, organization, plan, has_effect):
    flask("org", "plan", "Acme", plan)
    stderr = app.test_cli_runner().invoke(args=["org", "subscription", "Acme", "canceled"]).stderr
    assert ("needs no subscription" not in stderr) == has_effect


def test_a_trial_includes_its_last_day(clock, flask, organization):
    flask("org", "subscription", "Acme", "trialing", "--until", "2026-04-30")
    assert Organization.get().trial_ends_at == datetime(2026, 5, 1, tzinfo=UTC)


def test_bootstrap_creates_only_the_first_organization(app):
    token = admin.bootstrap()
    assert Caller(app, Authorization=f"Bearer {token}").get("/v1/org").status_code == 200
    assert admin.bootstrap() is None
    assert Organization.select().count() == 1


@pytest.mark.parametrize(("scope", "status"), [("read", 403), ("write", 201)])
def test_token_create_prints_only_a_token_with_its_scope(app, flask, organization, scope, status):
    token = flask("token", "create", "Acme", "--scope", scope).removesuffix("\n")
    assert api_tokens.is_well_formed(token)
    body = {"title": "One more", "role": "Engineer", "taskBrief": "Fix it."}
    assert Caller(app, Authorization=f"Bearer {token}").post("/v1/assessments", body).status_code == status


def test_token_create_sets_name_and_expiry(clock, flask, organization):
    secret = flask("token", "create", organization.id, "--name", "Nightly", "--expires", 30).strip()
    row = ApiToken.get(ApiToken.name == "Nightly")
    assert (row.scope, row.expires_at) == ("write", clock.now() + timedelta(days=30))
    output = flask("token", "list", "Acme")
    assert f"psk_live_...{secret[-4:]}  write  until 2026-05-01T09:00:00.000Z  Nightly" in output
    assert "write  valid  First token" in output
    assert secret not in output


def test_token_revoke_revokes_even_the_last_token(flask, reviewer):
    for row in ApiToken.select():
        assert "Revoked" in flask("token", "revoke", row.id)
    assert reviewer.get("/v1/me").status_code == 401
    for token_id in ("nonsense", UNKNOWN_ID):
        assert f"No such token: {token_id}." in flask("token", "revoke", token_id, fails=True)


@pytest.mark.parametrize("catalog", [f"issues: [{ENTRY}]", '{"issues": [' + ENTRY_AS_JSON + "]}"])
def test_an_issue_catalog_can_be_imported_repeatedly(flask, tmp_path, catalog):
    (tmp_path / "catalog.yaml").write_text(catalog)
    for _ in range(2):
        assert flask("issues", "import", tmp_path / "catalog.yaml") == "Imported 1 issues.\n"
    (issue,) = Issue.select()
    assert (issue.title, issue.organization_id) == ("Lost orders", None)


@pytest.mark.parametrize(
    "catalog",
    [
        "", "[]", "issues: x", "issues: [{}]", "issues: [1]", "{", "\t", "issues: [{title: x, taskBrief: y}]",
        f"issues: [{ENTRY}, {ENTRY}]", f"issues: [{ENTRY}, {{title: x}}]",
    ],
)  # fmt: skip
def test_an_invalid_issue_catalog_is_not_imported(flask, tmp_path, catalog):
    file = tmp_path / "catalog.yaml"
    assert str(file) in flask("issues", "import", file, fails=True)
    file.write_text(catalog)
    assert str(file) in flask("issues", "import", file, fails=True)
    assert Issue.select().count() == 0


def test_the_starter_issue_catalog_can_be_imported(flask):
    flask("issues", "import", admin.CATALOG)
    issues = list(Issue.select())
    external = [issue for issue in issues if issue.repo_url]
    assert len(external) >= 8
    assert len(issues) == len(external) + 2  # data/problems/
    for issue in external:
        assert all([issue.repo_commit, issue.reference_sha, issue.sources]), issue.title


def test_worker_once_processes_due_work_and_stops(clock, flask, organization):
    session = make_session(make_key(make_assessment(organization, time_limit_minutes=30)))
    add_event(session, envelope("prompt"))
    clock.fixed += timedelta(minutes=35)
    make_key(session.assessment, email="bob@example.com")
    flask("worker", "--once")
    assert Session.get_by_id(session.id).prompt_count == 1
    assert sorted(row.state for row in Delivery.select()) == ["canceled", "saved"]
