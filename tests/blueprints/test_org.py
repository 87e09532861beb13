"""The organization: tokens, plan, subscription, quota and model usage (R1, R10, R11)."""

from datetime import UTC, datetime, timedelta

import pytest
from callers import Caller
from factories import make_assessment, make_key, make_model_call, make_organization, make_session
from response_checks import body_of, error_of, error_paths

from models import ApiToken, Assessment
from rules import api_tokens

NEW = {"title": "One more", "role": "Engineer", "taskBrief": "Fix it."}
TOKENS = "/v1/org/tokens"


def create(reviewer):
    return reviewer.post("/v1/assessments", NEW)


def quota(reviewer):
    return reviewer.get("/v1/org").json["org"]["quota"]


def organization_on_plan(app, plan):
    organization = make_organization(plan, plan)
    return organization, Caller.reviewer(app, organization)


@pytest.fixture
def trial(clock, app):
    """A reviewer in an organization with a trial plan."""
    return organization_on_plan(app, "trial")[1]


def caller_with_token(app, response):
    return Caller(app, Authorization=f"Bearer {response.json['secret']}")


def test_get_returns_the_organization_with_subscription_and_quota(clock, reviewer, trial, organization):
    expected = {
        "id": str(organization.id),
        "name": "Acme",
        "plan": "self_hosted",
        "createdAt": "2026-04-01T09:00:00.000Z",
        "subscription": {"state": "active", "trialEndsAt": None},
        "quota": {"used": 0, "quota": None, "resetsAt": "2026-05-01T00:00:00.000Z"},
    }
    assert reviewer.get("/v1/org").json == {"org": expected}
    org = trial.get("/v1/org").json["org"]
    assert org["subscription"] == {"state": "trialing", "trialEndsAt": "2026-04-15T09:00:00.000Z"}
    assert org["quota"] == expected["quota"] | {"quota": 3}


def test_me_describes_the_caller(clock, reviewer, candidate, organization, key, assessment):
    shared = {"orgId": str(organization.id), "orgName": "Acme", "person": None}
    assert reviewer.get("/v1/me").json == shared | {
        "kind": "reviewer",
        "id": str(reviewer.row.id),
        "name": "Reviewer with write access",
        "scopes": ["read", "write"],
        "assessmentId": None,
        "expiresAt": None,
    }
    assert candidate.get("/v1/me").json == shared | {
        "kind": "candidate",
        "id": str(key.id),
        "name": "Alice",
        "scopes": [],
        "assessmentId": str(assessment.id),
        "expiresAt": "2026-04-08T09:00:00.000Z",
    }


def test_a_new_tokens_secret_is_returned_once_and_works(app, clock, reviewer):
    response = reviewer.post(TOKENS, {"name": "ATS", "scopes": ["write"], "expiresInDays": 90})
    token, secret = body_of(response, 201)["token"], response.json["secret"]
    assert token == {
        "id": token["id"],
        "name": "ATS",
        "scopes": ["read", "write"],
        "personId": None,
        "personName": None,
        "role": None,
        "prefix": "psk_live_",
        "lastFour": secret[-4:],
        "expiresAt": "2026-06-30T09:00:00.000Z",
        "lastUsedAt": None,
        "createdAt": "2026-04-01T09:00:00.000Z",
    }
    assert api_tokens.is_well_formed(secret)
    assert create(caller_with_token(app, response)).status_code == 201
    assert secret not in reviewer.get(TOKENS).text


@pytest.mark.parametrize("fields", [{}, {"scopes": None}, {"scopes": ["read", "read"]}])
def test_a_tokens_default_scope_is_read(app, reviewer, fields):
    response = reviewer.post(TOKENS, {"name": "Reader"} | fields)
    assert response.json["token"]["scopes"] == ["read"]
    assert error_of(create(caller_with_token(app, response))) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, ["name"]), ({"name": ""}, ["name"]), ({"name": "x" * 256}, ["name"]), ({"name": "a\nb"}, ["name"]),
        ({"scopes": []}, ["scopes"]), ({"scopes": "read"}, ["scopes"]),
        *(({"scopes": ["read", scope]}, ["scopes", 1]) for scope in ("admin", "Write", 7, None)),
        *(({"expiresInDays": days}, ["expiresInDays"]) for days in (0, 3651, "90", True)),
    ],
)  # fmt: skip
def test_invalid_tokens_are_rejected(reviewer, body, path):
    assert error_paths(reviewer.post(TOKENS, ({"name": "Reader"} if body else {}) | body)) == [path]


def test_tokens_are_listed_by_creation_time(clock, reviewer):
    clock.fixed += timedelta(minutes=1)
    second = reviewer.post(TOKENS, {"name": "Second"}).json["token"]
    tokens = reviewer.get(TOKENS).json["tokens"]
    assert [token["name"] for token in tokens] == ["First token", "Reviewer with write access", "Second"]
    assert tokens[2] == second
    assert tokens[1]["lastUsedAt"] == "2026-04-01T09:01:00.000Z"


def test_a_revoked_token_disappears_from_the_list_and_stops_working(app, reviewer):
    response = reviewer.post(TOKENS, {"name": "Second"})
    token_id = response.json["token"]["id"]
    assert body_of(reviewer.delete(f"{TOKENS}/{token_id}")) == {"ok": True, "id": token_id}
    assert token_id not in reviewer.get(TOKENS).text
    assert error_of(caller_with_token(app, response).get("/v1/me")) == (401, "unauthorized")
    assert error_of(reviewer.delete(f"{TOKENS}/{token_id}")) == (404, "not_found")


def test_a_token_can_revoke_itself_unless_it_is_the_last_write_token(clock, reviewer, reader, organization):
    first = ApiToken.get(ApiToken.name == "First token")
    reviewer.delete(f"{TOKENS}/{first.id}")
    expiring, _ = ApiToken.issue(organization, "Expired", "write", clock.now() + timedelta(seconds=1))
    clock.fixed += timedelta(seconds=1)
    assert error_of(reviewer.delete(f"{TOKENS}/{reviewer.row.id}")) == (409, "last_write_token")
    assert reviewer.get("/v1/me").status_code == 200
    for other in (reader.row, expiring):
        assert reviewer.delete(f"{TOKENS}/{other.id}").status_code == 200
    ApiToken.issue(organization, "Another", "write")
    assert reviewer.delete(f"{TOKENS}/{reviewer.row.id}").status_code == 200
    assert error_of(reviewer.get("/v1/me")) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("state", "code"),
    [(None, "no_subscription"), ("past_due", "subscription_inactive"), ("canceled", "subscription_inactive")],
)
def test_reading_and_deleting_work_without_a_subscription(app, state, code):
    organization, reviewer = organization_on_plan(app, "starter")
    assessment = make_assessment(organization)
    make_key(assessment)
    organization.subscribe(state)
    path = f"/v1/assessments/{assessment.id}"
    assert error_of(create(reviewer)) == (402, code)
    assert error_of(reviewer.post(f"{path}/keys", {"count": 1})) == (402, code)
    assert Assessment.select().count() == 1
    assert reviewer.get("/v1/candidates").json["total"] == 1
    assert reviewer.get(f"{path}/cohort-stats").status_code == 200
    assert reviewer.delete(path).status_code == 200


def test_a_trial_ends_after_14_days(clock, trial):
    clock.fixed += timedelta(days=14, milliseconds=-1)
    assert create(trial).status_code == 201
    clock.fixed += timedelta(milliseconds=1)
    assert error_of(create(trial)) == (402, "trial_expired")


def test_self_hosted_plan_has_no_quota_and_needs_no_subscription(reviewer, organization):
    for state in (None, "past_due", "canceled", "active"):
        organization.subscribe(state)
        assert [create(reviewer).status_code for _ in range(3)] == [201] * 3


def test_assessments_over_the_quota_are_rejected(app, trial):
    assert [create(trial).status_code for _ in range(3)] == [201] * 3
    response = create(trial)
    assert response.status_code == 403
    assert response.json | {"error": ""} == {"error": "", "code": "quota_exceeded", "used": 3, "quota": 3}
    assert Assessment.select().count() == quota(trial)["used"] == 3
    assert create(organization_on_plan(app, "trial")[1]).status_code == 201


def test_deleted_assessments_count_toward_the_quota_but_rejected_ones_do_not(trial):
    trial.post("/v1/assessments", NEW | {"title": ""})
    trial.post("/v1/assessments", NEW | {"rubricId": str(trial.row.id)})
    for used in range(3):
        assert quota(trial)["used"] == used
        trial.delete(f"/v1/assessments/{create(trial).json['assessment']['id']}")
    assert error_of(create(trial)) == (403, "quota_exceeded")


@pytest.mark.parametrize(
    ("last_day", "resets_at"),
    [((2026, 12, 31), "2027-01-01T00:00:00.000Z"), ((2028, 2, 29), "2028-03-01T00:00:00.000Z")],
)
def test_the_quota_resets_every_calendar_month(clock, app, last_day, resets_at):
    organization, reviewer = organization_on_plan(app, "trial")
    organization.subscribe("active")
    clock.fixed = datetime(*last_day, 23, 59, 59, 999_000, UTC)
    assert [create(reviewer).status_code for _ in range(4)] == [201, 201, 201, 403]
    assert quota(reviewer) == {"used": 3, "quota": 3, "resetsAt": resets_at}
    clock.fixed += timedelta(milliseconds=1)
    assert quota(reviewer)["used"] == 0
    assert create(reviewer).status_code == 201


def test_a_larger_plan_applies_immediately(app):
    organization, reviewer = organization_on_plan(app, "trial")
    for _ in range(3):
        create(reviewer)
    organization.update_columns(plan="starter")
    organization.subscribe("active")
    assert create(reviewer).status_code == 201


def make_calls(session, at, *calls):
    for provider, model, counts in calls:
        make_model_call(session, model, counts, provider, at)


def test_usage_is_grouped_by_month_and_model(app, reviewer, neighbour, organization, clock):
    clock.fixed = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    assessment = make_assessment(organization)
    first, second = make_session(make_key(assessment)), make_session(make_key(assessment))
    haiku, unknown = "claude-haiku-4-5", ("anthropic", None, {})
    make_calls(first, clock.fixed, ("anthropic", haiku, {"input": 1000, "output": 10}), unknown)
    make_calls(second, clock.fixed, ("anthropic", haiku, {"input": 1, "output": 2}))
    make_calls(first, datetime(2026, 9, 30, tzinfo=UTC), ("openai", "gpt-5", {"input": 7, "output": 1}))
    make_calls(first, datetime(2026, 8, 31, 23, 59, tzinfo=UTC), unknown)
    body = body_of(reviewer.get("/v1/org/usage", months=3))
    assert body["since"] == "2026-09-01T00:00:00.000Z"
    fields = ("month", "model", "calls", "sessions", "inputTokens")
    assert [tuple(row[name] for name in fields) for row in body["usage"]] == [
        ("2026-11", haiku, 2, 2, 1001),
        ("2026-11", None, 1, 1, None),
        ("2026-09", "gpt-5", 1, 1, 7),
    ]
    assert [row["costUsd"] is None for row in body["usage"]] == [False, True, False]
    assert body_of(neighbour.get("/v1/org/usage"))["usage"] == []
    assert error_paths(reviewer.get("/v1/org/usage", months=37)) == [["months"]]
