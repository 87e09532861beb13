"""Rate limits per credential, or per network without one."""

import socket
import time

import factories
import pytest
from callers import Caller

from models import CandidateKey
from tests.access.limited import KEYS, PUBLIC, guess, redeem, statuses, with_app

# Counters are not stored in the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")
ROUTER, OTHER_ADDRESS = "203.0.113.7", "198.51.100.9"


def test_each_credential_has_a_separate_limit(app_with, reviewer, neighbour):
    app = app_with(RATELIMIT_DEFAULT="3 per minute")
    assert statuses(with_app(app, reviewer), 5) == [200, 200, 200, 429, 429]
    assert statuses(with_app(app, neighbour), 1) == [200]


def test_without_a_credential_each_network_has_a_separate_limit(app_with):
    app = app_with(RATELIMIT_DEFAULT="2 per minute", TRUSTED_PROXIES="1")
    assert statuses(Caller(app, **{"X-Forwarded-For": ROUTER}), 3, PUBLIC) == [200, 200, 429]
    assert statuses(Caller(app, **{"X-Forwarded-For": OTHER_ADDRESS}), 1, PUBLIC) == [200]


def test_all_spellings_of_a_credential_share_its_limit(app_with, reviewer, candidate):
    app = app_with(RATELIMIT_DEFAULT="2 per minute")
    assert statuses(with_app(app, reviewer), 2) + statuses(with_app(app, candidate), 2) == [200] * 4
    token, key = reviewer.headers["Authorization"].split()[1], candidate.headers["X-API-Key"].lower()
    tokens = [{"Authorization": f"{scheme} {token}"} for scheme in ("bearer", "Bearer  ", "BEARER\xa0 ")]
    keys = [{"X-API-Key": form.format(key)} for form in ("{}", " {}", "{}\xa0", "\t{} ")]
    for headers in (*tokens, *keys):
        assert statuses(Caller(app, **headers), 1) == [429], headers


def test_a_key_has_one_limit_in_both_headers(app_with, candidate, session):
    app, key = app_with(RATELIMIT_INGEST="2 per minute"), candidate.headers["X-API-Key"]
    callers = [Caller(app, **{"X-API-Key": key}), Caller(app, Authorization=f"Bearer {key}")] * 2
    status_codes = [caller.post("/v1/hooks/codex", {}).status_code for caller in callers]
    assert status_codes == [200, 200, 429, 429]


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_made_up_credentials_share_the_network_limit_in_public_operations(app_with, header):
    app = app_with(RATELIMIT_DEFAULT="2 per minute")
    made_up = [Caller(app, **{header: f"made up {number}"}) for number in range(3)]
    assert [statuses(caller, 1, PUBLIC) for caller in made_up] == [[200], [200], [429]]


def test_clones_share_the_networks_limit(app_with):
    app = app_with(RATELIMIT_DEFAULT="2 per minute")
    paths = [f"/git/{number}/task.git/info/refs" for number in range(3)]
    responses = [Caller(app).get(path) for path in paths]
    assert [response.status_code for response in responses] == [404, 404, 429]
    assert responses[-1].text.startswith("Too many requests.")


def test_responses_include_rate_limit_headers(app_with, reviewer):
    caller, start = with_app(app_with(RATELIMIT_DEFAULT="2 per minute"), reviewer), time.time()
    first, _, rejected = (caller.get("/v1/me") for _ in range(3))
    assert (first.headers["X-RateLimit-Limit"], first.headers["X-RateLimit-Remaining"]) == ("2", "1")
    assert 0 < int(first.headers["X-RateLimit-Reset"]) - time.time() <= 61
    assert "Retry-After" not in first.headers
    assert (rejected.status_code, rejected.headers["X-RateLimit-Remaining"]) == (429, "0")
    assert set(rejected.json) == {"error", "code"}
    assert rejected.json["code"] == "too_many_requests"
    # Rounded up: a request after this time is accepted.
    assert start + 60 - time.time() <= int(rejected.headers["Retry-After"]) <= 61


def test_events_have_a_separate_limit(app_with, candidate, session):
    caller = with_app(app_with(RATELIMIT_DEFAULT="1 per minute", RATELIMIT_INGEST="3 per minute"), candidate)
    assert statuses(caller, 2) == [200, 429]
    status_codes = [caller.post("/v1/hooks/ingest", factories.envelope()).status_code for _ in range(4)]
    assert status_codes == [201, 201, 201, 429]


def test_health_and_pages_are_not_limited(app_with):
    caller = Caller(app_with(RATELIMIT_DEFAULT="1 per minute"))
    for path in ("/v1/health", "/docs", "/start", "/pages/site.css"):
        responses = [caller.get(path) for _ in range(3)]
        assert {response.status_code for response in responses} == {200}
        assert "X-RateLimit-Limit" not in responses[0].headers


def test_limits_can_be_disabled(app_with, reviewer):
    caller = with_app(app_with(RATELIMIT_ENABLED="false", RATELIMIT_DEFAULT="1 per minute"), reviewer)
    assert statuses(caller, 3) == [200, 200, 200]


def test_webhook_tests_and_redeliveries_are_limited_per_webhook(app_with, reviewer, neighbour, organization):
    app = app_with(RATELIMIT_WEBHOOK_TESTS="3 per minute")
    hook, other = factories.make_webhook(organization), factories.make_webhook(organization)
    delivery = with_app(app, reviewer).post(f"/v1/webhooks/{hook.id}/test").json["delivery"]
    paths = [f"/v1/webhooks/{hook.id}/{rest}" for rest in ("test", f"deliveries/{delivery['id']}/redeliver")]
    # Rejected requests are not counted.
    assert {with_app(app, neighbour).post(path).status_code for path in paths} == {404}
    assert [with_app(app, reviewer).post(path).status_code for path in paths] == [202, 202]
    for path in paths:
        response = with_app(app, reviewer).post(path)
        assert (response.status_code, response.json["code"]) == (429, "too_many_requests")
        assert 0 < int(response.headers["Retry-After"]) <= 60
        assert response.headers["X-RateLimit-Limit"] == "3"
    assert with_app(app, reviewer).post(f"/v1/webhooks/{other.id}/test").status_code == 202


# Invalid credentials


def test_a_repeated_invalid_credential_is_counted_once_and_a_valid_one_never(
    app_with, candidate, reviewer, key
):
    """A client that keeps sending a revoked key must not lock out its network."""
    app = app_with(RATELIMIT_INVALID_CREDENTIALS="2 per hour")
    key.revoke()
    assert set(statuses(with_app(app, candidate), 20)) == {401}
    assert set(statuses(with_app(app, reviewer), 10)) == {200}


def test_a_public_operation_does_not_record_a_made_up_credential_as_accepted(app_with):
    app = app_with(RATELIMIT_INVALID_CREDENTIALS="2 per hour")
    made_up = Caller(app, Authorization="Bearer psk_live_" + "x" * 36)
    assert statuses(made_up, 1, PUBLIC) == [200]
    assert guess(app, [ROUTER] * 3) == [401, 401, 429]
    assert statuses(made_up, 1) == [429]
    # Public operations do not look up credentials.
    assert statuses(made_up, 1, PUBLIC) == [200]


def test_invalid_keys_in_bodies_are_counted_for_an_accepted_caller(app_with, candidate):
    caller = with_app(app_with(RATELIMIT_INVALID_CREDENTIALS="3 per hour"), candidate)
    assert statuses(caller, 1) == [200]
    assert redeem(caller, *KEYS) == [404, 404, 404, 429]


def test_fifty_candidates_behind_one_address_can_each_mistype_once(app_with, assessment):
    caller = Caller(app_with())
    for number, key in enumerate(factories.make_keys(assessment, 50)):
        mistyped = f"PST-WRNG-{number:04}".replace("0", "Z").replace("1", "Y")
        assert redeem(caller, mistyped) == [404]
        assert caller.post("/v1/candidate/consent", {"key": key.key}).status_code == 200
        assert redeem(caller, key.key) == [200]
    assert CandidateKey.select().count() == 50


FORGED = [f"192.0.2.{number}" for number in range(4)]


@pytest.mark.parametrize(
    ("proxies", "addresses", "expected"),
    [
        ("0", FORGED, [401, 401, 429, 429]),
        ("1", FORGED, [401, 401, 401, 401]),
        ("1", [f"{forged}, {ROUTER}" for forged in FORGED] + [OTHER_ADDRESS], [401, 401, 429, 429, 401]),
        ("1", [f"2001:db8:1:{text}" for text in ("2::1", "2::2", "2::3", "3::1")], [401, 401, 429, 401]),
        ("1", ["::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2"], [401, 401, 429, 401]),
    ],
)
def test_only_a_trusted_proxy_sets_the_address_and_an_ipv6_network_shares_a_limit(
    app_with, proxies, addresses, expected
):
    app = app_with(RATELIMIT_INVALID_CREDENTIALS="2 per hour", TRUSTED_PROXIES=proxies)
    assert guess(app, addresses) == expected


# Shared counters


def test_processes_share_a_store(app_with, reviewer, valkey):
    url, _ = valkey
    one, other = (app_with(RATELIMIT_DEFAULT="3 per minute", RATELIMIT_STORAGE_URL=url) for _ in range(2))
    assert statuses(with_app(one, reviewer), 2) == [200, 200]
    assert statuses(with_app(other, reviewer), 2) == [200, 429]
    assert guess(one, [ROUTER] * 2) == [401, 401]


def test_a_process_counts_separately_while_the_store_is_unreachable(app_with, reviewer, valkey, caplog):
    url, process = valkey
    caller = with_app(app_with(RATELIMIT_DEFAULT="2 per minute", RATELIMIT_STORAGE_URL=url), reviewer)
    assert statuses(caller, 1) == [200]
    process.kill()
    process.wait()
    assert statuses(caller, 3) == [200, 200, 429]
    assert "is unreachable" in caplog.text


def test_the_service_starts_without_its_store(app_with, reviewer):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
    assert statuses(with_app(app_with(RATELIMIT_STORAGE_URL=url), reviewer), 1) == [200]
