"""Retention: overdue candidates are erased once a day (R25)."""

from datetime import timedelta

import pytest
from factories import envelope, make_assessment, make_closed_session, make_key, make_session

from delivery.worker import Worker
from models import DailyTask, Erasure, Event, privacy


@pytest.fixture
def kept_for_30_days(organization):
    organization.update_columns(retention_days=30)


def erased():
    return {receipt.key_id for receipt in Erasure.select().where(Erasure.kind == "retention")}


@pytest.mark.usefixtures("kept_for_30_days")
def test_retention_starts_at_the_end_of_the_session(clock, flask, organization):
    limited = make_assessment(organization, time_limit_minutes=60)
    completed = make_closed_session(limited, envelope())
    expired = make_session(make_key(limited))  # closes at 10:05
    clock.fixed += timedelta(days=30) - timedelta(milliseconds=1)
    flask("retention", "run", "--apply")
    assert erased() == set()
    clock.fixed += timedelta(milliseconds=1)
    flask("retention", "run", "--apply")
    assert erased() == {completed.key_id}
    clock.fixed += timedelta(minutes=65)
    flask("retention", "run", "--apply")
    assert erased() == {completed.key_id, expired.key_id}


@pytest.mark.usefixtures("kept_for_30_days")
def test_without_a_session_retention_starts_at_the_end_of_the_key(clock, flask, organization, assessment):
    expired, revoked = make_key(assessment), make_key(assessment)  # expire after 7 days
    deleted = make_key(make_assessment(organization))
    revoked.revoke()
    deleted.assessment.soft_delete()
    clock.fixed += timedelta(days=30)
    flask("retention", "run", "--apply")
    assert erased() == {revoked.id, deleted.id}
    clock.fixed += timedelta(days=7)
    flask("retention", "run", "--apply")
    assert erased() == {expired.id, revoked.id, deleted.id}


@pytest.mark.usefixtures("kept_for_30_days")
def test_retention_of_an_open_session_starts_at_the_revocation_of_its_key(clock, flask, session):
    clock.fixed += timedelta(days=100)
    session.key.revoke()
    flask("retention", "run", "--apply")
    assert erased() == set()
    clock.fixed += timedelta(days=30)
    flask("retention", "run", "--apply")
    assert erased() == {session.key_id}


@pytest.mark.usefixtures("kept_for_30_days")
def test_an_open_session_without_a_limit_is_retained(clock, flask, session):
    clock.fixed += timedelta(days=1000)
    flask("retention", "run", "--apply")
    assert erased() == set()


def test_without_a_retention_period_nothing_is_erased(clock, flask, assessment):
    make_closed_session(assessment, envelope())
    clock.fixed += timedelta(days=10_000)
    assert flask("retention", "run", "--apply") == "Erased.\n"
    assert erased() == set()


@pytest.mark.usefixtures("kept_for_30_days")
def test_a_dry_run_lists_overdue_candidates(clock, flask, assessment):
    session = make_closed_session(assessment, envelope())
    clock.fixed += timedelta(days=30)
    shown = flask("retention", "run")
    assert "Acme, retention 30 days: 1 overdue" in shown
    assert f"{session.key_id}  ended 2026-04-01T09:00:00.000Z  Backend API Challenge" in shown
    assert "Alice" not in shown
    assert Erasure.select().count() == 0
    assert Event.select().count() == 1


@pytest.mark.usefixtures("kept_for_30_days")
def test_the_worker_applies_retention_once_a_day(app, clock, organization, assessment):
    first = make_closed_session(assessment)
    clock.fixed += timedelta(minutes=1)
    second = make_closed_session(assessment)
    clock.fixed = first.closed_at + timedelta(days=30)
    workers = [Worker(app.config), Worker(app.config)]
    for worker in workers:
        worker.run_once()
    assert erased() == {first.key_id}
    clock.fixed += timedelta(minutes=1)
    for worker in workers:
        worker.run_once()
    assert erased() == {first.key_id}
    clock.fixed += timedelta(days=1)
    workers[1].run_once()
    assert erased() == {first.key_id, second.key_id}


@pytest.mark.usefixtures("kept_for_30_days")
def test_a_failing_erasure_does_not_block_others(app, clock, flask, assessment, monkeypatch):
    failing, other, later = (make_closed_session(assessment) for _ in range(3))
    later.update_columns(closed_at=later.closed_at + timedelta(days=1))
    erase = privacy.erase
    monkeypatch.setattr(
        privacy, "erase", lambda key, **options: erase(key, **options) if key.id != failing.key_id else 1 / 0
    )
    clock.fixed += timedelta(days=30)
    Worker(app.config).run_once()
    assert erased() == {other.key_id}
    clock.fixed += timedelta(days=1)
    assert f"Not erased: {failing.key_id}. " in flask("retention", "run", "--apply", fails=True)
    assert erased() == {other.key_id, later.key_id}
    monkeypatch.undo()
    assert flask("retention", "run", "--apply").endswith("Erased.\n")
    assert erased() == {failing.key_id, other.key_id, later.key_id}


def test_a_daily_task_is_claimed_once_a_day(clock):
    assert DailyTask.claim("retention")
    assert not DailyTask.claim("retention")
    assert DailyTask.claim("another")
    clock.fixed += timedelta(hours=15)  # midnight in UTC
    assert DailyTask.claim("retention")


def test_a_daily_task_runs_although_the_clock_was_a_week_ahead_before(clock):
    clock.fixed += timedelta(days=7)
    assert DailyTask.claim("retention")
    clock.fixed -= timedelta(days=7)
    assert DailyTask.claim("retention")


def test_a_receipt_of_the_retention_names_no_reviewer(clock, reviewer, organization, assessment):
    key = make_closed_session(assessment).key
    privacy.erase(key)
    receipt = reviewer.delete(f"/v1/candidates/{key.id}/data").json["receipt"]
    assert (receipt["kind"], receipt["reviewerId"]) == ("retention", None)
