"""The `flask` commands: arguments, output, effect and failures; tests/ops has the details of the larger ones."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from callers import Caller
from factories import add_event, envelope, make_assessment, make_key, make_organization, make_session

import cli
import migrations
from models import ApiToken, Delivery, Issue, Organization, Session
from models.base import is_postgres
from ops import admin
from rules import api_tokens, plans

UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def failing(app):
    """Run a `flask` command that fails without a traceback; returns its output."""

    def run(*arguments):
        result = app.test_cli_runner().invoke(args=[str(argument) for argument in arguments])
        assert result.exit_code in (1, 2), result.output
        assert "Traceback" not in result.output
        return result.output

    return run


def test_upgrading_an_up_to_date_database_does_nothing_and_the_status_lists_every_migration(flask):
    assert flask("db", "upgrade") == "Nothing to apply.\n"
    files = sorted(file.stem for file in migrations.FOLDER.glob("[0-9]*.py"))
    assert flask("db", "status").splitlines() == [f"applied  {name}" for name in files]


def test_a_command_without_a_database_fails_with_one_sentence_and_creates_a_private_folder(tmp_path):
    environment = os.environ | {"DATABASE_URL": f"sqlite:///{tmp_path}/var/proofstone.db"}
    command = [sys.executable, "-m", "flask", "org", "list"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (
        1,
        "Error: The database is not usable: no such table: organizations. "
        "Check DATABASE_URL and run `flask db upgrade`.\n",
    )
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700


def test_a_backup_is_one_file_on_sqlite_and_a_matter_of_pg_dump_on_postgresql(flask, failing, tmp_path):
    file, existing = tmp_path / "proofstone.tar", tmp_path / "existing"
    existing.touch()
    if is_postgres():
        for output in (failing("backup", file), failing("restore", existing)):
            assert "pg_dump and pg_restore (docs/backup.md)" in output
        return
    assert f"{file}: the database, 0 bundles." in flask("backup", file)
    assert "--overwrite" in failing("backup", file)
    assert flask("backup", file, "--overwrite")
    assert "No such file or directory" in failing("backup", tmp_path / "nowhere" / "proofstone.tar")


@pytest.mark.parametrize("arguments", [[], *(["--plan", plan] for plan in plans.QUOTAS)])
def test_creating_an_organization_prints_its_first_token(app, clock, flask, arguments):
    plan = arguments[-1] if arguments else "self_hosted"
    *_, token = flask("org", "create", "Acme Ltd", *arguments).splitlines()
    org = Caller(app, Authorization=f"Bearer {token}").get("/v1/org").json["org"]
    assert (org["name"], org["plan"]) == ("Acme Ltd", plan)
    state, ends = ("trialing", "2026-04-15T09:00:00.000Z") if plan == "trial" else ("active", None)
    assert org["subscription"] == {"state": state, "trialEndsAt": ends}


@pytest.mark.parametrize(
    "arguments", [["create"], ["create", "Acme", "--plan", "gold"], ["create", "  "], ["create", "a\nb"]]
)
def test_an_organization_needs_a_valid_name_and_plan(failing, arguments):
    failing("org", *arguments)
    assert Organization.select().count() == 0


def test_organizations_are_listed_and_shown(flask, organization):
    make_organization("Second", "trial")
    first, second = flask("org", "list").splitlines()
    assert str(organization.id) in first
    assert "Second" in second
    assert "trialing until" in second
    by_name, by_id = flask("org", "show", "Acme"), flask("org", "show", organization.id)
    assert by_name == by_id
    assert "First token" in by_id


def test_an_unknown_organization_or_an_ambiguous_name_is_reported(failing, organization):
    make_organization("Acme")
    for command, *rest in (["show"], ["plan", "starter"], ["subscription", "active"]):
        assert "No such organization: Nobody." in failing("org", command, "Nobody", *rest)
        assert "Several organizations are named Acme" in failing("org", command, "Acme", *rest)
    assert {row.plan for row in Organization.select()} == {"self_hosted"}


def test_the_plan_can_be_changed(flask, organization):
    flask("org", "plan", "Acme", "growth")
    assert Organization.get().plan == "growth"


@pytest.mark.parametrize("state", [*plans.SUBSCRIPTION_STATES, "none"])
def test_the_subscription_can_be_changed(flask, organization, state):
    flask("org", "subscription", "Acme", state)
    assert Organization.get().subscription == (None if state == "none" else state)


@pytest.mark.parametrize(("plan", "has_effect"), [("self_hosted", False), ("starter", True)])
def test_a_subscription_without_effect_is_reported(app, flask, organization, plan, has_effect):
    flask("org", "plan", "Acme", plan)
    stderr = app.test_cli_runner().invoke(args=["org", "subscription", "Acme", "canceled"]).stderr
    assert ("needs no subscription" not in stderr) == has_effect


def test_a_trial_includes_its_last_day(clock, flask, organization):
    flask("org", "subscription", "Acme", "trialing", "--until", "2026-04-30")
    assert Organization.get().trial_ends_at == datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "arguments", [["paid"], ["active", "--until", "2026-04-30"], ["trialing", "--until", "soon"]]
)
def test_an_invalid_subscription_is_refused(failing, organization, arguments):
    failing("org", "subscription", "Acme", *arguments)
    assert Organization.get().subscription == "active"


@pytest.mark.parametrize(("scope", "status"), [("read", 403), ("write", 201)])
def test_a_created_token_is_the_only_output_and_has_its_scope(app, flask, organization, scope, status):
    token = flask("token", "create", "Acme", "--scope", scope).removesuffix("\n")
    assert api_tokens.is_well_formed(token)
    body = {"title": "One more", "role": "Engineer", "taskBrief": "Fix it."}
    assert Caller(app, Authorization=f"Bearer {token}").post("/v1/assessments", body).status_code == status


def test_tokens_have_name_scope_and_expiry_and_are_listed_without_their_secret(clock, flask, organization):
    secret = flask("token", "create", organization.id, "--name", "Nightly", "--expires", 30).strip()
    row = ApiToken.get(ApiToken.name == "Nightly")
    assert (row.scope, row.expires_at) == ("write", clock.now() + timedelta(days=30))
    lines = flask("token", "list", "Acme")
    assert secret not in lines
    assert f"psk_live_...{secret[-4:]}  write  until 2026-05-01T09:00:00.000Z  Nightly" in lines


@pytest.mark.parametrize("arguments", [["Nobody"], ["Acme", "--scope", "admin"], ["Acme", "--expires", "0"]])
def test_an_invalid_token_is_not_created(failing, organization, arguments):
    failing("token", "create", *arguments)
    assert ApiToken.select().count() == 1


def test_even_the_last_token_can_be_revoked(flask, failing, reviewer):
    for token_id in ("nonsense", UNKNOWN_ID):
        assert f"No such token: {token_id}." in failing("token", "revoke", token_id)
    for row in ApiToken.select():
        assert "Revoked" in flask("token", "revoke", row.id)
    assert reviewer.get("/v1/me").status_code == 401
    assert "revoked" in flask("token", "list", "Acme")


ENTRY = "{id: 0192e1c0-0000-7000-8000-000000000001, title: Lost orders, taskBrief: Find them.}"
JSON = (
    '{"issues": [{"id": "0192e1c0-0000-7000-8000-000000000001", "title": "Lost orders", "taskBrief": "x"}]}'
)


@pytest.fixture
def catalogue(tmp_path):
    """Write a catalogue: `catalogue(text)` returns its path."""

    def write(text):
        file = tmp_path / "catalogue.yaml"
        file.write_text(text)
        return file

    return write


def test_a_catalogue_can_be_imported_repeatedly(flask, catalogue):
    for text in (f"issues: [{ENTRY}]", JSON):
        assert flask("issues", "import", catalogue(text)) == "Imported 1 issues.\n"
    (issue,) = Issue.select()
    assert (issue.title, issue.task_brief, issue.organization_id) == ("Lost orders", "x", None)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "issues: x", "issues: [{}]", "issues: [1]", "{", "\t", "issues: [{title: x, taskBrief: y}]",
        f"issues: [{ENTRY}, {ENTRY}]", f"issues: [{ENTRY}, {{title: x}}]",
    ],
)  # fmt: skip
def test_nothing_of_an_invalid_catalogue_is_imported(failing, catalogue, text):
    file = catalogue(text)
    assert str(file) in failing("issues", "import", file)
    assert Issue.select().count() == 0


def test_the_starter_catalogue_can_be_imported(flask):
    flask("issues", "import", admin.CATALOGUE)
    issues = list(Issue.select())
    assert len(issues) >= 8
    for issue in issues:
        assert all([issue.repo_url, issue.repo_commit, issue.reference_sha, issue.sources]), issue.title


def test_the_worker_does_what_is_due_and_stops(clock, flask, organization):
    session = make_session(make_key(make_assessment(organization, time_limit_minutes=30)))
    add_event(session, envelope("prompt"))
    clock.fixed += timedelta(minutes=35)
    make_key(session.assessment, email="bob@example.com")
    flask("worker", "--once")
    assert Session.get_by_id(session.id).prompt_count == 1
    assert sorted(row.state for row in Delivery.select()) == ["canceled", "saved"]


def test_bootstrapping_creates_the_first_organization_once(app):
    token = admin.bootstrap()
    assert Caller(app, Authorization=f"Bearer {token}").get("/v1/org").status_code == 200
    assert admin.bootstrap() is None
    assert Organization.select().count() == 1


def test_every_command_has_a_help_text(flask, app_on_database):
    commands = app_on_database.cli
    groups = [commands.get_command(None, name) for name in commands.list_commands(None)]
    groups = [group for group in groups if isinstance(group, cli.Group)]
    assert groups
    for group in groups:
        assert group.help
        for command in group.commands.values():
            assert command.help.split("\n")[0] in " ".join(flask(group.name, command.name, "--help").split())
