"""Signing in with OpenID Connect, against oidc-provider-mock."""

import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from callers import CONSOLE_HEADERS, Caller, use_grant
from factories import make_person

import config
import oidc
from access.counters import Counters
from access.rate_limits import RateLimiter
from models import SignInGrant
from rules.delivery.email_addresses import exact_address
from tests.live.service import wait_until
from tests.servers import oidc_provider

EMAIL = "bob@people.example"
USERS = (
    {"sub": "bob", "email": "Bob@People.example", "email_verified": True},
    {"sub": "unverified", "email": EMAIL, "email_verified": False},
    {"sub": "silent", "email": EMAIL},
    {"sub": "stranger", "email": "eve@people.example", "email_verified": True},
    {"sub": "lookalike", "email": "bob@people.exampl\uff45", "email_verified": True},
    {"sub": "unstorable", "email": "bob\x00@people.example", "email_verified": True},
    {"sub": "other_domain", "email": "bob@other.example", "email_verified": True},
)


@pytest.fixture(scope="module")
def issuer():
    with oidc_provider(*USERS) as issuer:
        yield issuer


@pytest.fixture
def browser(app, issuer, organization, monkeypatch):
    make_person(organization, email=EMAIL)
    settings = {"OIDC_ISSUER": issuer, "OIDC_CLIENT_ID": "proofstone", "OIDC_CLIENT_SECRET": "a-secret"}
    for name, value in (settings | {"OIDC_ALLOWED_DOMAINS": ("people.example",)}).items():
        monkeypatch.setitem(app.config, name, value)
    oidc._cache.clear()
    return Caller(app, **CONSOLE_HEADERS)


def authorize(browser, sub="bob", **overrides):
    """Sign in at the provider and return the callback's query."""
    url = urlsplit(browser.get("/sign-in/oidc").headers["Location"])
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (query["code_challenge_method"], query["scope"]) == ("S256", "openid email")
    form_url = url._replace(query=urlencode(query | overrides)).geturl()
    response = requests.post(form_url, data={"sub": sub}, allow_redirects=False, timeout=5)
    callback = urlsplit(response.headers["Location"])
    assert callback.path == "/sign-in/oidc/callback"
    parameters = {name: values[0] for name, values in parse_qs(callback.query).items()}
    return parameters | {"challenge": query["code_challenge"]}


def call_back(browser, query):
    """Request the callback and return the query that it passes to the console."""
    response = browser.get("/sign-in/oidc/callback", **query)
    assert response.status_code == 302
    url, _, fragment = response.headers["Location"].partition("#/sign-in?")
    assert url == "http://localhost:8000/console"
    return {name: values[0] for name, values in parse_qs(fragment).items()}


def test_a_person_signs_in_once_per_grant(browser):
    result = call_back(browser, authorize(browser))
    assert result["grant"].startswith("psb_")
    response = use_grant(browser, result["grant"])
    assert response.json["signIn"]["method"] == "oidc"
    assert browser.get("/v1/me").json["person"]["email"] == EMAIL
    assert use_grant(browser, result["grant"]).status_code == 410


@pytest.mark.parametrize(("sub", "code"), [
    ("unverified", "oidc_unverified"), ("silent", "oidc_unverified"), ("stranger", "oidc_unknown"),
    ("other_domain", "oidc_domain"), ("lookalike", "oidc_domain"), ("unstorable", "oidc_unknown"),
])  # fmt: skip
def test_other_accounts_cannot_sign_in(browser, sub, code):
    assert call_back(browser, authorize(browser, sub)) == {"error": code}
    assert SignInGrant.select().count() == 0


def test_an_id_token_with_a_different_nonce_is_rejected(browser):
    assert call_back(browser, authorize(browser, nonce="different")) == {"error": "oidc_invalid"}


def test_an_id_token_for_a_different_audience_is_rejected(browser, app, monkeypatch):
    query = authorize(browser)
    # The provider issues the token to the client that requested the code.
    with app.app_context():
        client = oidc._client()
    monkeypatch.setattr(oidc, "_client", lambda: client)
    monkeypatch.setitem(app.config, "OIDC_CLIENT_ID", "different")
    assert call_back(browser, query) == {"error": "oidc_invalid"}


def test_the_pkce_verifier_matches_the_challenge(browser, monkeypatch):
    """The mock provider does not check it."""
    query = authorize(browser)
    calls = []
    post = requests.Session.request
    monkeypatch.setattr(
        requests.Session, "request", lambda *args, **options: calls.append(options) or post(*args, **options)
    )
    call_back(browser, query)
    verifier = next(options["data"]["code_verifier"] for options in calls if options.get("data"))
    assert len(verifier) == 43
    assert create_s256_code_challenge(verifier) == query["challenge"]


def test_a_response_for_a_different_browser_or_state_is_rejected(browser, app):
    query = authorize(browser)
    assert call_back(Caller(app), query) == {"error": "oidc_state"}
    assert call_back(browser, query | {"state": "different"}) == {"error": "oidc_state"}


def test_a_grant_works_only_in_its_browser(browser, app):
    """Otherwise an attacker's link could sign other people in to the attacker's account."""
    result = call_back(browser, authorize(browser))
    other = Caller(app, **CONSOLE_HEADERS)
    assert use_grant(other, result["grant"]).status_code == 410
    assert use_grant(browser, result["grant"]).status_code == 200


def test_a_code_works_once(browser, app):
    query = authorize(browser)
    cookie = browser.client.get_cookie(oidc.COOKIE).value
    assert "grant" in call_back(browser, query)
    replay = Caller(app, Cookie=f"{oidc.COOKIE}={cookie}")
    replay.client = app.test_client(use_cookies=False)
    assert call_back(replay, query) == {"error": "oidc_invalid"}


def test_a_providers_error_is_passed_to_the_console(browser):
    state = authorize(browser)["state"]
    assert call_back(browser, {"state": state, "error": "access_denied"}) == {"error": "oidc_denied"}


def test_attempts_are_limited_by_network(browser, app, monkeypatch):
    limiter = RateLimiter(app.config | {"RATELIMIT_SIGN_IN_EMAILS": "1 per hour"}, Counters(None))
    monkeypatch.setitem(app.extensions, "rate_limiter", limiter)
    for path in ("/sign-in/oidc", "/sign-in/oidc/callback"):
        locations = [browser.get(path).headers["Location"] for _ in range(21)]
        assert not any("oidc_limited" in location for location in locations[:20])
        assert locations[20].endswith("/console#/sign-in?error=oidc_limited")


def test_an_unresponsive_provider_blocks_at_most_a_quarter_of_the_threads(browser, app, monkeypatch):
    release, reads = threading.Event(), []

    def read(url):
        reads.append(url)
        release.wait(30)
        raise requests.Timeout

    monkeypatch.setattr(oidc, "_read", read)
    monkeypatch.setattr(oidc, "WAIT_SECONDS", 0.01)
    with ThreadPoolExecutor() as threads:
        blocked = [
            threads.submit(Caller(app).get, "/sign-in/oidc")
            for _ in range(config.other_threads(app.config) // 4)
        ]
        wait_until(lambda: len(reads) == len(blocked), "The requests did not wait for the provider.")
        assert browser.get("/sign-in/oidc").headers["Location"].endswith("?error=oidc_unavailable")
        release.set()
    assert browser.get("/sign-in/oidc").headers["Location"].endswith("?error=oidc_unavailable")
    assert len(reads) == len(blocked)


@pytest.mark.parametrize("fault", ["unreachable", "not found", "different issuer", "too large"])
def test_an_unusable_provider_redirects_to_an_error_page(browser, app, issuer, monkeypatch, fault):
    read = oidc._read
    if fault == "different issuer":
        monkeypatch.setattr(oidc, "_read", lambda url: read(url) | {"issuer": "http://different.example"})
    elif fault == "too large":
        monkeypatch.setattr(oidc, "MAX_RESPONSE_BYTES", 100)
    else:
        url = "http://127.0.0.1:9" if fault == "unreachable" else f"{issuer}/nowhere"
        monkeypatch.setitem(app.config, "OIDC_ISSUER", url)
    response = browser.get("/sign-in/oidc")
    assert response.headers["Location"].endswith("/console#/sign-in?error=oidc_unavailable")


@pytest.mark.parametrize(("first", "second", "is_same"), [
    ("Bob@Example.com", "bob@example.COM.", True), ("bob@M\u00dcLLER.de", "bob@xn--mller-kva.de", True),
    ('"bob"@example.com', "bob@example.com", True), ("gro\u00df@example.com", "gross@example.com", False),
    ("jac\u212a@example.com", "jack@example.com", False), ("bob@stra\u00dfe.de", "bob@strasse.de", False),
    ("bob@exampl\uff45.com", "bob@example.com", False),
])  # fmt: skip
def test_exact_addresses_do_not_merge_people(first, second, is_same):
    assert (exact_address(first) == exact_address(second)) == is_same
