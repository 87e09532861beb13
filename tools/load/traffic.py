"""Candidates' requests and their model provider, on one event loop. Together they need little processor time."""

import asyncio
import io
import json
import math
import random
import re
import time
from array import array
from collections import Counter
from http.client import parse_headers

from tests.live.cast import Candidate, event
from tests.live.client import Client
from tests.live.service import HOST
from tests.proxy.upstream import MESSAGES, text_delta
from tools.benchmarks.recording import request_body, response_events

CHUNKS_PER_SECOND = 10
REQUEST_BYTES = 300_000
# The recordings' events: median 632 bytes, 99th percentile 7.8 KB.
EVENT_BYTES = (math.log(632), 1.08)
RESPONSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
MAX_BYTES = 2**20
END_BYTES = 1000
_SENT_AT = re.compile(rb"sent at (\d+\.\d{6})")


async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Respond to each request of a connection with a stream; `X-Client-Request-Id` ends with its seconds."""
    while head := await _read_head(reader):
        headers = parse_headers(io.BytesIO(head.partition(b"\r\n")[2]))
        await reader.readexactly(int(headers["Content-Length"]))
        writer.write(RESPONSE_HEAD)
        call, _, seconds = headers["X-Client-Request-Id"].rpartition(":")
        first, *rest = response_events(call, words=[])
        _write_chunk(writer, first)
        ends_at = time.monotonic() + float(seconds)
        while (now := time.monotonic()) < ends_at:
            _write_chunk(writer, text_delta(f"sent at {now:.6f}"))
            await asyncio.sleep(1 / CHUNKS_PER_SECOND)
        _write_chunk(writer, b"".join(rest))
        writer.write(b"0\r\n\r\n")
    writer.close()


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    """Return a request's head, or b"" at the end of the connection."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def _write_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


class Traffic:
    """Requests and model calls to a service, and their durations in seconds."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.calls = self.running = self.most_running = self.completed = 0
        self.call_starts, self.chunk_delays, self.requests = array("d"), array("d"), array("d")
        self.errors: Counter[str] = Counter()

    async def request(self, client: Client, method: str, path: str, body: bytes = b"") -> None:
        started_at = time.monotonic()
        try:
            async with asyncio.timeout(client.timeout):
                reader, writer = await self._send(client, method, path, body)
                status = (await reader.read())[9:12]
                writer.close()
        except OSError as error:
            self.errors[f"{method} {path}: {error!r}"] += 1
            return
        self.requests.append(time.monotonic() - started_at)
        if status not in (b"200", b"201"):
            self.errors[f"{method} {path}: {status.decode()}"] += 1

    async def send_event(self, candidate: Candidate) -> None:
        sent = event(data={"text": "x" * int(random.lognormvariate(*EVENT_BYTES))})
        await self.request(candidate, "POST", "/v1/hooks/ingest", json.dumps(sent).encode())

    async def call_model(self, candidate: Candidate, agent: str, number: int, seconds: float) -> None:
        """Make the agent's next call, and read its stream of this duration."""
        headers = {
            "X-Client-Request-Id": f"{agent}-{number}:{seconds:.1f}",
            "User-Agent": "claude-cli/2.1.197 (external, cli)", "X-Claude-Code-Session-Id": agent,
        }  # fmt: skip
        body = request_body(REQUEST_BYTES, agent, number)
        self.calls += 1
        started_at, received, latest = time.monotonic(), 0, b""
        try:
            reader, writer = await self._send(candidate, "POST", MESSAGES, body, **headers)
            while data := await reader.read(MAX_BYTES):
                now = time.monotonic()
                if not received:
                    self._start_stream(now - started_at)
                self.chunk_delays.extend(now - float(sent_at) for sent_at in _SENT_AT.findall(data))
                received, latest = received + len(data), (latest + data)[-END_BYTES:]
            writer.close()
        except OSError as error:
            self.errors[f"model call: {error!r}"] += 1
        self.running -= received > 0
        if b"message_stop" in latest:
            self.completed += 1
        else:
            self.errors[f"model call: {latest[:15]!r}"] += 1

    def _start_stream(self, seconds: float) -> None:
        self.call_starts.append(seconds)
        self.running += 1
        self.most_running = max(self.running, self.most_running)

    async def _send(
        self, client: Client, method: str, path: str, body: bytes, **headers: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        headers |= client.headers | {"Host": HOST, "Content-Type": "application/json", "Connection": "close"}
        lines = [f"{method} {path} HTTP/1.1", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        reader, writer = await asyncio.open_connection(HOST, self.port, limit=MAX_BYTES)
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        return reader, writer
