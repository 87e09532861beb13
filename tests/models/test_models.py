"""Model code that the API does not cover: outbox, worker, imports, timestamps."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import peewee
import pytest
from factories import (
    add_event,
    envelope,
    make_closed_session,
    make_issue,
    make_key,
    make_keys,
    make_model_call,
    make_session,
)

import errors
from models import (
    ApiToken,
    CandidateKey,
    Delivery,
    Event,
    Issue,
    ModelUsage,
    Organization,
    Session,
    batches,
    db,
    sessions,
)
from models.base import case_folded, new_id
from models.deliveries import outcomes
from models.sessions import metrics
from rules.delivery.retries import RETRY_DELAYS
from tests.live.service import wait_until

# Outbox


@pytest.fixture
def delivery(clock, assessment):
    """A queued invitation."""
    make_key(assessment)
    return Delivery.get()


def test_claimed_messages_are_leased(clock, delivery):
    assert Delivery.claim().id == delivery.id
    assert Delivery.claim() is None
    clock.fixed += timedelta(minutes=5)
    second_claim = Delivery.claim()
    assert (second_claim.id, second_claim.attempts) == (delivery.id, 2)


def test_claims_take_one_message_despite_outdated_statistics(clock, assessment):
    make_keys(assessment, 1, email="a@example.com")
    db.execute_sql("ANALYZE deliveries")
    make_keys(assessment, 3, email="a@example.com")
    assert Delivery.claim()
    assert Delivery.select().where(Delivery.attempts == 1).count() == 1


def test_messages_are_claimed_in_due_order(clock, assessment):
    make_keys(assessment, 3, email="a@example.com")
    ids = [row.id for row in Delivery.select().order_by(Delivery.id)]
    assert [Delivery.claim().id for _ in range(3)] == ids


@pytest.mark.parametrize("state", ["sent", "saved", "failed"])
def test_finished_messages_are_not_claimed_again(clock, delivery, state):
    if state == "failed":
        outcomes.fail(Delivery.claim(), "550 no such user")
    else:
        outcomes.succeed(Delivery.claim(), state)
    row = Delivery.get()
    assert (row.state, row.sent_at) == (state, clock.now() if state == "sent" else None)
    assert row.last_error == ("550 no such user" if state == "failed" else None)
    clock.fixed += timedelta(days=1)
    assert Delivery.claim() is None


def test_postponed_messages_are_retried_for_about_three_days(clock, delivery):
    started_at = clock.now()
    outcomes.postpone(Delivery.claim(), "451 try later")
    row = Delivery.get()
    assert (row.state, row.last_error) == ("queued", "451 try later")
    assert row.due_at == started_at + RETRY_DELAYS[0]
    clock.fixed = row.due_at
    while message := Delivery.claim():
        outcomes.postpone(message, "451 try later")
        clock.fixed = Delivery.get().due_at
    assert Delivery.get().state == "failed"
    assert timedelta(days=2.5) < clock.now() - started_at < timedelta(days=4)


def test_results_after_the_lease_are_ignored(clock, delivery):
    expired_claim = Delivery.claim()
    clock.fixed += timedelta(minutes=6)
    outcomes.succeed(Delivery.claim(), "sent")
    outcomes.fail(expired_claim, "too late")
    assert Delivery.get().state == "sent"


def test_keys_are_created_atomically_with_their_invitations(assessment):
    db.execute_sql("ALTER TABLE deliveries RENAME TO missing")
    with pytest.raises(peewee.DatabaseError), db.atomic():
        make_keys(assessment, 5, email="a@example.com")
    assert CandidateKey.select().count() == 0


# Worker


def test_one_thread_waits_for_a_derivation_and_others_are_rejected(monkeypatch):
    # Otherwise, one candidate's requests could occupy all threads while a large session is derived.
    session = Session(id=new_id())
    derived = []

    def wait_and_derive():
        with metrics._derivation_slot(session):
            derived.append(True)

    monkeypatch.setattr(metrics, "LOCK_TIMEOUT_SECONDS", 30)
    with ThreadPoolExecutor(1) as threads, metrics._derivation_slot(session):
        threads.submit(wait_and_derive)
        is_waiting = metrics._NEXT[hash(session.id) % len(metrics._NEXT)].locked
        wait_until(is_waiting, "The thread does not wait.")
        monkeypatch.setattr(metrics, "LOCK_TIMEOUT_SECONDS", 3)
        started_at = time.monotonic()
        with pytest.raises(errors.MetricsInProgress), metrics._derivation_slot(session):
            pass
        assert time.monotonic() - started_at < 2
    assert derived == [True]


def test_metrics_remain_due_while_another_thread_derives_them(assessment, monkeypatch):
    session = make_closed_session(assessment)
    add_event(session, envelope("prompt"))
    monkeypatch.setattr(metrics, "LOCK_TIMEOUT_SECONDS", 0.01)
    with metrics._derivation_slot(session):
        sessions.close_due(session)
        assert sessions.close_all_due() == 0
        assert Session.get_by_id(session.id).metrics_due
    assert sessions.close_all_due() == 1
    row = Session.get_by_id(session.id)
    assert (row.prompt_count, row.metrics_due) == (1, False)


def test_timelines_are_read_by_time_in_batches_without_late_events(clock, assessment, monkeypatch):
    monkeypatch.setattr(batches, "MAX_ROWS", 3)
    events = [envelope("prompt", at=-number) for number in range(10)]
    session = make_closed_session(assessment, *events)
    clock.fixed += timedelta(hours=1)
    add_event(session, envelope())
    assert [event["id"] for _, event in Event.timeline(session)] == [
        event["id"] for event in reversed(events)
    ]
    assert Event.select().count() == 11


# Organizations


def test_subscriptions_end_the_trial(clock, organization):
    organization.subscribe("trialing")
    assert organization.trial_ends_at == clock.now() + timedelta(days=14)
    organization.subscribe("active")
    assert Organization.get().trial_ends_at is None


# Catalog


def test_repeated_imports_update_and_restore_issues(app):
    entry = {"id": new_id(), "title": "Before", "task_brief": "Fix it.", "language": "Go"}
    Issue.upsert(entry)
    Issue.get().soft_delete()
    Issue.upsert({"id": entry["id"], "title": "After", "task_brief": "Fix it well."})
    (issue,) = Issue.select()
    assert (issue.title, issue.search_text, issue.task_brief) == ("After", "after", "Fix it well.")
    assert (issue.language, issue.deleted_at) == (None, None)


def test_imports_do_not_change_organizations_issues(organization):
    own = make_issue(organization, title="Ours")
    Issue.upsert({"id": own.id, "title": "Catalog", "task_brief": "x"})
    (issue,) = Issue.select()
    assert (issue.title, issue.organization_id) == ("Ours", organization.id)


# Timestamps, ids, text


@pytest.mark.parametrize(
    "timestamp",
    [
        datetime(2026, 4, 1, 9, tzinfo=UTC),
        datetime(2026, 4, 1, 9, 0, 0, 7000, tzinfo=UTC),
        datetime(2026, 4, 1, 11, 30, tzinfo=timezone(timedelta(hours=2, minutes=30))),
        datetime(1999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    ],
)
def test_timestamps_are_stored_in_utc(organization, timestamp):
    organization.subscribe("trialing", timestamp)
    stored = Organization.get().trial_ends_at
    assert stored == timestamp
    assert stored.utcoffset() == timedelta()


def test_the_clock_has_millisecond_precision(clock):
    clock.fixed = datetime(2026, 4, 1, 9, 0, 0, 123_999, tzinfo=UTC)
    assert clock.now().microsecond == 123_000


def test_model_calls_do_not_end_before_they_start(assessment, clock):
    session, started_at = make_session(make_key(assessment)), clock.now()
    clock.fixed -= timedelta(hours=1)  # the clock was set back
    make_model_call(session, started_at=started_at)
    assert ModelUsage.get().ended_at == started_at


def test_ids_are_ascending_version_7_uuids():
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(ids)
    assert {row_id.version for row_id in ids} == {7}


def test_case_folding_covers_non_ascii_letters():
    expected = "zoë strasse\na@b.de"
    assert case_folded("Zoë STRASSE", None, "A@B.de") == expected
    assert case_folded("ZOË Straße", "", "a@b.DE") == expected


def test_foreign_keys_are_enforced(app):
    orphan = ApiToken(organization=new_id(), name="x", scope="read", fingerprint="x", last_four="xxxx")
    with pytest.raises(peewee.IntegrityError), db.atomic():
        orphan.save(force_insert=True)
