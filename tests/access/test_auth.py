"""Who is calling (R1 to R5): how credentials come in, what refuses them, and in which order."""

from datetime import timedelta

import pytest
from answers import refusal
from callers import Caller
from factories import envelope, make_assessment, make_key, make_organization, make_session

from models import ApiToken, Assessment, CandidateKey, Event, sessions
from rules import api_tokens, candidate_keys

UNAUTHORIZED = (401, "unauthorized")
NOWHERE = "00000000-0000-7000-8000-000000000000"


def calling(app, **headers):
    """The answer to `GET /v1/me` with these headers; underscores stand for hyphens."""
    return Caller(app, **{name.replace("_", "-"): text for name, text in headers.items()}).get("/v1/me")


@pytest.fixture
def token(organization):
    return ApiToken.issue(organization, "Tests", "write")[1]


# How a reviewer's token is presented


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer   {}", "  Bearer {}  "])
def test_a_token_counts_in_any_case_of_the_scheme_and_with_white_space(app, token, form):
    answer = calling(app, Authorization=form.format(token))
    assert answer.status_code == 200
    assert answer.json["kind"] == "reviewer"


@pytest.mark.parametrize(
    "form",
    [
        "",
        "Bearer",
        "Bearer ",
        "{}",
        "Basic {}",
        "Token {}",
        "Bearer {} {}",
        "Bearer{}",
        "Bearer {}x",
        "Bearer x{}",
    ],
)
def test_a_malformed_authorization_is_refused(app, token, form):
    answer = calling(app, Authorization=form.format(token, token))
    assert refusal(answer) == UNAUTHORIZED
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_letter_case_of_a_token_matters(app, token):
    assert refusal(calling(app, Authorization=f"Bearer {token.swapcase()}")) == UNAUTHORIZED


def test_every_wrong_credential_gets_the_same_answer(app, organization, token):
    revoked, its_token = ApiToken.issue(organization, "Revoked", "write")
    revoked.revoke()
    answers = [
        Caller(app).get("/v1/me"),
        calling(app, Authorization="Bearer nonsense"),
        calling(app, Authorization=f"Bearer {api_tokens.generate()}"),
        calling(app, Authorization=f"Bearer {its_token}"),
        calling(app, X_API_Key="nonsense"),
        calling(app, X_API_Key=candidate_keys.generate()),
    ]
    assert {(answer.status_code, answer.data) for answer in answers} == {(401, answers[0].data)}
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}


def test_a_revoked_token_is_refused_at_once(app, reviewer):
    assert reviewer.get("/v1/me").status_code == 200
    reviewer.row.revoke(even_the_last=True)
    assert refusal(reviewer.get("/v1/me")) == UNAUTHORIZED


def test_a_token_expires_to_the_millisecond(app, clock, organization):
    _, token = ApiToken.issue(organization, "Tests", "read", clock.now() + timedelta(days=1))
    clock.fixed += timedelta(days=1, milliseconds=-1)
    assert calling(app, Authorization=f"Bearer {token}").status_code == 200
    clock.fixed += timedelta(milliseconds=1)
    assert refusal(calling(app, Authorization=f"Bearer {token}")) == UNAUTHORIZED


def test_only_the_fingerprint_of_a_token_is_stored(organization, token):
    stored = ApiToken.get(ApiToken.last_four == token[-4:]).__data__
    assert token not in str(stored)
    assert stored["fingerprint"] == api_tokens.fingerprint(token)


def test_the_last_use_is_kept_to_the_minute(app, clock, reviewer):
    first = clock.now()
    reviewer.get("/v1/me")
    clock.fixed += timedelta(seconds=59)
    reviewer.get("/v1/me")
    assert ApiToken.get_by_id(reviewer.row.id).last_used_at == first
    clock.fixed += timedelta(seconds=1)
    reviewer.get("/v1/me")
    assert ApiToken.get_by_id(reviewer.row.id).last_used_at == clock.now()


# How a candidate's key is presented


@pytest.mark.parametrize("form", [str, str.lower, str.title, "  {}  ".format, "\t{}".format])
def test_a_key_counts_in_any_letter_case_and_with_white_space(app, key, form):
    answer = calling(app, X_API_Key=form(key.key))
    assert answer.status_code == 200
    assert (answer.json["kind"], answer.json["id"]) == ("candidate", str(key.id))


@pytest.mark.parametrize(
    "text", ["", " ", "PST-ABCD-1234", "PST-ABCDEFGH", "ABCD-EFGH", "PST-ABCD-EFG\u00c4"]
)
def test_what_does_not_look_like_a_key_is_just_unknown(app, text):
    assert refusal(calling(app, X_API_Key=text.encode().decode("latin-1"))) == UNAUTHORIZED


def test_a_revoked_key_is_refused_at_once(candidate, key):
    assert candidate.get("/v1/me").status_code == 200
    key.revoke()
    assert refusal(candidate.get("/v1/me")) == UNAUTHORIZED


def test_a_revoked_key_is_refused_in_the_middle_of_the_work(candidate, key, session):
    key.revoke()
    assert refusal(candidate.get(f"/v1/sessions/{session.id}")) == UNAUTHORIZED


def test_a_revoked_key_is_refused_whatever_it_sends(candidate, key, session):
    """An event is stored without a look-up of the key, which this process remembers."""
    sent = envelope()
    assert candidate.post("/v1/hooks/ingest", sent).status_code == 201
    key.revoke()
    for body in (envelope(), sent, {}, envelope(sessionId=str(key.id))):
        assert refusal(candidate.post("/v1/hooks/ingest", body)) == UNAUTHORIZED
    assert Event.counts(session)["event_count"] == 1


def test_the_key_of_a_deleted_assessment_is_refused(candidate, assessment):
    assessment.delete_softly()
    assert refusal(candidate.get("/v1/me")) == UNAUTHORIZED


def test_a_pending_key_authenticates_until_it_expires(clock, candidate, key):
    clock.fixed = key.expires_at - timedelta(milliseconds=1)
    assert candidate.get("/v1/me").status_code == 200
    clock.fixed = key.expires_at
    assert refusal(candidate.get("/v1/me")) == UNAUTHORIZED


def test_the_expiry_of_a_redeemed_key_cuts_nobody_off(clock, candidate, key, session):
    clock.fixed = key.expires_at + timedelta(days=100)
    assert candidate.get(f"/v1/sessions/{session.id}").status_code == 200


def test_a_key_still_reads_after_completion(clock, candidate, key, session):
    sessions.complete(session)
    clock.fixed += timedelta(days=100)
    answer = candidate.get(f"/v1/sessions/{session.id}")
    assert (answer.status_code, answer.json["status"]) == (200, "completed")


# Which of two credentials decides


def test_authorization_decides_where_both_are_sent(app, token, key):
    answer = calling(app, Authorization=f"Bearer {token}", X_API_Key=key.key)
    assert answer.json["kind"] == "reviewer"


def test_a_wrong_authorization_is_not_made_good_by_a_key(app, key):
    for wrong in ("", "Bearer nonsense", f"Bearer {api_tokens.generate()}"):
        assert refusal(calling(app, Authorization=wrong, X_API_Key=key.key)) == UNAUTHORIZED


def test_a_right_authorization_is_not_spoilt_by_a_wrong_key(app, token):
    assert calling(app, Authorization=f"Bearer {token}", X_API_Key="nonsense").status_code == 200


def test_a_key_is_no_bearer_token_and_a_token_is_no_key(app, token, key):
    assert refusal(calling(app, Authorization=f"Bearer {key.key}")) == UNAUTHORIZED
    assert refusal(calling(app, X_API_Key=token)) == UNAUTHORIZED


# Kinds and scopes


def test_a_key_on_a_reviewers_operation_is_401(candidate, assessment):
    answer = candidate.get(f"/v1/assessments/{assessment.id}/keys")
    assert refusal(answer) == UNAUTHORIZED
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_without_the_scope_is_403(reader, assessment):
    assert refusal(reader.delete(f"/v1/assessments/{assessment.id}")) == (403, "insufficient_scope")
    assert reader.get(f"/v1/assessments/{assessment.id}").status_code == 200


def test_write_includes_read(reviewer, assessment):
    assert reviewer.get(f"/v1/assessments/{assessment.id}").status_code == 200


# The order of refusals (R5)


@pytest.fixture
def canceled(app):
    organization = make_organization("Canceled", "starter")
    organization.subscribe("canceled")
    return organization


def keys_of(assessment_id):
    return f"/v1/assessments/{assessment_id}/keys"


def test_401_comes_before_everything(anonymous):
    assert refusal(anonymous.post(keys_of("nonsense"), {"count": "many"})) == UNAUTHORIZED
    assert refusal(anonymous.request("POST", keys_of(NOWHERE), data="{")) == UNAUTHORIZED
    assert refusal(anonymous.get("/v1/candidates", limit="many")) == UNAUTHORIZED


def test_403_for_the_scope_comes_before_402(app, canceled):
    reader = Caller.reviewer(app, canceled, "read")
    assert refusal(reader.post(keys_of(NOWHERE), {})) == (403, "insufficient_scope")


def test_402_comes_before_400_and_415(app, canceled):
    reviewer = Caller.reviewer(app, canceled)
    assert refusal(reviewer.post(keys_of(NOWHERE), {"count": "many"})) == (402, "subscription_inactive")
    assert refusal(reviewer.request("POST", keys_of(NOWHERE), data="{")) == (402, "subscription_inactive")


def test_400_for_the_body_comes_before_404_for_the_path(reviewer):
    assert refusal(reviewer.post(keys_of(NOWHERE), {"count": 0})) == (400, "invalid_request")
    assert refusal(reviewer.post(keys_of(NOWHERE), {"count": 1})) == (404, "not_found")
    assert refusal(reviewer.get(f"/v1/assessments/{NOWHERE}/cohort-stats", sessionId=NOWHERE)) == (
        404,
        "not_found",
    )


def test_what_the_body_refers_to_comes_before_the_quota(app):
    organization = make_organization("Full", "trial")
    for _ in range(3):
        make_assessment(organization)
    body = {"title": "One more", "role": "Engineer", "taskBrief": "Fix it."}
    full = Caller.reviewer(app, organization)
    assert refusal(full.post("/v1/assessments", body | {"rubricId": NOWHERE})) == (400, "invalid_request")
    assert refusal(full.post("/v1/assessments", body)) == (403, "quota_exceeded")


def test_a_refused_request_changes_nothing(reviewer, neighbour, reader, assessment):
    body = {"title": "One more", "role": "Engineer", "taskBrief": "Fix it.", "rubricId": NOWHERE}
    reviewer.post("/v1/assessments", body)
    reader.post(keys_of(assessment.id), {"count": 1})
    neighbour.post(keys_of(assessment.id), {"count": 1})
    reviewer.post(keys_of(assessment.id), {"count": 2, "candidateEmails": ["a@example.com", "nonsense"]})
    assert Assessment.select().count() == 1
    assert CandidateKey.select().count() == 0


# Whose it is (R2, R3)


@pytest.mark.parametrize("wrong", ["nonsense", "1", NOWHERE, "%20", "{upper}x", "0" * 32])
def test_whatever_is_not_there_is_one_404(reviewer, wrong):
    answer = reviewer.get(f"/v1/assessments/{wrong}")
    assert refusal(answer) == (404, "not_found")
    assert answer.data == reviewer.get(f"/v1/assessments/{NOWHERE}").data


def test_a_neighbours_a_deleted_and_an_unknown_row_look_the_same(reviewer, neighbour, assessment):
    unknown = reviewer.get(f"/v1/assessments/{NOWHERE}").data
    assert neighbour.get(f"/v1/assessments/{assessment.id}").data == unknown
    assessment.delete_softly()
    assert reviewer.get(f"/v1/assessments/{assessment.id}").data == unknown


def test_an_id_counts_in_any_letter_case_and_comes_back_in_lower_case(reviewer, assessment):
    answer = reviewer.get(f"/v1/assessments/{str(assessment.id).upper()}")
    assert answer.json["assessment"]["id"] == str(assessment.id)


def test_a_candidate_sees_only_the_own_assessment_and_session(app, organization, candidate, session):
    other_key = make_key(make_assessment(organization))
    other = make_session(other_key)
    assert candidate.get(f"/v1/sessions/{session.id}").status_code == 200
    assert refusal(candidate.get(f"/v1/sessions/{other.id}")) == (404, "not_found")
    assert refusal(candidate.get(f"/v1/assessments/{other_key.assessment_id}")) == (404, "not_found")


def test_a_candidate_does_not_see_another_of_the_same_assessment(candidate, assessment, session):
    other = make_session(make_key(assessment))
    assert refusal(candidate.get(f"/v1/sessions/{other.id}")) == (404, "not_found")
