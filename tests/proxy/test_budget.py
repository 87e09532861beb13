"""A session's budget: reservations, recorded usage, and the default (R42)."""

import json
import queue
import socket
from datetime import timedelta

import pytest
from callers import Caller
from factories import make_key, make_model_call, make_recorded_session

from models import ModelReservation, ModelUsage
from models.sessions.model_usage import RESERVATION_LIFETIME
from proxy import billed_call, budget, disconnect
from proxy.renewals import Renewals, renewals
from tests.proxy.test_error_responses import BOTH, error_of
from tests.proxy.upstream import (
    CHAT_COMPLETIONS,
    COMPLETION_EVENTS,
    MESSAGE,
    MESSAGE_EVENTS,
    MESSAGE_NANO_USD,
    MESSAGES,
    RESPONSE,
    RESPONSE_EVENTS,
    RESPONSES,
    TIMEOUT_SECONDS,
    data_event,
    documents,
    event,
    stay_open,
    streams,
    text_delta,
)

USD = 10**9


@pytest.fixture(autouse=True)
def no_time_based_values(monkeypatch):
    monkeypatch.setattr(budget, "MAX_WAIT_SECONDS", 0)
    monkeypatch.setattr(billed_call, "OUTPUT_TOKENS_PER_SECOND", 0)


@pytest.fixture
def start(candidate, upstream):
    """Start a call that stays open, and return its response after the headers."""

    def start(path=MESSAGES, body=None):
        upstream.respond = stay_open
        return candidate.request("POST", path, buffered=False, data=json.dumps(body or {"model": "m"}))

    return start


def reservations():
    return [reservation.nano_usd for reservation in ModelReservation.select()]


@pytest.mark.parametrize(("path", "status"), [(MESSAGES, 529), (RESPONSES, 503)])
def test_a_call_is_rejected_while_the_budget_is_reserved(call, start, assessment, upstream, path, status):
    assessment.update_columns(token_budget_nano_usd=USD // 100)
    running = start(path)
    assert len(reservations()) == 1
    for _ in range(3):
        response = call(path)
        assert error_of(response)[::2] == (status, "too_many_streams")
        assert response.headers["Retry-After"] == "5"
    assert len(upstream.requests) == 1
    running.close()
    assert reservations() == []
    upstream.respond = documents(200, MESSAGE)
    assert call(path).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "input_usd", "output_tokens", "output_usd"),
    [
        (MESSAGES, {"model": "claude-haiku-4-5", "messages": [], "max_tokens": 64_000}, 2, 64_000, 5),
        (MESSAGES, {"model": "claude-haiku-4-5-20251001", "text": 'a "max_tokens": 1'}, 2, 128_000, 5),
        (MESSAGES, {"model": "claude-next", "max_tokens": 10}, 30, 10, 75),
        (RESPONSES, {"model": "gpt-5", "max_output_tokens": None}, 1.25, 128_000, 10),
        (RESPONSES, {"model": "gpt-next", "max_output_tokens": 16}, 30, 16, 180),
        (RESPONSES, {"model": "o1-pro-2025-03-19", "max_output_tokens": 16}, 150, 16, 600),
        *(
            (CHAT_COMPLETIONS, {"model": "gpt-5"} | fields, 1.25, output_tokens, 10)
            for fields, output_tokens in [
                ({}, 128_000),
                ({"max_tokens": 10, "max_completion_tokens": 20}, 20),
                ({"max_tokens": 10, "n": None}, 10),
            ]
        ),
    ],
)
def test_a_call_reserves_one_token_per_byte_plus_its_maximum_output(
    start, assessment, path, body, input_usd, output_tokens, output_usd
):
    assessment.update_columns(token_budget_nano_usd=100 * USD)
    running = start(path, body)
    # Prices are USD per million tokens.
    assert reservations() == [(len(json.dumps(body)) * input_usd + output_tokens * output_usd) * 1000]
    running.close()


INPUT_USD = {"claude-haiku-4-5": 2, "claude-opus-4-6": 10, "claude-next": 30, "gpt-5": 1.25}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}}
TEXT = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hello"}}
DATA_URL = "data:image/png;base64,iVBO"


def with_content(model, field, *parts):
    return {"model": model, field: [{"role": "user", "content": parts}]}


def tool_result(*parts):
    return {"type": "tool_result", "tool_use_id": "t", "content": parts}


@pytest.mark.parametrize(
    ("path", "body", "images", "context_tokens"),
    [
        (MESSAGES, with_content("claude-haiku-4-5", "messages", PDF, IMAGE), 1, 200_000),
        (MESSAGES, with_content("claude-opus-4-6", "messages", tool_result(PDF)), 0, 1_050_000),
        (MESSAGES, with_content("claude-next", "messages", PDF), 0, 1_050_000),
        (MESSAGES, with_content("claude-haiku-4-5", "messages", IMAGE, tool_result(IMAGE), TEXT), 2, 0),
        (RESPONSES, with_content("gpt-5", "input", {"type": "input_file", "file_data": "data:"}), 0, 400_000),
        (RESPONSES, with_content("gpt-5", "input", {"type": "input_image", "image_url": DATA_URL}), 1, 0),
        (CHAT_COMPLETIONS, with_content("gpt-5", "messages", {"file": {"file_data": "data:"}}), 0, 400_000),
        (CHAT_COMPLETIONS, with_content("gpt-5", "messages", {"image_url": {"url": DATA_URL}}), 1, 0),
    ],
)
def test_images_and_files_reserve_more_than_their_bytes(
    start, assessment, path, body, images, context_tokens
):
    assessment.update_columns(token_budget_nano_usd=1000 * USD)
    limit = {"max_output_tokens": 0} if path == RESPONSES else {"max_tokens": 0}
    running = start(path, body | limit)
    tokens = max(len(json.dumps(body | limit)) + images * 10_000, context_tokens)
    assert reservations() == [tokens * INPUT_USD[body["model"]] * 1000]
    running.close()


def test_parallel_calls_with_files_exceed_the_budget_by_at_most_one_call(call, start, assessment, upstream):
    assessment.update_columns(token_budget_nano_usd=USD)
    body = with_content("claude-opus-4-6", "messages", PDF) | {"max_tokens": 10}
    running = start(body=body)
    assert [call(MESSAGES, data=json.dumps(body)).status_code for _ in range(6)] == [529] * 6
    assert len(upstream.requests) == 1
    running.close()


def test_no_call_starts_while_running_calls_could_exceed_the_budget(call, start, assessment, upstream):
    body = {"model": "claude-haiku-4-5", "max_tokens": 64_000}
    maximum = (len(json.dumps(body)) * 2 + 64_000 * 5) * 1000
    assessment.update_columns(token_budget_nano_usd=maximum + USD // 1000)
    first, last = start(body=body), start(body=body)
    assert reservations() == [maximum, maximum]
    first.close()
    assert call(MESSAGES, data=json.dumps(body)).status_code == 529
    last.close()
    upstream.respond = documents(200, MESSAGE)
    assert call(MESSAGES, data=json.dumps(body)).status_code == 200


def test_a_reservation_expires_after_its_process_died(call, start, assessment, upstream, clock):
    assessment.update_columns(token_budget_nano_usd=USD)
    running = start()
    clock.fixed += RESERVATION_LIFETIME - timedelta(seconds=1)
    assert call(MESSAGES).status_code == 529
    clock.fixed += timedelta(seconds=1)
    upstream.respond = documents(200, MESSAGE)
    assert call(MESSAGES).status_code == 200
    running.close()


def test_a_running_calls_reservation_is_renewed(start, assessment, clock):
    assessment.update_columns(token_budget_nano_usd=USD)
    running = start()
    clock.fixed += timedelta(minutes=5)
    renewals.renew()
    assert ModelReservation.get().expires_at == clock.fixed + RESERVATION_LIFETIME
    running.close()


def test_a_thread_renews_reservations_until_their_calls_end(monkeypatch):
    renewed = queue.Queue()
    monkeypatch.setattr("proxy.renewals.RENEWAL_SECONDS", 0.01)
    monkeypatch.setattr(ModelReservation, "renew", renewed.put)
    thread, reservation = Renewals(), ModelReservation(id=1)
    thread.add(reservation)
    assert renewed.get(timeout=TIMEOUT_SECONDS) == [1]
    thread.discard(reservation)
    renewed.queue.clear()
    thread.renew()
    assert renewed.empty()


def test_a_failed_call_is_free_and_releases_its_reservation(call, assessment, upstream, usage):
    assessment.update_columns(token_budget_nano_usd=USD)
    for status in (307, 401):
        upstream.respond = documents(status, {}, Location="/elsewhere")
        call(MESSAGES)
    assert reservations() == []
    assert [(used.status_code, used.cost_nano_usd) for used in usage()] == [(502, None), (403, None)]


def test_a_stream_with_only_an_error_is_free(call, upstream, usage):
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    upstream.respond = streams([event(error)])
    assert call(MESSAGES).status_code == 200
    assert [(used.is_whole, used.cost_nano_usd) for used in usage()] == [(True, None)]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (RESPONSES, {"type": "error", "code": "server_error", "message": "Overloaded"}),
        (RESPONSES, {"type": "response.failed", "response": RESPONSE | {"usage": None, "error": {}}}),
        (CHAT_COMPLETIONS, {"error": {"message": "Overloaded"}}),
    ],
)
def test_openais_response_with_only_an_error_is_free(call, upstream, usage, path, error):
    for respond in (streams([data_event(error)]), documents(200, error)):
        upstream.respond = respond
        call(path)
    assert [used.cost_nano_usd for used in usage()] == [None, None]


@pytest.mark.parametrize("events", [[COMPLETION_EVENTS[0], *COMPLETION_EVENTS[2:3]], COMPLETION_EVENTS[-1:]])
def test_a_stream_without_output_and_usage_costs_its_input(call, upstream, usage, events):
    upstream.respond = streams(events)
    body = json.dumps({"model": "gpt-5", "stream": True})
    call(CHAT_COMPLETIONS, data=body)
    (used,) = usage()
    assert (used.input_tokens, used.output_tokens) == (-(-len(body) // 3), 0)


def test_a_timeout_costs_the_input_and_the_output_of_a_document(
    call, forward_to, upstream, assessment, usage, monkeypatch
):
    assessment.update_columns(token_budget_nano_usd=USD)
    monkeypatch.setattr(billed_call, "OUTPUT_TOKENS_PER_SECOND", 10**9)
    forward_to(upstream.address, read_seconds=0.1)
    upstream.respond = lambda exchange: exchange.wait_for_disconnect()
    body = {"model": "claude-haiku-4-5", "max_tokens": 100}
    for is_stream in (True, False):
        assert call(MESSAGES, data=json.dumps(body | {"stream": is_stream})).status_code == 504
    for used in usage():
        assert (used.model, used.status_code, used.is_whole) == ("claude-haiku-4-5", 504, False)
    # 64 and 65 bytes are 22 tokens, at $1 a million; the output costs $5.
    counts = [(used.input_tokens, used.output_tokens, used.cost_nano_usd) for used in usage()]
    assert counts == [(22, None, 22_000), (22, 100, 522_000)]
    assert reservations() == []


def test_a_call_that_did_not_reach_the_provider_costs_nothing(call, forward_to, usage):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        # The queue of unaccepted connections is full, so the next one times out.
        with socket.create_connection(address):
            forward_to(f"http://127.0.0.1:{address[1]}", connect_seconds=0.1)
            assert call(MESSAGES).status_code == 504
    assert [(used.input_tokens, used.cost_nano_usd) for used in usage()] == [(None, None)]


@pytest.mark.parametrize(
    ("path", "reply", "nano_usd"),
    [
        (MESSAGES, MESSAGE | {"model": "claude-next"}, 1000 * 15_000 + 200 * 75_000 + 10_000 * 1_500),
        (RESPONSES, RESPONSE | {"model": "gpt-next"}, 600 * 30_000 + 400 * 1_000 + 200 * 180_000),
    ],
)
def test_an_unlisted_model_has_the_providers_highest_price(
    call, upstream, session, assessment, path, reply, nano_usd
):
    upstream.respond = documents(200, reply)
    assessment.update_columns(token_budget_nano_usd=nano_usd)
    assert call(path).status_code == 200
    assert ModelUsage.spent_nano_usd(session) == nano_usd
    assert error_of(call(path))[::2] == (402, "token_budget_spent")


def test_an_unlisted_models_name_from_the_request_is_not_stored(call, upstream, usage):
    """It is the candidate's text, and erasures keep the usage."""
    upstream.respond = documents(200, {"text": "no usage"})
    call(MESSAGES, data=b'{"model": "Zebulon Quartermain"}')
    assert [(used.model, used.input_tokens) for used in usage()] == [(None, 11)]


def body(**fields):
    return json.dumps({"model": "gpt-5", "input": "x" * 260} | fields)


@pytest.mark.parametrize(
    ("path", "events", "counts"),
    [(MESSAGES, MESSAGE_EVENTS, (1000, 200)), (RESPONSES, RESPONSE_EVENTS, (600, 200))],
)
def test_a_disconnect_shortly_before_the_usage_costs_the_reported_usage(
    disconnect_after, usage, monkeypatch, path, events, counts
):
    monkeypatch.setattr(disconnect, "GRACE_SECONDS", TIMEOUT_SECONDS)
    disconnect_after(events[:2], events[2:], path)
    (used,) = usage()
    assert (used.input_tokens, used.output_tokens, used.is_whole) == (*counts, True)


@pytest.mark.parametrize(("path", "maximum"), [(MESSAGES, "max_tokens"), (RESPONSES, "max_output_tokens")])
def test_a_disconnect_costs_the_possible_hidden_reasoning(
    disconnect_after, usage, monkeypatch, path, maximum
):
    monkeypatch.setattr(billed_call, "OUTPUT_TOKENS_PER_SECOND", 1000)
    disconnect_after(RESPONSE_EVENTS[:1], path=path, data=body())
    monkeypatch.setattr(billed_call, "OUTPUT_TOKENS_PER_SECOND", 10**9)
    disconnect_after(RESPONSE_EVENTS[:1], path=path, data=body(**{maximum: 64_000}))
    by_time, by_maximum = (used.output_tokens for used in usage())
    # The first call took at least the 0.1 seconds after the disconnect.
    assert 100 <= by_time < TIMEOUT_SECONDS * 1000
    assert by_maximum == 64_000


def test_a_disconnect_costs_the_received_output(disconnect_after, usage):
    events = [*MESSAGE_EVENTS[:2], text_delta("a" * 600), text_delta('"usage" and ü')]
    disconnect_after(events)
    (used,) = usage()
    # The input was reported. In JSON, the text has 620 bytes: "ü" is an escape of six bytes, and a quote of two.
    assert (used.input_tokens, used.output_tokens, used.is_whole) == (1000, 207, False)


def test_a_completions_unreported_usage_is_estimated(call, upstream, usage, monkeypatch):
    # The stream does not contain the reasoning: assume the maximum output that the model can have generated.
    monkeypatch.setattr(billed_call, "OUTPUT_TOKENS_PER_SECOND", 10**9)
    upstream.respond = streams([part for part in COMPLETION_EVENTS if b"completion_tokens" not in part])
    body = json.dumps({"model": "gpt-5", "stream": True, "max_completion_tokens": 50})
    call(CHAT_COMPLETIONS, data=body)
    (used,) = usage()
    assert (used.input_tokens, used.output_tokens) == (-(-len(body) // 3), 50)
    assert (used.model, used.is_whole) == ("gpt-5-2025-08-07", True)


def test_openais_input_is_estimated_unless_it_was_reported(disconnect_after, usage):
    delta = event({"type": "response.output_text.delta", "delta": "b" * 300, "obfuscation": "c" * 50})
    disconnect_after([RESPONSE_EVENTS[0], delta], path=RESPONSES, data=body())
    (used,) = usage()
    # The request has 291 bytes, the output 300.
    assert (used.model, used.input_tokens, used.output_tokens) == ("gpt-5-2025-08-07", 97, 100)
    assert used.cost_nano_usd == 97 * 1250 + 100 * 10_000


@BOTH
def test_an_assessment_without_a_budget_has_the_default(call, app, assessment, session, monkeypatch, path):
    make_model_call(session, cost_nano_usd=10 * USD - MESSAGE_NANO_USD)
    assert [call(MESSAGES).status_code for _ in range(2)] == [200, 402]
    assert error_of(call(path))[2] == "token_budget_spent"
    assessment.update_columns(token_budget_nano_usd=11 * USD)
    assert call(path).status_code == 200
    assessment.update_columns(token_budget_nano_usd=None)
    monkeypatch.setitem(app.config, "SESSION_DEFAULT_BUDGET_USD", 0)
    assert call(path).status_code == 200


def test_each_session_has_its_own_budget(call, app, start, session, assessment, upstream):
    assessment.update_columns(token_budget_nano_usd=USD)
    running = start()
    other = make_key(assessment)
    make_recorded_session(other)
    upstream.respond = documents(200, MESSAGE)
    assert call(MESSAGES, Caller.candidate(app, other)).status_code == 200
    assert ModelUsage.spent_nano_usd(session) == 0
    running.close()
