"""The base of the stand-ins: a server that checks every request, and misbehaves on demand.

A stand-in is written from the vendor's documentation. `violations` lists each request that differs from it.
"""

import base64
import hashlib
import hmac
import http.client
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qsl, urlsplit

LOOPBACK = "127.0.0.1"
# Longer than a caller waits for a response.
GATE_SECONDS = 60
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Request(NamedTuple):
    """A received request. Header names are in lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def parameters(self) -> dict[str, str]:
        return dict(self.query)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip()

    @property
    def basic(self) -> tuple[str, str] | None:
        """The user name and password, or None without valid Basic authentication."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme != "Basic":
            return None
        user, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
        return (user, password) if colon else None


class Reply(NamedTuple):
    """A response; `data` is JSON, or text as a string."""

    status: int = 200
    data: Any = None
    headers: Mapping[str, str] = {}


@dataclass
class Fault:
    """Misbehavior in the next `times` requests of an operation.

    operation -- name of the operation; "" is any
    reply -- the response instead of the operation's
    after_write -- the operation takes effect first
    hangs_up -- close the connection without a response
    is_held -- wait for `release` before the response
    """

    operation: str
    times: int = 1
    reply: Reply | None = None
    after_write: bool = False
    hangs_up: bool = False
    is_held: bool = False
    delay: float = 0
    count: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Wait until a request has arrived."""
        assert self.reached.wait(GATE_SECONDS), f"No request arrived: {self.operation}."

    def release(self) -> None:
        self.released.set()


class StandIn(ThreadingHTTPServer):
    """A server. A subclass names its hosts, finds an operation for a request, and performs it."""

    HOSTS: ClassVar[tuple[str, ...]]
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, now: Callable[[], float] = time.monotonic):
        """Create a server; `now` is the clock that rate limits count by."""
        self.now = now
        self.violations: list[str] = []
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.lock = threading.RLock()
        super().__init__((LOOPBACK, 0), _Handler)

    @property
    def origin(self) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}"

    @property
    def hosts(self) -> str:
        """The value of INTEGRATION_HOSTS that leads here."""
        return ",".join(f"{host}={self.origin}" for host in self.HOSTS)

    def misbehave(self, operation: str, **how: Any) -> Fault:
        """Add a fault; a status stands for a response without a body."""
        if status := how.pop("status", None):
            how["reply"] = Reply(status, how.pop("data", None), how.pop("headers", {}))
        fault = Fault(operation, **how)
        self.faults.append(fault)
        return fault

    def behave(self) -> None:
        """End all faults."""
        for fault in self.faults:
            fault.release()
        self.faults.clear()

    def count(self, operation: str) -> int:
        """Return how many requests named the operation."""
        return sum(self.operation_of(request) == operation for request in list(self.requests))

    def violate(self, text: str) -> None:
        with self.lock:
            self.violations.append(text)

    def require(self, is_met: Any, text: str) -> None:
        if not is_met:
            self.violate(text)

    def process(self, request: Request) -> Reply | None:
        """Return the response, or None to close the connection."""
        with self.lock:
            self.requests.append(request)
            operation = self.operation_of(request)
            fault = self._next_fault(operation)
        if operation is None:
            self.violate(f"No such operation: {request.method} {request.path}.")
            return Reply(404)
        self.check_headers(request)
        if fault is None:
            return self.perform(operation, request)
        if fault.after_write:
            self.perform(operation, request)
        fault.reached.set()
        if fault.is_held:
            fault.released.wait(GATE_SECONDS)
        time.sleep(fault.delay)
        if fault.hangs_up:
            return None
        if fault.reply is not None:
            return fault.reply
        return Reply(500) if fault.after_write else self.perform(operation, request)

    def _next_fault(self, operation: str | None) -> Fault | None:
        for fault in self.faults:
            if fault.operation in ("", operation) and fault.count < fault.times:
                fault.count += 1
                return fault
        return None

    def check_headers(self, request: Request) -> None:
        """Check the headers of every call."""
        agent = request.headers.get("user-agent", "")
        self.require(agent.startswith("Proofstone/"), f"The User-Agent is {agent!r}.")
        self.require("cookie" not in request.headers, "The request has a cookie.")
        if request.method == "GET":
            self.require(not request.body, f"GET {request.path} has a body.")

    def read_json(self, request: Request) -> dict[str, Any]:
        """Return the body's fields, or none if it is not a JSON object."""
        self.require(request.media_type == JSON, f"{request.path}: the body is {request.media_type!r}.")
        try:
            body = json.loads(request.body)
        except ValueError:
            body = None
        self.require(isinstance(body, dict), f"{request.path}: the body is not an object.")
        return body if isinstance(body, dict) else {}

    def check_fields(
        self, name: str, sent: Iterable[str], required: Iterable[str], optional: Iterable[str] = ()
    ) -> None:
        """Check that all required and only known fields or parameters were sent."""
        sent, required = set(sent), set(required)
        self.require(required <= sent, f"{name}: {sorted(required - sent)} are missing.")
        unknown = sent - required - set(optional)
        self.require(not unknown, f"{name}: {sorted(unknown)} are unknown.")

    def operation_of(self, request: Request) -> str | None:
        raise NotImplementedError

    def perform(self, operation: str, request: Request) -> Reply:
        raise NotImplementedError

    def handle_error(self, *args: Any) -> None:
        """Ignore connections that the caller or a fault has broken."""


class _Handler(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"

    def respond(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qsl(url.query, keep_blank_values=True)
        reply = self.server.process(Request(self.command, url.path, query, headers, body, self.server.now()))
        if reply is None:
            self.close_connection = True
            return
        is_text = isinstance(reply.data, str)
        content = b"" if reply.data is None else (reply.data if is_text else json.dumps(reply.data)).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "text/html" if is_text else JSON)
        self.send_header("Content-Length", str(len(content)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = respond

    def log_message(self, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def serving(*servers: StandIn):
    """Run the servers, and check at the end that no request violated a contract."""
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,)) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield servers
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.behave()
            server.shutdown()
            thread.join()
            server.server_close()
    violations = [text for server in servers for text in server.violations]
    assert violations == [], violations


class RateLimit:
    """At most `count` calls in any `seconds`; keeps the number of rejected calls."""

    def __init__(self, count: int, seconds: float):
        self.count, self.seconds = count, seconds
        self.rejected = 0
        self.total = 0
        self._calls: deque[float] = deque()

    def admits(self, now: float) -> bool:
        while self._calls and self._calls[0] <= now - self.seconds:
            self._calls.popleft()
        if len(self._calls) >= self.count:
            self.rejected += 1
            return False
        self._calls.append(now)
        self.total += 1
        return True

    @property
    def remaining(self) -> int:
        return self.count - len(self._calls)

    def reset_in(self, now: float) -> float:
        """Return the seconds until a call leaves the window."""
        return max(0.0, self._calls[0] + self.seconds - now) if self._calls else 0.0


class Account:
    """A customer's account of an applicant-tracking system, with its webhook.

    post -- sends (body, headers) to the webhook's URL and returns the response's status
    """

    # Attempts end with a success, after the last wait, or at a final status.
    WAITS: ClassVar[tuple[float, ...]]
    FINAL: ClassVar[frozenset[int]] = frozenset()
    # The operations that read an application, write a note and list notes.
    READ: ClassVar[str]
    WRITE: ClassVar[str]
    LIST: ClassVar[str]

    def __init__(self) -> None:
        self.secret = ""
        self.post: Callable[[bytes, dict[str, str]], int] | None = None
        # Compresses the waits between deliveries: the seconds that the vendor's second takes.
        self.second: float = 0
        self.limit: RateLimit | None = None
        # A 429 has Retry-After.
        self.has_retry_after = True

    def sign(self, body: bytes) -> str:
        return hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()

    def is_success(self, status: int) -> bool:
        return 200 <= status < 300

    def send(self, body: bytes, headers: dict[str, str]) -> list[int]:
        """Deliver a webhook as the vendor does, with compressed waits. Return the statuses; 0 is no response."""
        statuses = []
        for wait in (*self.WAITS, None):
            statuses.append(self.send_once(body, headers))
            if self.is_success(statuses[-1]) or statuses[-1] in self.FINAL or wait is None:
                break
            time.sleep(wait * self.second)
            headers = self.headers_of_retry(headers)
        return statuses

    def send_once(self, body: bytes, headers: dict[str, str]) -> int:
        assert self.post is not None, "The webhook has no URL."
        try:
            return self.post(body, headers)
        except (OSError, http.client.HTTPException):
            return 0

    def headers_of_retry(self, headers: dict[str, str]) -> dict[str, str]:
        return headers


def fill(fields: Iterable[Mapping[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in a form: for each field the first value whose pattern is part of its name."""
    filled = {}
    for form_field in fields:
        name = form_field["name"].casefold()
        key = next((pattern for pattern in values if pattern in name), None)
        assert key is not None or not form_field["required"], f"The contract knows no {form_field['name']!r}."
        if key is not None and values[key] is not None:
            filled[form_field["name"]] = values[key]
    return filled


def as_json(value: Any) -> bytes:
    """Write JSON, with the characters escaped that vendors escape before signing."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode()
