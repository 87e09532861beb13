"""Each request: its id in the answer and in the log, and one line, in which nothing secret stands."""

import json
import logging
from uuid import UUID

import pytest
from callers import Caller
from factories import envelope

from web.access_log import Facts
from web.log_format import formatter

HOSTILE_ADDRESS = "alice@example.com"
PATHS = ["/", "/docs", "/openapi.json", "/v1/health", "/v1/nowhere", "/nowhere", "/v1/me", "/v1//me"]


class Lines(logging.Handler):
    """Keeps what it is told, as it would be written."""

    def __init__(self):
        super().__init__()
        self.setFormatter(formatter("json"))
        self.texts = []

    def emit(self, record):
        self.texts.append(self.format(record))

    def __iter__(self):
        return iter([json.loads(text) for text in self.texts])

    @property
    def last(self):
        return list(self)[-1]


@pytest.fixture
def lines(app, monkeypatch):
    """The lines of the requests from now on."""
    monkeypatch.setattr(Caller, "reads_to_the_end", True)
    log, handler = logging.getLogger("proofstone.requests"), Lines()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.setLevel(logging.NOTSET)
    log.removeHandler(handler)


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_names_its_request(anonymous, lines, path):
    answer = anonymous.get(path)
    UUID(answer.headers["X-Request-Id"])
    assert [line["request"] for line in lines] == [answer.headers["X-Request-Id"]]
    assert lines.last["status"] == answer.status_code


def test_a_body_that_is_too_large_is_answered_with_an_id(reviewer, lines):
    answer = reviewer.request(
        "POST", "/v1/assessments", data=b"x" * 2_000_000, content_type="application/json"
    )
    assert answer.status_code == 413
    assert lines.last["request"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("given", ["a", "req-1", "01HX:abc.DEF_9", "x" * 128])
def test_a_harmless_id_is_taken_over(anonymous, lines, given):
    answer = anonymous.request("GET", "/v1/health", headers={"X-Request-Id": given})
    assert answer.headers.getlist("X-Request-Id") == [given]
    assert lines.last["request"] == given


@pytest.mark.parametrize(
    "given", ["", " ", "a b", "x" * 129, "ü", "a;b", "alice@example.com", "PST-ABCD-EFGH"]
)
def test_another_id_is_replaced(anonymous, given):
    answer = anonymous.request("GET", "/v1/health", headers={"X-Request-Id": given})
    UUID(answer.headers["X-Request-Id"])


def test_a_reviewers_line_has_the_tokens_id_and_the_operation(reviewer, assessment, lines):
    answer = reviewer.get(f"/v1/assessments/{assessment.id}/keys", limit=5)
    line = lines.last
    assert line["credential"] == f"reviewer:{reviewer.row.id}"
    assert (line["operation"], line["method"]) == ("listKeys", "GET")
    assert line["route"] == "/v1/assessments/{assessmentId}/keys"
    assert (line["status"], line["bytes"]) == (200, len(answer.data))
    assert line["address"] == "127.0.0.1"
    assert 0 < line["ms"] < 60_000


def test_a_candidates_line_has_the_keys_id(candidate, session, key, lines):
    candidate.post("/v1/hooks/ingest", envelope())
    assert lines.last["credential"] == f"candidate:{key.id}"
    assert lines.last["operation"] == "ingest"


def test_operations_are_called_as_openapi_calls_them(app, anonymous):
    document = anonymous.get("/openapi.json").json
    operations = {name for name, _ in app.wsgi_app.operations.values()}
    named = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict) and "operationId" in operation
    }
    assert named <= operations


def test_neither_key_nor_query_nor_address_of_mail_is_written(app, key, lines):
    headers = {"X-Request-Id": key.key, "X-API-Key": key.key, "X-Forwarded-For": HOSTILE_ADDRESS}
    caller = Caller(app, **headers)
    caller.get("/v1/candidate/consent", key=key.key)
    caller.get(f"/v1/{key.key}")
    caller.request(key.key.replace("-", ""), "/v1/me")
    caller.request("GET", "/v1/me", environ_base={"REMOTE_ADDR": HOSTILE_ADDRESS})
    text = "".join(lines.texts)
    assert len(lines.texts) == 4
    for secret in (key.key, key.key.replace("-", ""), HOSTILE_ADDRESS, "?"):
        assert secret not in text
    assert lines.last["address"] == "unknown"


def test_a_failure_is_one_line_of_the_request_and_one_of_what_failed(app, reviewer, lines, monkeypatch):
    errors = Lines()
    app.logger.addHandler(errors)
    (endpoint,) = (name for name, (operation, _) in app.wsgi_app.operations.items() if operation == "getMe")
    monkeypatch.setitem(app.view_functions, endpoint, None)
    try:
        answer = reviewer.get("/v1/me")
    finally:
        app.logger.removeHandler(errors)
    assert answer.status_code == 500
    assert lines.last["status"] == 500
    (failure,) = (line for line in errors if "exception" in line)
    assert failure["request"] == lines.last["request"] == answer.headers["X-Request-Id"]
    assert "TypeError" in failure["exception"]


def test_an_answer_that_broke_off_says_so(app, reviewer, lines, monkeypatch):
    def pieces():
        yield b"["
        raise ConnectionResetError

    (endpoint,) = (name for name, (operation, _) in app.wsgi_app.operations.items() if operation == "getMe")
    monkeypatch.setitem(app.view_functions, endpoint, lambda: app.response_class(pieces()))
    with pytest.raises(ConnectionResetError):
        reviewer.get("/v1/me")
    assert (lines.last["status"], lines.last["bytes"], lines.last["broken"]) == (200, 1, True)


def test_the_audit_log_has_the_same_id(reviewer, assessment):
    answer = reviewer.delete(f"/v1/assessments/{assessment.id}")
    entry = reviewer.get("/v1/audit").json["entries"][0]
    assert entry["requestId"] == answer.headers["X-Request-Id"]


def test_a_line_of_text_reads_as_names_and_values():
    facts = Facts(status=200, route=None, ms=1.5)
    record = logging.LogRecord("proofstone.requests", logging.INFO, "", 0, facts, (), None)
    assert formatter("text").format(record).endswith("INFO proofstone.requests: status=200 ms=1.5")


def test_a_line_of_text_never_tells_a_millisecond_that_has_not_been():
    record = logging.LogRecord("proofstone.requests", logging.INFO, "", 0, Facts(status=200), (), None)
    record.created, record.msecs = 1_775_034_000.9996, 999.6
    time, _, _ = formatter("text").format(record).partition(" INFO ")
    assert time.endswith(":00,999")


@pytest.mark.parametrize("message", ["one\nline", "\ud800", "ü \u2028"])
def test_whatever_is_said_a_line_is_one_object(message):
    record = logging.LogRecord("x", logging.ERROR, "", 0, "%s", (message,), None)
    text = formatter("json").format(record)
    assert "\n" not in text
    assert json.loads(text)["message"] == message
