"""The organization: tokens, plans, the subscription and the month's quota (R1, R10, R11)."""

from datetime import UTC, datetime, timedelta

import pytest
from answers import places, refusal
from callers import Caller
from factories import make_assessment, make_key, make_organization

from models import ApiToken, Assessment
from rules import api_tokens

NEW = {"title": "One more", "role": "Engineer", "taskBrief": "Fix it."}
NOWHERE = "00000000-0000-7000-8000-000000000000"


def create(reviewer):
    return reviewer.post("/v1/assessments", NEW)


def of_plan(app, plan):
    organization = make_organization(plan, plan)
    return organization, Caller.reviewer(app, organization)


# Who this is


def test_the_organization_tells_about_itself(clock, reviewer, organization):
    answer = reviewer.get("/v1/org")
    assert answer.status_code == 200
    assert answer.json == {
        "org": {
            "id": str(organization.id),
            "name": "Acme",
            "plan": "self_hosted",
            "createdAt": "2026-04-01T09:00:00.000Z",
            "subscription": {"state": "active", "trialEndsAt": None},
            "quota": {"used": 0, "quota": None, "resetsAt": "2026-05-01T00:00:00.000Z"},
        }
    }


def test_a_trial_says_until_when(clock, app):
    _, reviewer = of_plan(app, "trial")
    org = reviewer.get("/v1/org").json["org"]
    assert org["subscription"] == {"state": "trialing", "trialEndsAt": "2026-04-15T09:00:00.000Z"}
    assert org["quota"] == {"used": 0, "quota": 3, "resetsAt": "2026-05-01T00:00:00.000Z"}


def test_a_reviewer_is_told_who_it_is(reviewer, organization):
    assert reviewer.get("/v1/me").json == {
        "kind": "reviewer",
        "id": str(reviewer.row.id),
        "name": "A reviewer who may write",
        "orgId": str(organization.id),
        "orgName": "Acme",
        "scopes": ["read", "write"],
        "assessmentId": None,
        "expiresAt": None,
    }


def test_a_candidate_is_told_who_it_is(clock, organization, candidate, key, assessment):
    me = candidate.get("/v1/me").json
    assert me == {
        "kind": "candidate",
        "id": str(key.id),
        "name": "Alice",
        "orgId": str(organization.id),
        "orgName": "Acme",
        "scopes": [],
        "assessmentId": str(assessment.id),
        "expiresAt": me["expiresAt"],
    }


# Tokens


def test_a_new_token_is_shown_once_and_works(app, clock, reviewer):
    answer = reviewer.post(
        "/v1/org/tokens", {"name": "Applicant tracking", "scopes": ["write"], "expiresInDays": 90}
    )
    assert answer.status_code == 201
    token, secret = answer.json["token"], answer.json["secret"]
    assert token == {
        "id": token["id"],
        "name": "Applicant tracking",
        "scopes": ["read", "write"],
        "prefix": "psk_live_",
        "lastFour": secret[-4:],
        "expiresAt": "2026-06-30T09:00:00.000Z",
        "lastUsedAt": None,
        "createdAt": "2026-04-01T09:00:00.000Z",
    }
    assert api_tokens.is_well_formed(secret)
    assert create(Caller(app, Authorization=f"Bearer {secret}")).status_code == 201
    assert secret not in reviewer.get("/v1/org/tokens").text


@pytest.mark.parametrize("scopes", [..., None, ["read"], ["read", "read"]])
def test_a_token_may_only_read_unless_asked_for_more(app, reviewer, scopes):
    body = {"name": "Reader"} | ({} if scopes is ... else {"scopes": scopes})
    answer = reviewer.post("/v1/org/tokens", body).json
    assert answer["token"]["scopes"] == ["read"]
    assert refusal(create(Caller(app, Authorization=f"Bearer {answer['secret']}"))) == (
        403,
        "insufficient_scope",
    )


@pytest.mark.parametrize(
    ("member", "wrong"),
    [
        ("name", ...), ("name", ""), ("name", "x" * 256), ("name", "a\nb"), ("scopes", []), ("scopes", "read"),
        ("expiresInDays", 0), ("expiresInDays", 3651), ("expiresInDays", "90"), ("expiresInDays", True),
    ],
)  # fmt: skip
def test_a_token_has_its_form(reviewer, member, wrong):
    body = {name: value for name, value in ({"name": "Reader"} | {member: wrong}).items() if value is not ...}
    assert places(reviewer.post("/v1/org/tokens", body)) == [[member]]


@pytest.mark.parametrize("wrong", ["admin", "Write", 7, None])
def test_a_scope_is_read_or_write(reviewer, wrong):
    assert places(reviewer.post("/v1/org/tokens", {"name": "x", "scopes": ["read", wrong]})) == [
        ["scopes", 1]
    ]


def test_tokens_are_listed_in_the_order_of_their_creation(clock, reviewer, neighbour):
    clock.fixed += timedelta(minutes=1)
    second = reviewer.post("/v1/org/tokens", {"name": "Second"}).json["token"]
    listed = reviewer.get("/v1/org/tokens").json["tokens"]
    assert [token["name"] for token in listed] == ["First token", "A reviewer who may write", "Second"]
    assert listed[2] == second
    assert listed[1]["lastUsedAt"] == "2026-04-01T09:01:00.000Z"


def test_a_revoked_token_leaves_the_list_and_works_no_more(app, reviewer):
    answer = reviewer.post("/v1/org/tokens", {"name": "Second"}).json
    token_id, other = answer["token"]["id"], Caller(app, Authorization=f"Bearer {answer['secret']}")
    revoked = reviewer.delete(f"/v1/org/tokens/{token_id}")
    assert (revoked.status_code, revoked.json) == (200, {"ok": True, "id": token_id})
    assert token_id not in reviewer.get("/v1/org/tokens").text
    assert refusal(other.get("/v1/me")) == (401, "unauthorized")
    assert refusal(reviewer.delete(f"/v1/org/tokens/{token_id}")) == (404, "not_found")


def test_a_token_can_revoke_itself(reviewer):
    assert reviewer.delete(f"/v1/org/tokens/{reviewer.row.id}").status_code == 200
    assert refusal(reviewer.get("/v1/me")) == (401, "unauthorized")


def test_the_last_token_with_write_stays(clock, reviewer, reader, organization):
    first = ApiToken.get(ApiToken.name == "First token")
    reviewer.delete(f"/v1/org/tokens/{first.id}")
    expiring, _ = ApiToken.issue(organization, "Expired", "write", clock.now() + timedelta(seconds=1))
    clock.fixed += timedelta(seconds=1)
    assert refusal(reviewer.delete(f"/v1/org/tokens/{reviewer.row.id}")) == (409, "last_write_token")
    assert reviewer.get("/v1/me").status_code == 200
    for other in (reader.row, expiring):
        assert reviewer.delete(f"/v1/org/tokens/{other.id}").status_code == 200


def test_a_neighbours_token_is_404(reviewer, neighbour):
    for wrong in (neighbour.row.id, NOWHERE, "nonsense"):
        assert refusal(reviewer.delete(f"/v1/org/tokens/{wrong}")) == (404, "not_found")
    assert neighbour.get("/v1/me").status_code == 200


# The subscription (R11)


@pytest.mark.parametrize(
    ("state", "code"),
    [(None, "no_subscription"), ("past_due", "subscription_inactive"), ("canceled", "subscription_inactive")],
)
def test_without_an_active_subscription_no_new_work_begins(app, state, code):
    organization, reviewer = of_plan(app, "starter")
    assessment = make_assessment(organization)
    organization.subscribe(state)
    assert refusal(create(reviewer)) == (402, code)
    assert refusal(reviewer.post(f"/v1/assessments/{assessment.id}/keys", {"count": 1})) == (402, code)
    assert Assessment.select().count() == 1


def test_without_an_active_subscription_everything_can_be_read_and_deleted(app):
    organization, reviewer = of_plan(app, "starter")
    assessment = make_assessment(organization)
    make_key(assessment)
    organization.subscribe("canceled")
    assert reviewer.get("/v1/candidates").json["total"] == 1
    assert reviewer.get(f"/v1/assessments/{assessment.id}/cohort-stats").status_code == 200
    assert reviewer.delete(f"/v1/assessments/{assessment.id}").status_code == 200


def test_a_trial_ends_to_the_millisecond(clock, app):
    _organization, reviewer = of_plan(app, "trial")
    clock.fixed += timedelta(days=14, milliseconds=-1)
    assert create(reviewer).status_code == 201
    clock.fixed += timedelta(milliseconds=1)
    assert refusal(create(reviewer)) == (402, "trial_expired")


def test_who_hosts_for_themselves_needs_no_subscription(app):
    organization, reviewer = of_plan(app, "self_hosted")
    for state in (None, "past_due", "canceled", "active"):
        organization.subscribe(state)
        assert create(reviewer).status_code == 201


# The quota (R10)


def test_the_quota_refuses_with_its_numbers(app):
    _organization, reviewer = of_plan(app, "trial")
    assert [create(reviewer).status_code for _ in range(3)] == [201] * 3
    answer = create(reviewer)
    assert answer.status_code == 403
    assert answer.json == {
        "error": answer.json["error"],
        "code": "quota_exceeded",
        "used": 3,
        "quota": 3,
    }
    assert Assessment.select().count() == 3
    assert reviewer.get("/v1/org").json["org"]["quota"]["used"] == 3


def test_a_deleted_assessment_still_counts(app):
    _organization, reviewer = of_plan(app, "trial")
    for _ in range(3):
        reviewer.delete(f"/v1/assessments/{create(reviewer).json['assessment']['id']}")
    assert refusal(create(reviewer)) == (403, "quota_exceeded")


def test_a_refused_create_does_not_count(app):
    _organization, reviewer = of_plan(app, "trial")
    for _ in range(5):
        reviewer.post("/v1/assessments", NEW | {"title": ""})
        reviewer.post("/v1/assessments", NEW | {"rubricId": NOWHERE})
    assert reviewer.get("/v1/org").json["org"]["quota"]["used"] == 0


@pytest.mark.parametrize(
    ("last_of_month", "resets_at"),
    [
        (datetime(2026, 4, 30, 23, 59, 59, 999_000, UTC), "2026-05-01T00:00:00.000Z"),
        (datetime(2026, 12, 31, 23, 59, 59, 999_000, UTC), "2027-01-01T00:00:00.000Z"),
        (datetime(2028, 2, 29, 23, 59, 59, 999_000, UTC), "2028-03-01T00:00:00.000Z"),
    ],
)
def test_the_quota_is_the_calendar_months_in_utc(clock, app, last_of_month, resets_at):
    organization, reviewer = of_plan(app, "trial")
    organization.subscribe("active")
    clock.fixed = last_of_month
    assert [create(reviewer).status_code for _ in range(4)] == [201, 201, 201, 403]
    assert reviewer.get("/v1/org").json["org"]["quota"] == {"used": 3, "quota": 3, "resetsAt": resets_at}
    clock.fixed += timedelta(milliseconds=1)
    assert reviewer.get("/v1/org").json["org"]["quota"]["used"] == 0
    assert [create(reviewer).status_code for _ in range(4)] == [201, 201, 201, 403]


def test_neighbours_use_a_quota_of_their_own(app):
    _, full = of_plan(app, "trial")
    for _ in range(4):
        create(full)
    _, neighbour = of_plan(app, "trial")
    assert create(neighbour).status_code == 201


def test_without_a_quota_nothing_is_used_up(reviewer):
    assert {create(reviewer).status_code for _ in range(12)} == {201}


def test_a_larger_plan_makes_room_at_once(app):
    organization, reviewer = of_plan(app, "trial")
    for _ in range(3):
        create(reviewer)
    organization.change_plan("starter")
    organization.subscribe("active")
    assert create(reviewer).status_code == 201
