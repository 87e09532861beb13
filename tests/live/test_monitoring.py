"""Logs and metrics of real processes: JSON lines that name their request, and counters shared by all processes."""

import json
import os
import signal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.live.cast import ASSESSMENT, event, invite, make_assessment, start_session
from tests.live.client import Client, run_concurrently
from tests.live.service import Service, wait_until

pytestmark = pytest.mark.slow
TOKEN = "a-token-that-nobody-guesses"
ALICE = "alice@example.com"
REQUESTS = 40


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A service with JSON logs and METRICS_TOKEN."""
    folder = tmp_path_factory.mktemp("watched")
    settings = {"LOG_FORMAT": "json", "METRICS_TOKEN": TOKEN, "TRUSTED_PROXIES": "1"}
    with Service(folder, f"sqlite:///{folder}/proofstone.db", **settings).start(processes=2) as service:
        yield service


def log_lines(service):
    return [json.loads(text) for text in service.log().splitlines()]


def lines_of_request(service, response):
    request_id = response.headers["X-Request-Id"]
    return wait_until(
        lambda: [line for line in log_lines(service) if line.get("request") == request_id],
        f"The request {request_id} is not logged.",
    )


def test_each_line_is_json_and_names_its_request(watched):
    reviewer = watched.organization("Acme")
    for response in (
        reviewer.post("/v1/assessments", ASSESSMENT),
        reviewer.get("/v1/nowhere"),
        reviewer.get("/docs"),
    ):
        (line,) = lines_of_request(watched, response)
        assert line["status"] == response.status
        assert line["bytes"] == len(response.text)
        assert line["ms"] > 0
    assert {line["level"] for line in log_lines(watched)} <= {"DEBUG", "INFO", "WARNING", "ERROR"}
    assert {"gunicorn.error", "proofstone.requests"} <= {line["logger"] for line in log_lines(watched)}


def test_a_malformed_request_is_logged_by_gunicorn_with_an_id(watched):
    response = Client(watched.port, **{"Bad Header": "x"}).get("/v1/me")
    assert response.status == 400
    assert [line["logger"] for line in lines_of_request(watched, response)] == ["gunicorn.error"]


def test_the_log_contains_no_secrets_and_no_personal_data(watched):
    reviewer = watched.organization("Discreet")
    token = reviewer.headers["Authorization"].split()[1]
    (key,) = invite(reviewer, make_assessment(reviewer), ALICE, candidateNames=["Alice"])["keys"]
    start_session(watched, key["key"])
    response = watched.candidate(key["key"]).post("/v1/hooks/ingest?secret=in-the-query", event())
    (line,) = lines_of_request(watched, response)
    assert line["credential"] == f"candidate:{key['id']}"
    with watched.worker():
        pass
    for secret in (token, key["key"], ALICE, "Alice", "in-the-query", TOKEN):
        assert secret not in watched.log()
    assert "The worker has stopped." in [line.get("message") for line in log_lines(watched)]


def test_the_logged_address_is_that_of_the_trusted_proxys_client(watched):
    response = Client(watched.port, **{"X-Forwarded-For": "203.0.113.7"}).get("/v1/health")
    assert lines_of_request(watched, response)[0]["address"] == "203.0.113.7"


def samples(service):
    response = Client(service.port, Authorization=f"Bearer {TOKEN}").get("/metrics")
    assert response.status == 200
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text.decode())
        for sample in family.samples
    }


def test_all_processes_share_counters_which_survive_a_killed_process(watched):
    counter = ("proofstone_http_requests_total", "GET", "getMe", "200")
    reviewer = watched.organization("Counted")
    before = samples(watched).get(counter, 0)
    run_concurrently([lambda: reviewer.get("/v1/me")] * REQUESTS)
    wait_until(lambda: samples(watched)[counter] == before + REQUESTS, "Some requests were not counted.")
    killed = watched.web_processes()[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(
        lambda: killed not in watched.web_processes() and len(watched.web_processes()) == 2,
        "The killed process is not replaced.",
    )
    assert samples(watched)[counter] == before + REQUESTS
    assert samples(watched)["proofstone_database_connections_in_use",] <= 2
