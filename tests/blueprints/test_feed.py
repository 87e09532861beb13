"""The feed of events over the API."""

from datetime import timedelta

import pytest
from factories import make_assessment, make_key, make_organization

from delivery.worker import Worker
from models import Feed, FeedEvent
from models.webhooks.outbox import publish_new


@pytest.fixture
def five(organization):
    """Five assessments that are in the feed."""
    assessments = [make_assessment(organization) for _ in range(5)]
    publish_new()
    return [str(assessment.id) for assessment in assessments]


def ids(page):
    return [event["data"]["assessmentId"] for event in page["events"]]


def test_an_event_tells_what_happened(reviewer, clock, assessment):
    publish_new()
    page = reviewer.get("/v1/events").json
    (event,) = page["events"]
    assert event == {
        "id": str(FeedEvent.get().id),
        "type": "assessment.created",
        "timestamp": "2026-04-01T09:00:00.000Z",
        "data": {"assessmentId": str(assessment.id)},
    }
    assert (page["next"], page["hasMore"]) == (1, False)


def test_the_pages_join_without_a_gap(reviewer, five):
    first = reviewer.get("/v1/events", limit=2).json
    second = reviewer.get("/v1/events", limit=2, after=first["next"]).json
    third = reviewer.get("/v1/events", limit=2, after=second["next"]).json
    assert ids(first) + ids(second) + ids(third) == five
    assert [page["hasMore"] for page in (first, second, third)] == [True, True, False]
    assert reviewer.get("/v1/events", after=third["next"]).json["events"] == []


def test_a_filter_moves_the_cursor_past_what_it_leaves_out(reviewer, organization, five):
    make_key(make_assessment(organization))
    publish_new()
    page = reviewer.get("/v1/events", types="key.created,session.started").json
    assert [event["type"] for event in page["events"]] == ["key.created"]
    assert page["next"] == 7
    assert reviewer.get("/v1/events", types="key.created", after=7).json["events"] == []


def test_what_is_not_numbered_yet_comes_later(reviewer, organization, five):
    following = reviewer.get("/v1/events").json["next"]
    late = make_assessment(organization)
    assert reviewer.get("/v1/events", after=following).json["events"] == []
    publish_new()
    assert ids(reviewer.get("/v1/events", after=following).json) == [str(late.id)]


def test_everybody_has_a_feed_of_their_own(neighbour, reviewer, five):
    make_assessment(make_organization("Third"))
    publish_new()
    assert neighbour.get("/v1/events").json == {"events": [], "next": 0, "hasMore": False}
    assert reviewer.get("/v1/events").json["next"] == 5


@pytest.mark.parametrize(
    ("query", "member"), [({"after": 6}, "after"), ({"after": "x"}, "after"), ({"after": -1}, "after"),
                          ({"types": "key.lost"}, "types"), ({"types": ""}, "types"), ({"limit": "x"}, "limit")],
)  # fmt: skip
def test_what_is_no_cursor_no_type_and_no_number_is_refused(reviewer, five, query, member):
    answer = reviewer.get("/v1/events", **query)
    assert (answer.status_code, answer.json["details"][0]["path"]) == (400, [member])


def test_events_are_kept_for_30_days_and_a_cursor_that_missed_some_is_told(
    app, clock, reviewer, organization, five
):
    clock.fixed += timedelta(days=30)
    make_assessment(organization)
    worker = Worker(app.config)
    worker.run_once()
    assert len(reviewer.get("/v1/events").json["events"]) == 6
    clock.fixed += timedelta(days=1)
    worker.run_once()
    assert len(reviewer.get("/v1/events").json["events"]) == 1
    expired = reviewer.get("/v1/events", after=4)
    assert (expired.status_code, expired.json["code"]) == (410, "cursor_expired")
    assert len(reviewer.get("/v1/events", after=5).json["events"]) == 1


def test_when_all_are_gone_the_numbers_go_on(app, clock, reviewer, organization, five):
    clock.fixed += timedelta(days=31)
    Worker(app.config).run_once()
    assert reviewer.get("/v1/events").json == {"events": [], "next": 5, "hasMore": False}
    assert reviewer.get("/v1/events", after=5).status_code == 200
    make_assessment(organization)
    publish_new()
    assert reviewer.get("/v1/events", after=5).json["next"] == 6


def test_many_are_numbered_in_parts(organization, monkeypatch):
    monkeypatch.setattr("models.feed.BATCH_SIZE", 3)
    for part in (range(2), range(2, 6), range(6, 7), range(7, 10)):
        FeedEvent.publish(organization.id, "assessment.created", *[{"number": number} for number in part])
    assert publish_new() == 10
    rows = FeedEvent.select().order_by(FeedEvent.position)
    assert [(row.position, row.data["number"]) for row in rows] == [
        (number + 1, number) for number in range(10)
    ]
    assert Feed.get(Feed.organization == organization).position == 10
    assert publish_new() == 0
