"""The problem library: the catalogue that all see, and an organization's own issues (R2, R3, R6, R12, R23, R24)."""

from datetime import timedelta

import pytest
from answers import places, refusal
from callers import Caller
from factories import make_assessment, make_issue, make_key

from models import Issue

PATH = "/v1/issues"
NOWHERE = "00000000-0000-7000-8000-000000000000"
SHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
BODY = {"title": "Orders are lost", "taskBrief": "Find the lost orders."}
FULL = BODY | {
    "repoUrl": "https://github.com/example/orders",
    "repoCommit": SHA,
    "repoSubdir": "services/orders",
    "description": "Two at once.",
    "difficulty": "medium",
    "language": "Go",
    "labels": ["concurrency", "http"],
    "setupInstructions": "go mod download",
    "testCommand": "go test ./...",
    "referenceSha": SHA[::-1],
    "sources": ["https://github.com/example/orders/issues/1"],
    "license": "MIT",
}


def titles(caller, **query):
    answer = caller.get(PATH, **query)
    assert answer.status_code == 200, answer.json
    return [issue["title"] for issue in answer.json["issues"]]


# Add


def test_add_answers_the_issue(clock, reviewer):
    answer = reviewer.post(PATH, FULL)
    assert answer.status_code == 201
    issue = answer.json["issue"]
    assert issue == FULL | {
        "id": issue["id"],
        "isCatalogue": False,
        "createdAt": "2026-04-01T09:00:00.000Z",
        "updatedAt": "2026-04-01T09:00:00.000Z",
    }
    assert reviewer.get(f"{PATH}/{issue['id']}").json == answer.json


def test_only_title_and_brief_are_required(reviewer):
    issue = reviewer.post(PATH, BODY).json["issue"]
    nulls = {name for name, value in issue.items() if value is None}
    assert nulls == set(FULL) - set(BODY) - {"labels", "sources"}
    assert issue["labels"] == issue["sources"] == []


@pytest.mark.parametrize("member", ["title", "taskBrief"])
@pytest.mark.parametrize("wrong", [..., None, "", "  ", 7])
def test_title_and_brief_are_required_texts(reviewer, member, wrong):
    body = {name: value for name, value in (BODY | {member: wrong}).items() if value is not ...}
    assert places(reviewer.post(PATH, body)) == [[member]]


@pytest.mark.parametrize(
    ("member", "wrong"),
    [
        ("title", "x" * 256), ("repoUrl", "nowhere"), ("repoUrl", "https://a:b@example.com"), ("repoCommit", "abc"),
        ("repoCommit", SHA.upper()), ("referenceSha", SHA + "\n"), ("difficulty", "Medium"), ("labels", "http"),
        ("labels", ["x"] * 51), ("language", "G\no"), ("license", ""), ("description", 7), ("sources", {}),
    ],
)  # fmt: skip
def test_members_have_their_form(reviewer, member, wrong):
    assert places(reviewer.post(PATH, BODY | {member: wrong})) == [[member]]
    assert Issue.select().count() == 0


def test_each_label_is_a_text(reviewer):
    assert places(reviewer.post(PATH, BODY | {"labels": ["http", 7, ""]})) == [["labels", 1], ["labels", 2]]


def test_the_server_owns_the_rest(reviewer, organization):
    issue = reviewer.post(PATH, BODY | {"id": NOWHERE, "isCatalogue": True, "later": 1}).json["issue"]
    assert (issue["id"] != NOWHERE, issue["isCatalogue"]) == (True, False)


def test_nulls_equal_leaving_out(reviewer):
    nulls = dict.fromkeys(set(FULL) - set(BODY))
    assert reviewer.post(PATH, BODY | nulls).json["issue"]["labels"] == []


# Look


def test_the_catalogue_is_for_all_and_own_issues_are_ones_own(reviewer, neighbour, organization):
    make_issue(title="Catalogue")
    make_issue(organization, title="Ours")
    make_issue(neighbour.row.organization, title="Theirs")
    assert titles(reviewer) == ["Catalogue", "Ours"]
    assert titles(neighbour) == ["Catalogue", "Theirs"]


def test_the_catalogue_says_what_it_is(reviewer):
    issue = make_issue(title="Catalogue", reference_sha=SHA)
    shown = reviewer.get(f"{PATH}/{issue.id}").json["issue"]
    assert (shown["isCatalogue"], shown["referenceSha"]) == (True, SHA)


def test_a_neighbours_issue_is_404(neighbour, organization):
    issue = make_issue(organization)
    for answer in (
        neighbour.get(f"{PATH}/{issue.id}"),
        neighbour.patch(f"{PATH}/{issue.id}", {"title": "Mine"}),
        neighbour.delete(f"{PATH}/{issue.id}"),
    ):
        assert refusal(answer) == (404, "not_found")


@pytest.mark.parametrize("wrong", [NOWHERE, "nonsense"])
def test_an_unknown_issue_is_404(reviewer, candidate, wrong):
    for answer in (
        reviewer.get(f"{PATH}/{wrong}"),
        candidate.get(f"{PATH}/{wrong}"),
        reviewer.patch(f"{PATH}/{wrong}", {}),
        reviewer.delete(f"{PATH}/{wrong}"),
    ):
        assert refusal(answer) == (404, "not_found")


def test_a_candidate_sees_the_issue_of_the_own_assessment_only(app, organization):
    own, other = make_issue(organization), make_issue(organization)
    candidate = Caller.candidate(app, make_key(make_assessment(organization, issue_id=own.id)))
    assert candidate.get(f"{PATH}/{own.id}").status_code == 200
    assert refusal(candidate.get(f"{PATH}/{other.id}")) == (404, "not_found")
    assert refusal(candidate.get(PATH)) == (401, "unauthorized")


def test_pages_in_the_order_of_creation(clock, reviewer):
    for number in range(5):
        reviewer.post(PATH, BODY | {"title": f"Issue {number}"})
        clock.fixed += timedelta(seconds=number % 2)
    assert titles(reviewer, limit=2, offset=1) == ["Issue 1", "Issue 2"]
    answer = reviewer.get(PATH, limit=0, offset=9)
    assert answer.json == {"issues": [], "total": 5, "limit": 1, "offset": 9}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"language": "go"}, ["Lost ORDERS"]),
        ({"language": "GO", "difficulty": "hard"}, ["Lost ORDERS"]),
        ({"difficulty": "easy"}, ["Straße"]),
        ({"q": "orders"}, ["Lost ORDERS"]),
        ({"q": "STRASSE"}, ["Straße"]),
        ({"q": "under load"}, ["Lost ORDERS"]),
        ({"q": "%"}, []),
        ({"q": "orders", "language": "python"}, []),
        ({"language": "rust"}, []),
    ],
)
def test_filters(clock, reviewer, organization, query, found):
    make_issue(organization, title="Lost ORDERS", description="Under LOAD", language="Go", difficulty="hard")
    clock.fixed += timedelta(seconds=1)
    make_issue(organization, title="Straße", language="Python", difficulty="easy")
    assert titles(reviewer, **query) == found


@pytest.mark.parametrize("query", [{"difficulty": "Easy"}, {"limit": "x"}, {"offset": -1}])
def test_wrong_filters_are_refused(reviewer, query):
    assert places(reviewer.get(PATH, **query)) == [[name] for name in query]


# Change


def test_change_answers_the_issue_as_it_is_now(clock, reviewer, organization):
    issue = make_issue(organization, title="Before", language="Go")
    clock.fixed += timedelta(hours=1)
    answer = reviewer.patch(f"{PATH}/{issue.id}", {"title": " After ", "labels": ["new"]})
    changed = answer.json["issue"]
    assert answer.status_code == 200
    assert (changed["title"], changed["labels"], changed["language"]) == ("After", ["new"], "Go")
    assert (changed["createdAt"], changed["updatedAt"]) == (
        "2026-04-01T09:00:00.000Z",
        "2026-04-01T10:00:00.000Z",
    )


def test_a_null_clears(reviewer):
    issue = reviewer.post(PATH, FULL).json["issue"]
    nulls = dict.fromkeys(set(FULL) - set(BODY))
    changed = reviewer.patch(f"{PATH}/{issue['id']}", nulls).json["issue"]
    assert {name: changed[name] for name in nulls} == nulls | {"labels": [], "sources": []}


@pytest.mark.parametrize("member", ["title", "taskBrief"])
def test_what_is_required_cannot_be_cleared(reviewer, organization, member):
    issue = make_issue(organization)
    assert places(reviewer.patch(f"{PATH}/{issue.id}", {member: None})) == [[member]]


def test_a_changed_issue_is_found_by_its_new_words(reviewer, organization):
    issue = make_issue(organization, title="Before", description="Same")
    reviewer.patch(f"{PATH}/{issue.id}", {"title": "After"})
    assert titles(reviewer, q="before") == []
    assert titles(reviewer, q="after") == titles(reviewer, q="same") == ["After"]


def test_the_catalogues_issues_cannot_be_changed_or_deleted(reviewer):
    issue = make_issue()
    assert refusal(reviewer.patch(f"{PATH}/{issue.id}", {"title": "Mine"})) == (404, "not_found")
    assert refusal(reviewer.delete(f"{PATH}/{issue.id}")) == (404, "not_found")
    assert Issue.get().deleted_at is None


# Delete


def test_delete_takes_an_issue_out_of_the_library(reviewer, organization):
    issue = make_issue(organization)
    answer = reviewer.delete(f"{PATH}/{issue.id}")
    assert (answer.status_code, answer.json) == (200, {"ok": True, "id": str(issue.id)})
    assert titles(reviewer) == []
    assert refusal(reviewer.get(f"{PATH}/{issue.id}")) == (404, "not_found")
    assert refusal(reviewer.delete(f"{PATH}/{issue.id}")) == (404, "not_found")


def test_assessments_keep_a_deleted_issue(reviewer, organization):
    issue = make_issue(organization)
    assessment = make_assessment(organization, issue_id=issue.id)
    reviewer.delete(f"{PATH}/{issue.id}")
    shown = reviewer.get(f"/v1/assessments/{assessment.id}").json["assessment"]
    assert shown["issue"]["title"] == "Orders are lost"
