"""Each request has an ID in its response and one line in the log, which contains no secret."""

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


class LogCapture(logging.Handler):
    """Collects log lines as JSON."""

    def __init__(self):
        super().__init__()
        self.setFormatter(formatter("json"))
        self.records = []

    def emit(self, record):
        self.records.append(self.format(record))

    @property
    def lines(self):
        return [json.loads(record) for record in self.records]

    @property
    def last(self):
        return self.lines[-1]


@pytest.fixture
def log(app):
    """The request log from now on."""
    logger, handler = logging.getLogger("proofstone.requests"), LogCapture()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)


@pytest.fixture
def replace_get_me(app, monkeypatch):
    """Replace the view of `GET /v1/me`."""
    (endpoint,) = (name for name, (operation, _) in app.wsgi_app.operations.items() if operation == "getMe")
    return lambda view: monkeypatch.setitem(app.view_functions, endpoint, view)


@pytest.mark.parametrize("path", PATHS)
def test_every_response_and_its_line_have_the_request_id(anonymous, log, path):
    response = anonymous.get(path)
    UUID(response.headers["X-Request-Id"])
    assert [line["request"] for line in log.lines] == [response.headers["X-Request-Id"]]
    assert log.last["status"] == response.status_code


def test_a_body_over_the_limit_is_logged_with_an_id(reviewer, log):
    body = b"x" * 2_000_000
    response = reviewer.request("POST", "/v1/assessments", data=body, content_type="application/json")
    assert response.status_code == 413
    assert log.last["request"] == response.headers["X-Request-Id"]


@pytest.mark.parametrize("given", ["a", "req-1", "01HX:abc.DEF_9", "x" * 128])
def test_a_safe_request_id_is_accepted(anonymous, log, given):
    response = anonymous.request("GET", "/v1/health", headers={"X-Request-Id": given})
    assert response.headers.getlist("X-Request-Id") == [given]
    assert log.last["request"] == given


@pytest.mark.parametrize("given", ["", " ", "a b", "x" * 129, "ü", "a;b", EMAIL, "PST-ABCD-EFGH"])
def test_any_other_request_id_is_replaced(anonymous, given):
    response = anonymous.request("GET", "/v1/health", headers={"X-Request-Id": given})
    UUID(response.headers["X-Request-Id"])


def test_the_line_names_token_operation_and_result(reviewer, assessment, log):
    response = reviewer.get(f"/v1/assessments/{assessment.id}/keys", limit=5)
    line = log.last
    assert line["credential"] == f"reviewer:{reviewer.row.id}"
    assert (line["operation"], line["method"]) == ("listKeys", "GET")
    assert line["route"] == "/v1/assessments/{assessmentId}/keys"
    assert (line["status"], line["bytes"]) == (200, len(response.data))
    assert line["address"] == "127.0.0.1"
    assert 0 < line["ms"] < 60_000


def test_a_candidates_line_names_the_key_by_id(candidate, session, key, log):
    candidate.post("/v1/hooks/ingest", envelope())
    assert log.last["credential"] == f"candidate:{key.id}"
    assert log.last["operation"] == "ingestEvent"


def test_operations_have_the_names_of_openapi(app, anonymous):
    paths = anonymous.get("/openapi.json").json["paths"].values()
    operations = [operation for path in paths for operation in path.values() if isinstance(operation, dict)]
    documented = {operation["operationId"] for operation in operations if "operationId" in operation}
    assert documented <= {name for name, _ in app.wsgi_app.operations.values()}


def test_no_key_query_or_email_address_is_logged(app, key, log):
    caller = Caller(app, **{"X-Request-Id": key.key, "X-API-Key": key.key, "X-Forwarded-For": EMAIL})
    caller.get("/v1/candidate/consent", key=key.key)
    caller.get(f"/v1/{key.key}")
    caller.request(key.key.replace("-", ""), "/v1/me")
    caller.request("GET", "/v1/me", environ_base={"REMOTE_ADDR": EMAIL})
    assert len(log.records) == 4
    for secret in (key.key, key.key.replace("-", ""), EMAIL, "?"):
        assert secret not in "".join(log.records)
    assert log.last["address"] == "unknown"


def test_a_failed_request_and_its_traceback_share_the_id(app, reviewer, log, replace_get_me):
    replace_get_me(None)
    errors = LogCapture()
    app.logger.addHandler(errors)
    try:
        response = reviewer.get("/v1/me")
    finally:
        app.logger.removeHandler(errors)
    assert (response.status_code, log.last["status"]) == (500, 500)
    (failure,) = (line for line in errors.lines if "exception" in line)
    assert failure["request"] == log.last["request"] == response.headers["X-Request-Id"]
    assert "TypeError" in failure["exception"]


def test_an_interrupted_response_is_logged_as_broken(app, reviewer, log, replace_get_me):
    def chunks():
        yield b"["
        raise ConnectionResetError

    replace_get_me(lambda: app.response_class(chunks()))
    with pytest.raises(ConnectionResetError):
        reviewer.get("/v1/me")
    assert (log.last["status"], log.last["bytes"], log.last["broken"]) == (200, 1, True)


def test_the_audit_log_has_the_same_id_even_if_it_was_replaced(reviewer, assessment):
    path = f"/v1/assessments/{assessment.id}"
    response = reviewer.request("DELETE", path, headers={"X-Request-Id": "with space"})
    entry = reviewer.get("/v1/audit").json["entries"][0]
    assert entry["requestId"] == response.headers["X-Request-Id"]


def test_text_lines_have_names_and_values():
    fields = LogFields(status=200, route=None, ms=1.5)
    record = logging.LogRecord("proofstone.requests", logging.INFO, "", 0, fields, (), None)
    assert formatter("text").format(record).endswith("INFO proofstone.requests: status=200 ms=1.5")


def test_text_lines_within_a_request_have_its_id():
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
