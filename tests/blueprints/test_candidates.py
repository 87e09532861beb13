"""All candidates of an organization: the specification with R16, R17, R23, R24 and the filters of the list."""

import csv
import io
from datetime import timedelta

import pytest
from answers import places, refusal
from callers import Caller
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_key,
    make_keys,
    make_organization,
    make_session,
)

from models import Session, privacy, sessions
from models import candidates as candidates_module

PATH = "/v1/candidates"
NOWHERE = "00000000-0000-7000-8000-000000000000"
MEMBERS = {
    "id", "key", "assessmentId", "orgId", "status", "candidateEmail", "candidateName", "sessionId", "expiresAt",
    "redeemedAt", "completedAt", "createdAt", "erasureRequestedAt", "invite", "assessmentTitle",
}  # fmt: skip


def listed(reviewer, **query):
    answer = reviewer.get(PATH, **query)
    assert answer.status_code == 200, answer.json
    return answer.json


def names(reviewer, **query):
    return [candidate["candidateName"] for candidate in listed(reviewer, **query)["candidates"]]


# The specified call


def test_nobody_yet(reviewer):
    assert listed(reviewer) == {"candidates": [], "total": 0, "limit": 50, "offset": 0}


def test_a_candidate_is_shown_with_the_assessment(clock, reviewer, assessment, key):
    session = make_session(key)
    clock.fixed += timedelta(hours=5, minutes=30)
    sessions.complete(session)
    answer = listed(reviewer)
    (candidate,) = answer["candidates"]
    assert set(candidate) >= MEMBERS
    assert (
        candidate
        | {
            "id": str(key.id),
            "key": key.key,
            "candidateName": "Alice",
            "candidateEmail": "alice@example.com",
            "status": "completed",
            "sessionId": str(session.id),
            "completedAt": "2026-04-01T14:30:00.000Z",
            "redeemedAt": "2026-04-01T09:00:00.000Z",
            "expiresAt": "2026-04-08T09:00:00.000Z",
            "assessmentId": str(assessment.id),
            "assessmentTitle": "Backend API Challenge",
        }
        == candidate
    )
    assert (answer["total"], answer["limit"], answer["offset"]) == (1, 50, 0)


def test_candidates_of_all_assessments_stand_in_the_order_of_their_creation(clock, reviewer, organization):
    first, second = make_assessment(organization), make_assessment(organization)
    for number, assessment in enumerate([first, second, second, first]):
        make_key(assessment, name=f"Candidate {number}")
        clock.fixed += timedelta(milliseconds=number % 2)
    assert names(reviewer) == [f"Candidate {number}" for number in range(4)]


def test_neighbours_have_candidates_of_their_own(reviewer, neighbour):
    make_key(make_assessment(neighbour.row.organization))
    assert listed(reviewer)["total"] == 0
    assert listed(neighbour)["total"] == 1


def test_pages_neither_skip_nor_repeat(clock, reviewer, assessment):
    keys = make_keys(assessment, 25)  # all at the same moment
    pages = [listed(reviewer, limit=10, offset=offset) for offset in (0, 10, 20)]
    assert [found["id"] for page in pages for found in page["candidates"]] == [str(key.id) for key in keys]
    assert [len(page["candidates"]) for page in pages] == [10, 10, 5]
    assert {(page["total"], page["limit"]) for page in pages} == {(25, 10)}


def test_fifty_are_the_default(reviewer, assessment):
    make_keys(assessment, 50)
    make_keys(assessment, 1)
    page = listed(reviewer)
    assert (len(page["candidates"]), page["total"], page["limit"]) == (50, 51, 50)


def test_an_offset_past_the_end_gives_an_empty_page_with_the_true_total(reviewer, key):
    assert listed(reviewer, offset=2**63 - 1) == {
        "candidates": [],
        "total": 1,
        "limit": 50,
        "offset": 2**63 - 1,
    }


@pytest.mark.parametrize(
    ("given", "applied"),
    [
        ("1", 1), ("200", 200), ("0", 1), ("-5", 1), ("201", 200), ("9999", 200), ("+5", 5), ("-0", 1), ("005", 5),
        ("9" * 30, 200), ("-" + "9" * 30, 1), ("9" * 1500, 200), ("0" * 1500 + "7", 7),
    ],
)  # fmt: skip
def test_limit_is_clamped(reviewer, given, applied):
    assert listed(reviewer, limit=given)["limit"] == applied


@pytest.mark.parametrize(
    "wrong", ["", " 5", "5 ", "5.0", "1e2", "five", "0x10", "1_000", "--5", "+-5", "+", "\u0665", "null"]
)
def test_a_limit_that_is_no_integer_is_refused(reviewer, wrong):
    assert places(reviewer.get(PATH, limit=wrong)) == [["limit"]]


@pytest.mark.parametrize("given", ["0", "+3", "-0", "007", str(2**63 - 1)])
def test_offset_is_an_integer_from_0_on(reviewer, given):
    assert listed(reviewer, offset=given)["offset"] == int(given)


@pytest.mark.parametrize("wrong", ["-1", str(2**63), "9" * 1500, "", " 1", "1.0", "two"])
def test_an_offset_outside_is_refused(reviewer, wrong):
    assert places(reviewer.get(PATH, offset=wrong)) == [["offset"]]


def test_of_a_repeated_parameter_the_first_counts(reviewer):
    assert reviewer.request("GET", f"{PATH}?limit=3&limit=nonsense&offset=1&offset=2").json["limit"] == 3
    assert places(reviewer.request("GET", f"{PATH}?limit=nonsense&limit=3")) == [["limit"]]


def test_unknown_parameters_are_ignored(reviewer):
    assert listed(reviewer, later="yes")["total"] == 0


# Filters


@pytest.fixture
def everybody(clock, reviewer, assessment):
    """One candidate for each status, named after it."""
    limited = make_assessment(assessment.organization, title="Limited", time_limit_minutes=1)
    make_session(make_key(limited, name="expired"))
    make_key(make_assessment(assessment.organization, expires_in_days=1), name="never came")
    clock.fixed += timedelta(days=2)
    make_key(assessment, name="pending")
    make_session(make_key(assessment, name="active"))
    sessions.complete(make_session(make_key(assessment, name="completed")))
    hired = make_session(make_key(assessment, name="hired"))
    sessions.complete(hired)
    sessions.mark_hired(hired, True)


@pytest.mark.usefixtures("everybody")
def test_the_status_filters(reviewer):
    assert names(reviewer, status="expired") == ["expired", "never came"]
    for status in ("pending", "active", "completed", "hired"):
        assert names(reviewer, status=status) == [status]
        assert listed(reviewer, status=status)["total"] == 1


@pytest.mark.usefixtures("everybody")
def test_each_candidate_reads_as_its_filter_says(reviewer):
    statuses = {found["candidateName"]: found["status"] for found in listed(reviewer)["candidates"]}
    assert statuses.pop("never came") == "expired"
    assert all(name == status for name, status in statuses.items())


@pytest.mark.parametrize("wrong", ["", "done", "Completed", "pending,active"])
def test_an_unknown_status_is_refused(reviewer, wrong):
    assert places(reviewer.get(PATH, status=wrong)) == [["status"]]


def test_the_assessment_filters(reviewer, organization, assessment, neighbour):
    make_key(assessment, name="Here")
    make_key(make_assessment(organization), name="There")
    theirs = make_assessment(neighbour.row.organization)
    make_key(theirs, name="Elsewhere")
    assert names(reviewer, assessmentId=str(assessment.id)) == ["Here"]
    assert names(reviewer, assessmentId=str(theirs.id)) == names(reviewer, assessmentId=NOWHERE) == []
    assert places(reviewer.get(PATH, assessmentId="nonsense")) == [["assessmentId"]]


@pytest.mark.parametrize("q", ["zoë", "ZOË", "STRASSE", "straße", "zoe@", "ZOE@Example.COM", "ë stra", ""])
def test_q_finds_names_and_addresses_in_any_letter_case(reviewer, assessment, q):
    make_key(assessment, email="zoe@example.com", name="Zoë Straße")
    assert names(reviewer, q=q) == ["Zoë Straße"]


@pytest.mark.parametrize("q", ["%", "_", "\\", "' or 1=1", "zoe%example", "nobody", "zo_"])
def test_q_takes_every_character_as_it_stands(reviewer, assessment, q):
    make_key(assessment, email="zoe@example.com", name="Zoë")
    assert names(reviewer, q=q) == []


def test_q_finds_what_only_looks_like_a_pattern(reviewer, assessment):
    make_key(assessment, name="100%_sure\\")
    make_key(assessment, name="1000 sure")
    for q in ("100%", "%_", "_SURE\\"):
        assert names(reviewer, q=q) == ["100%_sure\\"]


@pytest.mark.usefixtures("everybody")
def test_filters_work_together_and_with_pages(reviewer, assessment):
    page = listed(reviewer, assessmentId=str(assessment.id), q="E", status="active", limit=1)
    assert ([found["candidateName"] for found in page["candidates"]], page["total"]) == (["active"], 1)


# As a file


def rows(answer):
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_csv_is_the_whole_list(reviewer, assessment, monkeypatch):
    monkeypatch.setattr(candidates_module, "BATCH_SIZE", 3)
    keys = make_keys(assessment, 10)
    answer = reviewer.get(PATH, format="csv", limit=2, offset=5)
    assert [row["key"] for row in rows(answer)] == [key.key for key in keys]
    assert "attachment" in answer.headers["Content-Disposition"]


def test_csv_shows_what_the_list_shows(clock, reviewer, key):
    make_session(key)
    (row,) = rows(reviewer.get(PATH, format="csv"))
    (candidate,) = listed(reviewer)["candidates"]
    assert row == {name: candidate[name] or "" for name in row}
    assert MEMBERS - set(row) == {"orgId", "invite", "erasureRequestedAt"}


@pytest.mark.usefixtures("everybody")
def test_csv_can_be_filtered(reviewer):
    assert [row["candidateName"] for row in rows(reviewer.get(PATH, format="csv", status="hired"))] == [
        "hired"
    ]


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1+1"])
def test_no_cell_of_the_csv_can_be_a_formula(reviewer, assessment, formula):
    make_key(assessment, name=formula)
    (row,) = rows(reviewer.get(PATH, format="csv"))
    assert row["candidateName"] == f"'{formula}"


def test_csv_keeps_commas_quotes_and_letters(reviewer, assessment):
    make_key(assessment, name='Zoë "Z", Straße')
    assert rows(reviewer.get(PATH, format="csv"))[0]["candidateName"] == 'Zoë "Z", Straße'


def test_other_formats_are_refused(reviewer):
    assert places(reviewer.get(PATH, format="xlsx")) == [["format"]]


# Hired (R17)


def hire(reviewer, key, hired=True):
    return reviewer.patch(f"{PATH}/{key.id}", {"hired": hired})


def test_a_completed_candidate_is_hired_and_taken_back(reviewer, key, session):
    sessions.complete(session)
    answer = hire(reviewer, key)
    assert (answer.status_code, answer.json["candidate"]["status"]) == (200, "hired")
    assert answer.json["candidate"] == listed(reviewer)["candidates"][0]
    assert hire(reviewer, key, False).json["candidate"]["status"] == "completed"


def test_an_expired_candidate_is_hired_and_taken_back(clock, reviewer, organization):
    key = make_key(make_assessment(organization, time_limit_minutes=1))
    make_session(key)
    clock.fixed += timedelta(minutes=6)
    assert hire(reviewer, key).json["candidate"]["status"] == "hired"
    taken_back = hire(reviewer, key, False).json["candidate"]
    assert (taken_back["status"], taken_back["completedAt"]) == ("expired", None)


def test_hiring_keeps_when_the_candidate_completed(clock, reviewer, key, session):
    sessions.complete(session)
    clock.fixed += timedelta(days=3)
    assert hire(reviewer, key).json["candidate"]["completedAt"] == "2026-04-01T09:00:00.000Z"


def test_hiring_twice_is_hiring(reviewer, key, session):
    sessions.complete(session)
    hire(reviewer, key)
    assert hire(reviewer, key).json["candidate"]["status"] == "hired"


def test_nobody_is_hired_before_the_end(clock, reviewer, key):
    assert refusal(hire(reviewer, key)) == (409, "not_finished")
    make_session(key)
    assert refusal(hire(reviewer, key)) == (409, "not_finished")
    assert listed(reviewer)["candidates"][0]["status"] == "active"


def test_who_never_came_is_not_hired(clock, reviewer, key):
    clock.fixed = key.expires_at
    assert refusal(hire(reviewer, key)) == (409, "not_finished")


@pytest.mark.parametrize("wrong", [..., None, "true", "yes", 1, 0, [], {}])
def test_hired_is_true_or_false(reviewer, key, session, wrong):
    sessions.complete(session)
    assert places(reviewer.patch(f"{PATH}/{key.id}", {} if wrong is ... else {"hired": wrong})) == [["hired"]]


def test_only_ones_own_candidates_are_hired(reviewer, neighbour, key, session):
    sessions.complete(session)
    assert refusal(hire(neighbour, key)) == (404, "not_found")
    for wrong in (NOWHERE, "nonsense"):
        assert refusal(reviewer.patch(f"{PATH}/{wrong}", {"hired": True})) == (404, "not_found")
    key.revoke()
    assert refusal(hire(reviewer, key)) == (404, "not_found")


def test_the_server_owns_the_rest_of_a_candidate(reviewer, key, session):
    sessions.complete(session)
    reviewer.patch(f"{PATH}/{key.id}", {"hired": True, "status": "pending", "key": "PST-AAAA-AAAA"})
    assert [(found["status"], found["key"]) for found in listed(reviewer)["candidates"]] == [
        ("hired", key.key)
    ]


# One more redeem (R31)


def test_a_reviewer_allows_one_more_redeem(app, anonymous, reviewer, key, session):
    add_event(session, envelope())
    answer = reviewer.post(f"{PATH}/{key.id}/allow-redeem")
    assert (answer.status_code, answer.json["candidate"]["status"]) == (200, "active")
    again = anonymous.post("/v1/candidate/redeem", {"key": key.key})
    assert (again.status_code, again.json["sessionId"]) == (200, str(session.id))
    assert refusal(anonymous.post("/v1/candidate/redeem", {"key": key.key})) == (409, "already_redeemed")


def test_before_work_has_begun_nothing_needs_to_be_allowed(reviewer, key):
    assert reviewer.post(f"{PATH}/{key.id}/allow-redeem").json["candidate"]["status"] == "pending"
    assert Session.select().count() == 0


def test_a_closed_session_is_not_opened_again(reviewer, key, session):
    sessions.complete(session)
    assert refusal(reviewer.post(f"{PATH}/{key.id}/allow-redeem")) == (409, "session_closed")


def test_a_neighbour_allows_nothing(app, key, session):
    stranger = Caller.reviewer(app, make_organization("Strangers"))
    assert refusal(stranger.post(f"{PATH}/{key.id}/allow-redeem")) == (404, "not_found")


# Behind a candidate


def test_pages_go_on_behind_a_candidate(clock, reviewer, assessment):
    ids = [str(key.id) for key in make_keys(assessment, 5)]
    clock.fixed += timedelta(seconds=1)
    ids += [str(key.id) for key in make_keys(assessment, 5)]
    found, last = [], {}
    while page := listed(reviewer, limit=3, **last)["candidates"]:
        found += [candidate["id"] for candidate in page]
        last = {"after": found[-1]}
    assert found == ids


def test_who_was_read_last_may_be_revoked_and_total_and_offset_stay_what_they_are(reviewer, assessment):
    first, *others = make_keys(assessment, 4)
    first.revoke()
    page = listed(reviewer, after=str(first.id), offset=1, limit=1)
    assert [candidate["id"] for candidate in page["candidates"]] == [str(others[1].id)]
    assert (page["total"], page["offset"]) == (3, 1)


def test_behind_goes_with_the_filters(reviewer, assessment):
    first, _, third = make_keys(assessment, 3)
    make_session(third)
    page = listed(reviewer, after=str(first.id), status="active")
    assert [candidate["id"] for candidate in page["candidates"]] == [str(third.id)]
    assert page["total"] == 1


@pytest.mark.parametrize("wrong", [NOWHERE, "nonsense"])
def test_behind_nobody_is_no_place(reviewer, key, wrong):
    answer = reviewer.get(PATH, after=wrong)
    assert (answer.status_code, places(answer)) == (400, [["after"]])


def test_behind_a_neighbours_candidate_is_no_place(neighbour, key):
    assert neighbour.get(PATH, after=str(key.id)).status_code == 400


# How many there are


def total(reviewer, **query):
    """The total, which is kept, after a look that counting would give the same."""
    page = listed(reviewer, limit=200, **query)
    assert page["total"] == len(page["candidates"])
    return page["total"]


def test_the_total_follows_every_change(reviewer, organization, assessment):
    first, second, *_ = make_keys(assessment, 5)
    other = make_assessment(organization)
    make_keys(other, 3)
    assert (total(reviewer), total(reviewer, assessmentId=str(other.id))) == (8, 3)
    first.revoke()
    first.revoke()
    privacy.erase(first)
    privacy.erase(second)
    privacy.erase(second)
    second.revoke()
    assert total(reviewer) == 6
    other.delete_softly()
    assert (total(reviewer), total(reviewer, assessmentId=str(other.id))) == (3, 0)
