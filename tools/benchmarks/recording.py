"""Measure what the proxy and recording add to a model call: time to the first byte, total time, processor time, memory.

A provider in a separate process streams responses faster than models do. It is called directly and by two candidates,
in turns; one candidate's client signs events, and the service does not record the calls. Each request repeats the
conversation and adds the previous tool call's result. Connections are reused, as by coding agents.
"""

import http.client
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests import postgres
from tests.live.cast import give_consent, make_assessment, make_keys, start_session
from tests.live.scripted_client import Cli
from tests.live.service import HOST, Service
from tests.proxy.upstream import MESSAGES, Upstream, event, text_delta
from tools.benchmarks import processes, report

SIZES = {"30 KB": 30_000, "1 MB": 1_000_000}
TURNS = 9
# The clients take turns after BLOCK calls.
WARM_UP, CALLS, BLOCK = 20, 200, 10
WORDS = [f"word {number} " for number in range(100)]
EVENTS_PER_CHUNK, PAUSE_SECONDS = 10, 0.005
MODES = ("direct", "off", "on")


class Client(NamedTuple):
    """A kept-alive connection to the provider, or to the proxy with or without recording."""

    mode: str
    connection: http.client.HTTPConnection
    path: str
    key: str


class Block(NamedTuple):
    """Calls of one client.

    calls -- milliseconds to the first and to the last byte of each call
    processor_ms -- the processor time of the web process and of PostgreSQL, per call
    """

    calls: list[tuple[float, float]]
    processor_ms: list[float]


def measure() -> None:
    """Measure, print the table and write it to RESULTS.md."""
    with postgres.start(durable=True, tcp=True) as server, _provider() as base_url:
        settings = {
            "ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_API_KEY": "sk-ant-benchmark", "WEB_THREADS": "16",
            "PROXY_STREAMS": "8", "PROXY_STREAMS_PER_KEY": "8", "SESSION_DEFAULT_BUDGET_USD": "1000",
        }  # fmt: skip
        url = server.create_database("proofstone_recording")
        database = [server.process.pid] if isinstance(server, postgres.EmbeddedServer) else []
        with (
            tempfile.TemporaryDirectory() as folder,
            Service(Path(folder), url, **settings).start(1) as service,
        ):
            clients, pids = _clients(service, base_url, Path(folder)), [service.web_processes(), database]
            document = _document([_measure_size(clients, pids, size) for size in SIZES])
    report.write("recording", document)
    print(document)


@contextmanager
def _provider() -> Iterator[str]:
    """Run a provider in another process, and yield its URL."""
    ready: Any = multiprocessing.Queue()
    process = multiprocessing.Process(target=_serve, args=(ready,), daemon=True)
    process.start()
    try:
        yield ready.get(timeout=10)
    finally:
        process.kill()
        process.join()


def _serve(ready: Any) -> None:
    with Upstream() as upstream:
        upstream.respond = _respond
        ready.put(upstream.address)
        time.sleep(3600)


def _respond(exchange: Any) -> None:
    """Stream text and a tool call."""
    exchange.server.requests.clear()
    call = exchange.headers["X-Client-Request-Id"]
    events = response_events(call)
    for start in range(0, len(events), EVENTS_PER_CHUNK):
        time.sleep(PAUSE_SECONDS)
        if not start:
            exchange.head(
                200, Content_Type="text/event-stream", Transfer_Encoding="chunked", Request_Id=f"req_{call}"
            )
        exchange.chunk(b"".join(events[start : start + EVENTS_PER_CHUNK]))
    exchange.end_stream()


def response_events(call: str, words: Sequence[str] = WORDS) -> list[bytes]:
    usage = {"input_tokens": 1000, "output_tokens": 200, "cache_read_input_tokens": 10_000}
    message = {
        "id": f"msg_{call}",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
    }
    tool = {"type": "tool_use", "id": f"toolu_{call}", "name": "Bash", "input": {}}
    arguments = {"type": "input_json_delta", "partial_json": json.dumps(_command(call))}
    return [
        event({"type": "message_start", "message": message | {"content": [], "usage": usage}}),
        event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        *map(text_delta, words),
        event({"type": "content_block_stop", "index": 0}),
        event({"type": "content_block_start", "index": 1, "content_block": tool}),
        event({"type": "content_block_delta", "index": 1, "delta": arguments}),
        event({"type": "content_block_stop", "index": 1}),
        event({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": usage}),
        event({"type": "message_stop"}),
    ]


def _command(call: str) -> dict[str, str]:
    return {"command": f"pytest -q  # {call}", "description": "Run the tests"}


def request_body(size: int, name: str, number: int) -> bytes:
    """Build a conversation that ends with the result of the previous response's tool call."""
    line = "src/module.py:12: a line of a file or a test's output\n"
    result = line * max(1, size // TURNS // len(line) - 20)
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Fix the failing tests, please."}]
    for call in (*(f"{name}-start-{turn}" for turn in range(TURNS - 1)), f"{name}-{number - 1}"):
        tool_use = {"type": "tool_use", "id": f"toolu_{call}", "name": "Bash", "input": _command(call)}
        tool_result = {"type": "tool_result", "tool_use_id": f"toolu_{call}", "content": result}
        messages += [
            {"role": "assistant", "content": [{"type": "text", "text": "".join(WORDS)}, tool_use]},
            {"role": "user", "content": [tool_result]},
        ]
    request = {
        "model": "claude-haiku-4-5", "max_tokens": 8000, "stream": True, "messages": messages,
        "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
        "system": [{"type": "text", "text": "You are an agent.\nPrimary working directory: /workspace\n"}],
    }  # fmt: skip
    return json.dumps(request).encode()


def _clients(service: Service, base_url: str, folder: Path) -> list[Client]:
    """Start a session with consent to recording, and one whose client records it."""
    reviewer = service.organization("Recording Ltd")
    off, on = (key["key"] for key in make_keys(reviewer, make_assessment(reviewer), 2))
    start_session(service, on)
    give_consent(service, off)
    cli = Cli(service.port, off, folder)
    cli.redeem()
    assert cli.send(cli.event("session_start", {}, "cli")).status == 201
    connections = [
        http.client.HTTPConnection(HOST, port, timeout=30)
        for port in (urlsplit(base_url).port, service.port, service.port)
    ]
    paths, keys = ("/v1/messages", MESSAGES, MESSAGES), ("", off, on)
    return [Client(*columns) for columns in zip(MODES, connections, paths, keys, strict=True)]


def _measure_size(clients: list[Client], pids: list[list[int]], size: str) -> list[str]:
    """Measure requests of one size. Returns a row of the table.

    pids -- the web process and the database
    """
    blocks: dict[str, list[Block]] = {mode: [] for mode in MODES}
    for start in range(0, WARM_UP + CALLS, BLOCK):
        for client in clients:
            block = _measure_block(client, pids, size, start)
            if start >= WARM_UP:
                blocks[client.mode].append(block)
    row = []
    for byte in range(2):
        direct, off, on = (
            median(call[byte] for block in blocks[mode] for call in block.calls) for mode in MODES
        )
        row += [f"{value:.1f}" for value in (direct, off, on, on - direct, on - off)]
    for process in range(2):
        row += [f"{fmean(block.processor_ms[process] for block in blocks[mode]):.1f}" for mode in MODES[1:]]
    return [size, *row, f"{processes.memory(pids[0]):.0f}"]


def _measure_block(client: Client, pids: list[list[int]], size: str, start: int) -> Block:
    before = [processes.processor_seconds(each) for each in pids]
    calls = [_call(client, size, number) for number in range(start, start + BLOCK)]
    after = [processes.processor_seconds(each) for each in pids]
    used = [(end - begin) * 1000 / BLOCK for begin, end in zip(before, after, strict=True)]
    return Block(calls, used)


def _call(client: Client, size: str, number: int) -> tuple[float, float]:
    """Make a call. Returns the milliseconds to the first and last byte of the body."""
    name = f"{size}-{client.mode}"
    body = request_body(SIZES[size], name, number)
    headers = {
        "X-API-Key": client.key, "X-Client-Request-Id": f"{name}-{number}", "Content-Type": "application/json",
        "User-Agent": "claude-cli/2.1.197 (external, cli)", "X-Claude-Code-Session-Id": f"benchmark-{name}",
    }  # fmt: skip
    started_at = time.perf_counter()
    client.connection.request("POST", client.path, body, headers)
    response = client.connection.getresponse()
    response.read(1)
    first_byte_at = time.perf_counter()
    response.read()
    ended_at = time.perf_counter()
    assert response.status == 200, response.status
    return (first_byte_at - started_at) * 1000, (ended_at - started_at) * 1000


def _document(rows: list[list[str]]) -> str:
    head = ["request"]
    for time_to in ("first byte", "call"):
        head += [f"{time_to}, direct", "off", "on", "proxy adds", "recording adds"]
    head += ["web process, off", "on", "PostgreSQL, off", "on", "RSS MiB"]
    return f"""## Recording model calls

`make bench options=--recording`. Calls to a provider: direct, through the proxy without recording (off), and with it
(on), one process, on one durable PostgreSQL. Connections are reused. The provider sends {len(WORDS) + 8} events,
{EVENTS_PER_CHUNK} every {PAUSE_SECONDS * 1000:.0f} ms, faster than any model. Each request has {2 * TURNS + 1} messages
with tool results. Times are medians of {CALLS} calls in ms. "Web process" and "PostgreSQL" are processor time per call,
in ms; other work on the machine affects it less. Memory is the web process's at the end. At 30 KB, the proxy should add
less than 6 ms to the first byte and 10 ms to a call, of which recording adds less than 3 ms.

{report.markdown(head, rows)}

- {report.describe_machine()}; {date.today().isoformat()}. Provider, client and database share the machine.
"""
