"""The problem library: the catalog and an organization's issues (R2, R3, R6, R12, R23, R24)."""

from datetime import timedelta

import pytest
from callers import Caller
from factories import make_assessment, make_issue, make_key
from response_checks import body_of, error_of, error_paths

from models import Issue

PATH = "/v1/issues"
SHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
BODY = {"title": "Orders are lost", "taskBrief": "Find the lost orders."}
OPTIONAL = {
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
EMPTY = dict.fromkeys(OPTIONAL) | {"labels": [], "sources": []}


def titles(caller, **query):
    return [issue["title"] for issue in body_of(caller.get(PATH, **query))["issues"]]


def test_create_returns_the_issue(clock, reviewer):
    issue = body_of(reviewer.post(PATH, BODY | OPTIONAL), 201)["issue"]
    times = dict.fromkeys(("createdAt", "updatedAt"), "2026-04-01T09:00:00.000Z")
    assert issue == BODY | OPTIONAL | times | {"id": issue["id"], "isCatalog": False, "repository": None}
    assert reviewer.get(f"{PATH}/{issue['id']}").json == {"issue": issue}


@pytest.mark.parametrize("fields", [{}, dict.fromkeys(OPTIONAL)])
def test_optional_fields_have_defaults_and_read_only_fields_are_ignored(reviewer, fields):
    issue = reviewer.post(PATH, BODY | fields | {"id": SHA, "isCatalog": True}).json["issue"]
    assert (EMPTY | {"isCatalog": False}).items() <= issue.items()
    assert issue["id"] != SHA


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, value) for name in ("title", "taskBrief") for value in (..., None, "", "  ", 7)),
        ("title", "x" * 256), ("repoUrl", "nowhere"), ("repoUrl", "https://a:b@example.com"), ("repoCommit", SHA[:39]),
        ("repoCommit", SHA.upper()), ("referenceSha", SHA + "\n"), ("difficulty", "Medium"), ("labels", "http"),
        ("labels", ["x"] * 51), ("language", "G\no"), ("license", ""), ("description", 7), ("sources", {}),
    ],
)  # fmt: skip
def test_invalid_fields_are_rejected(reviewer, field, value):
    body = {name: value for name, value in (BODY | {field: value}).items() if value is not ...}
    assert error_paths(reviewer.post(PATH, body)) == [[field]]
    assert Issue.select().count() == 0


def test_every_invalid_label_is_reported(reviewer):
    response = reviewer.post(PATH, BODY | {"labels": ["http", 7, ""]})
    assert error_paths(response) == [["labels", 1], ["labels", 2]]


def test_organizations_can_read_the_catalog_and_their_issues(reviewer, neighbour, organization):
    catalog_issue = make_issue(title="Catalog", reference_sha=SHA)
    make_issue(organization, title="Ours")
    make_issue(neighbour.row.organization, title="Theirs")
    assert titles(reviewer) == ["Catalog", "Ours"]
    assert titles(neighbour) == ["Catalog", "Theirs"]
    issue = reviewer.get(f"{PATH}/{catalog_issue.id}").json["issue"]
    assert (issue["isCatalog"], issue["referenceSha"]) == (True, SHA)


def test_candidates_can_read_only_their_assessments_issue(app, organization):
    assigned, other = make_issue(organization), make_issue(organization)
    candidate = Caller.candidate(app, make_key(make_assessment(organization, issue_id=assigned.id)))
    assert body_of(candidate.get(f"{PATH}/{assigned.id}"))["issue"]["title"] == assigned.title
    assert error_of(candidate.get(f"{PATH}/{other.id}")) == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"language": "GO", "difficulty": "hard"}, ["Lost ORDERS"]), ({"difficulty": "easy"}, ["Straße"]),
        ({"q": "orders"}, ["Lost ORDERS"]), ({"q": "STRASSE"}, ["Straße"]), ({"q": "under load"}, ["Lost ORDERS"]),
        ({"q": "%"}, []), ({"q": "orders", "language": "python"}, []), ({"language": "rust"}, []),
    ],
)  # fmt: skip
def test_issues_can_be_filtered(reviewer, organization, query, expected):
    make_issue(organization, title="Lost ORDERS", description="Under LOAD", language="Go", difficulty="hard")
    make_issue(organization, title="Straße", language="Python", difficulty="easy")
    assert titles(reviewer, **query) == expected


def test_invalid_filters_are_rejected(reviewer):
    assert error_paths(reviewer.get(PATH, difficulty="Easy")) == [["difficulty"]]


def test_an_update_returns_the_issue_and_changes_search_results(clock, reviewer, organization):
    issue = make_issue(organization, title="Before", description="Same", language="Go")
    clock.fixed += timedelta(hours=1)
    updated = reviewer.patch(f"{PATH}/{issue.id}", {"title": " After ", "labels": ["new"]}).json["issue"]
    assert (updated["title"], updated["labels"], updated["language"]) == ("After", ["new"], "Go")
    assert (updated["createdAt"][11:13], updated["updatedAt"][11:13]) == ("09", "10")
    assert titles(reviewer, q="before") == []
    assert titles(reviewer, q="after") == titles(reviewer, q="same") == ["After"]


def test_null_clears_only_optional_fields(reviewer):
    issue = reviewer.post(PATH, BODY | OPTIONAL).json["issue"]
    for field in BODY:
        assert error_paths(reviewer.patch(f"{PATH}/{issue['id']}", {field: None})) == [[field]]
    updated = reviewer.patch(f"{PATH}/{issue['id']}", dict.fromkeys(OPTIONAL)).json["issue"]
    assert (BODY | EMPTY).items() <= updated.items()


def test_catalog_issues_cannot_be_updated_or_deleted(reviewer):
    issue = make_issue()
    assert error_of(reviewer.patch(f"{PATH}/{issue.id}", {"title": "Mine"})) == (404, "not_found")
    assert error_of(reviewer.delete(f"{PATH}/{issue.id}")) == (404, "not_found")
    assert Issue.get().deleted_at is None


def test_a_deleted_issue_remains_in_its_assessments(app, reviewer, organization):
    issue = make_issue(organization)
    assessment = make_assessment(organization, issue_id=issue.id)
    assert body_of(reviewer.delete(f"{PATH}/{issue.id}")) == {"ok": True, "id": str(issue.id)}
    assert titles(reviewer) == []
    for response in (reviewer.get(f"{PATH}/{issue.id}"), reviewer.delete(f"{PATH}/{issue.id}")):
        assert error_of(response) == (404, "not_found")
    candidate = Caller.candidate(app, make_key(assessment))
    for caller in (reviewer, candidate):
        linked = caller.get(f"/v1/assessments/{assessment.id}").json["assessment"]["issue"]
        assert linked["title"] == "Orders are lost"
    assert candidate.get(f"{PATH}/{issue.id}").status_code == 200
