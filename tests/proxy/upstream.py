"""A model provider for tests, which calls `upstream.respond(exchange)` for each request."""

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

MESSAGES = "/v1/proxy/anthropic/v1/messages"
RESPONSES = "/v1/proxy/openai/v1/responses"
CHAT_COMPLETIONS = "/v1/proxy/openai/v1/chat/completions"
STREAMING_BODY = b'{"model": "m", "stream": true}'
TIMEOUT_SECONDS = 60

MESSAGE = {
    "type": "message",
    "model": "claude-haiku-4-5-20251001",
    "content": [{"type": "text", "text": "Grüße"}],
    "usage": {"input_tokens": 1000, "output_tokens": 200, "cache_read_input_tokens": 10_000},
}
# 1,000 at $1, 200 at $5 and 10,000 at $0.10 a million.
MESSAGE_NANO_USD = 3 * 1_000_000
RESPONSE = {
    "object": "response",
    "model": "gpt-5-2025-08-07",
    "output": [{"type": "message", "content": []}],
    "usage": {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 400}, "output_tokens": 200},
}
# 600 at $1.25, 400 at $0.125 and 200 at $10 a million.
RESPONSE_NANO_USD = 750_000 + 50_000 + 2_000_000

COMPLETION = {
    "object": "chat.completion",
    "model": "gpt-5-2025-08-07",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 1000,
        "prompt_tokens_details": {"cached_tokens": 400},
        "completion_tokens": 200,
    },
}


def event(document: dict[str, Any]) -> bytes:
    return f"event: {document['type']}\ndata: {json.dumps(document)}\n\n".encode()


def text_delta(text: str) -> bytes:
    return event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})


START = event(
    {"type": "message_start", "message": MESSAGE | {"usage": {"input_tokens": 1000, "output_tokens": 1}}}
)
MESSAGE_EVENTS = [
    START,
    event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    event({"type": "ping"}),
    *[text_delta(word) for word in ("Gr", "üße", " \u2028 ", "\x00")],
    event({"type": "content_block_stop", "index": 0}),
    event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": MESSAGE["usage"]}),
    event({"type": "message_stop"}),
]
RESPONSE_EVENTS = [
    event({"type": "response.created", "response": RESPONSE | {"usage": None, "output": []}}),
    event({"type": "response.output_text.delta", "delta": "Hi"}),
    event({"type": "response.completed", "response": RESPONSE}),
]


def data_event(document: dict[str, Any]) -> bytes:
    """A Chat Completions event, which has no type."""
    return f"data: {json.dumps(document)}\n\n".encode()


_CHUNK = {"object": "chat.completion.chunk", "model": "gpt-5-2025-08-07", "usage": None}
COMPLETION_EVENTS = [
    data_event(_CHUNK | {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}),
    data_event(_CHUNK | {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}),
    data_event(_CHUNK | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    data_event(_CHUNK | {"choices": [], "usage": COMPLETION["usage"]}),
    b"data: [DONE]\n\n",
]


class Request(NamedTuple):
    client: tuple[str, int]
    method: str
    target: str
    headers: HTTPMessage
    body: bytes


class Exchange(BaseHTTPRequestHandler):
    """A request, and methods for valid and invalid responses."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Upstream"

    def handle_request(self) -> None:
        request = Request(self.client_address, self.command, self.path, self.headers, self._body())
        self.server.requests.append(request)
        self.server.respond(self)

    do_GET = do_POST = do_PUT = do_DELETE = handle_request

    def head(self, status: int, **headers: str) -> None:
        """Send a status and headers. Underscores in their names become hyphens."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def document(self, status: int, body: bytes, **headers: str) -> None:
        self.head(status, Content_Type="application/json", Content_Length=str(len(body)), **headers)
        self.wfile.write(body)

    def start_stream(self) -> None:
        self.head(200, Content_Type="text/event-stream; charset=utf-8", Transfer_Encoding="chunked")

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def disconnect(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def wait_for_disconnect(self) -> None:
        """Wait until the client disconnects. Raises TimeoutError after TIMEOUT_SECONDS."""
        self.close_connection = True
        self.connection.settimeout(TIMEOUT_SECONDS)
        with suppress(ConnectionError):
            assert self.connection.recv(1) == b""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size + 2)[:-2])
        self.rfile.readline()
        return b"".join(chunks)

    def log_message(self, *args: Any) -> None:
        pass


Respond = Callable[[Exchange], None]


def documents(status: int, document: Any, **headers: str) -> Respond:
    body = json.dumps(document).encode()
    return lambda exchange: exchange.document(status, body, **headers)


def streams(chunks: list[bytes], rest_after: threading.Event | None = None) -> Respond:
    """Stream the chunks, and wait for `rest_after` after the first."""

    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.chunk(chunks[0])
        assert rest_after is None or rest_after.wait(TIMEOUT_SECONDS)
        for chunk in chunks[1:]:
            exchange.chunk(chunk)
        exchange.end_stream()

    return respond


def stay_open(exchange: Exchange) -> None:
    """Start a stream and keep it open until the client disconnects."""
    exchange.start_stream()
    exchange.chunk(START)
    exchange.wait_for_disconnect()


class Upstream(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    respond: Respond

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.requests: list[Request] = []
        self.address = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.005,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *args: Any) -> None:
        """Ignore broken connections, which many tests cause."""
