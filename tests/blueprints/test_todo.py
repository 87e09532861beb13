"""The caller's to-do lists."""

from datetime import timedelta

import pytest
from callers import Caller
from factories import (
    make_assessment,
    make_closed_session,
    make_key,
    make_keys,
    make_person,
    make_rubric,
    make_session,
    make_webhook,
)
from response_checks import body_of

from models import CandidateKey, Delivery, Webhook, clock, db, invitations, privacy, sessions
from models.base import is_postgres
from tests.statements import plans

PATH = "/v1/todo"
LEVELS = [{"value": value, "label": str(value)} for value in (1, 2, 3)]
CRITERIA = [{"key": key, "title": key, "weight": 1, "levels": LEVELS} for key in ("quality", "tests")]


@pytest.fixture
def scored(organization):
    """An assessment with two criteria."""
    return make_assessment(organization, rubric_id=make_rubric(organization, criteria=CRITERIA).id)


def person(app, organization, role="reviewer", name="Bob"):
    return Caller.person(app, make_person(organization, role, name))


def put_scores(caller, session, value, *criteria):
    for criterion in criteria or ("quality", "tests"):
        body_of(caller.put(f"/v1/sessions/{session.id}/scores/{criterion}", {"value": value}))


def get_list(caller, name, **query):
    return body_of(caller.get(PATH, **query))[name]


def session_ids(caller, name):
    return [entry["sessionId"] for entry in get_list(caller, name)["entries"]]


def test_all_lists_are_empty_in_a_new_organization(reviewer):
    lists = body_of(reviewer.get(PATH))
    assert len(lists) == 9
    assert lists["unscored"].pop("assignedCount") == 0
    assert all(todo_list == {"count": 0, "entries": []} for todo_list in lists.values())


def test_a_person_must_score_every_criterion_of_each_closed_session(app, organization, scored):
    bob, carol = person(app, organization), person(app, organization, name="Carol")
    first, second = make_closed_session(scored), make_closed_session(scored)
    make_session(make_key(scored))  # still open
    make_closed_session(make_assessment(organization))  # without a rubric
    ids = [str(first.id), str(second.id)]
    assert session_ids(bob, "unscored") == ids
    put_scores(bob, first, 2, "quality")
    assert session_ids(bob, "unscored") == ids
    put_scores(bob, first, 2, "tests")
    assert session_ids(bob, "unscored") == ids[1:]
    assert session_ids(carol, "unscored") == ids
    invitations.decide(second.key, None, "rejected", "Left early.")
    assert session_ids(bob, "unscored") == []
    assert session_ids(carol, "unscored") == ids[:1]


def test_sessions_of_revoked_candidates_need_nothing(reviewer, scored):
    session = make_closed_session(scored)
    path = f"/v1/assessments/{scored.id}/results"
    assert body_of(reviewer.get(f"{path}/views"))["views"]["undecided"] == 1
    session.key.revoke()
    assert session_ids(reviewer, "unscored") == []
    assert body_of(reviewer.get(f"{path}/views"))["views"]["undecided"] == 0
    assert body_of(reviewer.get(path, view="undecided"))["results"] == []


def test_sessions_are_listed_by_closing_time(reviewer, scored, clock):
    started_first = make_session(make_key(scored))
    clock.fixed += timedelta(minutes=10)
    finished_first = make_closed_session(scored)
    clock.fixed += timedelta(minutes=10)
    sessions.complete(started_first)
    assert session_ids(reviewer, "unscored") == [str(finished_first.id), str(started_first.id)]


def test_candidates_who_requested_erasure_are_the_last_to_score(reviewer, scored):
    first, second = make_closed_session(scored), make_closed_session(scored)
    first.key.request_erasure()
    entries = get_list(reviewer, "unscored")["entries"]
    assert [entry["sessionId"] for entry in entries] == [str(second.id), str(first.id)]
    assert [entry["erasureRequestedAt"] is None for entry in entries] == [True, False]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", ["rank", "redeemedAt", "status"])
def test_the_default_orders_of_results_to_score_list_them_last(
    app, reviewer, organization, scored, sort, order
):
    carol, sessions = person(app, organization), [make_closed_session(scored) for _ in range(8)]
    for session, value in zip(sessions, (3, 3, 1, 2), strict=False):
        put_scores(carol, session, value)
    query = {"view": "to_score", "sort": sort, "order": order}

    def read_ids(**query):
        page = body_of(reviewer.get(f"/v1/assessments/{scored.id}/results", **query))
        rest = read_ids(**query | {"after": page["next"]}) if page["next"] else []
        return [result["sessionId"] for result in page["results"]] + rest

    before = read_ids(**query)
    assert len(before) == 8
    requested = [session for number, session in enumerate(sessions) if number in (0, 3, 5, 7)]
    for session in requested:
        session.key.request_erasure()
    last = sorted((str(session.id) for session in requested), reverse=order == "desc")
    expected = before if sort == "status" else [each for each in before if each not in last] + last
    assert read_ids(**query) == read_ids(**query, limit=3) == expected
    assert read_ids(**query | {"view": "undecided"}) == before


def test_a_service_account_must_score_each_closed_session(reviewer, scored):
    session = make_closed_session(scored)
    assert session_ids(reviewer, "unscored") == [str(session.id)]
    put_scores(reviewer, session, 2, "quality")
    assert session_ids(reviewer, "unscored") == []
    reviewer.delete(f"/v1/sessions/{session.id}/scores/quality")
    assert session_ids(reviewer, "unscored") == [str(session.id)]


def test_a_session_past_its_time_limit_is_listed_before_it_is_closed(reviewer, organization, clock):
    rubric = make_rubric(organization)
    assessment = make_assessment(organization, rubric_id=rubric.id, time_limit_minutes=60)
    session = make_session(make_key(assessment))
    assert session_ids(reviewer, "unscored") == []
    clock.fixed = session.closes_at
    (entry,) = get_list(reviewer, "unscored")["entries"]
    assert entry["closedAt"] is not None


def test_people_can_see_disagreements_only_in_sessions_that_they_scored(app, organization, reviewer, scored):
    session = make_closed_session(scored)
    bob, carol = person(app, organization), person(app, organization, name="Carol")
    dave, admin = person(app, organization, name="Dave"), person(app, organization, "admin", "Alan")
    put_scores(bob, session, 1)
    put_scores(carol, session, 2)
    assert session_ids(bob, "disagreements") == []
    put_scores(carol, session, 3, "tests")
    for caller, count in ((bob, 1), (carol, 1), (reviewer, 1), (admin, 0), (dave, 0)):
        assert len(session_ids(caller, "disagreements")) == count
    put_scores(carol, session, 2, "tests")
    assert session_ids(bob, "disagreements") == []


def test_disagreements_in_open_sessions_are_the_last(app, organization, reviewer):
    rubric = make_rubric(organization, criteria=CRITERIA)
    limited = make_assessment(organization, rubric_id=rubric.id, time_limit_minutes=60)
    assessment = make_assessment(organization, rubric_id=rubric.id)
    opened = [make_session(make_key(each)) for each in (assessment, limited)]
    closed = make_closed_session(assessment)
    bob, carol = person(app, organization), person(app, organization, name="Carol")
    for session in (*opened, closed):
        put_scores(bob, session, 1)
        put_scores(carol, session, 3)
    entries = get_list(reviewer, "disagreements")["entries"]
    assert [entry["sessionId"] for entry in entries] == [str(each.id) for each in (closed, *opened)]
    assert [entry["closedAt"] is None for entry in entries] == [False, True, True]


def test_failed_messages_are_listed_while_the_key_is_open(reviewer, organization):
    assessment = make_assessment(organization)
    keys = [make_key(assessment, f"{name}@example.com", name) for name in ("Ann", "Ben", "Cem", "Dan")]
    Delivery.update(state="failed", last_error="550 Unknown").where(
        Delivery.subject_id.in_([key.id for key in keys])
    ).execute()
    keys[1].revoke()
    reviewer.post(f"/v1/candidates/{keys[2].id}/invite")  # a newer message is queued
    keys[3].update_columns(expires_at=clock.now())
    (progress,) = body_of(reviewer.get("/v1/analytics/progress"))["assessments"]
    assert progress["waiting"]["failedMessages"] == 1
    failed = get_list(reviewer, "failedMessages")
    assert failed["count"] == 1
    (entry,) = failed["entries"]
    assert (entry["candidateName"], entry["lastError"], entry["kind"]) == ("Ann", "550 Unknown", "invitation")
    assert reviewer.post(f"/v1/deliveries/{entry['deliveryId']}/retry").status_code == 200
    assert get_list(reviewer, "failedMessages")["count"] == 0


def test_keys_that_expire_soon_are_listed_by_expiry(reviewer, organization):
    assessment = make_assessment(organization)
    late, soon, past, redeemed = [make_key(assessment) for _ in range(4)]
    make_session(redeemed)
    for key, hours in ((late, 71), (soon, 2), (past, -1), (redeemed, 1)):
        key.update_columns(expires_at=clock.now() + timedelta(hours=hours))
    make_key(assessment)
    entries = get_list(reviewer, "expiringKeys")["entries"]
    assert [entry["candidateId"] for entry in entries] == [str(soon.id), str(late.id)]


def test_erasure_requests_are_listed_for_admins(app, organization, reviewer, candidate, key):
    candidate.post("/v1/candidate/me/erasure-request")
    key.revoke()
    (entry,) = get_list(reviewer, "erasureRequests")["entries"]
    assert entry["candidateId"] == str(key.id)
    assert get_list(person(app, organization, "admin"), "erasureRequests")["count"] == 1
    assert get_list(person(app, organization, name="Carol"), "erasureRequests") is None
    privacy.erase(CandidateKey.get_by_id(key.id))
    assert get_list(reviewer, "erasureRequests")["count"] == 0


def test_failing_and_disabled_webhooks_are_listed(reviewer, organization):
    failing, gone, paused, _ = [make_webhook(organization) for _ in range(4)]
    now = clock.now()
    failing.update_columns(failing_since=now, last_error="The receiver responded with 500.")
    gone.update_columns(disabled_reason="gone", disabled_at=now - timedelta(hours=1))
    paused.update_columns(disabled_reason="paused", disabled_at=now, failing_since=now)
    entries = get_list(reviewer, "failingWebhooks")["entries"]
    assert [entry["webhookId"] for entry in entries] == [str(gone.id), str(failing.id)]
    assert [entry["disabledReason"] for entry in entries] == ["gone", None]
    Webhook.update(deleted_at=now).execute()
    assert get_list(reviewer, "failingWebhooks")["count"] == 0


def test_lists_are_null_for_read_only_callers(app, organization, reader, scored):
    make_closed_session(scored)
    for caller in (reader, person(app, organization, "observer")):
        assert set(body_of(caller.get(PATH)).values()) == {None}


def test_a_blind_assessment_hides_names(app, organization, reviewer, key, session):
    key.assessment.update_columns(blind=True, rubric_id=make_rubric(organization).id)
    session.update_columns(closed_at=clock.now())
    (entry,) = get_list(person(app, organization), "unscored")["entries"]
    assert (entry["candidateName"], entry["candidateEmail"]) == (None, None)
    (entry,) = get_list(reviewer, "unscored")["entries"]
    assert entry["candidateName"] == key.candidate_name


def test_lists_are_limited_but_count_all_entries(reviewer, scored):
    for _ in range(3):
        make_closed_session(scored)
    unscored = get_list(reviewer, "unscored", limit=2)
    assert (unscored["count"], len(unscored["entries"])) == (3, 2)


def test_the_lists_do_not_scan_tables(reviewer, scored):
    make_closed_session(scored)
    make_keys(scored, 500)
    if is_postgres():
        db.execute_sql("ANALYZE")
    lines = "\n".join(plans(lambda: reviewer.get(PATH))).splitlines()
    tables = ("candidate_keys", "sessions", "deliveries", "k", "s", "d")
    scans = tuple(prefix for table in tables for prefix in (f"Seq Scan on {table} ", f"SCAN {table}"))
    assert [line for line in lines if line.strip(" ->").startswith(scans)] == []
    assert "candidate_keys_to_erase" in "\n".join(lines)
