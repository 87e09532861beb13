"""Calls to systems: hosts, headers, errors, limits and statistics."""

import base64
import socket
import time
from datetime import timedelta

import pytest

from integrations import connection, secrets
from integrations.adapter import CredentialRejected, RateLimit, Rejected, TemporaryFailure
from integrations.connection import Connection
from integrations.systems import ashby
from integrations.tables import Integration, IntegrationCalls
from tests.delivery.receiver import raw_server
from tests.integrations.system_server import LOOPBACK, serving, store_integration

URL = "https://api.ashbyhq.com/job.list"
JOBS = "POST /job.list"
SLOW = (200, {}, {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "1"})


@pytest.fixture
def server():
    with serving() as server:
        server.answers[JOBS] = [{"success": True, "results": []}]
        yield server


@pytest.fixture
def integration(organization, monkeypatch):
    monkeypatch.setattr(ashby, "LIMIT", RateLimit(10_000, 1))
    return store_integration(organization, "ashby", {"apiKey": "the-key"})


@pytest.fixture
def api(server, integration):
    return server.connect(integration)


def fail(api, error, url=URL):
    with pytest.raises(error) as caught:
        api.call("POST", url)
    return caught.value


def counts():
    return [
        (row.day, row.calls, row.failures) for row in IntegrationCalls.select().order_by(IntegrationCalls.day)
    ]


def test_a_call_has_our_headers_its_credential_and_its_body(api, server):
    api.call(
        "POST", URL, json={"limit": 1}, basic=("key", ""), headers={"Accept": "application/json; version=1"}
    )
    api.call("POST", URL, params={"ids": "1,2"}, form={"a": "b&c"}, bearer="token")
    first, second = server.requests
    assert first.headers["user-agent"] == "Proofstone/1"
    assert first.headers["accept"] == "application/json; version=1"
    assert first.headers["authorization"] == f"Basic {base64.b64encode(b'key:').decode()}"
    assert (first.headers["content-type"], first.json) == ("application/json", {"limit": 1})
    assert (second.parameters, second.body) == ({"ids": "1,2"}, b"a=b%26c")
    assert second.headers["authorization"] == "Bearer token"
    assert second.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    "url", ["http://api.ashbyhq.com/job.list", "https://example.com/", "https://api.ashbyhq.com.example.com/"]
)
def test_only_the_adapters_hosts_are_called(api, server, url):
    fail(api, ValueError, url)
    assert server.requests == []


def test_a_replaced_host_must_be_in_the_allowed_networks(server, integration):
    hosts = {"api.ashbyhq.com": server.origin}
    for networks in (None, ()):
        api = Connection(integration, {"INTEGRATION_HOSTS": hosts, "WEBHOOK_ALLOWED_NETWORKS": networks})
        failure = fail(api, TemporaryFailure)
        assert "Check INTEGRATION_HOSTS and WEBHOOK_ALLOWED_NETWORKS." in failure.message
        assert not failure.is_unknown
        integration.held_until = None
    assert server.requests == []


def test_redirects_are_not_followed(api, server):
    server.answers[JOBS] = [(307, "", {"Location": f"{server.origin}/elsewhere"})]
    assert fail(api, TemporaryFailure).status == 307
    assert [request.path for request in server.requests] == ["/job.list"]


@pytest.mark.parametrize(
    ("status", "error", "is_unknown"),
    [
        (400, Rejected, None),
        (404, Rejected, None),
        (409, Rejected, None),
        (422, Rejected, None),
        (401, CredentialRejected, None),
        (403, CredentialRejected, None),
        (429, TemporaryFailure, False),
        (413, TemporaryFailure, False),
        (500, TemporaryFailure, True),
        (503, TemporaryFailure, True),
    ],
)
def test_an_error_is_our_sentence_the_status_and_the_code(api, server, status, error, is_unknown):
    body = {"errors": ["missing_endpoint_permission"], "message": "Ada Lovelace, ada@example.com"}
    server.answers[JOBS] = [(status, body)]
    failure = fail(api, error)
    assert failure.message == f"Ashby responded with {status} (missing_endpoint_permission)."
    assert (failure.status, failure.code) == (status, "missing_endpoint_permission")
    assert getattr(failure, "is_unknown", None) is is_unknown
    assert Integration.get().last_error == failure.message


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"errors": ["invalid_input"]}, "invalid_input"),
        ({"errors": [{"message": "Ada is invalid.", "code": "invalid_input"}]}, "invalid_input"),
        ({"errors": ["Ada Lovelace is invalid."]}, None),
        ({"errors": ["Application not found"]}, "not_found"),
        ({"errorInfo": {"code": "application_not_found"}}, "application_not_found"),
        ({"error": "invalid_client"}, "invalid_client"),
        ({"errors": {}}, None),
        (["invalid_input"], None),
        ("<html>", None),
        ("[" * 100_000, None),
    ],
)
def test_codes_are_found_in_strings_and_objects_but_texts_are_not_kept(api, server, body, code):
    server.answers[JOBS] = [(422, body)]
    failure = fail(api, Rejected)
    assert failure.code == code
    assert "Ada" not in failure.message


def test_success_false_in_a_200_is_a_failure(api, server):
    server.answers[JOBS] = [{"success": False, "errors": ["invalid_input"]}]
    assert fail(api, Rejected).message == "Ashby rejected the call (invalid_input)."
    assert [count[1:] for count in counts()] == [(1, 1)]


@pytest.mark.parametrize("body", ["<html>", '{"results": [', '"' + "x" * connection.MAX_RESPONSE_BYTES])
def test_an_unreadable_or_large_response_has_an_unknown_outcome(api, server, body):
    server.answers[JOBS] = [(200, body)]
    assert fail(api, TemporaryFailure).is_unknown


def test_a_response_without_a_body_is_a_success(api, server):
    server.answers[JOBS] = [(204,)]
    assert api.call("POST", URL).data is None


def test_a_timeout_and_a_broken_connection_have_an_unknown_outcome(integration, monkeypatch):
    monkeypatch.setattr(connection, "TOTAL_SECONDS", 0.2)

    def connect(port):
        integration.held_until = None
        hosts = {"api.ashbyhq.com": f"http://127.0.0.1:{port}"}
        return Connection(integration, {"INTEGRATION_HOSTS": hosts, "WEBHOOK_ALLOWED_NETWORKS": LOOPBACK})

    with socket.create_server(("127.0.0.1", 0)) as silent:
        failure = fail(connect(silent.getsockname()[1]), TemporaryFailure)
    assert (failure.message, failure.is_unknown) == ("Ashby did not respond in time.", True)
    with raw_server(lambda peer: peer.recv(65536)) as port:
        assert fail(connect(port), TemporaryFailure).is_unknown
    # Nothing listens on the port now.
    failure = fail(connect(port), TemporaryFailure)
    assert (failure.message, failure.is_unknown) == ("Ashby rejected the connection.", False)


def test_calls_and_failures_are_counted_by_day(api, server, clock):
    server.answers[JOBS] = [{"success": True}, (422, {}), {"success": True}, {"success": True}]
    api.call("POST", URL)
    fail(api, Rejected)
    first = clock.now()
    clock.fixed += timedelta(days=1)
    api.call("POST", URL)
    assert counts() == [("2026-04-01", 2, 1), ("2026-04-02", 1, 0)]
    stored = Integration.get()
    assert (stored.last_call_at, stored.last_error_at) == (clock.now(), first)
    assert stored.last_error == "Ashby responded with 422."


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"Retry-After": "120"}, 120), ({}, 30), ({"Retry-After": "soon"}, 30)]
)
def test_a_429_pauses_the_integration_with_or_without_retry_after(api, server, clock, headers, seconds):
    server.answers[JOBS] = [(429, {}, headers), {"success": True}]
    fail(api, TemporaryFailure)
    until = clock.now() + timedelta(seconds=seconds)
    assert Integration.get().held_until == until
    clock.fixed += timedelta(seconds=seconds - 10)
    failure = fail(api, TemporaryFailure)
    assert failure.message == "Calls to Ashby are paused for another 10 seconds."
    assert (failure.is_unknown, failure.retry_after_seconds) == (False, 10)
    assert len(server.requests) == 1
    clock.fixed = until
    api.call("POST", URL)
    assert [count[1:] for count in counts()] == [(2, 1)]


def test_a_success_of_one_process_does_not_end_the_pause_of_another(api, server, clock):
    failing = server.connect(Integration.get())
    server.answers[JOBS] = [(429, {}, {"Retry-After": "120"}), {"success": True}]
    fail(failing, TemporaryFailure)
    api.call("POST", URL)
    assert Integration.get().held_until == clock.now() + timedelta(seconds=120)


@pytest.mark.parametrize("has_reset", [False, True])
def test_nothing_is_called_when_the_systems_limit_is_used_up(api, server, clock, monkeypatch, has_reset):
    monkeypatch.setattr(ashby, "LIMIT", RateLimit(10_000, 60))
    reset = {"X-RateLimit-Reset": str(int(clock.now().timestamp()) + 20)} if has_reset else {}
    server.answers[JOBS] = [(200, {}, {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0"} | reset)]
    api.call("POST", URL)
    assert Integration.get().held_until == clock.now() + timedelta(seconds=20 if has_reset else 60)
    fail(api, TemporaryFailure)


def test_calls_stay_below_the_limit_and_slow_down_before_the_systems_own(server, integration, monkeypatch):
    monkeypatch.setattr(ashby, "LIMIT", RateLimit(100, 1))
    api = server.connect(integration)
    durations = []
    for answer in ({}, SLOW):
        server.answers[JOBS] = [answer]
        start = time.monotonic()
        for _ in range(3):
            api.call("POST", URL)
        durations.append(time.monotonic() - start)
    assert durations[0] >= 0.02
    # A fifth of the limit is 20 times what is left.
    assert durations[1] >= 0.4


def test_a_system_cannot_make_calls_wait_forever(server, integration, monkeypatch):
    monkeypatch.setattr(connection, "MAX_WAIT_SECONDS", 0.2)
    server.answers[JOBS] = [(200, {}, {"X-RateLimit-Limit": "9" * 12, "X-RateLimit-Remaining": "1"})]
    api = server.connect(integration)
    start = time.monotonic()
    for _ in range(2):
        api.call("POST", URL)
    assert 0.2 <= time.monotonic() - start < 2


def test_a_slow_call_does_not_block_others_for_long(integration, monkeypatch):
    monkeypatch.setattr(connection, "MAX_WAIT_SECONDS", 0.1)
    failures = []

    def respond(peer):
        peer.recv(65536)
        failures.append(fail(second, TemporaryFailure))

    with raw_server(respond) as port:
        hosts = {"api.ashbyhq.com": f"http://127.0.0.1:{port}"}
        settings = {"INTEGRATION_HOSTS": hosts, "WEBHOOK_ALLOWED_NETWORKS": LOOPBACK}
        first, second = (Connection(integration, settings) for _ in range(2))
        fail(first, TemporaryFailure)
    assert [failure.message for failure in failures] == ["Other calls to Ashby are in progress. Try again."]


def test_all_calls_of_a_connection_have_a_deadline(api, server, monkeypatch):
    server.answers[JOBS] = [{"success": True, "results": [], "moreDataAvailable": True, "nextCursor": "a"}]
    monkeypatch.setattr(connection, "MAX_SECONDS", 0.2)
    with pytest.raises(TemporaryFailure, match="for all calls"):
        ashby.jobs(server.connect(Integration.get()))
    assert server.requests


def test_the_token_is_kept_until_the_credential_is_replaced(server, integration):
    server.connect(integration).token["access_token"] = "a"
    assert server.connect(Integration.get()).token == {"access_token": "a"}
    secrets.store_credential(integration, {"apiKey": "another"})
    assert server.connect(integration).token == {}


def test_a_credential_without_its_key_fails_until_the_key_is_back(api, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(secrets, "_keys", {})
        with pytest.raises(TemporaryFailure, match="INTEGRATION_KEYS"):
            _ = api.credential
    assert api.credential == {"apiKey": "the-key"}


def test_the_log_warns_of_hosts_that_no_system_uses(app, caplog):
    origin = "https://example.com"
    hosts = {"harvest.greenhouse.io": origin, "hooks.slack.com": origin, "harvest.eu.greenhouse.io": origin}
    connection.use(app.config | {"INTEGRATION_HOSTS": hosts})
    connection.use(app.config)
    (message,) = caplog.messages
    assert message.startswith(
        "INTEGRATION_HOSTS has hosts that no system uses: harvest.eu.greenhouse.io. Hosts"
    )
    assert "api.ashbyhq.com" in message
