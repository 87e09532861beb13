"""Measure what recording adds to a model call: time to the first byte, time of the whole call, calls a second, memory.

A provider in a process of its own streams an answer, faster than models do. Two candidates call it in turns, one of
whom has not agreed to the recording. Each request repeats the conversation and adds the result of the tool call before
it.
"""

import http.client
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from statistics import median
from typing import Any, NamedTuple

import models
from models import CandidateKey, Consent, open_organization
from tests import postgres
from tests.proxy.upstream import Upstream, event, text_delta
from tools.benchmarks import data, processes, report, services
from tools.scripts.service import Service

PATH = "/v1/proxy/anthropic/v1/messages"
SIZES = {"30 KB": 30_000, "1 MB": 1_000_000}
MESSAGES = 20
# In turns of BLOCK calls of each candidate.
WARM_UP, CALLS, BLOCK = 20, 200, 20
THREADS, THROUGHPUT_CALLS = 4, 200
TEXT_EVENTS, EVENTS_PER_CHUNK = 100, 10
PAUSE_SECONDS = 0.005  # between chunks
CHANNEL, MODES = "proxy", ("off", "on")


class Times(NamedTuple):
    """In milliseconds; `first` to the first byte of the body."""

    first: float
    whole: float


def measure(calls: int = CALLS) -> None:
    """Measure, print the table and write it to RESULTS.md."""
    with postgres.start(durable=True, tcp=True) as server, _provider() as address:
        url = server.create_database("proofstone_recording")
        models.bind(url)
        with _service(url, address) as service:
            candidates = _candidates()
            models.db.close()
            models.db.close_idle()
            rows = [_measure_size(service, candidates, name, calls) for name in SIZES]
    text = _document(rows, calls)
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
    exchange.head(
        200, Content_Type="text/event-stream", Transfer_Encoding="chunked", Request_Id=f"req_{call}"
    )
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
        *[text_delta(f"word {number} ") for number in range(TEXT_EVENTS)],
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
    text = "".join(f"word {number} " for number in range(TEXT_EVENTS))
    use = {"type": "tool_use", "id": f"toolu_{call}", "name": "Bash", "input": _command(call)}
    outcome = {"type": "tool_result", "tool_use_id": f"toolu_{call}", "content": result}
    answer = {"role": "assistant", "content": [{"type": "text", "text": text}, use]}
    return [answer, {"role": "user", "content": [outcome]}]


def _body(size: int, name: str, number: int) -> bytes:
    """A conversation of MESSAGES messages; its last turn has the tool call of the call before."""
    turns = (MESSAGES - 2) // 2
    result = "src/module.py:12: a line of a file or of a test's output\n"
    result *= max(1, size // turns // len(result) - 20)
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Fix the failing tests, please."}]
    for turn in range(turns - 1):
        messages += _turn(f"{name}-start-{turn}", result)
    messages += _turn(f"{name}-{number - 1}", result)
    tools = [{"name": "Bash", "input_schema": {"type": "object"}}]
    system = [{"type": "text", "text": "You are an agent.\nPrimary working directory: /workspace\n"}]
    request = {
        "model": "claude-haiku-4-5",
        "max_tokens": 8000,
        "stream": True,
        "tools": tools,
        "system": system,
    }
    return json.dumps(request | {"messages": messages}).encode()


@contextmanager
def _service(url: str, address: str) -> Iterator[Service]:
    settings = {
        "ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "sk-ant-benchmark", "WEB_THREADS": "16",
        "PROXY_STREAMS": "8", "PROXY_STREAMS_PER_KEY": "8", "SESSION_DEFAULT_BUDGET_USD": "1000",
    }  # fmt: skip
    os.environ.update(settings)
    with services.prepared(url) as service:
        service.environment["WEB_CONCURRENCY"] = "1"
        service.prepare()
        service.start()
        yield service


def _candidates() -> dict[str, str]:
    """The keys of two open sessions: without consent to the recording, and with it."""
    organization, _ = open_organization("Recording Ltd")
    assessment = data.open_assessment(organization, "Recording")
    keys = {mode: data.open_session(assessment).key for mode in MODES}
    for mode, text in keys.items():
        key = CandidateKey.get(CandidateKey.key == text)
        Consent.update(channels=[CHANNEL] if mode == "on" else []).where(Consent.key == key).execute()
    return keys


def _measure_size(service: Service, candidates: dict[str, str], size: str, calls: int) -> list[str]:
    pids = processes.family(next(iter(service.children.values())).pid)
    times: dict[str, list[Times]] = {mode: [] for mode in MODES}
    used = dict.fromkeys(MODES, 0.0)
    for start in range(0, WARM_UP + calls, BLOCK):
        for mode in MODES:
            before = processes.processor_seconds(pids[:1])
            for number in range(start, start + BLOCK):
                times[mode].append(_call(service.port, candidates[mode], size, f"{size}-{mode}", number))
            used[mode] += (processes.processor_seconds(pids[:1]) - before) if start >= WARM_UP else 0
    rates = {
        mode: _calls_per_second(service.port, candidates[mode], size, f"{size}-{mode}") for mode in MODES
    }
    medians = {mode: [median(each) for each in zip(*times[mode][WARM_UP:], strict=True)] for mode in MODES}
    (first_off, whole_off), (first_on, whole_on) = medians["off"], medians["on"]
    row = [f"{value:.2f}" for value in (first_off, first_on, whole_off, whole_on, whole_on - whole_off)]
    row += [f"{used[mode] * 1000 / calls:.1f}" for mode in MODES]
    resident = processes.memory(pids).resident
    return [size, *row, f"{rates['off']:.0f}", f"{rates['on']:.0f}", f"{resident:.0f}"]


def _calls_per_second(port: int, key: str, size: str, name: str) -> float:
    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        numbers = range(1_000_000, 1_000_000 + THROUGHPUT_CALLS)
        for call in [threads.submit(_call, port, key, size, name, number) for number in numbers]:
            call.result()
    return THROUGHPUT_CALLS / (time.perf_counter() - started)


def _call(port: int, key: str, size: str, name: str, number: int) -> Times:
    body = _body(SIZES[size], name, number)
    headers = {
        "X-API-Key": key,
        "X-Call": f"{name}-{number}",
        "User-Agent": "claude-cli/2.1.197 (external, cli)",
    }
    headers["X-Claude-Code-Session-Id"] = f"benchmark-{name}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    started = time.perf_counter()
    connection.request("POST", PATH, body, headers)
    response = connection.getresponse()
    response.read(1)
    first = time.perf_counter()
    response.read()
    ended = time.perf_counter()
    connection.close()
    assert response.status == 200, response.status
    return Times((first - started) * 1000, (ended - started) * 1000)


def _document(rows: list[list[str]], calls: int) -> str:
    head = ["request", "first byte, off", "on", "whole call, off", "on", "added"]
    head += ["processor, off", "on", "calls/s, off", "on", "RSS MiB"]
    return f"""## Recording model calls

`make bench options=--recording`. Calls through the proxy with and without recording, one process, on one durable
PostgreSQL. The provider sends {TEXT_EVENTS + 8} events, {EVENTS_PER_CHUNK} every {PAUSE_SECONDS * 1000:.0f} ms,
which is faster than any model. Each request has {MESSAGES - 1} messages with tool results. Times are medians of
{calls} calls in ms. Processor time is the web process's for a call, in ms; other work on the machine changes
it less. Calls a second are with {THREADS} at a time. Memory is the web process's after all of them.
The target is less than 3 ms a call.

{report.markdown(head, rows)}

- {report.machine()}; {date.today().isoformat()}. Provider, client and database share the machine.
"""
