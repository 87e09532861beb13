"""Factories that create rows through the models, with default values."""

import json
import os
import tempfile
import uuid
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import models
import storage
from git_bundles.process import build
from models import Assessment, CandidateKey, Organization, Session, User, invitations, sessions, users
from models.base import new_id
from models.sessions.submissions import reading
from models.tasks import queue
from models.tasks.files import REPOSITORY
from models.webhooks import outbox, receivers
from rules.events.recorded_events import CHANNELS, EventSource, RecordedEvent
from rules.metrics.usage import ReportedUsage, call_cost_nano_usd
from rules.timestamps import parse_timestamp_ns, whole_seconds_ns
from tests.hostile.operations import HAS_INTEGRATIONS


def make_organization(name: str = "Acme", plan: str = "self_hosted") -> Organization:
    return models.create_organization(name, plan)[0]


def make_person(
    organization: Organization, role: str = "reviewer", name: str = "Bob", email: str | None = None
) -> User:
    """Add a person and queue their invitation. The default email address contains the name."""
    return users.add(organization, None, name, email or f"{name.casefold()}@people.example", role)


def make_assessment(organization: Organization, **values: Any) -> Assessment:
    defaults = {"title": "Backend API Challenge", "role": "Senior Backend Engineer", "task_brief": "Fix it."}
    return Assessment.create_within_quota(models.ApiToken(organization=organization), **(defaults | values))


def make_repository(owner: Any, files: dict[str, str | bytes], store: storage.Storage) -> models.TaskFile:
    """Host a repository with these files, instead of the owner's current one.

    owner -- an assessment, or an organization's issue
    """
    now, object_key = models.clock.now(), storage.new_object_key(str(owner.id), "bundle")
    for replaced in models.TaskFile.current(owner.id).where(models.TaskFile.kind == REPOSITORY):
        replaced.record_change("replaced", replaced_at=now)
    with tempfile.TemporaryFile() as archive, tempfile.TemporaryFile() as bundle:
        with zipfile.ZipFile(archive, "w") as zip_file:
            for name, content in files.items():
                zip_file.writestr(name, content)
        archive.seek(0)
        commit_id, size = build(archive, "zip", bundle), bundle.seek(0, os.SEEK_END)
        bundle.seek(0)
        sha256 = store.receive(object_key, bundle, size)
    columns = {"object_key": object_key, "size": size, "sha256": sha256, "commit_id": commit_id}
    return models.TaskFile.create(
        organization=owner.organization_id, owner_id=owner.id, kind=REPOSITORY, **columns
    )


def make_issue(organization: Organization | None = None, **values: Any) -> models.Issue:
    """Add an issue to the organization, or to the catalog without one."""
    values = {"title": "Orders are lost", "task_brief": "Find the lost orders."} | values
    if organization is not None:
        return models.Issue.add(organization, values)
    # Ids created in the same millisecond must ascend.
    values.setdefault("id", new_id())
    models.Issue.upsert(values)
    return models.Issue.get_by_id(values["id"])


def make_rubric(organization: Organization, **values: Any) -> models.Rubric:
    levels = [{"value": 1, "label": "Weak"}, {"value": 2, "label": "Strong"}]
    criteria = [{"key": "quality", "title": "Quality", "weight": 1, "levels": levels}]
    return models.Rubric.create_with_version(
        organization, **({"name": "Engineers", "criteria": criteria} | values)
    )


def make_webhook(
    organization: Organization, url: str = "https://example.com/hook", **values: Any
) -> models.Webhook:
    return receivers.create(organization, url=url, **values)


def make_keys(
    assessment: Assessment, count: int, email: str | None = None, name: str | None = None
) -> list[CandidateKey]:
    candidates = [{"email": email, "name": name}] * count
    ids = [row.id for row in models.generate_keys(assessment.organization, assessment.id, candidates)]
    return list(CandidateKey.alive().where(CandidateKey.id.in_(ids)).order_by(CandidateKey.id))


def make_key(
    assessment: Assessment, email: str | None = "alice@example.com", name: str | None = "Alice"
) -> CandidateKey:
    return make_keys(assessment, 1, email, name)[0]


def make_session(key: CandidateKey, public_key: str | None = None) -> Session:
    """Open a session: the candidate consents to a disclosure that names no channel, and redeems the key."""
    models.Consent.record(key, None, None)
    return sessions.redeem(key.key, public_key)


def make_recorded_session(key: CandidateKey, channels: Iterable[str] = CHANNELS) -> Session:
    """Open a session whose candidate consents to recording on these channels."""
    models.Consent.record(key, "2026-11-26", "0" * 64, list(channels))
    return sessions.redeem(key.key)


def record(
    session: Session,
    channel: str,
    *events: RecordedEvent,
    agent_session: str = "agent-1",
    tool: str = "claude-code",
) -> int:
    """Store events that a channel recorded in an agent's session."""
    return sessions.record(session, (EventSource(channel, tool, "2.1.197", agent_session), events))


def make_closed_session(assessment: Assessment, *envelopes: dict[str, Any]) -> Session:
    """Create a completed session with these events."""
    session = make_session(make_key(assessment))
    for event in envelopes:
        add_event(session, event)
    sessions.complete(session)
    return Session.get_by_id(session.id)


def mark_hired(session: Session, is_hired: bool = True) -> None:
    invitations.update_candidate(session.key, {"hired": is_hired})


def make_task(assessment: Any, names: Iterable[str] = ("one", "two"), **settings: Any) -> models.TaskCheck:
    """Add a task's files, without their objects, and a check that found it ready."""
    owner = {"organization": assessment.organization_id, "owner_id": assessment.id}
    files = {
        kind: models.TaskFile.create(
            **owner,
            kind=kind,
            object_key=storage.new_object_key(str(assessment.id)),
            size=1,
            sha256="0" * 64,
            commit_id="1" * 40 if kind == "repository" else None,
            file_count=1,
            settings={"version": 1, "command": "make test"} | settings if kind == "tests" else None,
        )
        for kind in ("repository", "tests", "reference")
    }
    return models.TaskCheck.create(**owner, **files, state="ready", names=list(names), unstable=[])


def make_run(session: Session, word: str = "one") -> models.TestRun:
    """Create a running test run, with `word` in its text columns."""
    check = make_task(session.assessment)
    tests = [{"name": "one", "outcome": "passed", "durationMs": 1, "output": word}]
    return models.TestRun.create(
        organization=session.organization_id,
        session=session,
        task_check=check,
        purpose="submission",
        submission_id=new_id(),
        submission_sha256="1" * 64,
        tests=check.tests,
        state="running",
        reason=word,
        runner_name=word,
        engine=word,
        image_digest=word,
        results=tests,
        attempts=1,
    )


def make_job(organization: Organization) -> models.TestRun:
    """Create a running job, whose lease has expired."""
    issue = make_issue(organization)
    make_task(issue)
    job = queue.start_check(issue).runs.first()
    job.update_columns(state="running", attempts=1)
    return job


def make_submission(session: Session) -> models.Submission:
    """Record a zip archive that has been read, without its object."""
    submission = models.Submission.reserve(session, "zip", storage.new_object_key(str(session.id), "zip"))
    submission.record(3, "1" * 64, 2**29)
    reading.record_zip(submission)
    return submission


def envelope(kind: str = "prompt", at: float = 0, data: Any = None, **fields: Any) -> dict[str, Any]:
    """Build an event as a client sends it; `at` is in seconds after 2026-04-01 09:00 UTC."""
    time = datetime(2026, 4, 1, 9, tzinfo=UTC) + timedelta(seconds=at)
    ts = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event = {"id": str(uuid.uuid4()), "kind": kind, "ts": ts, "v": 1, "source": "terminal"}
    return event | {"data": data or {}} | fields


def add_event(session: Session, event: dict[str, Any]) -> str:
    return sessions.append(
        session, models.ReceivedEvent.of(event, parse_timestamp_ns(event["ts"]), json.dumps(event))
    )[0]


def make_model_call(
    session: Session,
    model: str | None = "claude-opus-4-8",
    counts: dict[str, int] | None = None,
    provider: str = "anthropic",
    started_at: datetime | None = None,
    **columns: Any,
) -> None:
    """Record a finished call through the model proxy."""
    started_at, used = started_at or models.clock.now(), ReportedUsage(model, counts or {})
    cost = call_cost_nano_usd(provider, used, whole_seconds_ns(started_at), sessions.prices())
    call = {"provider": provider, "started_at": started_at, "cost_nano_usd": cost}
    models.ModelUsage.record(session, used, **call | {"status_code": 200, "is_whole": True} | columns)


def make_test_run(
    session: Session,
    passed: int | None,
    total: int | None,
    settings: dict[str, Any] | None = None,
    **columns: Any,
) -> models.TestRun:
    """Create a run that counts, finished and complete by default, and store its result in the session."""
    shared = {"organization": session.organization}
    files = models.TaskFile.current(session.assessment_id).where(models.TaskFile.kind == "tests")
    tests = files.get_or_none() or models.TaskFile.create(
        owner_id=session.assessment_id,
        kind="tests",
        object_key=f"tasks/{new_id()}",
        size=4096,
        sha256="ab" * 32,
        settings={"serve": "python3 /serve/serve.py"} if settings is None else settings,
        **shared,
    )
    counts = {"passed_count": passed, "total_count": total, "is_complete": True, "state": "finished"}
    values = {"session": session, "purpose": "submission", "tests": tests, "finished_at": models.clock.now()}
    run = models.TestRun.create(**shared | values | counts | columns)
    session.update_columns(hidden_run_id=run.id)
    return run


def make_integration(organization: Organization, system: str = "example", name: str = "Hiring") -> Any:
    """Connect a system, by default the made-up one in tests/integrations/systems/."""
    from integrations import integrations

    return integrations.create(organization, system, name, {"apiKey": f"key of {name}"}, {})[0]


def make_rule(
    integration: Any, assessment: Assessment, stage_id: str = "7022", job_id: str = "", **values: Any
) -> Any:
    from integrations.tables import IntegrationRule

    names = {"stage_name": f"Stage {stage_id}", "job_name": f"Job {job_id}" if job_id else None}
    defaults = {"reports": ["submitted", "scored"], "include": ["score", "duration"]}
    ids = {"integration": integration, "assessment": assessment, "stage_id": stage_id, "job_id": job_id}
    return IntegrationRule.create(**ids | names | defaults | values)


def make_order(rule: Any, application_id: str = "265270", **values: Any) -> Any:
    """Create an order, by default one that waits for its application to be read."""
    from integrations.tables import IntegrationOrder

    return IntegrationOrder.create(
        integration=rule.integration, rule=rule, application_id=application_id, **values
    )


def make_integration_rows(session: Session, word: str) -> dict[str, Any]:
    """Create an integration with an order and a report of the session's candidate, and a channel."""
    from integrations import secrets, tables

    organization = session.organization
    integration = make_integration(organization, name=f"Hiring at {organization.name}")
    day = models.clock.now().date().isoformat()
    tables.IntegrationCalls.create(integration=integration, day=day, calls=1)
    rule = make_rule(integration, session.assessment)
    problem = {"state": tables.ATTENTION, "reason": "already_assessed", "last_error": word}
    order = make_order(rule, key=session.key, person_id="4711", reported=word, **problem)
    columns = {"number": 1, "status": "submitted"}
    tables.IntegrationReport.create(
        integration=integration, order=order, text=word, last_error=word, **columns
    )
    channel_id = new_id()
    channel = tables.NotificationChannel.create(
        id=channel_id,
        organization=organization,
        kind="slack",
        name=f"Channel of {organization.name}",
        url=secrets.encrypt(channel_id, "https://hooks.slack.com/services/T0/B0/x"),
        url_end="B0/x",
        events=["submitted"],
    )
    about = {"key": session.key, "assessment": session.assessment_id, "subject_id": session.id}
    tables.Notification.create(channel=channel, event="submitted", **about)
    return {
        "integration_id": integration.id,
        "rule_id": rule.id,
        "order_id": order.id,
        "channel_id": channel.id,
    }


def make_organization_rows(organization: Organization, word: str = "one") -> dict[str, Any]:
    """Create an organization's rows, with `word` in their text columns. Return their ids by path parameter.

    For tests that call every operation; `create_missing` (tests/hostile/operations.py) creates the other rows.
    """
    webhook = make_webhook(organization, description=f"Webhook {word}")
    person = make_person(organization, name=f"Person{word}")
    sign_in = {"token": models.ApiToken.for_sign_ins(person), "fingerprint": word + str(person.id)}
    expires_at = models.clock.now() + timedelta(hours=1)
    models.SignIn.create(method="email", expires_at=expires_at, **sign_in)
    models.SignInGrant.request_email(f"{word}@nobody.example")
    runner, _ = models.RunnerToken.issue(organization, f"Runner {word}")
    return {
        "person_id": person.id,
        "runner_id": runner.id,
        "webhook_id": webhook.id,
        "message_id": outbox.enqueue_test(webhook).id,
    }


def make_session_rows(session: Session, reviewer: models.ApiToken, word: str = "one") -> dict[str, Any]:
    """Create a session's rows, like `make_organization_rows`. The assessment must have a rubric."""
    event = envelope("checkpoint", id=f"event-{word}", data={"text": word})
    add_event(session, event)
    models.ClientReport.record(session, "device_start", {"host": word})
    models.RecordedText.add(session, {word})
    score = models.Score.submit(
        session, "quality", reviewer, word, value=1, comment=word, evidence=[event["id"]]
    )
    score.update_columns(withdrawal_reason=word)
    invitations.decide(session.key, reviewer, "advanced", word, finding_reason=word)
    person = make_person(session.organization, email=f"{session.id}@people.example")
    models.CompletedScoring.create(session=session, user=person)
    assignment = models.Assignment.create(session=session, user=person, assigned_by=reviewer)
    models.ScoreReveal.record(session.assessment, person, session)
    upload = models.BundleUpload.open(session, storage.new_object_key(str(session.id)), max_bytes=2**20)
    run = make_run(session, word)
    return (make_integration_rows(session, word) if HAS_INTEGRATIONS else {}) | {
        "session_id": session.id,
        "run_id": run.id,
        "job_id": make_job(session.organization).id,
        "event_id": event["id"],
        "criterion": "quality",
        "object_key": upload.object_key,
        "assignment_id": assignment.id,
    }
