"""Each response has a request ID, and each request a log line without secrets."""

import contextvars
import json
import logging
from uuid import UUID

import pytest
from callers import Caller
from factories import envelope

from web import access_log
from web.access_log import LogFields
from web.log_format import formatter

EMAIL = "alice@example.com"
PATHS = ["/", "/docs", "/openapi.json", "/v1/health", "/v1/nowhere", "/nowhere", "/v1/me", "/v1//me"]


@pytest.fixture
def log(caplog):
    """Return the log lines so far."""
    before = caplog.handler.formatter
    caplog.handler.setFormatter(formatter("json"))
    caplog.set_level(logging.INFO, "proofstone.requests")
    yield lambda: [json.loads(line) for line in caplog.text.splitlines()]
    caplog.handler.setFormatter(before)


@pytest.fixture
def replace_get_me(app, monkeypatch):
    """Replace the view of `GET /v1/me`."""
    (endpoint,) = (name for name, (operation, _) in app.wsgi_app.operations.items() if operation == "getMe")
    return lambda view: monkeypatch.setitem(app.view_functions, endpoint, view)


@pytest.mark.parametrize("path", PATHS)
def test_each_response_and_log_line_has_the_request_id(anonymous, log, path):
    response = anonymous.get(path)
    UUID(response.headers["X-Request-Id"])
    (line,) = log()
    assert (line["request"], line["status"]) == (response.headers["X-Request-Id"], response.status_code)


def test_a_body_over_the_limit_is_logged_with_an_id(reviewer, log):
    body = b"x" * 2_000_000
    response = reviewer.request("POST", "/v1/assessments", data=body, content_type="application/json")
    assert response.status_code == 413
    assert log()[-1]["request"] == response.headers["X-Request-Id"]


@pytest.mark.parametrize("request_id", ["a", "req-1", "01HX:abc.DEF_9", "x" * 128])
def test_a_safe_request_id_is_accepted(anonymous, log, request_id):
    response = anonymous.request("GET", "/v1/health", headers={"X-Request-Id": request_id})
    assert response.headers.getlist("X-Request-Id") == [log()[-1]["request"]] == [request_id]


@pytest.mark.parametrize("request_id", ["", " ", "a b", "x" * 129, "ü", "a;b", EMAIL, "PST-ABCD-EFGH"])
def test_an_unsafe_request_id_is_replaced(anonymous, request_id):
    response = anonymous.request("GET", "/v1/health", headers={"X-Request-Id": request_id})
    UUID(response.headers["X-Request-Id"])


TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "header", [f"00-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-00", f"cc-{TRACE}-{PARENT}-01-more"]
)
def test_the_log_line_has_the_trace_id(anonymous, log, header):
    anonymous.request("GET", "/v1/health", headers={"traceparent": header})
    assert log()[-1]["trace"] == TRACE


@pytest.mark.parametrize(
    "header",
    [
        "",
        TRACE,
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"cc-{TRACE}-{PARENT}-01.more",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01",
    ],
)
def test_an_invalid_trace_header_is_ignored(anonymous, log, header):
    assert anonymous.request("GET", "/v1/health", headers={"traceparent": header}).status_code == 200
    assert log()[-1]["trace"] is None


def test_the_log_line_names_credential_operation_and_result(reviewer, assessment, log):
    response = reviewer.get(f"/v1/assessments/{assessment.id}/keys", limit=5)
    (line,) = log()
    assert 0 < line["ms"] < 60_000
    assert line == {
        "time": line["time"],
        "level": "INFO",
        "logger": "proofstone.requests",
        "request": response.headers["X-Request-Id"],
        "trace": None,
        "operation": "listKeys",
        "method": "GET",
        "route": "/v1/assessments/{assessmentId}/keys",
        "status": 200,
        "ms": line["ms"],
        "bytes": len(response.data),
        "credential": f"reviewer:{reviewer.row.id}",
        "address": "127.0.0.1",
    }


def test_a_candidates_log_line_has_the_key_id(candidate, session, key, log):
    candidate.post("/v1/hooks/ingest", envelope())
    line = log()[-1]
    assert (line["credential"], line["operation"]) == (f"candidate:{key.id}", "ingestEvent")


def test_operations_have_their_openapi_names(app, anonymous):
    paths = anonymous.get("/openapi.json").json["paths"].values()
    operations = [operation for path in paths for operation in path.values() if isinstance(operation, dict)]
    documented = {operation["operationId"] for operation in operations if "operationId" in operation}
    assert documented <= {name for name, _ in app.wsgi_app.operations.values()}


def test_keys_queries_and_email_addresses_are_not_logged(app, key, log, caplog):
    caller = Caller(app, **{"X-Request-Id": key.key, "X-API-Key": key.key, "X-Forwarded-For": EMAIL})
    caller.get("/v1/candidate/consent", key=key.key)
    caller.get(f"/v1/{key.key}")
    caller.request(key.key.replace("-", ""), "/v1/me")
    caller.request("GET", "/v1/me", environ_base={"REMOTE_ADDR": EMAIL})
    assert len(log()) == 4
    for secret in (key.key, key.key.replace("-", ""), EMAIL, "?"):
        assert secret not in caplog.text
    assert log()[-1]["address"] == "unknown"


def test_a_failed_request_and_its_traceback_share_the_id(reviewer, log, replace_get_me):
    replace_get_me(None)
    response = reviewer.get("/v1/me")
    failure, line = log()
    assert (response.status_code, line["status"]) == (500, 500)
    assert failure["request"] == line["request"] == response.headers["X-Request-Id"]
    assert "TypeError" in failure["exception"]


def test_an_interrupted_response_is_logged_as_broken(app, reviewer, log, replace_get_me):
    def chunks():
        yield b"["
        raise ConnectionResetError

    replace_get_me(lambda: app.response_class(chunks()))
    with pytest.raises(ConnectionResetError):
        reviewer.get("/v1/me")
    line = log()[-1]
    assert (line["status"], line["bytes"], line["broken"]) == (200, 1, True)


def test_the_audit_log_has_the_replaced_request_id(reviewer, assessment):
    path = f"/v1/assessments/{assessment.id}"
    response = reviewer.request("DELETE", path, headers={"X-Request-Id": "with space"})
    entry = reviewer.get("/v1/audit").json["entries"][0]
    assert entry["requestId"] == response.headers["X-Request-Id"]


def test_text_lines_have_names_and_values():
    fields = LogFields(status=200, route=None, ms=1.5)
    record = logging.LogRecord("proofstone.requests", logging.INFO, "", 0, fields, (), None)
    assert formatter("text").format(record).endswith("INFO proofstone.requests: status=200 ms=1.5")


def test_text_lines_have_the_request_id_only_within_a_request():
    record = logging.LogRecord("proofstone.proxy", logging.INFO, "", 0, "Hello.", (), None)
    outside = contextvars.Context().run(formatter("text").format, record)
    assert outside.endswith("INFO proofstone.proxy: Hello.")
    with access_log.outside_application() as request_id:
        assert formatter("text").format(record).endswith(f"Hello. request={request_id}")


@pytest.mark.parametrize("message", ["one\nline", "\ud800", "ü \u2028"])
def test_a_json_line_is_one_object_for_any_message(message):
    record = logging.LogRecord("x", logging.ERROR, "", 0, "%s", (message,), None)
    text = formatter("json").format(record)
    assert "\n" not in text
    assert json.loads(text)["message"] == message
