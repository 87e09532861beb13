"""Sign-in cookies: permissions, origins and limits."""

from datetime import timedelta

import pytest
from callers import CONSOLE_HEADERS, Caller, use_grant
from factories import make_organization, make_person
from response_checks import body_of, error_of

from access.console import COOKIE
from models import AuditEntry, Delivery, IdempotentRequest, SignIn, SignInGrant, User
from rules import sign_ins

FOREIGN_ORIGIN = (403, "foreign_origin")
SIGNED_OUT = (401, "unauthorized")
NEW = {"title": "One", "role": "Two", "taskBrief": "Three"}
CROSS_SITE_HEADERS = (
    {},
    {"Origin": "http://localhost:8000"},
    {"X-Proofstone-Console": "1"},
    CONSOLE_HEADERS | {"Origin": "http://localhost:9000"},
    CONSOLE_HEADERS | {"Origin": "null"},
    CONSOLE_HEADERS | {"Sec-Fetch-Site": "same-site"},
    CONSOLE_HEADERS | {"Sec-Fetch-Site": "cross-site"},
)


def with_cookie(app, cookie, **headers):
    caller = Caller(app, **headers, Cookie=cookie)
    # Otherwise the test client would send the cookies of earlier responses.
    caller.client = app.test_client(use_cookies=False)
    return caller


@pytest.fixture
def bob(organization):
    return make_person(organization, "reviewer")


@pytest.fixture
def signed_in(app, bob):
    return Caller.signed_in(app, bob)


@pytest.fixture
def page(app):
    """The console's page, not signed in."""
    return Caller(app, **CONSOLE_HEADERS)


def grant_for(address, method="email"):
    return SignInGrant.issue(address, method, SignIn.created_at.default() + sign_ins.EMAIL_LIFETIME)


def test_signing_in_with_a_token_sets_a_strict_cookie(page, reviewer):
    token = reviewer.headers["Authorization"].removeprefix("Bearer ")
    response = page.post("/v1/sign-in", {"token": token})
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("__Host-proofstone=pss_")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    with_cookie = {"Cookie": cookie.split(";")[0]}
    me = page.request("GET", "/v1/me", headers=with_cookie)
    assert body_of(me, 200)["id"] == str(reviewer.row.id)
    reviewer.row.revoke(allow_last=True)
    assert error_of(page.request("GET", "/v1/me", headers=with_cookie)) == SIGNED_OUT


def test_an_invalid_token_does_not_sign_in(page):
    response = page.post("/v1/sign-in", {"token": "psk_live_invalid"})
    assert error_of(response) == SIGNED_OUT
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("headers", CROSS_SITE_HEADERS)
def test_other_sites_cannot_make_changes(app, bob, signed_in, headers):
    cross_site = with_cookie(app, signed_in.headers["Cookie"], **headers)
    before = AuditEntry.select().count()
    assert error_of(cross_site.post("/v1/assessments", NEW)) == FOREIGN_ORIGIN
    assert error_of(cross_site.post("/v1/sign-in", {"token": "x"})) == FOREIGN_ORIGIN
    assert error_of(cross_site.delete("/v1/sign-in/sessions")) == FOREIGN_ORIGIN
    assert AuditEntry.select().count() == before
    assert "Access-Control-Allow-Credentials" not in cross_site.get("/v1/assessments").headers


def test_a_header_takes_precedence_over_the_cookie(signed_in, reviewer):
    invalid = {"Authorization": "Bearer invalid"}
    assert error_of(signed_in.request("GET", "/v1/me", headers=invalid)) == SIGNED_OUT
    both = signed_in.request("GET", "/v1/me", headers=reviewer.headers)
    assert body_of(both, 200)["person"] is None


def test_me_includes_the_person_and_the_expiry(clock, app, bob):
    me = body_of(Caller.signed_in(app, bob).get("/v1/me"), 200)
    assert (me["person"]["id"], me["scopes"]) == (str(bob.id), ["read", "write"])
    assert me["expiresAt"] == "2026-04-01T21:00:00.000Z"


def test_all_of_a_persons_sign_ins_act_as_the_person(app, signed_in, bob):
    headers = {"Idempotency-Key": "one"}
    first = signed_in.request("POST", "/v1/assessments", json=NEW, headers=headers)
    replay = Caller.signed_in(app, bob).request("POST", "/v1/assessments", json=NEW, headers=headers)
    assert first.json == replay.json
    assert replay.headers["Idempotent-Replayed"] == "true"
    assert IdempotentRequest.get().reviewer.user == bob
    entry = AuditEntry.get(AuditEntry.action == "createAssessment")
    assert (entry.actor_kind, entry.actor_id) == ("person", bob.id)


def test_a_sign_in_is_not_a_token(app, reviewer, organization):
    admin = Caller.signed_in(app, make_person(organization, "admin"))
    assert all(token["name"] != "Console" for token in reviewer.get("/v1/org/tokens").json["tokens"])
    for token in admin.get("/v1/org/tokens").json["tokens"]:
        if token["id"] != str(reviewer.row.id):
            assert admin.delete(f"/v1/org/tokens/{token['id']}").status_code == 200
    assert error_of(admin.delete(f"/v1/org/tokens/{reviewer.row.id}")) == (409, "last_write_token")


def test_deactivation_or_expiry_ends_a_sign_in(clock, app, signed_in, reviewer, bob):
    path = f"/v1/org/people/{bob.id}"
    assert reviewer.patch(path, {"active": False}).status_code == 200
    assert error_of(signed_in.get("/v1/me")) == SIGNED_OUT
    assert reviewer.patch(path, {"active": True}).status_code == 200
    assert error_of(signed_in.get("/v1/me")) == SIGNED_OUT
    later = Caller.signed_in(app, bob)
    clock.fixed += timedelta(hours=12)
    assert error_of(later.get("/v1/me")) == SIGNED_OUT
    assert SignIn.delete_expired() == 2


def test_a_role_change_applies_immediately(signed_in, reviewer, bob):
    reviewer.patch(f"/v1/org/people/{bob.id}", {"role": "observer"})
    assert error_of(signed_in.post("/v1/assessments", NEW)) == (403, "insufficient_role")


def test_a_person_can_sign_out_one_or_all_sessions(app, signed_in, bob):
    here, there = Caller.signed_in(app, bob), Caller.signed_in(app, bob)
    rows = here.get("/v1/sign-in/sessions").json["signIns"]
    assert [row["isCurrent"] for row in rows] == [False, True, False]
    response = here.delete("/v1/sign-in/session")
    assert body_of(response, 200) == {"ok": True}
    assert "Max-Age=0" in response.headers["Set-Cookie"]
    assert error_of(here.get("/v1/me")) == SIGNED_OUT
    assert there.delete("/v1/sign-in/sessions").json == {"ended": 2}
    assert error_of(signed_in.get("/v1/me")) == SIGNED_OUT
    entries = AuditEntry.select().where(AuditEntry.action == "signOut")
    assert [entry.body_fields for entry in entries] == [["email"]] * 3


def test_a_grant_signs_in_once_within_15_minutes(clock, page, bob):
    used, expired = grant_for(bob.address), grant_for(bob.address)
    assert body_of(use_grant(page, used), 200)["signIn"]["method"] == "email"
    clock.fixed += timedelta(minutes=15)
    for secret in (used, expired, "pss_invalid"):
        assert error_of(page.post("/v1/sign-in", {"grant": secret})) == (410, "sign_in_expired")
    assert SignInGrant.delete_expired() == 2


def test_a_grant_returns_the_person_before_signing_in(page, bob):
    """An attacker could have sent the link."""
    secret = grant_for(bob.address)
    response = page.post("/v1/sign-in", {"grant": secret})
    assert body_of(response, 200) == {
        "signIn": None,
        "choices": [{"personId": str(bob.id), "email": bob.email, "orgName": "Acme", "role": "reviewer"}],
    }
    assert "Set-Cookie" not in response.headers
    assert use_grant(page, secret).status_code == 200


def test_a_person_in_several_organizations_chooses_one(page, bob):
    other = make_person(make_organization("Beta"), "admin", email=bob.email)
    secret = grant_for(bob.address)
    choices = body_of(page.post("/v1/sign-in", {"grant": secret}), 200)["choices"]
    roles = [(choice["orgName"], choice["role"]) for choice in choices]
    assert roles == [("Acme", "reviewer"), ("Beta", "admin")]
    response = page.post("/v1/sign-in", {"grant": secret, "personId": str(other.organization_id)})
    assert error_of(response) == (400, "invalid_request")
    response = page.post("/v1/sign-in", {"grant": secret, "personId": str(other.id)})
    assert body_of(response, 200)["signIn"]


def test_only_the_email_contains_the_secret(app, worker, page, bob):
    responses = [page.post("/v1/sign-in/email", {"email": email}) for email in (bob.email, "no@example.com")]
    assert [(response.status_code, response.json) for response in responses] == [(202, {"ok": True})] * 2
    worker.run_once()
    emails = [file.read_text() for file in app.config["MAIL_FOLDER"].glob("*.eml")]
    (email,) = (email for email in emails if "Sign in to Proofstone" in email)
    (link,) = (line.strip() for line in email.splitlines() if "grant=" in line)
    url, secret = link.split("#/sign-in?grant=")
    assert url == "http://localhost:8000/console"
    assert SignInGrant.select().count() == 1
    assert use_grant(page, secret).status_code == 200


def test_a_link_is_not_sent_to_another_address(worker, page, reviewer, bob):
    page.post("/v1/sign-in/email", {"email": bob.email})
    SignInGrant.queue_emails()
    body_of(reviewer.patch(f"/v1/org/people/{bob.id}", {"email": "eve@example.com"}), 200)
    worker.run_once()
    assert Delivery.get(Delivery.kind == "sign_in").state == "canceled"


def test_similar_addresses_belong_to_different_people(page, organization):
    make_person(organization, email="gro\u00df@example.com")
    other = make_person(make_organization("Beta"), email="Gross@example.com")
    for email in ("GROSS@EXAMPLE.COM", "gro\u00df@example.com", "gro\u1e9e@example.com"):
        page.post("/v1/sign-in/email", {"email": email})
    assert SignInGrant.queue_emails() == 3
    sent = Delivery.select().where(Delivery.kind == "sign_in").order_by(Delivery.id)
    assert [User.get_by_id(each.subject_id).email for each in sent] == [other.email, "gro\u00df@example.com"]
    choices = page.post("/v1/sign-in", {"grant": grant_for("gross@example.com")}).json["choices"]
    assert [choice["personId"] for choice in choices] == [str(other.id)]


@pytest.mark.parametrize("url", ["http://assess.example.com", "http://10.0.0.1:8000"])
def test_http_is_rejected_except_on_localhost(app, monkeypatch, page, url):
    assert page.get("/v1/sign-in").json["httpsRequired"] is False
    monkeypatch.setitem(app.config, "BASE_URL", url)
    assert page.get("/v1/sign-in").json["httpsRequired"] is True
    response = page.request("POST", "/v1/sign-in", json={"token": "x"}, headers={"Origin": url})
    assert error_of(response) == (403, "https_required")


def test_the_sign_in_methods_include_the_signed_in_caller(app, bob, reviewer, candidate, page):
    for caller in (reviewer, Caller.signed_in(app, bob)):
        assert caller.get("/v1/sign-in").json["me"] == caller.get("/v1/me").json
    cross_site = Caller.signed_in(app, bob, **{"Sec-Fetch-Site": "cross-site"})
    invalid = Caller(app, Authorization="Bearer psk_live_invalid")
    for caller in (page, cross_site, invalid, candidate, with_cookie(app, f"{COOKIE}=pss_invalid")):
        assert caller.get("/v1/sign-in").json["me"] is None


def test_emails_and_made_up_grants_are_limited(app_with, bob):
    page = Caller(app_with(RATELIMIT_INVALID_CREDENTIALS="5 per minute"), **CONSOLE_HEADERS)
    for email in (bob.email, "no@example.com"):
        statuses = [page.post("/v1/sign-in/email", {"email": email}).status_code for _ in range(6)]
        assert statuses == [202] * 5 + [429]
    guesses = [page.post("/v1/sign-in", {"grant": f"pss_{n}"}).status_code for n in range(6)]
    assert guesses == [410] * 5 + [429]


def test_a_large_ipv6_network_does_not_evade_the_email_limit(app_with):
    app = app_with(RATELIMIT_SIGN_IN_EMAILS="1 per hour", TRUSTED_PROXIES="1")
    statuses = []
    for number in range(81):
        caller = Caller(app, **CONSOLE_HEADERS, **{"X-Forwarded-For": f"2001:db8:0:{number:x}::1"})
        response = caller.post("/v1/sign-in/email", {"email": f"{number}@example.com"})
        statuses.append(response.status_code)
    assert statuses == [202] * 80 + [429]


def test_each_sign_in_has_a_separate_limit(app_with, bob):
    limited_app = app_with(RATELIMIT_DEFAULT="2 per minute")
    one, other = Caller.signed_in(limited_app, bob), Caller.signed_in(limited_app, bob)
    assert [one.get("/v1/me").status_code for _ in range(3)] == [200, 200, 429]
    assert other.get("/v1/me").status_code == 200


def test_a_signed_out_browser_does_not_count_as_a_guess(app_with, bob):
    """Otherwise signing out everywhere could lock an office's network."""
    app = app_with(RATELIMIT_INVALID_CREDENTIALS="2 per hour")
    browsers = [Caller.signed_in(app, bob) for _ in range(3)]
    SignIn.end_all_for_user(bob)
    assert [browser.get("/v1/me").status_code for browser in browsers] == [401] * 3
    made_up = [with_cookie(app, f"{COOKIE}={sign_ins.generate()}") for _ in range(3)]
    assert [browser.get("/v1/me").status_code for browser in made_up] == [401, 401, 429]


def test_people_can_sign_in_from_a_locked_network(app_with, bob):
    """The secret in a link or cookie cannot be guessed."""
    app = app_with(RATELIMIT_INVALID_CREDENTIALS="1 per hour")
    page = Caller(app, **CONSOLE_HEADERS)
    made_up = [{"grant": sign_ins.generate()} for _ in range(2)]
    assert [page.post("/v1/sign-in", body).status_code for body in made_up] == [410, 429]
    response = use_grant(page, grant_for(bob.address))
    signed_in = with_cookie(app, response.headers["Set-Cookie"].split(";")[0])
    assert signed_in.get("/v1/me").status_code == 200
