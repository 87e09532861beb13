"""Real processes: every line of the log is JSON and names its request, and all of them count together."""

import json
import os
import signal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.live.cast import ASSESSMENT, begin, event, make_assessment
from tests.live.client import Client, at_once
from tests.live.service import Service, wait_until

pytestmark = pytest.mark.slow
TOKEN = "a-token-that-nobody-guesses"
ALICE = "alice@example.com"
REQUESTS = 40


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A service as the Procfile starts it, with a METRICS_TOKEN."""
    folder = tmp_path_factory.mktemp("watched")
    settings = {"LOG_FORMAT": "json", "METRICS_TOKEN": TOKEN, "TRUSTED_PROXIES": "1"}
    with Service(folder, f"sqlite:///{folder}/proofstone.db", **settings).start(processes=2) as service:
        yield service


def lines(service):
    return [json.loads(text) for text in service.log().splitlines()]


def line_of(service, answer):
    """The one line of a request, which is written after its answer."""
    name = answer.headers["X-Request-Id"]

    def found():
        return [line for line in lines(service) if line.get("request") == name and "status" in line]

    (line,) = wait_until(found, f"The request {name} has no line.")
    return line


def test_each_line_is_json_and_names_its_request(watched):
    reviewer = watched.organization("Acme")
    answers = [
        reviewer.post("/v1/assessments", ASSESSMENT),
        reviewer.get("/v1/nowhere"),
        reviewer.get("/docs"),
    ]
    for answer in answers:
        line = line_of(watched, answer)
        assert line["status"] == answer.status
        assert line["bytes"] == len(answer.text)
        assert line["ms"] > 0
    assert {line["level"] for line in lines(watched)} <= {"DEBUG", "INFO", "WARNING", "ERROR"}
    assert {"gunicorn.error", "proofstone.requests"} <= {line["logger"] for line in lines(watched)}


def test_a_request_that_is_no_http_is_refused_with_an_id_of_its_own(watched):
    answer = Client(watched.port, **{"Bad Header": "x"}).get("/v1/me")
    assert answer.status == 400
    name = answer.headers["X-Request-Id"]
    told = wait_until(lambda: [line for line in lines(watched) if line.get("request") == name], "No line.")
    assert [line["logger"] for line in told] == ["gunicorn.error"]


def test_nothing_secret_is_in_the_lines(watched):
    reviewer = watched.organization("Discreet")
    token = reviewer.headers["Authorization"].split()[1]
    body = {"count": 1, "candidateEmails": [ALICE], "candidateNames": ["Alice"]}
    assessment = make_assessment(reviewer)
    (key,) = reviewer.post(f"/v1/assessments/{assessment['id']}/keys", body)["keys"]
    begin(watched, key["key"])
    last = watched.candidate(key["key"]).post("/v1/hooks/ingest?secret=in-the-query", event())
    assert line_of(watched, last)["credential"] == f"candidate:{key['id']}"
    with watched.worker():
        pass
    text = watched.log()
    for secret in (token, key["key"], ALICE, "Alice", "in-the-query", TOKEN):
        assert secret not in text
    assert "The worker has stopped." in [line.get("message") for line in lines(watched)]


def test_the_client_is_who_the_proxy_says(watched):
    answer = Client(watched.port, **{"X-Forwarded-For": "203.0.113.7"}).get("/v1/health")
    assert line_of(watched, answer)["address"] == "203.0.113.7"


def samples(service):
    page = Client(service.port, Authorization=f"Bearer {TOKEN}").get("/metrics")
    assert page.status == 200
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.text.decode())
        for sample in family.samples
    }


def test_all_processes_count_together_also_what_a_killed_one_has_counted(watched):
    counter = ("proofstone_http_requests_total", "GET", "getMe", "200")
    reviewer = watched.organization("Counted")
    before = samples(watched).get(counter, 0)
    at_once([lambda: reviewer.get("/v1/me")] * REQUESTS)
    wait_until(lambda: samples(watched)[counter] == before + REQUESTS, "Some requests were not counted.")
    killed = watched.web_processes()[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(
        lambda: killed not in watched.web_processes() and len(watched.web_processes()) == 2,
        "No process takes the place of the killed one.",
    )
    assert samples(watched)[counter] == before + REQUESTS
    assert samples(watched)["proofstone_database_connections_in_use",] <= 2
