"""Signing in at an OpenID provider, against oidc-provider-mock in a process of its own."""

import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from callers import CONSOLE_HEADERS, Caller, use_grant
from factories import make_person

import oidc
from access.counters import Counters
from access.rate_limits import RateLimiter
from models import SignInGrant
from rules.delivery.email_addresses import is_exact
from tests.live.service import wait_until
from tests.oidc_provider import provider

EMAIL = "bob@people.example"
USERS = (
    {"sub": "bob", "email": "Bob@People.example", "email_verified": True},
    {"sub": "unverified", "email": EMAIL, "email_verified": False},
    {"sub": "silent", "email": EMAIL},
    {"sub": "stranger", "email": "eve@people.example", "email_verified": True},
    {"sub": "lookalike", "email": "bob@people.exampl\uff45", "email_verified": True},
    {"sub": "unstorable", "email": "bob\x00@people.example", "email_verified": True},
    {"sub": "foreign", "email": "bob@other.example", "email_verified": True},
)


@pytest.fixture(scope="module")
def issuer():
    with provider(*USERS) as issuer:
        yield issuer


@pytest.fixture
def browser(app, issuer, organization, monkeypatch):
    make_person(organization, email=EMAIL)
    settings = {"OIDC_ISSUER": issuer, "OIDC_CLIENT_ID": "proofstone", "OIDC_CLIENT_SECRET": "a-secret"}
    for name, value in (settings | {"OIDC_ALLOWED_DOMAINS": ("people.example",)}).items():
        monkeypatch.setitem(app.config, name, value)
    oidc._cache.clear()
    return Caller(app, **CONSOLE_HEADERS)


def authorize(browser, sub="bob", **changed):
    """Go to the provider and sign in there; returns the query of the callback."""
    url = urlsplit(browser.get("/sign-in/oidc").headers["Location"])
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (query["code_challenge_method"], query["scope"]) == ("S256", "openid email")
    address = url._replace(query=urlencode(query | changed)).geturl()
    response = requests.post(address, data={"sub": sub}, allow_redirects=False, timeout=5)
    callback = urlsplit(response.headers["Location"])
    assert callback.path == "/sign-in/oidc/callback"
    answered = {name: values[0] for name, values in parse_qs(callback.query).items()}
    return answered | {"challenge": query["code_challenge"]}


def answer(browser, query):
    """The query that the callback passes to the console."""
    response = browser.get("/sign-in/oidc/callback", **query)
    assert response.status_code == 302
    address, _, fragment = response.headers["Location"].partition("#/sign-in?")
    assert address == "http://localhost:8000/console"
    return {name: values[0] for name, values in parse_qs(fragment).items()}


def test_a_person_signs_in_once_with_their_account(browser):
    passed = answer(browser, authorize(browser))
    assert passed["grant"].startswith("psb_")
    response = use_grant(browser, passed["grant"])
    assert response.json["signIn"]["method"] == "oidc"
    assert browser.get("/v1/me").json["person"]["email"] == EMAIL
    assert use_grant(browser, passed["grant"]).status_code == 410


@pytest.mark.parametrize(("sub", "code"), [
    ("unverified", "oidc_unverified"), ("silent", "oidc_unverified"), ("stranger", "oidc_unknown"),
    ("foreign", "oidc_domain"), ("lookalike", "oidc_unknown"), ("unstorable", "oidc_unknown"),
])  # fmt: skip
def test_other_accounts_do_not_sign_in(browser, sub, code):
    assert answer(browser, authorize(browser, sub)) == {"error": code}
    assert SignInGrant.select().count() == 0


def test_an_id_token_with_another_nonce_is_rejected(browser):
    assert answer(browser, authorize(browser, nonce="another")) == {"error": "oidc_invalid"}


def test_an_id_token_for_another_audience_is_rejected(browser, app, monkeypatch):
    query = authorize(browser)
    # The provider issues the token, to the client that asked for the code.
    with app.app_context():
        client = oidc._client()
    monkeypatch.setattr(oidc, "_client", lambda: client)
    monkeypatch.setitem(app.config, "OIDC_CLIENT_ID", "another")
    assert answer(browser, query) == {"error": "oidc_invalid"}


def test_the_provider_can_check_that_the_code_comes_back_from_who_asked(browser, monkeypatch):
    """PKCE; the provider of these tests does not check it."""
    query = authorize(browser)
    sent = []
    post = requests.Session.request
    monkeypatch.setattr(
        requests.Session, "request", lambda *args, **options: sent.append(options) or post(*args, **options)
    )
    answer(browser, query)
    verifier = next(options["data"]["code_verifier"] for options in sent if options.get("data"))
    assert len(verifier) == 43
    assert create_s256_code_challenge(verifier) == query["challenge"]


def test_an_answer_to_another_browser_or_state_is_rejected(browser, app):
    query = authorize(browser)
    assert answer(Caller(app), query) == {"error": "oidc_state"}
    assert answer(browser, query | {"state": "another"}) == {"error": "oidc_state"}


def test_an_address_with_a_grant_signs_in_nobody_else(browser, app):
    """Otherwise attackers could sign others in to the attacker's account, with a link."""
    passed = answer(browser, authorize(browser))
    other = Caller(app, **CONSOLE_HEADERS)
    assert use_grant(other, passed["grant"]).status_code == 410
    assert use_grant(browser, passed["grant"]).status_code == 200


def test_a_code_works_once(browser, app):
    query = authorize(browser)
    cookie = browser.client.get_cookie(oidc.COOKIE).value
    assert "grant" in answer(browser, query)
    replay = Caller(app, Cookie=f"{oidc.COOKIE}={cookie}")
    replay.client = app.test_client(use_cookies=False)
    assert answer(replay, query) == {"error": "oidc_invalid"}


def test_an_error_of_the_provider_is_passed_on(browser):
    state = authorize(browser)["state"]
    assert answer(browser, {"state": state, "error": "access_denied"}) == {"error": "oidc_denied"}


def test_attempts_are_limited_by_network(browser, app, monkeypatch):
    """With a page that says so: a browser shows what it gets."""
    limiter = RateLimiter(app.config | {"RATELIMIT_SIGN_IN_EMAILS": "1 per hour"}, Counters(None))
    monkeypatch.setitem(app.extensions, "rate_limiter", limiter)
    for path in ("/sign-in/oidc", "/sign-in/oidc/callback"):
        locations = [browser.get(path).headers["Location"] for _ in range(21)]
        assert not any("oidc_limited" in location for location in locations[:20])
        assert locations[20].endswith("/console#/sign-in?error=oidc_limited")


def test_a_silent_provider_holds_a_quarter_of_the_threads(browser, app, monkeypatch):
    """And others only until it was found to be unavailable."""
    is_over, reads = threading.Event(), []

    def read(url):
        reads.append(url)
        is_over.wait(30)
        raise requests.Timeout

    monkeypatch.setattr(oidc, "_read", read)
    monkeypatch.setattr(oidc, "WAIT_SECONDS", 0.01)
    with ThreadPoolExecutor() as threads:
        waiting = [
            threads.submit(Caller(app).get, "/sign-in/oidc") for _ in range(app.config["WEB_THREADS"] // 4)
        ]
        wait_until(lambda: len(reads) == len(waiting), "The requests do not wait for the provider.")
        assert browser.get("/sign-in/oidc").headers["Location"].endswith("?error=oidc_unavailable")
        is_over.set()
    assert browser.get("/sign-in/oidc").headers["Location"].endswith("?error=oidc_unavailable")
    assert len(reads) == len(waiting)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "{issuer}/nowhere"])
def test_an_unavailable_provider_is_an_error_page(browser, app, issuer, monkeypatch, address):
    monkeypatch.setitem(app.config, "OIDC_ISSUER", address.format(issuer=issuer))
    response = browser.get("/sign-in/oidc")
    assert response.headers["Location"].endswith("/console#/sign-in?error=oidc_unavailable")


def test_a_provider_that_names_another_issuer_is_rejected(browser, monkeypatch):
    real = oidc._read
    monkeypatch.setattr(oidc, "_read", lambda url: real(url) | {"issuer": "http://another.example"})
    response = browser.get("/sign-in/oidc")
    assert response.headers["Location"].endswith("?error=oidc_unavailable")


def test_a_huge_answer_is_rejected(browser, monkeypatch):
    monkeypatch.setattr(oidc, "MAX_RESPONSE_BYTES", 100)
    response = browser.get("/sign-in/oidc")
    assert response.headers["Location"].endswith("?error=oidc_unavailable")


@pytest.mark.parametrize(("address", "exact"), [
    ("Bob@Example.com", True), ("m\u00fcller@example.com", True), ("bob@m\u00fcller.de", True),
    ("gro\u00df@example.com", False), ("jac\u212a@example.com", False), ("bob@stra\u00dfe.de", False),
])  # fmt: skip
def test_an_address_that_another_person_may_have_is_not_exact(address, exact):
    assert is_exact(address) == exact
