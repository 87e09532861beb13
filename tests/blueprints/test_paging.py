"""Lists are ordered by creation time and paginated by cursor, in constant time per page."""

from datetime import timedelta

import pytest
from factories import make_assessment, make_issue, make_keys, make_rubric, make_session, make_webhook
from response_checks import body_of, error_paths
from statements import capture_queries, plans

from models import ApiToken, CandidateKey, Delivery, Session, WebhookDelivery, db, sessions
from models.base import is_postgres

COUNT = 5
LISTS = {
    "assessments": "/v1/assessments",
    "keys": "/v1/assessments/{assessment}/keys",
    "candidates": "/v1/candidates",
    "sessions": "/v1/sessions",
    "rubrics": "/v1/rubrics",
    "issues": "/v1/issues",
    "webhooks": "/v1/webhooks",
    "webhook deliveries": "/v1/webhooks/{webhook}/deliveries",
    "deliveries": "/v1/deliveries",
    "deliveries to a candidate": "/v1/candidates/{candidate}/deliveries",
    "entries": "/v1/audit",
    "tokens": "/v1/org/tokens",
}
NEWEST_FIRST = {"deliveries", "deliveries to a candidate", "entries"}


@pytest.fixture
def lists(clock, reviewer, organization, assessment):
    """The lists' paths. Each list has at least five entries, most with the same creation time."""
    hook = make_webhook(organization)
    keys = make_keys(assessment, COUNT, email="a@example.com")
    clock.fixed = clock.fixed.replace(second=1)
    for number in range(COUNT):
        make_assessment(organization)
        make_rubric(organization)
        make_issue(organization)
        make_webhook(organization)
        ApiToken.issue(organization, "Tests", "read")
        make_session(keys[number])
        delivery = {"organization": organization, "kind": "reminder", "state": "sent", "due_at": clock.now()}
        Delivery.create(subject_id=keys[0].id, data={}, **delivery)
        message = {"webhook": hook, "event_id": keys[number].id, "type": "key.created", "body": "{}"}
        WebhookDelivery.create(**message, due_at=clock.now(), state="delivered")
        reviewer.get(f"/v1/candidates/{keys[0].id}/deliveries")
    ids = {"assessment": assessment.id, "webhook": hook.id, "candidate": keys[0].id}
    return {name: path.format(**ids) for name, path in LISTS.items()}


def entries_of(page):
    return next(value for value in page.values() if isinstance(value, list))


def read_all(reviewer, path, **query):
    after = {}
    while after is not None:
        page = body_of(reviewer.get(path, **query, **after))
        assert len(entries_of(page)) <= 2
        yield from entries_of(page)
        after = page["next"] and {"after": page["next"]}


def test_lists_are_ordered_by_creation_time_and_can_be_read_completely_by_cursor(reviewer, lists):
    for name, path in lists.items():
        page = body_of(reviewer.get(path, limit=200))
        ids = [entry["id"] for entry in entries_of(page)]
        assert len(ids) >= COUNT, name
        assert page["next"] is None, name
        times = [entry.get("createdAt") or entry["redeemedAt"] for entry in entries_of(page)]
        assert times == sorted(times, reverse=name in NEWEST_FIRST), name
        default, other = ("desc", "asc") if name in NEWEST_FIRST else ("asc", "desc")
        for query, expected in (({}, ids), ({"order": default}, ids), ({"order": other}, ids[::-1])):
            assert [entry["id"] for entry in read_all(reviewer, path, limit=2, **query)] == expected, name


def test_invalid_cursors_and_orders_are_rejected(reviewer, lists):
    for path in lists.values():
        for cursor in ("", "1", "1.2", "x." + "0" * 32, "1" * 17 + "." + "0" * 32, "1." + "G" * 32):
            assert error_paths(reviewer.get(path, after=cursor)) == [["after"]], (path, cursor)
        assert error_paths(reviewer.get(path, order="newest")) == [["order"]], path


def test_cursor_pages_do_not_count_the_total(reviewer, lists):
    page = body_of(reviewer.get(lists["sessions"], limit=2))
    assert page["total"] == COUNT
    with capture_queries() as statements:
        assert body_of(reviewer.get(lists["sessions"], limit=2, after=page["next"]))["total"] is None
    assert not [statement for statement in statements if "COUNT(" in statement.upper()]


LONG_LISTS = {
    "assessments": "assessment_organization_id_created_at_id",
    "keys": "candidatekey_assessment_id_created_at_id",  # or, on SQLite, candidate_keys_in_order
    "candidates": "candidate_keys_in_order",
    "sessions": "session_organization_id_created_at_id",
    "webhook deliveries": "webhookdelivery_webhook_id_created_at_id",
    "deliveries": "deliveries_in_order",
    "entries": "auditentry_organization_id_created_at_id",
}


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_are_read_from_an_index_range(reviewer, organization, lists, order):
    make_keys(make_assessment(organization), 500)
    db.execute_sql("ANALYZE")
    if is_postgres():
        # The planner would sort lists this short.
        db.execute_sql("SET LOCAL enable_sort = off")
    for name, index in LONG_LISTS.items():
        query = {"limit": 2, "order": order}
        query["after"] = body_of(reviewer.get(lists[name], **query))["next"]
        all_plans = plans(lambda name=name, query=query: reviewer.get(lists[name], **query))
        names = [index, LONG_LISTS["candidates"]] if name == "keys" else [index]
        plan = next((plan for plan in all_plans if any(index in plan for index in names)), "")
        # The cursor limits the index range instead of filtering its rows.
        is_range = any("ROW(" in line and "Index Cond" in line for line in plan.splitlines())
        assert is_range or "(created_at,id)" in plan, "\n--\n".join([name, *all_plans])


@pytest.mark.parametrize("name", ["assessments", "candidates", "sessions"])
def test_lists_can_be_filtered_by_creation_and_update_time(clock, reviewer, lists, name):
    def ids(**query):
        return [entry["id"] for entry in entries_of(body_of(reviewer.get(lists[name], **query)))]

    rows = body_of(reviewer.get(lists[name], limit=200))[name]
    later = [row["id"] for row in rows if "09:00:01" in (row.get("createdAt") or row["redeemedAt"])]
    assert ids(createdAfter="2026-04-01T09:00:00.999Z") == later
    assert (
        len(ids(updatedAfter="2026-04-01T09:00:00.999Z")) == COUNT
    )  # a session's update also updates its candidate
    assert ids(createdAfter="2026-04-01T09:00:01Z") == ids(updatedAfter="2026-04-01T09:00:01Z") == []
    clock.fixed += timedelta(minutes=1)
    updated = update(reviewer, name, rows[-1]["id"])
    assert ids(updatedAfter="2026-04-01T09:00:01Z") == [updated["id"]]
    assert updated["updatedAt"] == "2026-04-01T09:01:01.000Z"


def update(reviewer, name, id):
    """Update the assessment, candidate or session. Return it from the list."""
    if name == "assessments":
        body_of(reviewer.patch(f"/v1/assessments/{id}", {"expiresInDays": 30}))
    elif name == "candidates":
        body_of(reviewer.patch(f"/v1/candidates/{id}", {"candidateName": "Bob"}))
    else:
        body_of(reviewer.post(f"/v1/sessions/{id}/close"))
    rows = body_of(reviewer.get(LISTS[name], limit=200))[name]
    return next(row for row in rows if row["id"] == id)


def test_a_candidates_updated_at_follows_its_session_but_not_its_events(clock, reviewer, lists):
    candidate = body_of(reviewer.get("/v1/candidates"))["candidates"][0]
    session = Session.get_by_id(candidate["sessionId"])
    clock.fixed += timedelta(minutes=1)
    since = "2026-04-01T09:00:30Z"
    key = CandidateKey.get_by_id(candidate["id"])
    key.update_columns(candidate_name=key.candidate_name, bounced=True)
    session.update_columns(listed_seq=3, stored_event_count=7)
    assert body_of(reviewer.get("/v1/candidates", updatedAfter=since))["candidates"] == []
    sessions.close(session)
    (updated,) = body_of(reviewer.get("/v1/candidates", updatedAfter=since))["candidates"]
    assert (updated["id"], updated["updatedAt"]) == (candidate["id"], "2026-04-01T09:01:01.000Z")
    assert body_of(reviewer.get("/v1/candidates", updatedAfter=since))["total"] == 1


def test_filters_by_update_time_use_indexes(reviewer, lists):
    db.execute_sql("ANALYZE")
    for name, indexes in {
        "candidates": ("candidate_keys_changed", "sessions_changed"),
        "sessions": ("sessions_changed",),
    }.items():
        all_plans = plans(lambda name=name: reviewer.get(lists[name], updatedAfter="2026-04-01T09:00:30Z"))
        assert any(all(index in plan for index in indexes) for plan in all_plans), all_plans
