"""Invalid credentials are throttled by network. In a locked network, previously accepted credentials still work."""

import re
from datetime import timedelta

import factories
import pytest
from callers import Caller
from conftest import LEDGER_KEYS
from statements import capture_queries

import config
from access import addresses, credential_throttling
from app import create_app
from delivery.worker import Worker
from models import AcceptedSender, AccessHour, db, privacy
from tests.access.limited import KEYS, PUBLIC, guess, redeem, statuses, with_app

HOME, OTHER_NETWORK = "203.0.113.7", "198.51.100.9"
BOGUS = {"Authorization": "Bearer psk_live_bogus"}


def token(number):
    return {"Authorization": f"Bearer psk_live_{number:036}"}


# Requests with an invalid key, and a token that is not looked up. The response is 404.
KEY_REQUESTS = {
    "consent, header": lambda caller, key: caller.request(
        "GET", "/v1/candidate/consent", headers={"X-API-Key": key}
    ),
    "consent, query": lambda caller, key: caller.get("/v1/candidate/consent", key=key),
    "consent, body": lambda caller, key: caller.post("/v1/candidate/consent", {"key": key}),
    "redeem, body": lambda caller, key: caller.post("/v1/candidate/redeem", {"key": key}),
    "complete, body": lambda caller, key: caller.post(
        "/v1/candidate/complete", {"key": key, "sessionId": factories.new_id()}
    ),
}


@pytest.mark.parametrize("request_name", KEY_REQUESTS)
def test_an_invalid_key_is_counted_wherever_it_is_sent(app_with, request_name):
    caller = Caller(app_with(RATELIMIT_INVALID_CREDENTIALS="3 per hour"), **BOGUS)
    assert [KEY_REQUESTS[request_name](caller, key).status_code for key in KEYS] == [404, 404, 404, 429]


@pytest.mark.parametrize(
    ("header", "prefix", "method", "path"),
    [
        ("Authorization", "Bearer psk_live_", "GET", "/v1/me"),
        ("Authorization", "Bearer ", "GET", "/v1/proxy/openai/v1/models"),
        ("X-API-Key", "", "GET", "/v1/me"),
        ("X-API-Key", "", "POST", "/v1/hooks/ingest"),
    ],
)
def test_an_invalid_credential_header_is_counted(app_with, header, prefix, method, path):
    app = app_with(RATELIMIT_INVALID_CREDENTIALS="3 per hour")
    callers = [Caller(app, **{header: f"{prefix}{key}"}) for key in KEYS]
    status_codes = [caller.request(method, path, json=factories.envelope()).status_code for caller in callers]
    assert status_codes == [401, 401, 401, 429]


def test_a_credential_that_is_not_looked_up_is_not_counted(app_with, candidate):
    app = app_with(RATELIMIT_INVALID_CREDENTIALS="2 per hour")
    key_headers = [{"X-API-Key": key} for key in KEYS]
    assert [statuses(Caller(app, **BOGUS, **headers), 1) for headers in key_headers] == [[401]] * 4
    assert statuses(Caller(app), 2) == [401, 401]
    assert statuses(with_app(app, candidate), 1) == [200]


def test_a_valid_credential_of_the_wrong_kind_is_not_a_guess(app_with, candidate, reviewer, session):
    app = app_with(RATELIMIT_INVALID_CREDENTIALS="1 per hour")
    assert statuses(with_app(app, candidate), 1, "/v1/candidates") == [401]
    assert statuses(with_app(app, reviewer), 1, "/v1/candidate/me") == [401]
    body = {"key": candidate.row.key, "sessionId": str(candidate.row.id)}
    assert Caller(app).post("/v1/candidate/complete", body).status_code == 404
    assert guess(app, [HOME]) == [401]


def test_an_empty_authorization_header_does_not_evade_the_network_limit(app_with):
    app = app_with(RATELIMIT_DEFAULT="2 per minute")
    callers = [Caller(app, Authorization="", **{"X-API-Key": key}) for key in KEYS[:3]]
    assert [statuses(caller, 1) for caller in callers] == [[401], [401], [429]]


def test_a_malformed_credential_is_401_and_any_other_503_during_an_outage(tmp_path):
    connection = db.obj
    settings = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/missing.db",
        "BUNDLE_FOLDER": str(tmp_path / "bundles"),
    }
    app = create_app(
        config.load(settings | PUBLIC_URL | {"LEDGER_KEYS": LEDGER_KEYS, "TRUSTED_PROXIES": "1"})
    )
    try:
        assert statuses(caller_at("8.8.8.8", app, Caller(app, **BOGUS)), 2) == [401, 401]
        assert statuses(caller_at(HOME, app, Caller(app, **{"X-API-Key": KEYS[0]})), 2) == [503, 503]
    finally:
        db.initialize(connection)


# IPv6 networks


def address_in_56(number):
    return f"2001:db8:0:{number:x}::1"


def address_in_48(number):
    return f"2001:db8:0:{number * 256:x}::1"


def test_wider_networks_have_larger_limits(app_with):
    app = app_with(RATELIMIT_INVALID_CREDENTIALS="2 per hour", TRUSTED_PROXIES="1")
    assert guess(app, [address_in_56(number) for number in range(9)]) == [401] * 8 + [429]
    app = app_with(RATELIMIT_INVALID_CREDENTIALS="2 per hour", TRUSTED_PROXIES="1")
    assert guess(app, [address_in_48(number) for number in range(33)]) == [401] * 32 + [429]
    assert guess(app, ["2001:db8:1::1", HOME]) == [401, 401]


# Accepted senders


@pytest.fixture
def processes(app_with):
    """Create applications that share the database but not their counters."""
    settings = {"RATELIMIT_INVALID_CREDENTIALS": "2 per hour", "TRUSTED_PROXIES": "1"}
    return lambda count: [app_with(**settings) for _ in range(count)]


def caller_at(address, app, caller):
    return Caller(app, **caller.headers, **{"X-Forwarded-For": address})


def lock(app, address=HOME):
    assert guess(app, [address] * 3) == [401, 401, 429]


def test_a_credential_that_another_process_accepted_works_in_a_locked_network(processes, candidate, session):
    one, other = processes(2)
    assert statuses(caller_at(HOME, one, candidate), 1) == [200]
    lock(other)
    assert statuses(caller_at(HOME, other, candidate), 2) == [200, 200]
    caller = caller_at(HOME, other, candidate)
    assert caller.post("/v1/hooks/ingest", factories.envelope()).status_code == 201
    # The key in a body, spelled differently
    anonymous = Caller(other, **{"X-Forwarded-For": HOME})
    body = {"key": f" {candidate.row.key.lower()}", "sessionId": str(session.id)}
    assert anonymous.post("/v1/candidate/complete", body).status_code == 200
    assert redeem(anonymous, KEYS[0]) == [429]


def test_a_credential_accepted_in_another_network_is_rejected_in_a_locked_network(processes, candidate):
    one, other = processes(2)
    assert statuses(caller_at(OTHER_NETWORK, one, candidate), 1) == [200]
    lock(other)
    assert statuses(caller_at(HOME, other, candidate), 1) == [429]
    assert statuses(caller_at(HOME, other, Caller(other)), 1, PUBLIC) == [200]


def test_all_processes_reject_a_revoked_credential_in_a_locked_network(processes, candidate, key):
    one, other, third = processes(3)
    assert statuses(caller_at(HOME, one, candidate), 1) == [200]
    key.revoke()
    lock(other)
    assert statuses(caller_at(HOME, other, candidate), 2) == [401, 429]
    lock(third)
    assert statuses(caller_at(HOME, third, candidate), 1) == [429]


def test_a_sender_is_written_once_a_day_and_read_only_in_a_locked_network(clock, processes, reviewer):
    one, other = processes(2)

    def sender_queries(app):
        with capture_queries() as statements:
            assert statuses(caller_at(HOME, app, reviewer), 3) == [200] * 3
        return [text for text in statements if "accepted_senders" in text]

    assert [text.split()[0] for text in sender_queries(one)] == ["INSERT"]
    assert sender_queries(one) == []
    lock(other)
    assert [text.split()[0] for text in sender_queries(other)] == ["SELECT", "INSERT"]
    assert sender_queries(other) == []
    clock.fixed += timedelta(days=1)
    assert len(sender_queries(one)) == 1


def test_a_sender_expires_30_days_after_its_last_use(app, clock, processes, candidate, session):
    one, other, third = processes(3)
    for _ in range(2):
        assert statuses(caller_at(HOME, one, candidate), 1) == [200]
        clock.fixed += timedelta(days=29, hours=23)
    lock(other)
    assert statuses(caller_at(HOME, other, candidate), 1) == [200]
    clock.fixed += timedelta(days=30)
    lock(third)
    assert statuses(caller_at(HOME, third, candidate), 1) == [429]
    Worker(app.config).run_once()
    assert not AcceptedSender.select().exists()


def test_sender_rows_contain_no_credential_or_address_and_are_erased(app_with, candidate, reviewer):
    app = app_with(TRUSTED_PROXIES="1")
    for caller in (candidate, reviewer):
        assert statuses(caller_at(HOME, app, caller), 1) == [200]
    rows = list(AcceptedSender.select().dicts())
    assert len(rows) == 2
    for text in (HOME, candidate.row.key, reviewer.headers["Authorization"].split()[1]):
        assert text not in str(rows)
    privacy.erase(candidate.row)
    assert AcceptedSender.select().count() == 1


def test_a_credential_adds_at_most_50_rows_a_day(app_with, reviewer):
    app = app_with(TRUSTED_PROXIES="1")
    for number in range(60):
        assert statuses(caller_at(f"2001:db8:0:{number:x}::1", app, reviewer), 1) == [200]
    assert AcceptedSender.select().count() == credential_throttling.MAX_NETWORKS_PER_CREDENTIAL.amount == 50


# All networks


@pytest.fixture
def doctor(app):
    """Run `flask doctor` and return its output with single spaces."""
    return lambda: re.sub(" +", " ", app.test_cli_runner().invoke(args=["doctor"]).output)


def test_many_invalid_credentials_are_reported(clock, doctor, app_with):
    one, other = (app_with(TRUSTED_PROXIES="1") for _ in range(2))
    assert "ok invalid credentials" in doctor()
    for app in (one, other):
        assert set(guess(app, [f"192.0.{number // 250}.{number % 250}" for number in range(800)])) == {401}
    assert "in the hour from 2026-04-01T09:00:00.000Z: a client might be guessing keys." in doctor()
    clock.fixed += timedelta(days=1)
    assert "guessing" not in doctor()


def test_the_metric_counts_invalid_and_rejected_credentials_once(app_with, candidate):
    app = app_with(RATELIMIT_INVALID_CREDENTIALS="2 per hour", METRICS_TOKEN="a-token-that-nobody-guesses")
    assert statuses(with_app(app, candidate), 3) == [200] * 3
    assert statuses(Caller(app, **token(0)), 3) == [401] * 3
    assert guess(app, [HOME] * 4) == [401, 401, 429, 429]
    page = Caller(app, Authorization="Bearer a-token-that-nobody-guesses").get("/metrics").text
    assert "\nproofstone_invalid_credentials_total 4.0\n" in page


PROXY, LOCALHOST = "10.1.2.3", "127.0.0.1"
PUBLIC_URL = {"BASE_URL": "https://assess.example.com"}


@pytest.mark.parametrize(
    ("settings", "client_addresses", "private_address"),
    [
        (PUBLIC_URL, [HOME] * 100, LOCALHOST),
        (PUBLIC_URL, [HOME] * 99, None),
        (PUBLIC_URL | {"TRUSTED_PROXIES": "1"}, [PROXY] * 100, PROXY),
        (PUBLIC_URL | {"TRUSTED_PROXIES": "1"}, ["8.8.8.8"] * 100, None),
        (PUBLIC_URL | {"TRUSTED_PROXIES": "1"}, [PROXY] * 100 + ["8.8.8.8"], None),
        (PUBLIC_URL | {"TRUSTED_PROXIES": "1"}, ["8.8.8.8"] + [PROXY] * 100, None),
        ({}, [HOME] * 100, None),
    ],
)
def test_a_single_private_address_is_reported(
    clock, doctor, app_with, caplog, settings, client_addresses, private_address
):
    app = app_with(**settings)
    for address in client_addresses:
        statuses(Caller(app, **{"X-Forwarded-For": address}), 1, PUBLIC)
    assert AccessHour.sole_private_address() == private_address
    finding = f"came from the private address {private_address}, so all clients share one limit"
    assert (finding in doctor()) == (private_address is not None)
    caplog.clear()
    addresses.warn_at_start()
    warning = f"All requests come from the private address {private_address}."
    assert (warning in caplog.text) == (private_address is not None)


def test_several_addresses_in_another_process_prevent_the_finding(clock, app_with):
    one, other = (app_with(**PUBLIC_URL, TRUSTED_PROXIES="1") for _ in range(2))
    for app, address in ((one, PROXY), (other, PROXY), (other, "8.8.8.8")):
        for _ in range(100):
            statuses(Caller(app, **{"X-Forwarded-For": address}), 1, PUBLIC)
    assert AccessHour.sole_private_address() is None
