"""Measure what recording adds to a model call: time to the first byte, total time, processor time and memory.

A provider in a separate process streams responses faster than models do. Two candidates take turns calling it; one has
not consented to recording. Each request repeats the conversation and adds the previous tool call's result.
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
from statistics import median
from typing import Any

from tests import postgres
from tests.live.cast import agree_to_recording, make_assessment, make_keys, start_session
from tests.live.service import HOST, Service
from tests.proxy.upstream import MESSAGES, Upstream, event, text_delta
from tools.benchmarks import processes, report

SIZES = {"30 KB": 30_000, "1 MB": 1_000_000}
TURNS = 9
# The candidates take turns after BLOCK calls.
WARM_UP, CALLS, BLOCK = 20, 200, 20
WORDS = [f"word {number} " for number in range(100)]
EVENTS_PER_CHUNK, PAUSE_SECONDS = 10, 0.005
MODES = ("off", "on")


def measure() -> None:
    """Measure, print the table and write it to RESULTS.md."""
    with postgres.start(durable=True, tcp=True) as server, _provider() as base_url:
        settings = {
            "ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_API_KEY": "sk-ant-benchmark", "WEB_THREADS": "16",
            "PROXY_STREAMS": "8", "PROXY_STREAMS_PER_KEY": "8", "SESSION_DEFAULT_BUDGET_USD": "1000",
        }  # fmt: skip
        url = server.create_database("proofstone_recording")
        with (
            tempfile.TemporaryDirectory() as folder,
            Service(Path(folder), url, **settings).start(1) as service,
        ):
            keys = _start_sessions(service)
            document = _document([_measure_size(service, keys, size) for size in SIZES])
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
    call = exchange.headers["X-Call"]
    exchange.head(
        200, Content_Type="text/event-stream", Transfer_Encoding="chunked", Request_Id=f"req_{call}"
    )
    events = response_events(call)
    for start in range(0, len(events), EVENTS_PER_CHUNK):
        time.sleep(PAUSE_SECONDS)
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


def _start_sessions(service: Service) -> dict[str, str]:
    """Start a session with consent to recording and one without. Returns their keys."""
    reviewer = service.organization("Recording Ltd")
    off, on = (key["key"] for key in make_keys(reviewer, make_assessment(reviewer), 2))
    agree_to_recording(service, on)
    for key in (off, on):
        start_session(service, key)
    return {"off": off, "on": on}


def _measure_size(service: Service, keys: dict[str, str], size: str) -> list[str]:
    """Measure requests of one size. Returns a row of the table."""
    (web,) = service.web_processes()
    times: dict[str, list[tuple[float, float]]] = {mode: [] for mode in MODES}
    processor_seconds = dict.fromkeys(MODES, 0.0)
    for start in range(0, WARM_UP + CALLS, BLOCK):
        for mode in MODES:
            before = processes.processor_seconds([web])
            numbers = range(start, start + BLOCK)
            times[mode] += [_call(service.port, keys[mode], size, mode, number) for number in numbers]
            processor_seconds[mode] += (
                (processes.processor_seconds([web]) - before) if start >= WARM_UP else 0
            )
    (first_off, total_off), (first_on, total_on) = (
        [median(values) for values in zip(*times[mode][WARM_UP:], strict=True)] for mode in MODES
    )
    row = [f"{value:.2f}" for value in (first_off, first_on, total_off, total_on, total_on - total_off)]
    row += [f"{processor_seconds[mode] * 1000 / CALLS:.1f}" for mode in MODES]
    return [size, *row, f"{processes.memory([web]):.0f}"]


def _call(port: int, key: str, size: str, mode: str, number: int) -> tuple[float, float]:
    """Make a call. Returns the milliseconds to the first and last byte of the body."""
    name = f"{size}-{mode}"
    body = request_body(SIZES[size], name, number)
    headers = {
        "X-API-Key": key, "X-Call": f"{name}-{number}", "User-Agent": "claude-cli/2.1.197 (external, cli)",
        "X-Claude-Code-Session-Id": f"benchmark-{name}",
    }  # fmt: skip
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    started_at = time.perf_counter()
    connection.request("POST", MESSAGES, body, headers)
    response = connection.getresponse()
    response.read(1)
    first_byte_at = time.perf_counter()
    response.read()
    ended_at = time.perf_counter()
    connection.close()
    assert response.status == 200, response.status
    return (first_byte_at - started_at) * 1000, (ended_at - started_at) * 1000


def _document(rows: list[list[str]]) -> str:
    head = ["request", "first byte, off", "on", "total, off", "on", "added"]
    head += ["processor, off", "on", "RSS MiB"]
    return f"""## Recording model calls

`make bench options=--recording`. Calls through the proxy with and without recording, one process, on one durable
PostgreSQL. The provider sends {len(WORDS) + 8} events, {EVENTS_PER_CHUNK} every {PAUSE_SECONDS * 1000:.0f} ms,
faster than any model. Each request has {2 * TURNS + 1} messages with tool results. Times are medians of {CALLS} calls
in ms. Processor time is the web process's per call, in ms; other work on the machine affects it less. Memory is the web
process's at the end. Recording should add less than 3 ms to a call.

{report.markdown(head, rows)}

- {report.describe_machine()}; {date.today().isoformat()}. Provider, client and database share the machine.
"""
