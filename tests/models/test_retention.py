"""Retention: overdue candidates are erased once a day (R25)."""

from datetime import timedelta

import pytest
from factories import envelope, make_assessment, make_closed_session, make_key, make_session

from delivery.worker import Worker
from models import DailyTask, Erasure, Event, privacy


@pytest.fixture
def retention(organization):
    organization.update_columns(retention_days=30)


def erased_keys():
    return {receipt.key_id for receipt in Erasure.select().where(Erasure.kind == "retention")}


@pytest.mark.usefixtures("retention")
def test_retention_starts_at_the_end_of_the_session(clock, flask, organization):
    limited = make_assessment(organization, time_limit_minutes=60)
    completed = make_closed_session(limited, envelope())
    expired = make_session(make_key(limited))  # closes at 10:05
    clock.fixed += timedelta(days=30) - timedelta(milliseconds=1)
    flask("retention", "run", "--apply")
    assert erased_keys() == set()
    clock.fixed += timedelta(milliseconds=1)
    flask("retention", "run", "--apply")
    assert erased_keys() == {completed.key_id}
    clock.fixed += timedelta(minutes=65)
    flask("retention", "run", "--apply")
    assert erased_keys() == {completed.key_id, expired.key_id}


@pytest.mark.usefixtures("retention")
def test_a_longer_period_counts_for_a_run_that_has_started(
    clock, flask, organization, assessment, monkeypatch
):
    make_closed_session(assessment, envelope())
    make_closed_session(assessment, envelope())
    derive = privacy.derive_before_erasure

    def derive_and_extend(key):
        organization.update_columns(retention_days=60)
        return derive(key)

    monkeypatch.setattr(privacy, "derive_before_erasure", derive_and_extend)
    clock.fixed += timedelta(days=30)
    flask("retention", "run", "--apply")
    assert len(erased_keys()) == 1


@pytest.mark.usefixtures("retention")
def test_retention_of_unredeemed_keys_starts_at_their_end(clock, flask, organization, assessment):
    expired, revoked = make_key(assessment), make_key(assessment)  # expire after 7 days
    deleted = make_key(make_assessment(organization))
    revoked.revoke()
    deleted.assessment.soft_delete()
    clock.fixed += timedelta(days=30)
    flask("retention", "run", "--apply")
    assert erased_keys() == {revoked.id, deleted.id}
    clock.fixed += timedelta(days=7)
    flask("retention", "run", "--apply")
    assert erased_keys() == {expired.id, revoked.id, deleted.id}


@pytest.mark.usefixtures("retention")
def test_open_sessions_are_retained_until_their_key_is_revoked(clock, flask, session):
    clock.fixed += timedelta(days=1000)
    session.key.revoke()
    flask("retention", "run", "--apply")
    assert erased_keys() == set()
    clock.fixed += timedelta(days=30)
    flask("retention", "run", "--apply")
    assert erased_keys() == {session.key_id}


def test_data_is_retained_without_a_retention_period(clock, flask, assessment):
    make_closed_session(assessment, envelope())
    clock.fixed += timedelta(days=10_000)
    assert flask("retention", "run") == flask("retention", "run", "--apply") == "Nothing to erase.\n"
    assert erased_keys() == set()


@pytest.mark.usefixtures("retention")
def test_dry_runs_list_overdue_candidates(clock, flask, assessment):
    session = make_closed_session(assessment, envelope())
    clock.fixed += timedelta(days=30)
    output = flask("retention", "run")
    assert "Acme, retention 30 days: 1 overdue" in output
    assert f"{session.key_id}  ended 2026-04-01T09:00:00.000Z  Backend API Challenge" in output
    assert "Alice" not in output
    assert Erasure.select().count() == 0
    assert Event.select().count() == 1


@pytest.mark.usefixtures("retention")
def test_workers_apply_retention_once_a_day(app, clock, reviewer, assessment):
    first = make_closed_session(assessment)
    clock.fixed += timedelta(minutes=1)
    second = make_closed_session(assessment)
    clock.fixed = first.closed_at + timedelta(days=30)
    workers = [Worker(app.config), Worker(app.config)]
    for _ in range(2):
        for worker in workers:
            worker.run_once()
        assert erased_keys() == {first.key_id}
        clock.fixed += timedelta(minutes=1)
    clock.fixed += timedelta(days=1)
    workers[1].run_once()
    assert erased_keys() == {first.key_id, second.key_id}
    receipt = reviewer.delete(f"/v1/candidates/{first.key_id}/data").json["receipt"]
    assert (receipt["kind"], receipt["reviewerId"]) == ("retention", None)


@pytest.mark.usefixtures("retention")
def test_failing_erasures_do_not_block_others(app, clock, flask, assessment, monkeypatch):
    failing, other, later = (make_closed_session(assessment) for _ in range(3))
    later.update_columns(closed_at=later.closed_at + timedelta(days=1))
    erase = privacy.erase
    monkeypatch.setattr(
        privacy, "erase", lambda key, **options: erase(key, **options) if key.id != failing.key_id else 1 / 0
    )
    clock.fixed += timedelta(days=30)
    Worker(app.config).run_once()
    assert erased_keys() == {other.key_id}
    clock.fixed += timedelta(days=1)
    assert f"Not erased: {failing.key_id}. " in flask("retention", "run", "--apply", fails=True)
    assert erased_keys() == {other.key_id, later.key_id}
    monkeypatch.undo()
    assert flask("retention", "run", "--apply").endswith("Erased.\n")
    assert erased_keys() == {failing.key_id, other.key_id, later.key_id}


def test_daily_tasks_are_claimed_once_per_utc_day(clock):
    assert DailyTask.claim("retention")
    assert not DailyTask.claim("retention")
    assert DailyTask.claim("other")
    clock.fixed += timedelta(hours=15)  # midnight in UTC
    assert DailyTask.claim("retention")
    clock.fixed -= timedelta(days=7)  # the clock was ahead
    assert DailyTask.claim("retention")
