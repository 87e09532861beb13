"""Invalid credentials count wherever they are sent. In a locked network, credentials used before still work."""

import re
from datetime import timedelta

import factories
import pytest
from callers import Caller
from statements import counted

from access import addresses, credential_throttling
from delivery.worker import Worker
from models import AcceptedSender, AccessHour, privacy
from tests.access.limited import KEYS, PUBLIC, guess, on, redeem, statuses

HOME, ELSEWHERE = "203.0.113.7", "198.51.100.9"
BOGUS = {"Authorization": "Bearer psk_live_bogus"}
MODELS = "/v1/proxy/openai/v1/models"


def token(number):
    return {"Authorization": f"Bearer psk_live_{number:036}"}


# How a request with the number of an invalid credential is sent, and its status.
SOURCES = {
    "a token in Authorization": (401, lambda app, n: Caller(app, **token(n)).get("/v1/me")),
    "a key in X-API-Key": (401, lambda app, n: Caller(app, **{"X-API-Key": KEYS[n]}).get("/v1/me")),
    "a key in Authorization": (
        401,
        lambda app, n: Caller(app, Authorization=f"Bearer {KEYS[n]}").get(MODELS),
    ),
    "an event's key": (
        401,
        lambda app, n: Caller(app, **{"X-API-Key": KEYS[n]}).post("/v1/hooks/ingest", factories.envelope()),
    ),
    "consent, X-API-Key": (
        404,
        lambda app, n: Caller(app, **BOGUS, **{"X-API-Key": KEYS[n]}).get("/v1/candidate/consent"),
    ),
    "consent, query": (404, lambda app, n: Caller(app, **BOGUS).get("/v1/candidate/consent", key=KEYS[n])),
    "consent, body": (
        404,
        lambda app, n: Caller(app, **BOGUS).post("/v1/candidate/consent", {"key": KEYS[n]}),
    ),
    "redeem, body": (404, lambda app, n: Caller(app, **BOGUS).post("/v1/candidate/redeem", {"key": KEYS[n]})),
    "complete, body": (
        404,
        lambda app, n: Caller(app, **BOGUS).post(
            "/v1/candidate/complete", {"key": KEYS[n], "sessionId": factories.new_id()}
        ),
    ),
}


@pytest.mark.parametrize("source", SOURCES)
def test_invalid_credential_is_counted_wherever_it_is_looked_up(limited, source):
    status, send = SOURCES[source]
    app = limited(RATELIMIT_INVALID_CREDENTIALS="3 per hour")
    assert [send(app, number).status_code for number in range(4)] == [status] * 3 + [429]


def test_header_that_is_not_looked_up_is_not_counted(limited, candidate):
    app = limited(RATELIMIT_INVALID_CREDENTIALS="2 per hour")
    sent = [{"X-API-Key": key} for key in KEYS]
    assert [statuses(Caller(app, **BOGUS, **headers), 1) for headers in sent] == [[401]] * 4
    assert statuses(Caller(app), 2) == [401, 401]
    assert statuses(on(app, candidate), 1) == [200]


def test_valid_credential_of_the_wrong_kind_is_not_a_guess(limited, candidate, reviewer, session):
    app = limited(RATELIMIT_INVALID_CREDENTIALS="1 per hour")
    assert statuses(on(app, candidate), 1, "/v1/candidates") == [401]
    assert statuses(on(app, reviewer), 1, "/v1/candidate/me") == [401]
    body = {"key": candidate.row.key, "sessionId": str(candidate.row.id)}
    assert Caller(app).post("/v1/candidate/complete", body).status_code == 404
    assert guess(app, [HOME]) == [401]


def test_empty_authorization_does_not_evade_the_address_limit(limited):
    app = limited(RATELIMIT_DEFAULT="2 per minute")
    sent = [Caller(app, Authorization="", **{"X-API-Key": key}) for key in KEYS[:3]]
    assert [statuses(caller, 1) for caller in sent] == [[401], [401], [429]]


# Networks of IPv6


def in_56(number):
    """An address in the /64 with this number, of one /56."""
    return f"2001:db8:0:{number:x}::1"


def in_48(number):
    """An address in the /56 with this number, of one /48."""
    return f"2001:db8:0:{number * 256:x}::1"


def test_wider_networks_have_larger_limits(limited):
    app = limited(RATELIMIT_INVALID_CREDENTIALS="2 per hour", TRUSTED_PROXIES="1")
    assert guess(app, [in_56(number) for number in range(9)]) == [401] * 8 + [429]
    app = limited(RATELIMIT_INVALID_CREDENTIALS="2 per hour", TRUSTED_PROXIES="1")
    assert guess(app, [in_48(number) for number in range(33)]) == [401] * 32 + [429]
    assert guess(app, ["2001:db8:1::1", HOME]) == [401, 401]


# Accepted senders


@pytest.fixture
def processes(limited):
    """Creates applications that share the database, not their counters, as processes without a store do."""
    return lambda count: [
        limited(RATELIMIT_INVALID_CREDENTIALS="2 per hour", TRUSTED_PROXIES="1") for _ in range(count)
    ]


def at(address, app, caller):
    return Caller(app, **caller.headers, **{"X-Forwarded-For": address})


def lock(app, address=HOME):
    assert guess(app, [address] * 3) == [401, 401, 429]


def test_credential_accepted_by_another_process_is_served_at_a_locked_address(processes, candidate, session):
    one, other = processes(2)
    assert statuses(at(HOME, one, candidate), 1) == [200]
    lock(other)
    assert statuses(at(HOME, other, candidate), 2) == [200, 200]
    caller = at(HOME, other, candidate)
    assert caller.post("/v1/hooks/ingest", factories.envelope()).status_code == 201
    # The same key in a body, and in another spelling.
    anonymous = Caller(other, **{"X-Forwarded-For": HOME})
    body = {"key": f" {candidate.row.key.lower()}", "sessionId": str(session.id)}
    assert anonymous.post("/v1/candidate/complete", body).status_code == 200
    assert redeem(anonymous, KEYS[0]) == [429]


def test_key_from_a_body_is_served_in_a_header_at_a_locked_address(processes, candidate):
    one, other = processes(2)
    assert (
        at(HOME, one, candidate).post("/v1/candidate/consent", {"key": candidate.row.key}).status_code == 200
    )
    lock(other)
    assert statuses(at(HOME, other, candidate), 1) == [200]


def test_credential_accepted_elsewhere_is_rejected_at_a_locked_address(processes, candidate):
    one, other = processes(2)
    assert statuses(at(ELSEWHERE, one, candidate), 1) == [200]
    lock(other)
    assert statuses(at(HOME, other, candidate), 1) == [429]
    assert statuses(at(HOME, other, Caller(other)), 1, PUBLIC) == [200]


def test_revoked_credential_is_forgotten_by_all_processes(processes, candidate, key):
    one, other, third = processes(3)
    assert statuses(at(HOME, one, candidate), 1) == [200]
    key.revoke()
    lock(other)
    assert statuses(at(HOME, other, candidate), 2) == [401, 429]
    lock(third)
    assert statuses(at(HOME, third, candidate), 1) == [429]


def test_sender_is_written_once_a_day_and_read_only_at_a_locked_address(clock, processes, reviewer):
    one, other = processes(2)

    def requests(app):
        with counted() as statements:
            assert statuses(at(HOME, app, reviewer), 3) == [200] * 3
        return [text for text in statements if "accepted_senders" in text]

    assert [text.split()[0] for text in requests(one)] == ["INSERT"]
    assert requests(one) == []
    lock(other)
    assert [text.split()[0] for text in requests(other)] == ["SELECT", "INSERT"]
    assert requests(other) == []
    clock.fixed += timedelta(days=1)
    assert len(requests(one)) == 1


def test_sender_expires_30_days_after_its_last_use(app, clock, processes, candidate, session):
    one, other, third = processes(3)
    for _ in range(2):
        assert statuses(at(HOME, one, candidate), 1) == [200]
        clock.fixed += timedelta(days=29, hours=23)
    lock(other)
    assert statuses(at(HOME, other, candidate), 1) == [200]
    clock.fixed += timedelta(days=30)
    lock(third)
    assert statuses(at(HOME, third, candidate), 1) == [429]
    Worker(app.config).run_once()
    assert not AcceptedSender.select().exists()


def test_rows_contain_neither_credential_nor_address_and_are_erased(limited, candidate, reviewer):
    app = limited(TRUSTED_PROXIES="1")
    for caller in (candidate, reviewer):
        assert statuses(at(HOME, app, caller), 1) == [200]
    rows = list(AcceptedSender.select().dicts())
    assert len(rows) == 2
    for text in (HOME, candidate.row.key, reviewer.headers["Authorization"].split()[1]):
        assert text not in str(rows)
    privacy.erase(candidate.row)
    assert AcceptedSender.select().count() == 1


def test_credential_fills_at_most_fifty_rows_a_day(limited, reviewer):
    app = limited(TRUSTED_PROXIES="1")
    for number in range(60):
        assert statuses(at(f"2001:db8:0:{number:x}::1", app, reviewer), 1) == [200]
    assert AcceptedSender.select().count() == credential_throttling.SHARED_NETWORKS.amount == 50


def test_store_refields_senders_instead_of_the_database(limited, candidate, reviewer, key, valkey):
    url, _ = valkey
    settings = {"RATELIMIT_INVALID_CREDENTIALS": "2 per hour", "RATELIMIT_STORAGE_URL": url}
    one, other, third = (limited(**settings) for _ in range(3))
    assert statuses(on(one, candidate), 1) == [200]
    lock(one)
    assert statuses(on(other, candidate), 2) == [200, 200]
    assert statuses(on(other, reviewer), 1) == [429]
    assert not AcceptedSender.select().exists()
    key.revoke()
    assert statuses(on(other, candidate), 2) == [401, 429]
    assert statuses(on(third, candidate), 1) == [429]


# All addresses


@pytest.fixture
def doctor(app):
    """Runs `flask doctor`; returns its output with single spaces."""
    return lambda: re.sub(" +", " ", app.test_cli_runner().invoke(args=["doctor"]).output)


def test_invalid_credentials_of_all_addresses_are_a_finding(clock, doctor, limited):
    one, other = (limited(TRUSTED_PROXIES="1") for _ in range(2))
    assert "ok invalid credentials" in doctor()
    for app in (one, other):
        assert set(guess(app, [f"192.0.{number // 250}.{number % 250}" for number in range(800)])) == {401}
    assert "in the hour from 2026-04-01T09:00:00.000Z: a client might be guessing keys." in doctor()
    clock.fixed += timedelta(days=1)
    assert "guessing" not in doctor()


def test_metric_counts_wrong_and_rejected_credentials_but_no_repetition(limited, candidate):
    app = limited(RATELIMIT_INVALID_CREDENTIALS="2 per hour", METRICS_TOKEN="a-token-that-nobody-guesses")
    assert statuses(on(app, candidate), 3) == [200] * 3
    assert statuses(Caller(app, **token(0)), 3) == [401] * 3
    assert guess(app, [HOME] * 4) == [401, 401, 429, 429]
    page = Caller(app, Authorization="Bearer a-token-that-nobody-guesses").get("/metrics").text
    assert "\nproofstone_invalid_credentials_total 4.0\n" in page


PROXY, LOCALHOST = "10.1.2.3", "127.0.0.1"
PUBLIC_URL = {"BASE_URL": "https://assess.example.com"}


@pytest.mark.parametrize(
    ("settings", "sent", "sole"),
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
def test_requests_from_one_private_address_are_a_finding(
    clock, doctor, limited, caplog, settings, sent, sole
):
    app = limited(**settings)
    for address in sent:
        statuses(Caller(app, **{"X-Forwarded-For": address}), 1, PUBLIC)
    assert AccessHour.sole_private_address() == sole
    finding = f"came from the private address {sole}, so all clients share one limit"
    assert (finding in doctor()) == (sole is not None)
    caplog.clear()
    addresses.warn_at_start()
    assert (f"All requests come from the private address {sole}." in caplog.text) == (sole is not None)


def test_another_process_with_other_addresses_prevents_the_finding(clock, limited):
    one, other = (limited(**PUBLIC_URL, TRUSTED_PROXIES="1") for _ in range(2))
    for app, address in ((one, PROXY), (other, PROXY), (other, "8.8.8.8")):
        for _ in range(100):
            statuses(Caller(app, **{"X-Forwarded-For": address}), 1, PUBLIC)
    assert AccessHour.sole_private_address() is None
