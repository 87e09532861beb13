"""The worker's tasks continue after a failure for one organization, session or candidate."""

from datetime import timedelta

import factories
import pytest
from callers import Caller
from response_checks import body_of

import errors
from delivery.worker import Worker, housekeeping
from models import (
    AuditEntry,
    CandidateKey,
    DailyTask,
    Delivery,
    Event,
    Feed,
    FeedEvent,
    LedgerEntry,
    Session,
    TaskFailure,
    WebhookDelivery,
    db,
    invitations,
    new_id,
    privacy,
)
from models.deliveries import outbox
from models.task_failures import MAX_LOGGED
from rules.integrity import event_signatures

OTHER_MAC = f"other:{'0' * 32}"


@pytest.fixture
def worker(app, clock):
    return Worker(app.config, app.extensions["storage"])


@pytest.fixture
def other(app):
    """A reviewer of an organization without failures."""
    return Caller.reviewer(app, factories.make_organization("Others"))


@pytest.fixture
def unknown_key(reviewer, worker, organization):
    """An audit entry of the organization, signed with a key that this process does not have."""
    factories.make_webhook(organization)
    body_of(reviewer.post("/v1/issues", {"title": "One", "taskBrief": "Two"}), 201)
    AuditEntry.update(arrival_mac=OTHER_MAC).where(AuditEntry.organization == organization).execute()


def failures():
    return {(failure.task, failure.owner, failure.attempts) for failure in TaskFailure.select()}


def unlisted(reviewer):
    return AuditEntry.unlisted().where(AuditEntry.organization == reviewer.row.organization_id).count()


@pytest.mark.usefixtures("unknown_key")
def test_an_unknown_key_does_not_stop_other_organizations_or_tasks(
    worker, reviewer, other, clock, caplog, session, organization
):
    body_of(other.post("/v1/issues", {"title": "One", "taskBrief": "Two"}), 201)
    factories.add_event(session, factories.envelope())
    retained = factories.make_closed_session(factories.make_assessment(other.row.organization))
    other.row.organization.update_columns(retention_days=1)
    clock.fixed += timedelta(days=1)
    for _ in range(2):
        worker.run_once()
    assert (unlisted(reviewer), unlisted(other)) == (1, 0)
    assert FeedEvent.unnumbered().count() == 0
    assert Session.get_by_id(session.id).listed_seq > 0
    assert CandidateKey.get_by_id(retained.key_id).erased_at is not None
    assert failures() == {("list_audit", str(organization.id), 1)}
    assert f"The task `list_audit` failed for {organization.id}." in caplog.messages
    assert WebhookDelivery.select().count() > 0


@pytest.mark.usefixtures("unknown_key")
def test_a_failing_owner_is_retried_with_backoff(worker, organization, clock, caplog):
    owner = str(organization.id)
    for pause, attempts in ((0, 1), (30, 1), (30, 2), (240, 2), (60, 3), (900, 4), (900, 5)):
        clock.fixed += timedelta(seconds=pause)
        for _ in range(3):
            worker.run_once()
        assert failures() == {("list_audit", owner, attempts)}
    assert len([text for text in caplog.messages if "`list_audit` failed" in text]) == 5
    AuditEntry.get().sign_again()
    clock.fixed += timedelta(minutes=15)
    worker.run_once()
    assert failures() == set()
    assert AuditEntry.unlisted().count() == 0


def test_a_broken_feed_does_not_stop_other_feeds(worker, organization, other):
    factories.make_assessment(organization)
    worker.run_once()
    Feed.update(position=0).where(Feed.organization == organization).execute()
    factories.make_assessment(organization)
    factories.make_assessment(other.row.organization)
    worker.run_once()
    assert [row.organization_id for row in FeedEvent.unnumbered()] == [organization.id]
    assert failures() == {("publish", str(organization.id), 1)}


def test_an_event_with_an_unknown_key_does_not_stop_other_sessions(worker, clock, session, assessment):
    other_session = factories.make_session(factories.make_key(assessment))
    for row in (session, other_session):
        factories.add_event(row, factories.envelope())
    Event.update(arrival_mac=OTHER_MAC).where(Event.session == session).execute()
    clock.fixed += timedelta(minutes=1)
    worker.run_once()
    assert Session.get_by_id(other_session.id).listed_seq > 0
    assert failures() == {("list_events", str(session.id), 1)}


def test_an_inserted_ledger_entry_does_not_stop_checkpoints(worker, clock, assessment):
    session = factories.make_closed_session(assessment, factories.envelope())
    worker.run_once()
    copy = LedgerEntry.get().__data__ | {"id": new_id(), "position": None, "link": None}
    LedgerEntry.create(**copy)
    clock.fixed += timedelta(minutes=11)
    for _ in range(2):
        worker.run_once()
    assert Session.get_by_id(session.id).checkpoint_position is not None


UNNUMBERED = {
    "audit_entries": ("ledger_entry_id", "list_audit"),
    "feed_events": ("position", "publish"),
    "ledger_entries": ("position", "number"),
}


# PostgreSQL has a single format for ids.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")
@pytest.mark.parametrize("table", UNNUMBERED)
def test_a_row_with_an_uppercase_id_is_not_numbered_again_and_again(
    worker, reviewer, other, organization, table
):
    column, task = UNNUMBERED[table]
    worker.run_once()
    for caller in (reviewer, other):
        body_of(caller.post("/v1/assessments", {"title": "One", "role": "Two", "taskBrief": "Three"}), 201)
    where = f"WHERE organization_id = '{organization.id.hex}' AND {column} IS NULL"
    db.execute_sql(f"UPDATE {table} SET id = upper(id) {where}")
    for _ in range(2):
        worker.run_once()
    (waiting,) = db.execute_sql(f"SELECT COUNT(*) FROM {table} WHERE {column} IS NULL").fetchone()
    assert waiting > 0
    assert failures() == {(task, str(organization.id), 1)}


@pytest.fixture
def unreadable(organization, clock):
    """Two sessions past their limit, the first with an unreadable event."""
    limited = factories.make_assessment(organization, time_limit_minutes=30)
    pair = [factories.make_session(factories.make_key(limited)) for _ in range(2)]
    for session in pair:
        factories.add_event(session, factories.envelope())
    Event.update(envelope="{").where(Event.session == pair[0]).execute()
    clock.fixed += timedelta(hours=1)
    return pair


def test_a_session_that_cannot_be_closed_does_not_stop_other_sessions(worker, unreadable):
    worker.run_once()
    assert [Session.get_by_id(row.id).closed_by for row in unreadable] == [None, "limit"]
    assert ("close", str(unreadable[0].id), 1) in failures()


def test_a_session_that_cannot_be_closed_has_no_metrics(reviewer, unreadable):
    path = f"/v1/assessments/{unreadable[0].assessment_id}/cohort-stats"
    assert body_of(reviewer.get(path))["cohortStats"]["sessionCount"] == 1
    for _ in range(2):
        session = body_of(reviewer.get(f"/v1/sessions/{unreadable[0].id}"))
        assert (session["status"], session["closedAt"], session["metrics"]) == ("expired", None, None)
    assert failures() == {("close", str(unreadable[0].id), 1)}


def test_an_event_that_cannot_be_verified_does_not_stop_other_events(worker, session, monkeypatch):
    for event_id in ("one", "two"):
        factories.add_event(session, factories.envelope(id=event_id))
    Event.update(verdict=None).execute()
    verify = event_signatures.verify
    monkeypatch.setattr(
        event_signatures, "verify", lambda text, keys: 1 / 0 if '"one"' in text else verify(text, keys)
    )
    worker.run_once()
    (waiting,) = Event.select().where(Event.verdict.is_null())
    assert waiting.event_id == "one"
    assert ("verify", str(waiting.seq), 1) in failures()


@pytest.fixture
def keys_to_remind(clock, organization):
    assessment = factories.make_assessment(organization, reminder_days_before=3)
    keys = factories.make_keys(assessment, 2, email="a@example.com")
    clock.fixed += timedelta(days=5)
    return keys


def test_a_failing_reminder_does_not_stop_other_reminders(keys_to_remind, monkeypatch):
    failing, reminded = keys_to_remind
    enqueue = outbox.enqueue_reminder

    def enqueue_or_fail(key, columns):
        return 1 / 0 if key == failing else enqueue(key, columns)

    monkeypatch.setattr(outbox, "enqueue_reminder", enqueue_or_fail)
    assert invitations.enqueue_reminders() == 1
    assert [row.subject_id for row in Delivery.select().where(Delivery.kind == "reminder")] == [reminded.id]
    assert failures() == {("remind", str(failing.id), 1)}


def test_a_candidate_erased_during_the_run_gets_no_reminder(keys_to_remind, monkeypatch):
    enqueue, reminded = outbox.enqueue_reminder, []

    def enqueue_and_erase(key, columns):
        enqueue(key, columns)
        reminded.append(key.id)
        (other,) = (other for other in keys_to_remind if other.id != key.id)
        privacy.erase(other)

    monkeypatch.setattr(outbox, "enqueue_reminder", enqueue_and_erase)
    assert invitations.enqueue_reminders() == 1
    assert [row.subject_id for row in Delivery.select().where(Delivery.kind == "reminder")] == reminded
    assert failures() == set()


def test_a_daily_task_continues_after_an_outage(worker, monkeypatch):
    outcomes = [errors.Unavailable(), None]
    calls = []

    def run():
        calls.append("interrupted")
        if error := outcomes.pop(0):
            raise error

    tasks = [("one", run), ("two", lambda: calls.append("other"))]
    monkeypatch.setattr(housekeeping, "DAILY_TASKS", tasks)
    with pytest.raises(errors.Unavailable):
        worker.run_slow_tasks()
    worker.run_slow_tasks()
    worker.run_slow_tasks()
    assert calls == ["interrupted", "other", "interrupted"]


def test_a_daily_task_is_claimed_when_it_starts(worker, monkeypatch):
    calls = []
    tasks = [(name, lambda name=name: calls.append(name)) for name in ("one", "two")]
    monkeypatch.setattr(housekeeping, "DAILY_TASKS", tasks)
    claim, outages = DailyTask.claim, ["two"]

    def claim_or_fail(name):
        if name in outages:
            outages.remove(name)
            raise errors.Unavailable()
        return claim(name)

    monkeypatch.setattr(DailyTask, "claim", claim_or_fail)
    with pytest.raises(errors.Unavailable):
        worker.run_slow_tasks()
    assert calls == ["one"]
    worker.run_slow_tasks()
    assert calls == ["one", "two"]


def test_a_failing_task_does_not_stop_other_tasks(worker, monkeypatch, caplog):
    calls = []
    tasks = [("one", lambda: 1 / 0), ("two", lambda: calls.append("two"))]
    housekeeping.run(tasks, beat=lambda task: None)
    assert calls == ["two"]
    assert failures() == {("one", "", 1)}
    monkeypatch.setattr(housekeeping, "DAILY_TASKS", tasks)
    housekeeping.run_daily_tasks(None, set())
    assert calls == ["two", "two"]
    assert not DailyTask.claim("two")


def test_many_failures_are_summarized_in_the_log(clock, organization, caplog):
    rows = [factories.make_key(factories.make_assessment(organization)) for _ in range(MAX_LOGGED + 3)]
    assert housekeeping.run_each("one", rows, lambda row: 1 / 0) == 0
    assert len(failures()) == len(rows)
    assert len(caplog.messages) == MAX_LOGGED + 1
    assert caplog.messages[-1] == "The task `one` failed for 3 others."


def test_task_names_are_unique():
    tasks = (*housekeeping.TASKS, *housekeeping.CHECKS, *housekeeping.MINUTE_TASKS, *housekeeping.DAILY_TASKS)
    assert len({name for name, _ in tasks}) == len(tasks)


def test_a_failed_optional_task_runs_again_only_when_its_retry_is_due(app, clock):
    calls = []

    class Failing:
        name = "failing"

        @staticmethod
        def run():
            calls.append(clock.now())
            raise ValueError("Unexpected.")

    process = Worker(app.config, app.extensions["storage"], optional_tasks=[Failing])
    process.run_once()
    process.run_once()
    assert len(calls) == 1
    clock.fixed += timedelta(days=1)
    process.run_once()
    assert len(calls) == 2
