"""Authentication, scopes and error precedence (R1 to R5)."""

from datetime import timedelta

import pytest
from callers import Caller
from factories import envelope, make_assessment, make_key, make_organization, make_session
from response_checks import error_of

from models import ApiToken, Event, sessions
from rules import api_tokens, candidate_keys

UNAUTHORIZED = (401, "unauthorized")
UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"
NEW = {"title": "One more", "role": "Engineer", "taskBrief": "Fix it."}


@pytest.fixture
def get_me(app):
    def get(authorization=None, key=None):
        headers = {"Authorization": authorization, "X-API-Key": key}
        return Caller(app, **{name: text for name, text in headers.items() if text is not None}).get("/v1/me")

    return get


@pytest.fixture
def token(organization):
    return ApiToken.issue(organization, "Tests", "write")[1]


# API tokens


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {}", "  Bearer {}  "])
def test_the_scheme_ignores_case_and_whitespace(get_me, token, form):
    response = get_me(form.format(token))
    assert (response.status_code, response.json["kind"]) == (200, "reviewer")


def test_a_malformed_authorization_header_is_401(get_me, token, key):
    bearers = ["", " ", token, f" {token} {token}", f" {token}x", f" x{token}", f" {token.swapcase()}"]
    for header in ["", token, f"Basic {token}", f"Bearer {key.key}", *(f"Bearer{rest}" for rest in bearers)]:
        response = get_me(header)
        assert (error_of(response), response.headers["WWW-Authenticate"]) == (UNAUTHORIZED, "Bearer"), header


def test_every_invalid_credential_gets_the_same_response(get_me, organization):
    row, revoked = ApiToken.issue(organization, "Revoked", "write")
    assert get_me(f"Bearer {revoked}").status_code == 200
    row.revoke()
    tokens = [get_me(f"Bearer {text}") for text in ("nonsense", api_tokens.generate(), revoked)]
    keys = [get_me(key=text) for text in ("nonsense", candidate_keys.generate())]
    responses = [get_me(), *tokens, *keys]
    assert {(response.status_code, response.data) for response in responses} == {(401, responses[0].data)}
    assert {response.headers["WWW-Authenticate"] for response in responses} == {"Bearer"}


def test_a_token_expires_exactly_on_time(get_me, clock, organization):
    _, token = ApiToken.issue(organization, "Tests", "read", clock.now() + timedelta(days=1))
    clock.fixed += timedelta(days=1, milliseconds=-1)
    assert get_me(f"Bearer {token}").status_code == 200
    clock.fixed += timedelta(milliseconds=1)
    assert error_of(get_me(f"Bearer {token}")) == UNAUTHORIZED


def test_only_the_fingerprint_of_a_token_is_stored(token):
    stored = ApiToken.get(ApiToken.last_four == token[-4:]).__data__
    assert token not in str(stored)
    assert stored["fingerprint"] == api_tokens.fingerprint(token)


def test_last_use_is_recorded_once_a_minute(clock, reviewer):
    first = clock.now()
    for seconds, recorded in ((0, first), (59, first), (1, first + timedelta(seconds=60))):
        clock.fixed += timedelta(seconds=seconds)
        reviewer.get("/v1/me")
        assert ApiToken.get_by_id(reviewer.row.id).last_used_at == recorded


# Candidate keys


@pytest.mark.parametrize("form", [str, str.lower, str.title, "  {}  ".format, "\t{}".format])
def test_a_key_ignores_case_and_whitespace(get_me, key, form):
    response = get_me(key=form(key.key))
    assert response.status_code == 200
    assert (response.json["kind"], response.json["id"]) == ("candidate", str(key.id))


def test_a_malformed_key_is_401(get_me, token):
    for text in ("", " ", "PST-ABCD-1234", "PST-ABCDEFGH", "ABCD-EFGH", "PST-ABCD-EFG\u00c4", token):
        assert error_of(get_me(key=text.encode().decode("latin-1"))) == UNAUTHORIZED, text


def test_a_revoked_key_is_rejected_even_with_an_invalid_body(candidate, key, session):
    event = envelope()
    assert candidate.post("/v1/hooks/ingest", event).status_code == 201
    key.revoke()
    assert error_of(candidate.get("/v1/me")) == UNAUTHORIZED
    for body in (envelope(), event, {}, envelope(sessionId=str(key.id))):
        assert error_of(candidate.post("/v1/hooks/ingest", body)) == UNAUTHORIZED
    assert Event.counts(session)["event_count"] == 1


def test_a_pending_key_authenticates_until_it_expires(clock, candidate, key):
    clock.fixed = key.expires_at - timedelta(milliseconds=1)
    assert candidate.get("/v1/me").status_code == 200
    clock.fixed = key.expires_at
    assert error_of(candidate.get("/v1/me")) == UNAUTHORIZED


def test_a_redeemed_key_authenticates_after_expiry_and_completion(clock, candidate, key, session):
    clock.fixed = key.expires_at + timedelta(days=100)
    assert candidate.get(f"/v1/sessions/{session.id}").json["status"] == "active"
    sessions.complete(session)
    clock.fixed += timedelta(days=100)
    assert candidate.get(f"/v1/sessions/{session.id}").json["status"] == "completed"


def test_authorization_takes_precedence_over_a_key(get_me, token, key):
    assert get_me(f"Bearer {token}", key.key).json["kind"] == "reviewer"
    assert get_me(f"Bearer {token}", "nonsense").status_code == 200
    for invalid in ("", "Bearer nonsense", f"Bearer {api_tokens.generate()}"):
        assert error_of(get_me(invalid, key.key)) == UNAUTHORIZED


# Error precedence (R5)


def keys_path(assessment_id):
    return f"/v1/assessments/{assessment_id}/keys"


def test_credential_scope_subscription_body_and_path_are_checked_in_this_order(app, anonymous, reviewer):
    canceled = make_organization("Canceled", "starter")
    canceled.subscribe("canceled")
    reader, unsubscribed = Caller.reviewer(app, canceled, "read"), Caller.reviewer(app, canceled)
    errors = (UNAUTHORIZED, (403, "insufficient_scope"), (402, "subscription_inactive"))
    for body in ({"json": {"count": "many"}}, {"data": "{"}):
        for caller, error in zip((anonymous, reader, unsubscribed), errors, strict=True):
            assert error_of(caller.request("POST", keys_path(UNKNOWN_ID), **body)) == error
    assert error_of(anonymous.get("/v1/candidates", limit="many")) == UNAUTHORIZED
    assert error_of(reviewer.post(keys_path(UNKNOWN_ID), {"count": 0})) == (400, "invalid_request")
    assert error_of(reviewer.post(keys_path(UNKNOWN_ID), {"count": 1})) == (404, "not_found")


def test_references_in_the_body_are_checked_before_the_quota(app):
    organization = make_organization("Full", "trial")
    for _ in range(3):
        make_assessment(organization)
    full = Caller.reviewer(app, organization)
    assert error_of(full.post("/v1/assessments", NEW | {"rubricId": UNKNOWN_ID})) == (400, "invalid_request")
    assert error_of(full.post("/v1/assessments", NEW)) == (403, "quota_exceeded")


# Visibility (R2, R3)


def test_malformed_unknown_and_inaccessible_ids_get_the_same_404(reviewer, neighbour, assessment):
    ids = ("nonsense", "1", "%20", "{upper}x", "0" * 32, UNKNOWN_ID)
    responses = [reviewer.get(f"/v1/assessments/{text}") for text in ids]
    responses.append(neighbour.get(f"/v1/assessments/{assessment.id}"))
    assessment.soft_delete()
    responses.append(reviewer.get(f"/v1/assessments/{assessment.id}"))
    assert {error_of(response) for response in responses} == {(404, "not_found")}
    assert len({response.data for response in responses}) == 1


def test_ids_are_case_insensitive_and_returned_in_lower_case(reviewer, assessment):
    response = reviewer.get(f"/v1/assessments/{str(assessment.id).upper()}")
    assert response.json["assessment"]["id"] == str(assessment.id)


def test_candidates_can_read_only_their_assessment_and_session(candidate, organization, assessment, session):
    other_key = make_key(make_assessment(organization))
    assert candidate.get(f"/v1/sessions/{session.id}").status_code == 200
    for other in (make_session(other_key), make_session(make_key(assessment))):
        assert error_of(candidate.get(f"/v1/sessions/{other.id}")) == (404, "not_found")
    assert error_of(candidate.get(f"/v1/assessments/{other_key.assessment_id}")) == (404, "not_found")
