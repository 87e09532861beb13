"""Every change, and every read of a candidate's data, has one audit entry.

The lists below name the exceptions.
"""

import json
from collections import Counter
from datetime import timedelta

import pytest
from factories import envelope, make_assessment, make_closed_session, make_key, make_session

from delivery.worker import Worker
from models import AuditEntry, BundleUpload, CandidateKey, RunnerToken, Session, WebhookDelivery, db, sessions
from models.webhooks import outcomes
from rules.delivery.retries import WebhookResponse
from tests.hostile.operations import DOCUMENT, HAS_INTEGRATIONS, operations

# The ledger protects events without audit entries (docs/integrity.md). A heartbeat changes only a lease.
EVENT_STREAM = {"ingestEvent", "ingestBatch", "recordClaudeCodeHook", "recordCodexHook", "recordOpencodeHook"}
EVENT_STREAM |= {"renewJob"}
# Statistics are not a candidate's data. Bundles are not found, because none was submitted.
NOT_RECORDED = {"getSessionCohortStats", "downloadBundle", "listBundleFiles", "downloadSubmission"}
# Reads of candidates' data outside /v1/sessions/{id} and /v1/candidates/{id}.
EXPORTS = {"getOwnData", "exportOwnData", "exportCandidates", "exportResults", "exportCompliance"}
CHANGING = [operation for operation in operations() if operation.method != "GET"]
READING = [operation for operation in operations() if operation.method == "GET"]
# A link's requester is unknown. Signing out everywhere records each ended sign-in, and the world has none.
SIGN_IN = {"requestSignInEmail", "signOutEverywhere"}


def action_of(operation):
    return DOCUMENT["paths"][operation.path][operation.method.lower()]["operationId"]


def entries():
    """Count the audit entries by action and organization id."""
    return Counter(AuditEntry.select(AuditEntry.action, AuditEntry.organization).tuples())


def recorded_actions(world, operation):
    """Return the actions that one call records. The call is rolled back."""
    with db.atomic() as savepoint:
        before = entries()
        world.send(operation).get_data()
        added = entries() - before
        assert all(entry.is_accepted for entry in AuditEntry.select())
        savepoint.rollback()
    assert {organization for _, organization in added} <= {world.own.organization.id}
    return [action for action, _ in added.elements()]


def test_every_changing_operation_is_recorded_once(world):
    served = world.served()
    not_served = {action_of(operation) for operation in CHANGING if operation not in served}
    # See test_a_bundle_upload_is_recorded, tests/access/test_sign_ins.py, and in tests/blueprints/ test_submissions.py,
    # tasks/test_files.py and tasks/test_test_runs.py.
    task_files = {
        f"{verb}{kind}"
        for verb in ("receiveAssessment", "receiveIssue", "deleteIssue")
        for kind in ("Repository", "Tests", "Reference")
    }
    further = {"revealScores", "revealAssessmentScores"}  # see tests/blueprints/test_hidden_scores.py
    further |= {"receiveBundle", "receiveSubmission", "createSignIn", "signOut", "runTests", "checkIssue"}
    further |= {"receiveStageChange"} if HAS_INTEGRATIONS else set()
    assert not_served == further | task_files
    for operation in (operation for operation in CHANGING if operation in served):
        action = action_of(operation)
        expected = [] if action in EVENT_STREAM | SIGN_IN else [action]
        assert recorded_actions(world, operation) == expected, (
            f"{operation}: add @audit.record_change(), with created=... for a new row, directly above the view."
        )


def test_only_reads_of_candidates_data_are_recorded(world):
    for operation in READING:
        action = action_of(operation)
        is_of_candidate = operation.path.startswith(("/v1/sessions/{", "/v1/candidates/{"))
        is_review = is_of_candidate and "reviewerToken" in operation.callers
        expected = [action] if (is_review and action not in NOT_RECORDED) or action in EXPORTS else []
        message = f"{operation}: use @audit.record_read for reads of a candidate's data, and only for those."
        assert recorded_actions(world, operation) == expected, message


def test_rejected_requests_are_not_recorded(world):
    for operation in operations():
        with db.atomic() as savepoint:
            before = entries()
            response = world.send(operation, body=b"{", **{"Content-Type": "application/json"})
            if response.status_code >= 400:
                assert entries() == before, operation
            savepoint.rollback()


def test_a_bundle_upload_is_recorded(app, candidate, session, anonymous):
    upload = candidate.post("/v1/candidate/upload-url", {"sessionId": str(session.id)}).json
    path = upload["uploadUrl"].partition("/v1/")[2]
    assert anonymous.request("PUT", f"/v1/{path}", data=b"bundle").status_code == 200
    entry = AuditEntry.get(AuditEntry.action == "receiveBundle")
    assert (entry.actor_kind, entry.actor_id, entry.came_from) == ("candidate", candidate.row.id, None)


# The service's own actions


@pytest.mark.parametrize("trigger", ["worker", "reviewer"])
def test_closing_at_the_time_limit_is_recorded(app, clock, reviewer, organization, trigger):
    session = make_session(make_key(make_assessment(organization, time_limit_minutes=30)))
    clock.fixed += timedelta(minutes=36)
    if trigger == "worker":
        sessions.close_all_due()
    else:
        reviewer.get(f"/v1/sessions/{session.id}")
    entry = AuditEntry.get(AuditEntry.action == "closeAtLimit")
    assert (entry.actor_kind, entry.actor_id, entry.subject_id) == ("service", None, session.id)


def test_disabling_a_webhook_after_410_is_recorded(world):
    own_id = world.own.ids["webhookId"]
    claimed = next(each for each in iter(WebhookDelivery.claim, None) if each.webhook_id == own_id)
    outcomes.record(claimed, WebhookResponse(status=410))
    entry = AuditEntry.get(AuditEntry.action == "disableWebhook")
    assert (entry.actor_kind, entry.subject_id) == ("service", own_id)


def test_removing_an_unused_upload_is_recorded(app, clock, session):
    upload = BundleUpload.open(session, "unused.tar.gz", max_bytes=1)
    clock.fixed += timedelta(hours=26)
    Worker(app.config).run_once()
    entry = AuditEntry.get(AuditEntry.action == "removeUnusedUpload")
    assert (entry.actor_kind, entry.subject_id, entry.further_ids) == ("worker", session.id, [str(upload.id)])


# Commands

# Arguments and recorded actions of each changing command. The `values` fixture replaces `<name>`.
COMMANDS = {
    "org create": (["Other Ltd"], ["createOrg"]),
    "org plan": (["<org>", "trial"], ["changePlan"]),
    "org subscription": (["<org>", "active"], ["changeSubscription"]),
    "person create": (["<org>", "bob@example.com", "--name", "Bob"], ["createPerson"]),
    "token create": (["<org>"], ["createToken"]),
    "token revoke": (["<token>"], ["revokeToken"]),
    "runner create": (["One", "--organization", "<org>"], ["createRunner"]),
    "runner revoke": (["<runner>"], ["revokeRunner"]),
    "issues import": (["<catalog>"], ["importIssues"]),
    "sessions import": (["<recording>", "--org", "<org>"], ["createAssessment", "importSession"]),
    "sessions rederive": ([], ["rederiveSession"]),
    "deliveries bounce": (["alice@example.com"], ["markBounced"]),
    "retention run": (["--apply"], ["eraseCandidate"]),
}
# Commands that only read, or do not change an organization's data.
UNRECORDED_COMMANDS = {
    "db upgrade", "db status", "org list", "org show", "person list", "token list", "runner list", "ledger verify",
    "ledger restored", "ledger restart", "worker", "backup", "restore", "doctor", "run", "shell", "routes",
    "storage adopt", "submissions read", "deliveries retry", "integrations purge", "integrations reencrypt",
}  # fmt: skip


@pytest.fixture
def values(app, clock, organization, reviewer, tmp_path):
    """Values for the arguments: an organization with an overdue candidate and outdated metrics."""
    organization.update_columns(retention_days=30)
    session = make_closed_session(make_assessment(organization), envelope())
    clock.fixed += timedelta(days=31)
    Session.update(prompt_count=7).where(Session.id == session.id).execute()
    (tmp_path / "recording.jsonl").write_text(json.dumps(envelope()) + "\n")
    (tmp_path / "catalog.yaml").write_text(f"issues: [{{id: {session.id}, title: One, taskBrief: Fix it.}}]")
    assert CandidateKey.select().count() == 1
    return {
        "<org>": str(organization.id),
        "<token>": str(reviewer.row.id),
        "<runner>": str(RunnerToken.issue(organization, "One")[0].id),
        "<catalog>": str(tmp_path / "catalog.yaml"),
        "<recording>": str(tmp_path / "recording.jsonl"),
    }


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.bypasses_ledger
def test_changing_commands_are_recorded(app, values, command):
    arguments, actions = COMMANDS[command]
    before = entries()
    parameters = [values.get(argument, argument) for argument in arguments]
    result = app.test_cli_runner().invoke(args=[*command.split(), *parameters])
    assert result.exit_code == 0, result.output
    assert sorted(action for action, _ in (entries() - before).elements()) == actions
    assert set(AuditEntry.select(AuditEntry.actor_kind).distinct().tuples()) == {("command",)}
    assert all(entry.is_accepted for entry in AuditEntry.select())


def test_every_command_is_listed(app_on_database):
    known = {
        f"{name} {child}" if child else name
        for name in app_on_database.cli.list_commands(None)
        for child in getattr(app_on_database.cli.get_command(None, name), "commands", {None: None})
    }
    assert known - set(COMMANDS) - UNRECORDED_COMMANDS == set()
