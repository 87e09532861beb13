"""The event feed."""

from datetime import timedelta

import pytest
from factories import (
    make_assessment,
    make_closed_session,
    make_key,
    make_organization,
    make_webhook,
    mark_hired,
)
from response_checks import body_of, error_of, error_paths

from delivery.worker.housekeeping import run_daily_tasks
from models import Delivery, Feed, FeedEvent, WebhookDelivery, privacy
from models.deliveries import outcomes
from models.webhooks.outbox import publish_new
from rules.delivery.event_types import EVENT_TYPES

PATH = "/v1/events"


@pytest.fixture
def assessment_ids(organization):
    """The ids of five assessments in the feed."""
    assessments = [make_assessment(organization) for _ in range(5)]
    publish_new()
    return [str(assessment.id) for assessment in assessments]


def get(reviewer, **query):
    return body_of(reviewer.get(PATH, **query))


def ids(*pages):
    return [event["data"]["assessmentId"] for page in pages for event in page["events"]]


def test_event_contains_type_time_and_data(reviewer, clock, assessment):
    publish_new()
    event = {
        "id": str(FeedEvent.get().id),
        "type": "assessment.created",
        "timestamp": "2026-04-01T09:00:00.000Z",
        "data": {"assessmentId": str(assessment.id)},
    }
    assert get(reviewer) == {"events": [event], "next": 1, "hasMore": False}


def test_pages_have_no_gaps_and_continue_with_later_events(reviewer, organization, assessment_ids):
    pages = [get(reviewer, limit=2)]
    for _ in range(2):
        pages.append(get(reviewer, limit=2, after=pages[-1]["next"]))
    assert ids(*pages) == assessment_ids
    assert [page["hasMore"] for page in pages] == [True, True, False]
    cursor, later = pages[-1]["next"], make_assessment(organization)
    assert get(reviewer, after=cursor)["events"] == []  # not numbered yet
    publish_new()
    assert ids(get(reviewer, after=cursor)) == [str(later.id)]


def test_a_full_last_page_has_no_more(reviewer, assessment_ids):
    assert get(reviewer, limit=5)["hasMore"] is False
    assert get(reviewer, limit=4)["hasMore"] is True


def test_revocations_and_deletions_are_in_the_feed(reviewer, assessment, key):
    body_of(reviewer.delete(f"/v1/assessments/{assessment.id}/keys/{key.id}"))
    body_of(reviewer.delete(f"/v1/assessments/{assessment.id}"))
    publish_new()
    revoked, deleted = get(reviewer, types="key.revoked,assessment.deleted")["events"]
    assert revoked["type"] == "key.revoked"
    assert revoked["data"]["candidateId"] == str(key.id)
    assert deleted["data"] == {"assessmentId": str(assessment.id)}


def test_feed_can_start_after_the_latest_event(reviewer, organization, assessment_ids):
    start = get(reviewer, **{"from": "now"})
    assert start == {"events": [], "next": 5, "hasMore": False}
    later = make_assessment(organization)
    publish_new()
    assert ids(get(reviewer, after=start["next"])) == [str(later.id)]
    assert ids(get(reviewer, **{"from": "oldest"})) == [*assessment_ids, str(later.id)]
    assert error_paths(reviewer.get(PATH, **{"from": "yesterday"})) == [["from"]]


def test_cursor_moves_past_filtered_events(reviewer, organization, assessment_ids):
    make_key(make_assessment(organization))
    publish_new()
    page = get(reviewer, types="key.created,session.started")
    assert ([event["type"] for event in page["events"]], page["next"]) == (["key.created"], 7)
    assert get(reviewer, types="key.created", after=7)["events"] == []


def test_feed_contains_only_the_organizations_events(neighbour, reviewer, assessment_ids):
    make_assessment(make_organization("Third"))
    publish_new()
    assert get(neighbour) == {"events": [], "next": 0, "hasMore": False}
    assert get(reviewer)["next"] == 5


def test_invalid_cursors_types_and_limits_are_rejected(reviewer, assessment_ids):
    for field, values in {"after": [6, "x", -1], "types": ["key.lost", ""], "limit": ["x"]}.items():
        for value in values:
            assert error_paths(reviewer.get(PATH, **{field: value})) == [[field]], value


def test_events_are_stored_for_30_days(clock, reviewer, organization, assessment_ids):
    clock.fixed += timedelta(days=30)
    make_assessment(organization)
    publish_new()
    run_daily_tasks(None, set())
    assert len(get(reviewer)["events"]) == 6
    clock.fixed += timedelta(days=1)
    run_daily_tasks(None, set())
    assert len(get(reviewer)["events"]) == len(get(reviewer, after=5)["events"]) == 1
    assert error_of(reviewer.get(PATH, after=4)) == (410, "cursor_expired")


def test_positions_continue_after_all_events_are_deleted(clock, reviewer, organization, assessment_ids):
    clock.fixed += timedelta(days=31)
    run_daily_tasks(None, set())
    assert get(reviewer) == get(reviewer, after=5) == {"events": [], "next": 5, "hasMore": False}
    make_assessment(organization)
    publish_new()
    assert get(reviewer, after=5)["next"] == 6


def test_events_are_numbered_in_batches(organization, monkeypatch):
    monkeypatch.setattr("models.feed.BATCH_SIZE", 3)
    for part in (range(2), range(2, 6), range(6, 7), range(7, 10)):
        FeedEvent.publish(organization.id, "assessment.created", *[{"number": number} for number in part])
    assert publish_new() == 10
    rows = FeedEvent.select().order_by(FeedEvent.position)
    assert [(row.position, row.data["number"]) for row in rows] == [(n + 1, n) for n in range(10)]
    assert Feed.get(Feed.organization == organization).position == 10
    assert publish_new() == 0


def test_events_and_webhooks_do_not_contain_keys(clock, organization):
    make_webhook(organization, types=sorted(EVENT_TYPES), include_personal=True)
    session = make_closed_session(make_assessment(organization))
    mark_hired(session, True)
    outcomes.fail(Delivery.get(), "550 no such user")
    privacy.erase(session.key)
    publish_new()
    for rows in (FeedEvent.select(), WebhookDelivery.select()):
        events = list(rows.dicts())
        assert {event["type"] for event in events} >= {"key.created", "session.started", "candidate.erased"}
        assert session.key.key not in str(events)
