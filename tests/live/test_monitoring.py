"""Logs and metrics of several processes: JSON lines with request ids, and shared counters."""

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import alerting_rules
from tests.live.cast import ASSESSMENT, MAX_KEYS_PER_REQUEST, invite, make_assessment
from tests.live.client import Client, run_concurrently
from tests.live.service import HOST, Service, kill, wait_until
from tests.servers import free_port

TOKEN = "a-token-that-nobody-guesses"
REQUESTS = 40
INVITATIONS = 120


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service with JSON logs and METRICS_TOKEN."""
    settings = {"LOG_FORMAT": "json", "METRICS_TOKEN": TOKEN, "TRUSTED_PROXIES": "1"}
    with Service(tmp_path_factory.mktemp("monitored"), **settings).start(processes=2) as service:
        yield service


@pytest.fixture(scope="module")
def reviewer(service):
    return service.organization("Acme")


def log_lines(service):
    return [json.loads(text) for text in service.log().splitlines()]


def lines_of_request(service, response):
    request_id = response.headers["X-Request-Id"]
    return wait_until(
        lambda: [line for line in log_lines(service) if line.get("request") == request_id],
        f"The request {request_id} was not logged.",
    )


def test_each_line_is_json_with_a_request_id(service, reviewer):
    created = reviewer.post("/v1/assessments", ASSESSMENT)
    for response in (created, reviewer.get("/v1/nowhere"), reviewer.get("/docs")):
        (line,) = lines_of_request(service, response)
        assert (line["status"], line["bytes"]) == (response.status, len(response.text))
        assert line["ms"] > 0
    assert {line["level"] for line in log_lines(service)} <= {"DEBUG", "INFO", "WARNING", "ERROR"}
    assert {"gunicorn.error", "proofstone.requests"} <= {line["logger"] for line in log_lines(service)}


def test_a_malformed_request_is_logged_by_gunicorn_with_an_id(service):
    response = Client(service.port, **{"Bad Header": "x"}).get("/v1/me")
    assert response.status == 400
    assert [line["logger"] for line in lines_of_request(service, response)] == ["gunicorn.error"]


def test_the_log_has_the_address_of_a_trusted_proxys_client(service):
    response = Client(service.port, **{"X-Forwarded-For": "203.0.113.7"}).get("/v1/health")
    assert lines_of_request(service, response)[0]["address"] == "203.0.113.7"


def metrics_page(service):
    response = Client(service.port, Authorization=f"Bearer {TOKEN}").get("/metrics")
    assert response.status == 200
    return response.text.decode()


def test_processes_share_counters_and_a_killed_process_loses_none(service, reviewer):
    def samples():
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(metrics_page(service))
            for sample in family.samples
        }

    counter = ("proofstone_http_requests_total", "GET", "getMe", "200")
    expected = samples().get(counter, 0) + REQUESTS
    run_concurrently([lambda: reviewer.get("/v1/me")] * REQUESTS)
    wait_until(lambda: samples()[counter] == expected, "Some requests were not counted.")
    kill(service.web_processes()[0])
    wait_until(lambda: len(service.web_processes()) == 2, "The killed process was not replaced.")
    assert samples()[counter] == expected
    assert samples()["proofstone_database_connections_in_use",] <= 2


def test_an_alert_reports_emails_that_wait_for_a_dead_email_server(installation):
    expression = alerting_rules.expressions()["EmailsWait"]
    (selector,), threshold = alerting_rules.selectors(expression), float(expression.rpartition(" > ")[2])
    installation.settings |= {"METRICS_TOKEN": TOKEN, "SMTP_URL": f"smtp://{HOST}:{free_port()}"}
    with installation.start(processes=1) as service:
        reviewer = service.organization("Acme")
        assessment = make_assessment(reviewer)
        assert selector.find(metrics_page(service)) == []
        for start in range(0, INVITATIONS, MAX_KEYS_PER_REQUEST):
            numbers = range(start, min(start + MAX_KEYS_PER_REQUEST, INVITATIONS))
            assert invite(reviewer, assessment, *(f"{n}@example.com" for n in numbers)).status == 201
        with service.worker():
            wait_until(lambda: selector.find(metrics_page(service)) == [INVITATIONS], "Some are not waiting.")
    assert threshold < INVITATIONS


def test_a_missing_proxy_setting_is_logged_once_and_at_the_next_start(installation):
    warning = "All requests come from the private address 127.0.0.1."
    installation.settings |= {"RATELIMIT_ENABLED": "true", "BASE_URL": "https://assess.example.com"}
    with installation.start(processes=1) as service:
        path = "/v1/cli/version-check?version=1.10.0"
        # The requests are counted by the hour.
        wait_until(
            lambda: service.anonymous.get(path).status == 200 and warning in service.log(), "No warning."
        )
        for _ in range(100):
            assert service.anonymous.get(path).status == 200
        assert service.log().count(warning) == 1
        service.stop()
        service.start(processes=2)
        wait_until(lambda: service.log().count(warning) == 2, "No process logged the warning.")
        assert (
            "127.0.0.1, so all clients share one limit. If it is a proxy, set TRUSTED_PROXIES"
            in service.flask("doctor")
        )
        assert service.log().count(warning) == 2
