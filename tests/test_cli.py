"""The command line: each command parses, calls one verb, prints."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from callers import Caller
from factories import add_event, envelope, make_assessment, make_key, make_organization, make_session

import cli
import migrations
from models import ApiToken, Delivery, Issue, Organization, Session
from models.base import is_postgres
from rules import api_tokens, plans

RECORDING = [envelope("session_start"), envelope("prompt", at=60), envelope("file_diff", at=90)]


@pytest.fixture
def refused(app):
    """Runs a `flask` command that fails and returns what it said; never a traceback."""

    def run(*arguments):
        result = app.test_cli_runner().invoke(args=[str(argument) for argument in arguments])
        assert result.exit_code in (1, 2), result.output
        assert "Traceback" not in result.output
        return result.output

    return run


# flask db


def test_upgrading_a_database_that_is_up_to_date_does_nothing(flask):
    assert flask("db", "upgrade") == "nothing to do\n"
    assert migrations.upgrade() == []


def test_the_status_lists_every_migration(flask):
    lines = flask("db", "status").splitlines()
    files = sorted(file.stem for file in migrations.FOLDER.glob("[0-9]*.py"))
    assert lines == [f"applied  {name}" for name in files]


# A database of its own, which nobody has made yet


@pytest.fixture
def on_nothing(tmp_path):
    """What `flask org list` says where there is no database yet, nor its folder."""
    environment = os.environ | {"DATABASE_URL": f"sqlite:///{tmp_path}/var/proofstone.db"}
    command = [sys.executable, "-m", "flask", "org", "list"]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_database_that_was_never_made_is_said_in_one_sentence(on_nothing):
    assert on_nothing.returncode == 1
    assert on_nothing.stderr.splitlines() == [
        "Error: The database cannot be used: no such table: organizations. "
        "Is DATABASE_URL right, and was `flask db upgrade` run?"
    ]


def test_nobody_else_can_look_into_the_folder_of_a_new_database(on_nothing, tmp_path):
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700


# flask backup and flask restore (tests/ops/test_backup.py has what they promise)


def test_on_postgresql_its_own_tools_are_named(app, refused, tmp_path):
    if not is_postgres():
        pytest.skip("SQLite has a backup of its own.")
    (tmp_path / "there").write_bytes(b"")
    for arguments in (["backup", tmp_path / "new"], ["restore", tmp_path / "there"]):
        said = refused(*arguments)
        assert "pg_dump and pg_restore" in said
        assert "docs/backup.md" in said


def test_on_sqlite_a_backup_is_one_file(app, flask, refused, tmp_path):
    if is_postgres():
        pytest.skip("PostgreSQL has tools of its own.")
    file = tmp_path / "proofstone.tar"
    assert f"{file}: the database, 0 bundles." in flask("backup", file)
    assert "--overwrite" in refused("backup", file)
    assert flask("backup", file, "--overwrite")


def test_what_the_disk_says_against_it_is_said_in_a_sentence(app, refused, tmp_path):
    if is_postgres():
        pytest.skip("PostgreSQL has tools of its own.")
    assert "No such file or directory" in refused("backup", tmp_path / "nowhere" / "proofstone.tar")


# flask org


@pytest.mark.parametrize("plan", plans.QUOTAS)
def test_a_new_organization_comes_with_its_first_token(app, clock, flask, plan):
    *_, token = flask("org", "create", "Acme Ltd", "--plan", plan).splitlines()
    org = Caller(app, Authorization=f"Bearer {token}").get("/v1/org").json["org"]
    assert (org["name"], org["plan"]) == ("Acme Ltd", plan)
    state, ends = ("trialing", "2026-04-15T09:00:00.000Z") if plan == "trial" else ("active", None)
    assert org["subscription"] == {"state": state, "trialEndsAt": ends}


def test_the_plan_is_self_hosted_unless_given(flask):
    flask("org", "create", "Acme")
    assert Organization.get().plan == "self_hosted"


@pytest.mark.parametrize(
    "arguments", [["create"], ["create", "Acme", "--plan", "gold"], ["create", "  "], ["create", "a\nb"]]
)
def test_an_organization_needs_a_name_and_a_plan_that_exists(refused, arguments):
    refused("org", *arguments)
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


@pytest.mark.parametrize("arguments", [["show"], ["plan", "starter"], ["subscription", "active"]])
def test_an_unknown_organization_is_said_to_be_unknown(refused, arguments):
    command, *rest = arguments
    assert "Nobody" in refused("org", command, "Nobody", *rest)


def test_of_several_with_one_name_none_is_guessed(refused, organization):
    make_organization("Acme")
    assert "Several organizations are called Acme" in refused("org", "plan", "Acme", "starter")
    assert {row.plan for row in Organization.select()} == {"self_hosted"}


def test_the_plan_changes(flask, organization):
    flask("org", "plan", "Acme", "growth")
    assert Organization.get().plan == "growth"


@pytest.mark.parametrize("state", [*plans.SUBSCRIPTION_STATES, "none"])
def test_the_subscription_changes(flask, organization, state):
    flask("org", "subscription", "Acme", state)
    assert Organization.get().subscription == (None if state == "none" else state)


@pytest.mark.parametrize(("plan", "counts"), [("self_hosted", False), ("starter", True)])
def test_a_subscription_that_counts_for_nothing_yet_is_said_to(app, flask, organization, plan, counts):
    flask("org", "plan", "Acme", plan)
    said = app.test_cli_runner().invoke(args=["org", "subscription", "Acme", "canceled"]).stderr
    assert ("needs no subscription" not in said) == counts


def test_a_trial_lasts_through_its_last_day(clock, flask, organization):
    flask("org", "subscription", "Acme", "trialing", "--until", "2026-04-30")
    assert Organization.get().trial_ends_at == datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "arguments", [["paid"], ["active", "--until", "2026-04-30"], ["trialing", "--until", "soon"]]
)
def test_a_wrong_subscription_is_refused(refused, organization, arguments):
    refused("org", "subscription", "Acme", *arguments)
    assert Organization.get().subscription == "active"


# flask token


@pytest.mark.parametrize(("scope", "status"), [("read", 403), ("write", 201)])
def test_a_token_is_printed_alone_and_works(app, flask, organization, scope, status):
    token = flask("token", "create", "Acme", "--scope", scope).removesuffix("\n")
    assert api_tokens.is_well_formed(token)
    body = {"title": "One more", "role": "Engineer", "taskBrief": "Fix it."}
    assert Caller(app, Authorization=f"Bearer {token}").post("/v1/assessments", body).status_code == status


def test_a_token_may_write_unless_said_otherwise_and_has_a_name_and_an_end(clock, flask, organization):
    flask("token", "create", organization.id, "--name", "Nightly", "--expires", 30)
    row = ApiToken.get(ApiToken.name == "Nightly")
    assert (row.scope, row.expires_at) == ("write", clock.now() + timedelta(days=30))


@pytest.mark.parametrize("arguments", [["Nobody"], ["Acme", "--scope", "admin"], ["Acme", "--expires", "0"]])
def test_a_wrong_token_is_not_made(refused, organization, arguments):
    refused("token", "create", *arguments)
    assert ApiToken.select().count() == 1


def test_tokens_are_listed_without_their_secret(flask, organization):
    secret = flask("token", "create", "Acme", "--name", "Nightly", "--scope", "read").strip()
    lines = flask("token", "list", "Acme")
    assert secret not in lines
    assert f"psk_live_...{secret[-4:]}  read  valid  Nightly" in lines


def test_a_token_is_revoked_even_the_last_one(app, flask, reviewer):
    for row in ApiToken.select():
        assert "Revoked" in flask("token", "revoke", row.id)
    assert reviewer.get("/v1/me").status_code == 401


@pytest.mark.parametrize("wrong", ["nonsense", "00000000-0000-7000-8000-000000000000"])
def test_an_unknown_token_is_said_to_be_unknown(refused, wrong):
    assert wrong in refused("token", "revoke", wrong)


# flask issues


def catalogue(folder, text):
    file = folder / "catalogue.yaml"
    file.write_text(text)
    return file


ENTRY = "{id: 0192e1c0-0000-7000-8000-000000000001, title: Lost orders, taskBrief: Find them.}"


def test_a_catalogue_is_imported_and_importing_it_again_is_safe(flask, tmp_path):
    file = catalogue(tmp_path, f"issues: [{ENTRY}]")
    for _ in range(2):
        assert flask("issues", "import", file) == "Imported 1 issues.\n"
    (issue,) = Issue.select()
    assert (issue.title, issue.organization_id) == ("Lost orders", None)


def test_a_catalogue_may_be_json(flask, tmp_path):
    entry = {"id": "0192e1c0-0000-7000-8000-000000000001", "title": "Lost orders", "taskBrief": "Find them."}
    assert (
        flask("issues", "import", catalogue(tmp_path, json.dumps({"issues": [entry]})))
        == "Imported 1 issues.\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "issues: x", "issues: [{}]", "issues: [1]", "{", "\t", "issues: [{title: x, taskBrief: y}]",
        f"issues: [{ENTRY}, {ENTRY}]", f"issues: [{ENTRY}, {{title: x}}]",
    ],
)  # fmt: skip
def test_what_is_no_catalogue_is_refused_whole(refused, tmp_path, text):
    file = catalogue(tmp_path, text)
    assert str(file) in refused("issues", "import", file)
    assert Issue.select().count() == 0


def test_a_missing_file_is_named(refused, tmp_path):
    assert "nowhere.yaml" in refused("issues", "import", tmp_path / "nowhere.yaml")


def test_the_starter_catalogue_comes_in(flask):
    flask("issues", "import", cli.CATALOGUE)
    issues = list(Issue.select())
    assert len(issues) >= 8
    assert all(
        issue.repo_url and issue.repo_commit and issue.reference_sha and issue.sources for issue in issues
    )


# flask sessions


def recording(folder, *lines, name="one.jsonl"):
    file = Path(folder) / name
    file.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return file


def test_recordings_become_sessions_of_a_new_assessment(flask, organization, tmp_path):
    files = [recording(tmp_path, *RECORDING), recording(tmp_path, RECORDING[0], name="two.jsonl")]
    printed = flask("sessions", "import", *files)
    first, second = Session.select().order_by(Session.id)
    assert (first.assessment_id, first.duration_ms, first.prompt_count) == (second.assessment_id, 90_000, 1)
    assert str(first.assessment_id) in printed


def test_recordings_go_into_a_given_assessment(flask, assessment, tmp_path):
    flask("sessions", "import", recording(tmp_path, *RECORDING), "--assessment", assessment.id)
    assert Session.get().assessment_id == assessment.id


@pytest.mark.parametrize(
    ("broken", "line"), [("{\n", 4), ("[]\n", 4), ('{"id": "1"}\n', 4), ("\n\n{}\n", 6), ("\x00\n", 4)]
)
def test_a_broken_line_is_named_and_nothing_of_its_file_is_kept(
    refused, organization, tmp_path, broken, line
):
    file = recording(tmp_path, *RECORDING, broken)
    assert f"{file}, line {line}: " in refused("sessions", "import", file)
    assert Session.select().count() == 0


def test_a_broken_file_keeps_no_other_out(refused, organization, tmp_path):
    whole, broken = recording(tmp_path, *RECORDING), recording(tmp_path, "{", name="two.jsonl")
    assert "two.jsonl" in refused("sessions", "import", broken, whole)
    assert Session.get().prompt_count == 1


def test_an_unknown_assessment_is_said_to_be_unknown(refused, organization, tmp_path):
    assert "nonsense" in refused("sessions", "import", recording(tmp_path), "--assessment", "nonsense")


# flask worker


def test_the_worker_does_what_is_due_and_stops(app, clock, flask, organization):
    assessment = make_assessment(organization, time_limit_minutes=30)
    session = make_session(make_key(assessment))
    add_event(session, envelope("prompt"))
    clock.fixed += timedelta(minutes=35)
    make_key(assessment, email="bob@example.com")
    flask("worker", "--once")
    assert Session.get_by_id(session.id).prompt_count == 1
    assert {row.state for row in Delivery.select()} <= {"saved", "canceled"}
    assert Delivery.select().where(Delivery.state == "saved").count() == 1


# A fresh installation


def test_preparing_makes_the_first_organization_once(app):
    token = cli.prepare()
    assert Caller(app, Authorization=f"Bearer {token}").get("/v1/org").status_code == 200
    assert cli.prepare() is None
    assert Organization.select().count() == 1


def test_every_command_explains_itself(flask, app_on_database):
    found = [app_on_database.cli.get_command(None, name) for name in app_on_database.cli.list_commands(None)]
    groups = [command for command in found if isinstance(command, cli.Group)]
    assert groups
    for group in groups:
        assert group.help
        for command in group.commands.values():
            assert command.help
            assert command.help.split("\n")[0] in " ".join(flask(group.name, command.name, "--help").split())
