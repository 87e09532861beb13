"""Every operation and every command that changes something, or reads a candidate's record, leaves a row in the audit
log; the lists here say which ones need none, and why."""

import json
from datetime import timedelta

import pytest
from factories import envelope, make_assessment, make_closed_session, make_key, make_session

from delivery.worker import Worker
from models import AuditEntry, BundleUpload, CandidateKey, Session, WebhookDelivery, db, sessions
from models.webhooks import outcomes
from rules.retries import WebhookResponse
from tests.hostile.operations import DOCUMENT, operations
from tests.hostile.world import quick_on

# The event stream is the record itself: each event is kept as it came, sealed and signed (docs/integrity.md).
THE_RECORD_ITSELF = {"ingest", "ingestBatch"}
# Statistics, which are no reading of a record, and what the candidate's own client asks for while it works.
NO_READING = {"getSessionCohortStats"}
# Readings outside of /v1/sessions/{id} and /v1/candidates/{id}.
EXPORTS = {"getOwnData", "exportOwnData"}
CHANGING = [operation for operation in operations() if operation.method != "GET"]
READING = [operation for operation in operations() if operation.method == "GET"]


def action_of(operation):
    return DOCUMENT["paths"][operation.path][operation.method.lower()]["operationId"]


def rows():
    """(action, whose) of every row."""
    found = AuditEntry.select(AuditEntry.action, AuditEntry.organization).tuples()
    return sorted((action, str(organization)) for action, organization in found)


def noted(world, operation):
    """The actions that one call notes, and its status; all of it is undone."""
    with db.atomic() as undone:
        before = rows()
        answer = world.send(operation)
        answer.get_data()
        fresh = rows()
        undone.rollback()
    for one in before:
        fresh.remove(one)
    assert {whose for _, whose in fresh} <= {str(world.own.organization.id)}
    return [action for action, _ in fresh], answer.status_code


@quick_on("sqlite")
def test_every_operation_that_changes_something_is_noted_once(world):
    served = world.served()
    not_served = {action_of(operation) for operation in CHANGING if operation not in served}
    # Needs an address that the service signed, and has its own test.
    assert not_served == {"receiveBundle"}
    for operation in (operation for operation in CHANGING if operation in served):
        action = action_of(operation)
        expected = [] if action in THE_RECORD_ITSELF else [action]
        assert noted(world, operation)[0] == expected, operation


@quick_on("sqlite")
def test_every_reading_of_a_record_is_noted_once_and_a_list_is_not(world):
    for operation in READING:
        action = action_of(operation)
        is_a_record = (
            operation.path.startswith(("/v1/sessions/{", "/v1/candidates/{"))
            and "reviewerToken" in operation.callers
        )
        is_noted = (is_a_record and action not in NO_READING) or action in EXPORTS
        found, status = noted(world, operation)
        if status < 300:
            assert found == ([action] if is_noted else []), operation


@quick_on("sqlite")
def test_what_is_refused_is_noted_nowhere(world):
    for operation in operations():
        with db.atomic() as undone:
            before = rows()
            answer = world.send(operation, body=b"{", **{"Content-Type": "application/json"})
            if answer.status_code >= 400:
                assert rows() == before, operation
            undone.rollback()


def test_a_bundle_that_comes_is_noted(app, candidate, session, anonymous):
    place = candidate.post("/v1/candidate/upload-url", {"sessionId": str(session.id)}).json
    path = place["uploadUrl"].partition("/v1/")[2]
    assert anonymous.request("PUT", f"/v1/{path}", data=b"bundle").status_code == 200
    entry = AuditEntry.get(AuditEntry.action == "receiveBundle")
    assert (entry.actor_kind, entry.actor_id, entry.came_from) == ("candidate", candidate.row.id, None)


# What happens by itself


@pytest.mark.parametrize("who", ["worker", "reviewer"])
def test_a_close_by_the_limit_is_the_services_whoever_notices_it(app, clock, reviewer, organization, who):
    session = make_session(make_key(make_assessment(organization, time_limit_minutes=30)))
    clock.fixed += timedelta(minutes=36)
    if who == "worker":
        sessions.settle_all()
    else:
        reviewer.get(f"/v1/sessions/{session.id}")
    entry = AuditEntry.get(AuditEntry.action == "closeAtLimit")
    assert (entry.actor_kind, entry.actor_id, entry.subject_id) == ("service", None, session.id)


def test_a_receiver_that_is_gone_is_switched_off_by_the_service(world):
    outcomes.record(WebhookDelivery.claim(), WebhookResponse(status=410))
    entry = AuditEntry.get(AuditEntry.action == "disableWebhook")
    assert (entry.actor_kind, entry.subject_id) == ("service", world.own.ids["webhookId"])


def test_a_bundle_that_became_no_submission_is_removed_by_the_worker(app, clock, session):
    upload = BundleUpload.open(session, "unused.tar.gz")
    clock.fixed += timedelta(hours=26)
    Worker(app.config).run_once()
    entry = AuditEntry.get(AuditEntry.action == "removeUnusedUpload")
    assert (entry.actor_kind, entry.subject_id, entry.further_ids) == ("worker", session.id, [str(upload.id)])


# Commands

# What each command that changes something notes, with its arguments; `<name>` stands for one of the cast's.
COMMANDS = {
    "org create": (["Other Ltd"], ["createOrg"]),
    "org plan": (["<org>", "trial"], ["changePlan"]),
    "org subscription": (["<org>", "active"], ["changeSubscription"]),
    "token create": (["<org>"], ["createToken"]),
    "token revoke": (["<token>"], ["revokeToken"]),
    "issues import": (["<catalogue>"], ["importIssues"]),
    "sessions import": (["<recording>", "--org", "<org>"], ["createAssessment", "importSession"]),
    "sessions rederive": ([], ["rederiveSession"]),
    "deliveries bounce": (["alice@example.com"], ["markBounced"]),
    "retention run": (["--apply"], ["eraseCandidate"]),
}
# They look, or they change nothing of an organization's: the schema, or a whole installation with its log.
WITHOUT = {
    "db upgrade", "db status", "org list", "org show", "token list", "audit verify", "worker", "demo",
    "backup", "restore", "doctor", "cohorts verify", "cohorts rebuild", "run", "shell", "routes",
}  # fmt: skip


@pytest.fixture
def cast(app, clock, organization, reviewer, tmp_path):
    """What the commands' arguments name; one organization, with somebody whose data and numbers are due."""
    organization.update_columns(retention_days=30)
    session = make_closed_session(make_assessment(organization), envelope())
    clock.fixed += timedelta(days=31)
    Session.update(prompt_count=7).where(Session.id == session.id).execute()
    (tmp_path / "recording.jsonl").write_text(json.dumps(envelope()) + "\n")
    (tmp_path / "catalogue.yaml").write_text(
        f"issues: [{{id: {session.id}, title: One, taskBrief: Fix it.}}]"
    )
    assert CandidateKey.select().count() == 1
    return {
        "<org>": str(organization.id),
        "<token>": str(reviewer.row.id),
        "<catalogue>": str(tmp_path / "catalogue.yaml"),
        "<recording>": str(tmp_path / "recording.jsonl"),
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_changes_something_is_noted(app, cast, command):
    arguments, actions = COMMANDS[command]
    before = rows()
    named = [cast.get(argument, argument) for argument in arguments]
    answer = app.test_cli_runner().invoke(args=[*command.split(), *named])
    assert answer.exit_code == 0, answer.output
    fresh = [action for action, _ in rows()]
    for action, _ in before:
        fresh.remove(action)
    assert fresh == actions
    assert set(AuditEntry.select(AuditEntry.actor_kind).distinct().tuples()) == {("command",)}


def test_no_command_is_forgotten(app_on_database):
    known = {
        f"{name} {child}" if child else name
        for name in app_on_database.cli.list_commands(None)
        for child in getattr(app_on_database.cli.get_command(None, name), "commands", {None: None})
    }
    assert known - set(COMMANDS) - WITHOUT == set()
