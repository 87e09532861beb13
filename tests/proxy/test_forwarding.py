"""Forwarded requests and responses, and their stored usage (client contract, section 3.16)."""

import gzip
import json

import pytest

from tests.proxy.upstream import (
    CHAT_COMPLETIONS,
    COMPLETION,
    COMPLETION_EVENTS,
    MESSAGE,
    MESSAGE_EVENTS,
    MESSAGE_NANO_USD,
    MESSAGES,
    RESPONSE,
    RESPONSE_EVENTS,
    RESPONSE_NANO_USD,
    RESPONSES,
    documents,
    streams,
    text_delta,
)


def test_the_candidates_key_is_replaced_with_the_providers_key(call, upstream, key):
    for path in (MESSAGES, RESPONSES):
        call(path, headers={"Authorization": f"Bearer {key.key}"})
    to_anthropic, to_openai = (request.headers for request in upstream.requests)
    assert (to_anthropic["X-Api-Key"], to_anthropic["Authorization"]) == ("sk-ant-ours", None)
    assert (to_openai["X-Api-Key"], to_openai["Authorization"]) == (None, "Bearer sk-ours")
    assert key.key not in f"{to_anthropic}{to_openai}"


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("POST", "/anthropic/v1/messages?beta=true&x=a%20b", "/v1/messages?beta=true&x=a%20b"),
        ("POST", "/anthropic/v1/messages/count_tokens?beta=true", "/v1/messages/count_tokens?beta=true"),
        ("GET", "/anthropic/v1/models?limit=1000", "/v1/models?limit=1000"),
        ("GET", "/anthropic/v1/models/claude-haiku-4-5", "/v1/models/claude-haiku-4-5"),
        ("POST", "/openai/v1/responses", "/v1/responses"),
        ("POST", "/openai/v1/chat/completions", "/v1/chat/completions"),
        ("GET", "/openai/v1/models?client_version=0.99.0", "/v1/models?client_version=0.99.0"),
    ],
)
def test_the_path_and_the_query_are_forwarded(call, upstream, method, path, target):
    assert call(f"/v1/proxy{path}", method=method).status_code == 200
    (request,) = upstream.requests
    assert (request.method, request.target) == (method, target)


# Whitespace, escapes and invalid UTF-8, in memory and in a file.
ODD_BODY = b' {"model":"m" ,\t"n":1.0,\r\n"text": "\\u0041\\"}\xff%b"} ' % bytes(range(128, 256))


@pytest.mark.parametrize("body", [ODD_BODY, ODD_BODY.replace(b"A", b"A" * 2_000_000, 1)])
def test_the_body_is_forwarded_unchanged(call, upstream, body):
    call(MESSAGES, data=body)
    (request,) = upstream.requests
    assert request.body == body
    assert request.headers["Content-Length"] == str(len(body))


def test_only_headers_that_tools_send_are_forwarded(call, upstream):
    forwarded = {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "a,b",
        "User-Agent": "claude-cli",
        "X-App": "1",
        "X-Claude-Code-Session-Id": "1",
        "X-Stainless-Lang": "js",
        "originator": "codex_exec",
        "session-id": "1",
        "x-codex-turn-metadata": "{}",
        "X-Session-Affinity": "1",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "tracestate": "vendor=1",
    }
    dropped = {
        "Connection": "keep-alive, X-Stainless-OS", "X-Stainless-OS": "1", "Keep-Alive": "5", "TE": "trailers",
        "Upgrade": "h2c", "Proxy-Authorization": "Basic x", "Cookie": "a=b", "X-Forwarded-For": "192.0.2.7",
        "Forwarded": "for=192.0.2.7", "CF-Connecting-IP": "192.0.2.7", "X-Promptster-CLI-Version": "1.10.0",
        "OpenAI-Organization": "org-theirs", "X-Unknown": "1",
    }  # fmt: skip
    call(MESSAGES, headers=forwarded | dropped | {"Accept-Encoding": "gzip, br, zstd"})
    headers = upstream.requests[0].headers
    assert {name: headers[name] for name in forwarded} == forwarded
    assert not [name for name in dropped if name != "Connection" and name in headers]
    assert "192.0.2.7" not in str(headers)
    assert headers["Accept-Encoding"] == "identity"
    assert headers["Host"] == upstream.address.removeprefix("http://")


MESSAGE_USAGE = {
    "provider": "anthropic", "model": "claude-haiku-4-5-20251001", "input_tokens": 1000, "output_tokens": 200,
    "cache_read_tokens": 10_000, "cache_write_tokens": None, "cache_write_1h_tokens": None,
    "cost_nano_usd": MESSAGE_NANO_USD, "status_code": 200, "is_whole": True,
}  # fmt: skip
RESPONSE_USAGE = {
    "provider": "openai", "model": "gpt-5-2025-08-07", "input_tokens": 600, "output_tokens": 200,
    "cache_read_tokens": 400, "cost_nano_usd": RESPONSE_NANO_USD, "status_code": 200, "is_whole": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "reply", "stored"),
    [
        (MESSAGES, MESSAGE, MESSAGE_USAGE),
        (MESSAGES, MESSAGE_EVENTS, MESSAGE_USAGE),
        (RESPONSES, RESPONSE, RESPONSE_USAGE),
        (RESPONSES, RESPONSE_EVENTS, RESPONSE_USAGE),
        (CHAT_COMPLETIONS, COMPLETION, RESPONSE_USAGE),
        (CHAT_COMPLETIONS, COMPLETION_EVENTS, RESPONSE_USAGE),
    ],
)
def test_a_response_is_returned_unchanged_and_its_usage_is_stored(
    call, upstream, usage, clock, path, reply, stored
):
    is_stream = isinstance(reply, list)
    upstream.respond = streams(reply) if is_stream else documents(200, reply)
    response = call(path, data=json.dumps({"model": "m", "prompt": "a secret question"}))
    assert response.data == (b"".join(reply) if is_stream else json.dumps(reply).encode())
    content_type = "text/event-stream; charset=utf-8" if is_stream else "application/json"
    assert (response.status_code, response.headers["Content-Type"]) == (200, content_type)
    (used,) = usage()
    assert {name: getattr(used, name) for name in stored} == stored
    assert used.started_at == used.ended_at == clock.fixed
    assert "secret" not in str(used.__data__)
    assert "Grüße" not in str(used.__data__)


@pytest.mark.parametrize("status", [200, 400, 404, 418, 429, 500, 529])
def test_documents_and_errors_are_returned_unchanged(call, upstream, usage, status):
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Ünchanged"}}
    headers = {
        "Retry-After": "7", "Request-Id": "req_1", "X-Should-Retry": "true",
        "Anthropic-Ratelimit-Tokens-Remaining": "5", "OpenAI-Processing-Ms": "12",
    }  # fmt: skip
    sent = {name.replace("-", "_"): value for name, value in headers.items()}
    upstream.respond = documents(status, error, **sent)
    response = call(MESSAGES)
    assert (response.status_code, response.data) == (status, json.dumps(error).encode())
    assert (headers | {"Content-Type": "application/json"}).items() <= dict(response.headers).items()
    (used,) = usage()
    assert used.status_code == status
    if status >= 400:
        assert (used.input_tokens, used.cost_nano_usd) == (None, None)


@pytest.mark.parametrize(
    ("path", "secret"),
    [(MESSAGES, "sk-ant-ours"), (RESPONSES, "sk-ours"), (f"{MESSAGES}/count_tokens", "sk-ant-ours")],
)
def test_the_providers_key_is_replaced_in_a_response(call, upstream, usage, path, secret):
    error, masked = f'{{"error": "Bearer %s is invalid; {secret[:-1]}"}}', "*" * len(secret)
    body = (error % secret).encode()
    upstream.respond = lambda exchange: exchange.document(400, body, Request_Id=f"req-{secret}")
    response = call(path)
    assert (response.text, response.headers["Request-Id"]) == (error % masked, f"req-{masked}")
    assert {used.request_id for used in usage()} <= {f"req-{masked}"}


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_the_providers_key_is_replaced_across_the_chunks_of_a_stream(call, upstream, size):
    sent = b"".join(
        [*MESSAGE_EVENTS[:2], text_delta("sk-sk-ant-ours sk-ant-our"), *MESSAGE_EVENTS[-2:], b"sk-ant"]
    )
    upstream.respond = streams([sent[start : start + size] for start in range(0, len(sent), size)])
    assert call(MESSAGES).data == sent.replace(b"sk-ant-ours", b"*" * 11)


def test_a_compressed_response_stays_compressed(call, upstream, usage):
    compressed = gzip.compress(json.dumps(MESSAGE).encode())
    upstream.respond = lambda exchange: exchange.document(200, compressed, Content_Encoding="gzip")
    response = call(MESSAGES)
    assert (response.data, response.headers["Content-Encoding"]) == (compressed, "gzip")
    assert usage()[0].input_tokens == 1000


def test_headers_about_the_providers_host_are_dropped(call, upstream):
    dropped = {
        "Set_Cookie": "a=b", "Alt_Svc": "h3", "Strict_Transport_Security": "max-age=1", "Keep_Alive": "5",
        "Connection": "X-Hop", "X_Hop": "1", "OpenAI_Organization": "org-ours", "OpenAI_Project": "proj-ours",
        "Anthropic_Organization_Id": "org-ours", "Access_Control_Expose_Headers": "X-Request-ID", "CF_Ray": "1",
        "X_RateLimit_Reset_Tokens": "1s",
    }  # fmt: skip
    upstream.respond = documents(200, MESSAGE, **dropped)
    response = call(MESSAGES)
    for name in ("Server", *(name.replace("_", "-") for name in dropped if name != "Connection")):
        assert name not in response.headers


def test_no_content_type_is_added(call, upstream):
    upstream.respond = lambda exchange: exchange.head(200, Content_Length="0")
    assert "Content-Type" not in call(MESSAGES).headers


def test_a_huge_response_is_returned_completely(call, upstream):
    body = b"x" * (20 * 1024 * 1024)
    upstream.respond = lambda exchange: exchange.document(200, body)
    assert call(MESSAGES).data == body


def test_a_stream_that_ends_with_the_connection_is_forwarded(call, upstream, usage):
    def respond(exchange):
        exchange.head(200, Content_Type="text/event-stream", Connection="close")
        for part in MESSAGE_EVENTS:
            exchange.wfile.write(part)
        exchange.disconnect()

    upstream.respond = respond
    assert call(MESSAGES).data == b"".join(MESSAGE_EVENTS)
    assert [used.is_whole for used in usage()] == [True]
