"""Measure what recording adds to a model call: time to the first byte, time of the whole call, memory.

A provider in a process of its own streams an answer, faster than models do. Two candidates call it in turns, one of
whom has not agreed to the recording. Each request repeats the conversation and adds the result of the tool call before
it.
"""

import http.client
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from tests import postgres
from tests.live.cast import make_assessment, make_keys, start_session
from tests.live.service import HOST, Service
from tests.proxy.upstream import MESSAGES, Upstream, event, text_delta
from tools.benchmarks import processes, report

SIZES = {"30 KB": 30_000, "1 MB": 1_000_000}
TURNS = 9
# In turns of BLOCK calls of each candidate.
WARM_UP, CALLS, BLOCK = 20, 200, 20
WORDS = [f"word {number} " for number in range(100)]
EVENTS_PER_CHUNK, PAUSE_SECONDS = 10, 0.005
MODES = ("off", "on")


def measure() -> None:
    """Measure, print the table and write it to RESULTS.md."""
    with postgres.start(durable=True, tcp=True) as server, _provider() as address:
        settings = {
            "ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "sk-ant-benchmark", "WEB_THREADS": "16",
            "PROXY_STREAMS": "8", "PROXY_STREAMS_PER_KEY": "8", "SESSION_DEFAULT_BUDGET_USD": "1000",
        }  # fmt: skip
        url = server.create_database("proofstone_recording")
        with (
            tempfile.TemporaryDirectory() as folder,
            Service(Path(folder), url, **settings).start(1) as service,
        ):
            keys = _keys(service)
            text = _document([_measure_size(service, keys, size) for size in SIZES])
    report.write("recording", text)
    print(text)


@contextmanager
def _provider() -> Iterator[str]:
    """The address of a provider in another process."""
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
    """Stream a text and a tool call whose id the next request has."""
    call = exchange.headers["X-Call"]
    headers = {
        "Content_Type": "text/event-stream",
        "Transfer_Encoding": "chunked",
        "Request_Id": f"req_{call}",
    }
    exchange.head(200, **headers)
    parts = _answer(call)
    for start in range(0, len(parts), EVENTS_PER_CHUNK):
        time.sleep(PAUSE_SECONDS)
        exchange.chunk(b"".join(parts[start : start + EVENTS_PER_CHUNK]))
    exchange.end_stream()


def _answer(call: str) -> list[bytes]:
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
        *map(text_delta, WORDS),
        event({"type": "content_block_stop", "index": 0}),
        event({"type": "content_block_start", "index": 1, "content_block": tool}),
        event({"type": "content_block_delta", "index": 1, "delta": arguments}),
        event({"type": "content_block_stop", "index": 1}),
        event({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": usage}),
        event({"type": "message_stop"}),
    ]


def _command(call: str) -> dict[str, str]:
    return {"command": f"pytest -q  # {call}", "description": "Run the tests"}


def _turn(call: str, result: str) -> list[dict[str, Any]]:
    use = {"type": "tool_use", "id": f"toolu_{call}", "name": "Bash", "input": _command(call)}
    answer = {"role": "assistant", "content": [{"type": "text", "text": "".join(WORDS)}, use]}
    outcome = {"type": "tool_result", "tool_use_id": f"toolu_{call}", "content": result}
    return [answer, {"role": "user", "content": [outcome]}]


def _body(size: int, name: str, number: int) -> bytes:
    """A conversation; its last turn has the tool call of the call before."""
    line = "src/module.py:12: a line of a file or of a test's output\n"
    result = line * max(1, size // TURNS // len(line) - 20)
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Fix the failing tests, please."}]
    for call in (*(f"{name}-start-{turn}" for turn in range(TURNS - 1)), f"{name}-{number - 1}"):
        messages += _turn(call, result)
    system = [{"type": "text", "text": "You are an agent.\nPrimary working directory: /workspace\n"}]
    tools = [{"name": "Bash", "input_schema": {"type": "object"}}]
    request = {
        "model": "claude-haiku-4-5",
        "max_tokens": 8000,
        "stream": True,
        "tools": tools,
        "system": system,
    }
    return json.dumps(request | {"messages": messages}).encode()


def _keys(service: Service) -> dict[str, str]:
    """The keys of two open sessions: without consent to the recording, and with it."""
    reviewer = service.organization("Recording Ltd")
    off, on = (key["key"] for key in make_keys(reviewer, make_assessment(reviewer), 2))
    shown = service.anonymous.get(f"/v1/candidate/consent?key={on}")["disclosureHash"]
    service.anonymous.post("/v1/candidate/consent", {"key": on, "disclosureHash": shown})
    for key in (off, on):
        start_session(service, key)
    return {"off": off, "on": on}


def _measure_size(service: Service, keys: dict[str, str], size: str) -> list[str]:
    """A row of the table."""
    (web,) = service.web_processes()
    times: dict[str, list[tuple[float, float]]] = {mode: [] for mode in MODES}
    used = dict.fromkeys(MODES, 0.0)
    for start in range(0, WARM_UP + CALLS, BLOCK):
        for mode in MODES:
            before = processes.processor_seconds([web])
            numbers = range(start, start + BLOCK)
            times[mode] += [_call(service.port, keys[mode], size, mode, number) for number in numbers]
            used[mode] += (processes.processor_seconds([web]) - before) if start >= WARM_UP else 0
    medians = {mode: [median(each) for each in zip(*times[mode][WARM_UP:], strict=True)] for mode in MODES}
    (first_off, whole_off), (first_on, whole_on) = medians["off"], medians["on"]
    row = [f"{value:.2f}" for value in (first_off, first_on, whole_off, whole_on, whole_on - whole_off)]
    row += [f"{used[mode] * 1000 / CALLS:.1f}" for mode in MODES]
    return [size, *row, f"{processes.memory([web]):.0f}"]


def _call(port: int, key: str, size: str, mode: str, number: int) -> tuple[float, float]:
    """Make a call; returns the milliseconds to the first byte of the body, and to the last."""
    name = f"{size}-{mode}"
    body = _body(SIZES[size], name, number)
    headers = {
        "X-API-Key": key, "X-Call": f"{name}-{number}", "User-Agent": "claude-cli/2.1.197 (external, cli)",
        "X-Claude-Code-Session-Id": f"benchmark-{name}",
    }  # fmt: skip
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    started = time.perf_counter()
    connection.request("POST", MESSAGES, body, headers)
    response = connection.getresponse()
    response.read(1)
    first = time.perf_counter()
    response.read()
    ended = time.perf_counter()
    connection.close()
    assert response.status == 200, response.status
    return (first - started) * 1000, (ended - started) * 1000


def _document(rows: list[list[str]]) -> str:
    head = ["request", "first byte, off", "on", "whole call, off", "on", "added"]
    head += ["processor, off", "on", "RSS MiB"]
    return f"""## Recording model calls

`make bench options=--recording`. Calls through the proxy with and without recording, one process, on one durable
PostgreSQL. The provider sends {len(WORDS) + 8} events, {EVENTS_PER_CHUNK} every {PAUSE_SECONDS * 1000:.0f} ms,
which is faster than any model. Each request has {2 * TURNS + 1} messages with tool results. Times are medians of
{CALLS} calls in ms. Processor time is the web process's for a call, in ms; other work on the machine changes
it less. Memory is the web process's after all of them. The target is less than 3 ms a call.

{report.markdown(head, rows)}

- {report.machine()}; {date.today().isoformat()}. Provider, client and database share the machine.
"""
